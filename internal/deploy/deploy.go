// Package deploy is the use case of changing functions: check a configuration
// and a package, keep them as a version, and make that version the one that
// requests are given, all or nothing.
package deploy

import (
	"context"
	"io"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/code"
)

// Code is a code package on its way in: an archive, or files given one by one.
// The zero value means "the code stays what it is".
type Code struct {
	// Archive is read to its end; Format is "zip" or "tar.gz".
	Archive io.Reader
	Format  string
	// Files are the contents of text or binary files by path, instead of Archive.
	Files map[string][]byte
}

// Change is what one deploy changes about a function.
type Change struct {
	// Config replaces the whole configuration; defaults fill what is zero. Nil
	// leaves it. A secret variable without a value keeps the value it had.
	Config *cove.Config
	Code   Code
	// Edits change single files of the package that the active version has, instead
	// of Code: contents by path, nil for a file that is to go.
	Edits map[string][]byte
	// IfRevision is the revision that the caller has seen; 0 for any.
	IfRevision int64
	// Warm has the new version loaded before it becomes the active one. If it
	// cannot be loaded, nothing is changed and the error says why; if there is no
	// room for it, or no image, it becomes active all the same.
	Warm bool
}

// Target is the version to go back to.
type Target struct {
	Number int
	// IfRevision and Warm are as in Change.
	IfRevision int64
	Warm       bool
}

// Deployed is a function after a change.
type Deployed struct {
	cove.Function
	// Warmed says what warming up did; nil if it was not asked for, or there was
	// nothing to do.
	Warmed *Warmed
	// Note is one sentence on what the change costs that its author may not know,
	// "" for nothing.
	Note string
}

// Warmed is what warming a version up did before it became the active one.
type Warmed struct {
	// Ready is how many instances had loaded it, and Took how long that took.
	Ready int
	Took  time.Duration
	// Note says why none was there, if none was.
	Note string
}

// Query filters and pages a list of functions.
type Query struct {
	// Search is a part of the name, the description or the route.
	Search    string
	Runtime   string
	Isolation string
	// After is the name behind which the page begins; Limit its length (1 to
	// 1000, 0 means 100).
	After string
	Limit int
}

// Functions is the use case; *Service is the one there is. When a changing
// method returns without error, the change is on disk and every request that
// begins afterwards sees it. It is safe for concurrent use.
type Functions interface {
	// Create makes the function that change.Config describes.
	Create(ctx context.Context, change Change) (Deployed, error)
	Update(ctx context.Context, name string, change Change) (Deployed, error)
	Rollback(ctx context.Context, name string, to Target) (Deployed, error)
	Delete(ctx context.Context, name string, ifRevision int64) error
	// SetDisabled disables the function or enables it. Where it is that already,
	// nothing is changed.
	SetDisabled(ctx context.Context, name string, disabled bool, ifRevision int64) (cove.Function, error)

	Get(ctx context.Context, name string) (cove.Function, error)
	// List is one page in the order of names, and how many there are in all.
	List(ctx context.Context, q Query) (page []cove.Function, total int, err error)
	Versions(ctx context.Context, name string) ([]cove.Version, error)
	Version(ctx context.Context, name string, number int) (cove.Version, error)
	// Archive opens the package of a version as it was uploaded.
	Archive(ctx context.Context, name string, number int) (io.ReadCloser, cove.Package, error)
	// Files are those of a version's package.
	Files(ctx context.Context, name string, number int) (code.Files, error)
	// Active is the version that requests to name are given now, from memory;
	// nil if there is no such function. The caller must not change it.
	Active(name string) *cove.Version
}
