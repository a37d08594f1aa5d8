package app

import (
	"context"

	"github.com/covefn/cove"
)

// maxPrepared is how many instances a version gets before it becomes the active
// one, however many the version before it has: the others are started when
// requests want them, as ever.
const maxPrepared = 5

// prepare compiles v's package and makes as many instances of v ready as its function has now, one at
// least and maxPrepared at most, and holds them until release is called. Where
// there is no room for so many beside those of the active version, it is content
// with one.
func (a *App) prepare(ctx context.Context, v *cove.Version) (ready int, release func(), err *cove.Error) {
	a.compile(ctx, v)
	live := 0
	for _, g := range a.pool.Stats().Groups {
		if g.Function == v.Function {
			live += g.Idle + g.Paused + g.Busy
		}
	}
	n := max(1, min(live, maxPrepared, v.Config.Scaling.Max))
	release, err = a.pool.Prepare(ctx, v, n)
	if err != nil && err.Code == cove.CodeOverloaded && n > 1 {
		n = 1
		release, err = a.pool.Prepare(ctx, v, n)
	}
	if err != nil {
		if a.deploy.Active(v.Function) == nil {
			a.logs.Forget(v.Function) // Of a function that there will not be.
		}
		return 0, nil, err
	}
	return n, release, nil
}
