package store

import (
	"context"
	"time"

	"github.com/covefn/cove"
)

// Token is an access token as it is kept: its hash, never itself.
type Token struct {
	// ID is public and names the token in lists.
	ID string `json:"id"`
	// Name says what it is for.
	Name string `json:"name"`
	// Role is one of auth.Roles.
	Role string `json:"role"`
	// Functions limits role "invoke" to these; empty means all.
	Functions []string `json:"functions,omitempty"`
	// Hash is the SHA-256 of the token.
	Hash    [32]byte  `json:"-"`
	Created time.Time `json:"created"`
	// Expires is zero for never.
	Expires time.Time `json:"expires,omitzero"`
	// LastUsed is zero for never. It is written down late and now and then.
	LastUsed time.Time `json:"last_used,omitzero"`
}

// Tokens keeps access tokens.
type Tokens interface {
	CreateToken(ctx context.Context, t Token) error
	AllTokens(ctx context.Context) ([]Token, error)
	// DeleteToken deletes the sessions that were made with the token, too.
	DeleteToken(ctx context.Context, id string) error
	// TokensUsed writes down when tokens, by their ids, were last used. One that
	// is gone is passed over.
	TokensUsed(ctx context.Context, used map[string]time.Time) error
}

// User is somebody who signs in with a password.
type User struct {
	// Name is unique.
	Name string
	// Role is one of auth.UserRoles.
	Role string
	// Password is a hash in the PHC string format, never the password itself.
	Password string
	// Disabled is set on one who may not sign in.
	Disabled bool
	Created  time.Time
	// LastLogin is zero for one who never signed in.
	LastLogin time.Time
}

// Users keeps users.
type Users interface {
	// CreateUser keeps a new user, or is CodeConflict.
	CreateUser(ctx context.Context, u User) error
	// UpdateUser replaces all that is kept of the user of that name. With
	// endSessions it deletes the user's sessions in the same step.
	UpdateUser(ctx context.Context, u User, endSessions bool) error
	// DeleteUser deletes the user with all sessions.
	DeleteUser(ctx context.Context, name string) error
	// AllUsers is every user, by name.
	AllUsers(ctx context.Context) ([]User, error)
}

// Session is what a browser shows after a sign-in. It belongs to a user or, where
// a token made the link that was used to sign in, to that token.
type Session struct {
	// Hash is the SHA-256 of what the browser holds.
	Hash [32]byte
	// User is the user's name, or Token the token's id; the other is empty.
	User, Token string
	Created     time.Time
	// Used is when the session was last seen, written down now and then.
	Used time.Time
	// Expires is when it ends even if it is used.
	Expires time.Time
}

// Sessions keeps sessions. They end with their user or token.
type Sessions interface {
	// CreateSession is CodeNotFound where the user or the token is gone.
	CreateSession(ctx context.Context, s Session) error
	AllSessions(ctx context.Context) ([]Session, error)
	// DeleteSessions deletes those of these hashes that are there.
	DeleteSessions(ctx context.Context, hashes ...[32]byte) error
	// SessionsUsed writes down when sessions were last used. One that is gone is
	// passed over.
	SessionsUsed(ctx context.Context, used map[[32]byte]time.Time) error
}

// AuditEntry is one change, or one attempt to sign in.
type AuditEntry struct {
	// ID counts from 1 and is set by the store.
	ID   int64
	Time time.Time
	// Actor says who: "user ada", "token 4k2m (ci)", "somebody".
	Actor string
	// Action is the operation's id in the API's document: "createFunction".
	Action string
	// Target is what it was done to, Detail what changed in a few words. Neither
	// ever has a secret.
	Target, Detail string
	// Status is the HTTP status that was answered.
	Status             int
	RequestID, Address string
}

// AuditQuery selects entries. Empty fields select all.
type AuditQuery struct {
	// Actor and Target are parts of the entry's, whatever their case; Action is
	// the whole.
	Actor, Action, Target string
	// Before, if not 0, is the id of the entry behind which the page begins.
	Before int64
	// Limit is how many at most.
	Limit int
}

// Audit keeps the audit log.
type Audit interface {
	// AddAudit keeps an entry; its ID is not looked at.
	AddAudit(ctx context.Context, e AuditEntry) error
	// AuditLog is what the query selects, the newest first.
	AuditLog(ctx context.Context, q AuditQuery) ([]AuditEntry, error)
	// PruneAudit deletes what is older than before, and the oldest beyond keep.
	PruneAudit(ctx context.Context, before time.Time, keep int) error
}

// Settings are what can be changed while the daemon runs.
type Settings struct {
	Retention Retention `json:"retention"`
	Prices    Prices    `json:"prices"`
}

// Retention bounds what is kept of the past. What is beyond either bound of a
// pair goes, the oldest first.
type Retention struct {
	// Invocations and InvocationCount bound the records of single invocations.
	Invocations     cove.Duration `json:"invocations"`
	InvocationCount int           `json:"invocation_count"`
	// Logs bounds lines of logs by age; LogFunction those of one function and
	// LogTotal all of them by size.
	Logs        cove.Duration `json:"logs"`
	LogFunction cove.ByteSize `json:"log_function"`
	LogTotal    cove.ByteSize `json:"log_total"`
	// Minutes, Hours and Days are how long metrics are kept at that resolution.
	Minutes cove.Duration `json:"minutes"`
	Hours   cove.Duration `json:"hours"`
	Days    cove.Duration `json:"days"`
	// Audit bounds the audit log by age.
	Audit cove.Duration `json:"audit"`
}

// Prices are those of a processor's and of a GiB of memory's hour.
type Prices struct {
	VCPUHour float64 `json:"vcpu_hour"`
	GiBHour  float64 `json:"gib_hour"`
	Currency string  `json:"currency"`
	// Source says whose prices these are, and AsOf of when; both may be empty.
	Source string `json:"source"`
	AsOf   string `json:"as_of"`
}

// Documents keeps small documents of the daemon by name: its settings.
type Documents interface {
	// Document is what is kept under name, nil for nothing.
	Document(ctx context.Context, name string) ([]byte, error)
	// SetDocument replaces what is kept under name.
	SetDocument(ctx context.Context, name string, data []byte) error
}
