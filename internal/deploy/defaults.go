package deploy

import (
	"cmp"
	"context"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// The bounds of scaling.
const (
	maxInstances   = 1000
	maxConcurrency = 100
	minPause       = 10 * time.Millisecond
	maxPause       = 24 * time.Hour
	normalPause    = 10 * time.Second
)

// complete gives a configuration that an earlier Cove has kept the defaults of
// the fields that it did not know. What is complete stays what it is.
func complete(s *cove.Scaling) {
	s.Concurrency = cmp.Or(s.Concurrency, 1)
	s.Pause = cmp.Or(s.Pause, cove.Duration(normalPause))
	s.Policy = cmp.Or(s.Policy, cove.PolicyAdaptive)
}

// completing is a store whose configurations are complete when they are read,
// whichever Cove has kept them: a version does not change, so what is kept is
// left as it is.
type completing struct{ store.Functions }

// Activate is the store's.
func (c completing) Activate(ctx context.Context, name string, number int, ifRevision int64) (cove.Function, error) {
	f, err := c.Functions.Activate(ctx, name, number, ifRevision)
	complete(&f.Version.Config.Scaling)
	return f, err
}

// SetDisabled is the store's.
func (c completing) SetDisabled(ctx context.Context, name string, disabled bool, ifRevision int64) (cove.Function, error) {
	f, err := c.Functions.SetDisabled(ctx, name, disabled, ifRevision)
	complete(&f.Version.Config.Scaling)
	return f, err
}

// Function is the store's.
func (c completing) Function(ctx context.Context, name string) (cove.Function, error) {
	f, err := c.Functions.Function(ctx, name)
	complete(&f.Version.Config.Scaling)
	return f, err
}

// AllFunctions is the store's.
func (c completing) AllFunctions(ctx context.Context) ([]cove.Function, error) {
	all, err := c.Functions.AllFunctions(ctx)
	for i := range all {
		complete(&all[i].Version.Config.Scaling)
	}
	return all, err
}

// Version is the store's.
func (c completing) Version(ctx context.Context, name string, number int) (cove.Version, error) {
	v, err := c.Functions.Version(ctx, name, number)
	complete(&v.Config.Scaling)
	return v, err
}

// Versions is the store's.
func (c completing) Versions(ctx context.Context, name string) ([]cove.Version, error) {
	all, err := c.Functions.Versions(ctx, name)
	for i := range all {
		complete(&all[i].Config.Scaling)
	}
	return all, err
}
