package wire

import (
	"time"

	"github.com/covefn/cove"
)

// TokenCreate is the body of a token's creation.
type TokenCreate struct {
	Name string `json:"name" doc:"What the token is for" minLength:"1" maxLength:"100" example:"ci"`
	Role string `json:"role,omitempty" doc:"admin may do everything; developer everything with functions; viewer may only look; invoke may only invoke" enum:"admin,developer,viewer,invoke" default:"invoke"`
	// Functions limits role invoke; empty means all.
	Functions []string `json:"functions,omitempty" doc:"Limits role invoke to these functions; absent means all" nullable:"false" example:"[\"hello\"]"`
	// TTL is how long the token is valid; 0 is for ever.
	TTL cove.Duration `json:"ttl,omitzero" doc:"How long the token is valid; absent means for ever"`
}

// Token is an access token without its secret.
type Token struct {
	ID        string    `json:"id" doc:"Names the token in lists and for deletion"`
	Name      string    `json:"name" doc:"What it is for"`
	Role      string    `json:"role" enum:"admin,developer,viewer,invoke"`
	Functions []string  `json:"functions,omitempty" doc:"The functions that role invoke is limited to"`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires,omitzero" doc:"Absent for never"`
	// LastUsed is told to the minute once it is on disk.
	LastUsed time.Time `json:"last_used,omitzero" doc:"When it was last sent; absent for never"`
}

// NewToken is a token at its creation, the only time its secret is told.
type NewToken struct {
	Token
	Secret string `json:"secret" doc:"The token itself. It is told only now"`
}

// TokenList is every token.
type TokenList struct {
	Items []Token `json:"items" nullable:"false"`
}

// Who is who makes a request, and what they may do.
type Who struct {
	// Kind is "token" or "session".
	Kind string `json:"kind" enum:"token,session" doc:"How the caller showed who they are"`
	// Name is the user's or the token's, ID the token's id or the user's name.
	Name string `json:"name" doc:"The user's name, or what the token is for"`
	ID   string `json:"id" doc:"The user's name, or the token's id"`
	// User is the user's name, who can change their own password; absent for a token,
	// and for the session of who signed in by a link that a token made.
	User string `json:"user,omitempty" doc:"The user's name, who can change their own password; absent for a token, and for the session that a token's link began"`
	Role string `json:"role" enum:"admin,developer,viewer,invoke"`
	// Functions limits what they may invoke; absent means all.
	Functions []string  `json:"functions,omitempty" doc:"The functions that role invoke is limited to; absent means all"`
	Expires   time.Time `json:"expires,omitzero" doc:"When the session or the token ends; absent for never"`
}

// Login is the body of a login: a name and password, or the code of a one-time
// link.
type Login struct {
	Name     string `json:"name,omitempty" doc:"With password" maxLength:"63"`
	Password string `json:"password,omitempty" maxLength:"1024"`
	// Code is that of a one-time link.
	Code string `json:"code,omitempty" doc:"The code of a one-time link, instead of a name and password" maxLength:"200"`
}

// PasswordChange is the body of a user's change of their own password.
type PasswordChange struct {
	Password    string `json:"password" doc:"The one that you have" maxLength:"1024"`
	NewPassword string `json:"new_password" doc:"10 characters at least" minLength:"10" maxLength:"1024"`
}

// LoginLink is a link that signs in who opens it first.
type LoginLink struct {
	// URL has the code behind its '#', which browsers send to nobody.
	URL     string    `json:"url" doc:"Open it in a browser. It works once; its code is behind the #, which browsers send to nobody"`
	Expires time.Time `json:"expires"`
}

// User is somebody who signs in with a password.
type User struct {
	Name     string    `json:"name" example:"ada"`
	Role     string    `json:"role" enum:"admin,developer,viewer"`
	Disabled bool      `json:"disabled,omitempty" doc:"Set on one who may not sign in"`
	Created  time.Time `json:"created"`
	// LastLogin is zero for one who never signed in.
	LastLogin time.Time `json:"last_login,omitzero" doc:"Absent for one who never signed in"`
}

// UserList is every user, by name.
type UserList struct {
	Items []User `json:"items" nullable:"false"`
}

// UserCreate is the body of a user's creation.
type UserCreate struct {
	Name     string `json:"name" doc:"1 to 63 of a-z, 0-9, '-', '_' and '.'" minLength:"1" maxLength:"63"`
	Role     string `json:"role" enum:"admin,developer,viewer"`
	Password string `json:"password" doc:"10 characters at least" minLength:"10" maxLength:"1024"`
}

// UserPatch is the body of a user's change; what is absent stays.
type UserPatch struct {
	Role *string `json:"role,omitempty" enum:"admin,developer,viewer"`
	// Password, where it is changed, ends every session of the user.
	Password *string `json:"password,omitempty" doc:"Ends every session of the user" minLength:"10" maxLength:"1024"`
	Disabled *bool   `json:"disabled,omitempty" doc:"true ends every session of the user"`
}

// AuditEntry is one change, or one attempt to sign in.
type AuditEntry struct {
	ID   int64     `json:"id"`
	Time time.Time `json:"time"`
	// Actor is who did it: "user ada", "token 4k2m (ci)", "somebody" for a failed
	// login.
	Actor string `json:"actor" doc:"Who did it" example:"user ada"`
	// Action is the operation's id: createFunction, deleteToken, login.
	Action string `json:"action" doc:"The operation's id in this document, or login" example:"createFunction"`
	// Target is what it was done to.
	Target string `json:"target,omitempty" doc:"What it was done to" example:"hello"`
	// Detail says in a few words what changed; never a secret.
	Detail string `json:"detail,omitempty" doc:"What changed, in a few words"`
	// Status is the HTTP status that was answered.
	Status    int    `json:"status" doc:"The HTTP status that was answered"`
	RequestID string `json:"request_id,omitempty"`
	// Address is that of the caller.
	Address string `json:"address,omitempty" doc:"The caller's address"`
}

// AuditList is one page of the audit log, the newest first.
type AuditList struct {
	Items []AuditEntry `json:"items" doc:"The newest first" nullable:"false"`
	// Next is what to send as `before` for the next page; "" on the last.
	Next string `json:"next,omitempty" doc:"Send this as before to get the next page; absent on the last"`
}
