package pool

import (
	"context"
	"fmt"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	rt "github.com/covefn/cove/internal/runtime"
)

// Compile has v's package translated, in a sandbox that is ended afterwards,
// without running any of it. keep is given each file; see runtime.Conn.Compile. The
// sandbox is a stem cell where there is one.
func (p *Pool) Compile(ctx context.Context, v *cove.Version, keep func(name string, data []byte) error) error {
	leave, open := p.enter()
	if !open {
		return errShuttingDown()
	}
	defer leave()
	g, failed := p.group(v)
	if failed != nil {
		return failed
	}
	ctx, cancel := context.WithTimeout(ctx, p.o.StartTimeout)
	defer cancel()
	defer context.AfterFunc(p.ending, cancel)()
	c, err := g.spareCell(ctx)
	if err != nil {
		return fmt.Errorf("make a sandbox to compile in: %w", err)
	}
	defer p.discard(c, "it has compiled")
	dir, release := p.o.Code(v.Package.SHA256)
	defer release()
	if err := c.sandbox.Mount(ctx, dir); err != nil {
		return err
	}
	return c.conn.Compile(ctx, rt.CompileRequest{CodeDir: driver.CodeDir}, keep)
}

// spareCell is a cell that is not to become an instance, with the version's
// limits.
func (g *group) spareCell(ctx context.Context) (*cell, error) {
	p, v := g.pool, g.version
	if key, ok := g.stemKey(); ok {
		if c := p.stems.spare(key, v.Function); c != nil {
			err := g.fund(ctx, c)
			if err == nil {
				err = c.sandbox.Resize(ctx, g.limits())
			}
			if err == nil {
				return c, nil
			}
			p.discard(c, "it could not be used")
		}
	}
	size := g.size()
	if err := p.ledger.reserve(ctx, v.Function, size, p.evict); err != nil {
		return nil, g.admissionError(err, size)
	}
	if err := p.turns.take(ctx, v.Function, false); err != nil {
		p.ledger.release(v.Function, size, false)
		return nil, err
	}
	defer p.turns.leave(v.Function, false)
	return p.newCell(ctx, v.Function, size, g.plan())
}
