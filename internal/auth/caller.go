package auth

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/covefn/cove/internal/store"
)

// The kinds of a Caller.
const (
	KindToken   = "token"
	KindSession = "session"
)

// Caller is who makes a request, and what they may do. It is never changed; what
// has changed since is in the next one.
type Caller struct {
	// Kind says how they showed who they are: KindToken or KindSession.
	Kind string
	// User is the user's name. It is empty for a token, and for the session of
	// somebody who signed in by a link that a token made.
	User string
	// Token is the token's id; empty for a user.
	Token string
	// Name is the user's name, or what the token is for.
	Name string
	Role string
	// Functions limits RoleInvoke; empty means all.
	Functions []string
	// Expires is when the token or the session ends; zero for never.
	Expires time.Time

	// hash is that of the session.
	hash [32]byte
}

// ID is the user's name or the token's id.
func (c *Caller) ID() string {
	if c.User != "" {
		return c.User
	}
	return c.Token
}

// Actor names the caller in the audit log.
func (c *Caller) Actor() string {
	switch {
	case c.User != "":
		return "user " + c.User
	case c.Kind == KindSession:
		return fmt.Sprintf("token %s (%s), signed in", c.Token, c.Name)
	}
	return fmt.Sprintf("token %s (%s)", c.Token, c.Name)
}

// MayInvoke says whether the caller may call function.
func (c *Caller) MayInvoke(function string) bool {
	return c != nil && mayInvoke(c.Role, c.Functions, function)
}

func tokenCaller(t *store.Token) *Caller {
	return &Caller{Kind: KindToken, Token: t.ID, Name: t.Name, Role: t.Role, Functions: t.Functions, Expires: t.Expires}
}

// Attempt is an attempt to sign in: with Name and Password, or with the Code of a
// one-time link.
type Attempt struct {
	Name, Password string
	Code           string
	// Address is the caller's, by which attempts are counted.
	Address netip.Addr
	// Session is what the browser showed until now; a sign-in ends that session.
	Session string
}

// SignedIn is a session at its beginning.
type SignedIn struct {
	// Secret is for the browser to hold. It is kept nowhere.
	Secret string
	Caller *Caller
}

// UserChange is a change of a user; what is nil stays.
type UserChange struct {
	Role     *string
	Password *string
	Disabled *bool
	// from, where it is set, is the hash that the user must still have.
	from string
}
