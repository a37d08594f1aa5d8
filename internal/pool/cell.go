package pool

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	rt "github.com/covefn/cove/internal/runtime"
)

// pidsLimit is how many processes and threads a sandbox may have.
const pidsLimit = 512

// cell is a sandbox whose language is started and that has no function yet: a
// stem cell, or what an instance is made of a moment later.
type cell struct {
	id      string
	sandbox *driver.Guarded
	conn    *rt.Conn
	// reserved is what the ledger has for it, on this account.
	reserved cove.ByteSize
	account  string
	// tookToStart is how long making it took.
	tookToStart time.Duration
}

// plan is what a cell is made for.
type plan struct {
	name, isolation string
	runtime         string
	early           []string // environment that must be there from the start
	limits          driver.Limits
	network         cove.Network
}

// newCell makes a sandbox and waits for its shim. It sees to what is reserved for
// it on account: on an error that is given back, at the latest when the sandbox
// is gone.
func (p *Pool) newCell(ctx context.Context, account string, reserved cove.ByteSize, of plan) (*cell, error) {
	began := time.Now()
	created, err := p.newSandbox(ctx, of)
	if remains, ok := errors.AsType[*driver.Remains](err); ok {
		sandbox := driver.Guard(remains.Sandbox)
		p.sandboxes.Add(1)
		p.discard(&cell{id: sandbox.ID(), sandbox: sandbox, reserved: reserved, account: account}, "start failed")
		return nil, err
	}
	if err != nil {
		p.ledger.release(account, reserved, false)
		return nil, err
	}
	sandbox := driver.Guard(created)
	p.sandboxes.Add(1)
	c := &cell{
		id: sandbox.ID(), sandbox: sandbox, reserved: reserved, account: account,
		conn: rt.NewConn(sandbox.Conn(), rt.Options{MaxAnswer: p.o.MaxAnswer}),
	}
	if _, err := c.conn.Hello(ctx); err != nil {
		p.o.Log.Warn("a sandbox did not come up", "sandbox", c.id, "error", err)
		p.discard(c, "start failed")
		return nil, fmt.Errorf("the shim did not say hello: %w", err)
	}
	c.tookToStart = time.Since(began)
	p.facts.learn(of.isolation, sandbox.Features())
	return c, nil
}

func (p *Pool) newSandbox(ctx context.Context, of plan) (driver.Sandbox, error) {
	if err := p.recovered(ctx, of.isolation); err != nil {
		return nil, err
	}
	spec, err := p.spec(ctx, of)
	if err != nil {
		return nil, err
	}
	return p.o.Drivers[of.isolation].Create(ctx, spec)
}

// spec is what the driver needs to know.
func (p *Pool) spec(ctx context.Context, of plan) (driver.Spec, error) {
	r, ok := p.o.Runtime(of.runtime)
	if !ok {
		return driver.Spec{}, cove.Errorf(cove.CodeUnavailable, "there is no runtime %s any more", of.runtime)
	}
	image, err := p.o.Image(ctx, r.Image)
	if err != nil {
		return driver.Spec{}, err
	}
	return driver.Spec{
		ID: newID(of.name), Owner: p.o.Owner, Image: image, ShimDir: rt.ShimDir(p.o.Shims, r),
		Command: r.Command, Env: append(append([]string(nil), r.Env...), of.early...),
		Limits: of.limits, Network: of.network,
	}, nil
}

// newID is a name for a sandbox that people recognise and nobody has twice.
func newID(name string) string {
	var random [6]byte
	rand.Read(random[:]) // Never fails; see crypto/rand.
	return strings.TrimRight(name[:min(len(name), 24)], "-") + "-" + hex.EncodeToString(random[:])
}

// discard ends a cell in the background and gives back what it has reserved. What
// waits for memory counts on it from now on.
func (p *Pool) discard(c *cell, reason string) {
	p.ledger.promise(c.reserved)
	p.live.Go(func() {
		stuck := p.destroy(c, reason)
		p.ledger.release(c.account, c.reserved, !stuck)
	})
}

// destroyTimeout is how long the end of a sandbox may take before it counts as
// stuck; the attempts go on.
const destroyTimeout = 5 * time.Second

// destroy does not return before the sandbox was seen dead. It says whether the
// sandbox was stuck, so that nobody could count on what it has reserved.
func (p *Pool) destroy(c *cell, reason string) (stuck bool) {
	for attempt := 0; ; attempt++ {
		ctx, cancel := context.WithTimeout(context.Background(), destroyTimeout)
		err := c.sandbox.Destroy(ctx, reason)
		if err == nil {
			cancel()
			p.sandboxes.Add(-1)
			if stuck {
				p.stuck.Add(-1)
				if !p.Closed() {
					p.o.Log.Info("a stuck sandbox has ended", "sandbox", c.id)
				}
			}
			return stuck
		}
		if !stuck {
			stuck = true
			p.stuck.Add(1)
			p.ledger.unpromise(c.reserved)
		}
		if !p.Closed() { // Then Close tells how many are left.
			p.o.Log.Error("a sandbox does not end; its memory stays reserved", "sandbox", c.id, "attempt", attempt+1, "error", err)
		}
		<-ctx.Done() // One that fails at once is not tried again at once.
		cancel()
	}
}

// stopTimeout bounds Stop: the answer to a caller waits for it.
const stopTimeout = 20 * time.Millisecond

// stop makes everything inside stand still.
func (p *Pool) stop(c *cell) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := c.sandbox.Stop(ctx); err != nil && !errors.Is(err, driver.ErrDead) {
		p.o.Log.Error("a sandbox did not stop in time", "sandbox", c.id, "error", err)
	}
}
