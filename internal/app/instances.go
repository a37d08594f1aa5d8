package app

import (
	"context"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
)

// instances is what the control API tells and asks of the pool.
type instances struct{ app *App }

// Warm makes n instances of v ready.
func (i instances) Warm(ctx context.Context, v *cove.Version, n int) (int, *cove.Error) {
	switch p := any(i.app.pool).(type) {
	case interface {
		Warm(context.Context, *cove.Version, int) (int, *cove.Error)
	}:
		return p.Warm(ctx, v, n)
	case interface {
		Warm(context.Context, *cove.Version) *cove.Error
	}:
		if err := p.Warm(ctx, v); err != nil {
			return 0, err
		}
		return 1, nil
	}
	return 0, cove.Errorf(cove.CodeUnavailable, "instances cannot be started ahead of requests")
}

// Recycle ends the function's instances.
func (i instances) Recycle(function string) int {
	if p, ok := any(i.app.pool).(interface{ Recycle(string) int }); ok {
		return p.Recycle(function)
	}
	return 0
}

// Explain says why there are as many instances of v as there are.
func (i instances) Explain(*cove.Version) (wire.Explanation, *cove.Error) {
	return wire.Explanation{}, nil
}

// All are the instances that match.
func (i instances) All(context.Context, api.InstanceFilter) []wire.Instance { return nil }

// Stems are the stem cells.
func (i instances) Stems() []wire.Stem { return nil }
