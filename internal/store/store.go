// Package store is the contract of what Cove keeps: functions, their versions,
// who may call, settings, and who changed what. The request path never waits for
// it.
package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/covefn/cove"
)

// Store keeps what must outlive the daemon. Every method that changes
// something returns only when the change is on disk. It is safe for concurrent
// use. Errors are *cove.Error: CodeNotFound, CodeConflict (a name taken),
// CodePreconditionFailed (another revision), CodeInternal.
type Store interface {
	Functions
	Events
	Tokens
	Users
	Sessions
	Audit
	Documents
	// Close waits for what is under way. The store cannot be used after it.
	Close() error
}

// Functions keeps functions and their versions. The values of environment
// variables are encrypted before they reach the disk.
type Functions interface {
	// CreateFunction keeps a new function with v as its first, active version.
	// It sets v.Number to 1 and the revision to 1.
	CreateFunction(ctx context.Context, v cove.Version) (cove.Function, error)
	// NextNumber takes the number of the function's next version, for one that is
	// made ready before it is kept. No other version ever gets that number,
	// whether it is kept or not.
	NextNumber(ctx context.Context, name string) (int, error)
	// AddVersion keeps v and makes it the active version, if the function's
	// revision is still ifRevision (0: whatever it is). Its number is the one that
	// it has from NextNumber, or the next if it has none.
	AddVersion(ctx context.Context, v cove.Version, ifRevision int64) (cove.Function, error)
	// Activate makes an existing version the active one.
	Activate(ctx context.Context, name string, number int, ifRevision int64) (cove.Function, error)
	// SetDisabled disables the function or enables it.
	SetDisabled(ctx context.Context, name string, disabled bool, ifRevision int64) (cove.Function, error)
	// DeleteFunction removes the function with all its versions and events.
	DeleteFunction(ctx context.Context, name string, ifRevision int64) error
	Function(ctx context.Context, name string) (cove.Function, error)
	// AllFunctions is every function, by name; for start-up.
	AllFunctions(ctx context.Context) ([]cove.Function, error)
	Version(ctx context.Context, name string, number int) (cove.Version, error)
	// Versions are those of one function, the newest first.
	Versions(ctx context.Context, name string) ([]cove.Version, error)
	// PruneVersions removes the oldest versions of a function beyond keep,
	// never the active one.
	PruneVersions(ctx context.Context, name string, keep int) error
	// Packages are the digests of all packages that a version refers to.
	Packages(ctx context.Context) (map[string]bool, error)
}

// Event is a payload that is kept to call a function with.
type Event struct {
	// Name is unique among those of the function.
	Name string `json:"name"`
	// Body is JSON.
	Body    json.RawMessage `json:"body"`
	Updated time.Time       `json:"updated"`
}

// Events keeps saved events. They go with their function.
type Events interface {
	// Events are those of one function, by name.
	Events(ctx context.Context, function string) ([]Event, error)
	// PutEvent keeps e, instead of one of its name. It is CodeNotFound without the
	// function, and CodeConflict where it has limit others.
	PutEvent(ctx context.Context, function string, e Event, limit int) error
	// DeleteEvent is CodeNotFound where there is none of that name.
	DeleteEvent(ctx context.Context, function, name string) error
}
