package pool

import (
	"context"
	"fmt"
	"sync"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// recovery is whether what an earlier daemon left in one isolation was found.
// Before that no sandbox of the isolation may be made: it would be found as well.
type recovery struct {
	turn chan struct{} // holds a token while somebody looks
	done bool          // guarded by the turn
}

func newRecovery() *recovery { return &recovery{turn: make(chan struct{}, 1)} }

// leftBehind is the reason to end what an earlier daemon left.
const leftBehind = "left by an earlier daemon"

// Recover destroys what an earlier daemon of this owner left behind. It must
// have returned before the first Acquire. An isolation in which that fails
// (Docker is away) keeps no other from serving: it is looked at again before the
// first instance of it is made, and what could not be removed is tried again for
// as long as the pool is open. The error is that of ctx.
func (p *Pool) Recover(ctx context.Context) error {
	var wg sync.WaitGroup
	for name := range p.o.Drivers {
		wg.Go(func() {
			if err := p.recovered(ctx, name); err != nil {
				p.o.Log.Error("what an earlier daemon left could not be looked for; it is tried again before the isolation is used",
					"isolation", name, "error", err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// recovered returns when what an earlier daemon left in an isolation is gone, or
// on its way out.
func (p *Pool) recovered(ctx context.Context, isolation string) error {
	r := p.recovery[isolation]
	if r == nil {
		return cove.Errorf(cove.CodeUnavailable, "there is no isolation %s any more", isolation)
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if r.done {
		return nil
	}
	left, err := p.o.Drivers[isolation].Recover(ctx, p.o.Owner)
	if err != nil {
		return fmt.Errorf("look for what an earlier daemon left in %s: %w", isolation, err)
	}
	var wg sync.WaitGroup
	for _, s := range left {
		p.o.Log.Info("removing a sandbox that an earlier daemon left", "isolation", isolation, "sandbox", s.ID())
		wg.Go(func() {
			if err := destroyLeft(ctx, s); err != nil {
				p.o.Log.Error("a sandbox that an earlier daemon left could not be removed; it is tried again", "isolation", isolation, "sandbox", s.ID(), "error", err)
				p.live.Go(func() { p.keepDestroying(s) })
			}
		})
	}
	wg.Wait()
	r.done = true
	return nil
}

func (p *Pool) keepDestroying(s driver.Sandbox) {
	for p.ending.Err() == nil {
		if destroyLeft(p.ending, s) == nil {
			p.o.Log.Info("a sandbox that an earlier daemon left is gone", "sandbox", s.ID())
			return
		}
	}
}

// destroyLeft makes one attempt. One that fails takes its full time, so that the
// next does not follow at once.
func destroyLeft(ctx context.Context, s driver.Sandbox) error {
	ctx, cancel := context.WithTimeout(ctx, destroyTimeout)
	defer cancel()
	err := s.Destroy(ctx, leftBehind)
	if err != nil {
		<-ctx.Done()
	}
	return err
}
