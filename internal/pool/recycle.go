package pool

import (
	"context"
	"time"

	"github.com/covefn/cove"
)

// Recycle ends the idle instances of a function now and the busy ones after what
// they serve, and says how many there were. The requests that follow wait for new
// ones.
func (p *Pool) Recycle(function string) (instances int) {
	for _, g := range p.allGroups() {
		if g.version.Function == function {
			g.mu.Lock()
			g.mark(time.Now())
			instances += g.dismiss()
			g.mu.Unlock()
		}
	}
	return instances
}

// Replace is Recycle without a wait for the requests that follow: first it makes
// as many new instances as those of late kept busy, for which there may be more
// than scaling.max for a while. If they cannot be made, or ctx ends, the error says
// why, and those that were there are kept.
func (p *Pool) Replace(ctx context.Context, function string) (instances int, err *cove.Error) {
	for _, g := range p.allGroups() {
		if g.version.Function != function {
			continue
		}
		n, err := g.replace(ctx)
		instances += n
		if err != nil {
			return instances, err
		}
	}
	return instances, nil
}

// replace is Pool.Replace for one version.
func (g *group) replace(ctx context.Context) (instances int, err *cove.Error) {
	select {
	case g.replacing <- struct{}{}: // One at a time.
		defer func() { <-g.replacing }()
	case <-ctx.Done():
		return 0, cove.Errorf(cove.CodeTimeout, "the instances were still being replaced for somebody else when the time was over")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g.mu.Lock()
	n := g.mark(time.Now())
	if g.retired {
		n = 0 // Another version is active: nobody is waiting for successors.
	}
	g.endReplacing = cancel
	g.mu.Unlock()
	if n > 0 && g.raise(n) {
		defer g.lower(n)
		err = g.awaitPatiently(ctx, n)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endReplacing = nil
	if err != nil && !g.retired {
		g.keep()
		return 0, err
	}
	return g.dismiss(), nil
}

// overloadPause is how long to wait until it is tried again where too much else
// was being started.
const overloadPause = time.Second

// awaitPatiently is await, but what is in the way for a while only is waited for.
func (g *group) awaitPatiently(ctx context.Context, n int) *cove.Error {
	for {
		_, err := g.await(ctx, n)
		if err == nil || err.Code != cove.CodeOverloaded {
			return err
		}
		select {
		case <-time.After(overloadPause):
		case <-ctx.Done():
			return err
		}
	}
}

// mark makes all instances outgoing, and says how many are needed in their place:
// the minimum, and where some serve or did until lately, so are not paused, as many
// as the requests of late kept busy, and those of now do. The lock is held.
func (g *group) mark(now time.Time) (successors int) {
	live, used, busy := 0, 0, 0
	for _, in := range g.idle {
		in.outgoing = true
		live++
		if in.freeze == nil {
			used++
		}
	}
	for in := range g.busy {
		if !in.draining {
			in.outgoing = true
			live++
			used++
			busy++
		}
	}
	g.arrivals.mu.Lock()
	needed := g.arrivals.history.Needed(now, g.concurrency)
	g.arrivals.mu.Unlock()
	successors = min(used, max(needed, busy))
	successors = max(successors, min(live, g.least()))
	return min(successors, g.version.Config.Scaling.Max)
}

// keep undoes mark. The lock is held.
func (g *group) keep() {
	for _, in := range g.idle {
		in.outgoing = false
	}
	for in := range g.busy {
		in.outgoing = false
	}
	g.scale(time.Now())
}

// dismiss ends the outgoing instances, the busy ones after what they serve, and
// says how many those are. The lock is held.
func (g *group) dismiss() (instances int) {
	const reason = "recycled"
	stay := g.idle[:0]
	for _, in := range g.idle {
		if !in.outgoing {
			stay = append(stay, in)
			continue
		}
		g.doom(in, reason)
		instances++
	}
	clear(g.idle[len(stay):])
	g.idle = stay
	for in := range g.busy {
		if in.outgoing {
			in.outgoing, in.draining, in.drainReason = false, true, reason
			instances++
		}
	}
	g.scale(time.Now())
	return instances
}

// outgoing is how many instances are being replaced. They serve meanwhile, but
// count neither towards the minimum nor the maximum. The lock is held.
func (g *group) outgoing() (n int) {
	if len(g.replacing) == 0 {
		return 0 // As nearly always, and this is asked for each request that waits.
	}
	for _, in := range g.idle {
		if in.outgoing {
			n++
		}
	}
	for in := range g.busy {
		if in.outgoing {
			n++
		}
	}
	return n
}
