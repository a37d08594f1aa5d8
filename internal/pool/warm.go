package pool

import (
	"context"
	"slices"
	"time"

	"github.com/covefn/cove"
)

// Warm makes sure that n instances of v are there, without calling the handler,
// and keeps all that are there for scaling.idle from now on, whatever the history
// of the function says. It says
// how many there are, which may be fewer than n: never more than scaling.max; and
// why not, if an instance could not be made or ctx ended.
func (p *Pool) Warm(ctx context.Context, v *cove.Version, n int) (ready int, err *cove.Error) {
	ready, release, err := p.prepare(ctx, v, n)
	release()
	return ready, err
}

// Prepare is Warm for a version that is to become the active one: its instances
// are kept until release is called, which must be done once Switch was, or when
// it will not be. On an error nothing is kept.
func (p *Pool) Prepare(ctx context.Context, v *cove.Version, n int) (release func(), err *cove.Error) {
	_, release, err = p.prepare(ctx, v, n)
	if err != nil {
		release()
		return func() {}, err
	}
	return release, nil
}

func (p *Pool) prepare(ctx context.Context, v *cove.Version, n int) (ready int, release func(), err *cove.Error) {
	for {
		g, err := p.group(v)
		if err != nil {
			return 0, func() {}, err
		}
		n = min(n, v.Config.Scaling.Max)
		if !g.raise(n) {
			p.drop(g)
			continue
		}
		ready, err = g.await(ctx, n)
		return ready, func() { g.lower(n) }, err
	}
}

// raise wants n instances there until lower is called. It is false for a group
// that was dropped.
func (g *group) raise(n int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dropped {
		return false
	}
	g.floors = append(g.floors, n)
	now := time.Now()
	for _, in := range g.idle {
		in.since, in.warmed = now, true
	}
	g.scale(now)
	return true
}

func (g *group) lower(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.floors, n); i >= 0 {
		g.floors = slices.Delete(g.floors, i, i+1)
	}
	g.scale(time.Now())
	g.dropIfDone()
}

// await waits until n instances are there, or it is known that they cannot be.
func (g *group) await(ctx context.Context, n int) (ready int, err *cove.Error) {
	for {
		ready, err, changed := g.readiness(n)
		if ready >= n || err != nil {
			return ready, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ready, cove.Errorf(cove.CodeTimeout, "%d of %d instances were ready when the time was over", ready, n)
		}
	}
}

// readiness says how many instances there are, why there cannot be more, and
// otherwise what is closed when that may have changed.
func (g *group) readiness(n int) (ready int, err *cove.Error, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ready = len(g.idle) + len(g.busy) - g.outgoing()
	now := time.Now()
	switch {
	case ready >= n:
		return ready, nil, nil
	case g.closed:
		return ready, errShuttingDown(), nil
	}
	if err := g.failure.last(now); err != nil {
		return ready, err, nil
	}
	if err := g.held(now); err != nil {
		return ready, err, nil
	}
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return ready, nil, g.changed
}

// tellChange wakes those who wait in await. The lock is held.
func (g *group) tellChange() {
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}
