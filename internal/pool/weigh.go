package pool

import (
	"context"
	"errors"
	"math/bits"
	"time"

	"github.com/covefn/cove/internal/driver"
)

// The kernel shares processor time between sandboxes, so a function with twenty
// busy instances would get twenty times what one with a single instance gets.
// Therefore the weight of each is divided by how many are busy, rounded down to a
// power of two: all of a function together weigh between one and two. It grows at
// once and falls with the periodic review.

// partsOf is into how many parts the weight of one is divided when n are busy.
func partsOf(n int) int { return 1 << max(0, bits.Len(uint(n))-1) }

// occupy makes in a busy instance. The lock is held.
func (g *group) occupy(in *instance) {
	g.busy[in] = struct{}{}
	g.busiest = max(g.busiest, len(g.busy))
	if parts := max(g.parts, partsOf(len(g.busy))); parts != g.parts || in.parts != parts {
		g.weigh(parts)
	}
}

// reweigh lets the weights rise again when fewer were busy since it was called
// last.
func (g *group) reweigh() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if parts := partsOf(g.busiest); parts < g.parts {
		g.weigh(parts)
	}
	g.busiest = len(g.busy)
}

// weigh divides the weights anew, beside everything else. The lock is held.
func (g *group) weigh(parts int) {
	g.parts = parts
	if g.weighing || g.closed {
		return
	}
	g.weighing = true
	g.pool.live.Go(g.applyWeights)
}

// weightTimeout bounds the writing of one weight.
const weightTimeout = time.Second

func (g *group) applyWeights() {
	for {
		behind, parts := g.behind()
		if behind == nil {
			return
		}
		for _, in := range behind {
			ctx, cancel := context.WithTimeout(context.Background(), weightTimeout)
			err := in.sandbox.Resize(ctx, driver.Limits{WeightParts: parts})
			cancel()
			if err != nil && !errors.Is(err, driver.ErrDead) && !errors.Is(err, errors.ErrUnsupported) {
				g.fail(in, "its weight could not be changed")
			}
		}
	}
}

// behind are the instances whose weight is not what it should be; nil ends the
// work.
func (g *group) behind() (list []*instance, parts int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	note := func(in *instance) {
		if in.parts != g.parts {
			in.parts = g.parts
			list = append(list, in)
		}
	}
	for in := range g.busy {
		note(in)
	}
	for _, in := range g.idle {
		note(in)
	}
	g.weighing = list != nil
	return list, g.parts
}
