package app

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/driver/host"
	"github.com/covefn/cove/internal/pool"
)

// instances is what the control API tells and asks of the pool.
type instances struct {
	pool *pool.Pool
	log  *slog.Logger
}

var _ api.Instances = instances{}

// Warm makes n instances of v ready.
func (i instances) Warm(ctx context.Context, v *cove.Version, n int) (ready int, err *cove.Error) {
	return i.pool.Warm(ctx, v, n)
}

// Replace puts new instances of the function in the place of those there are.
func (i instances) Replace(ctx context.Context, function string) (int, *cove.Error) {
	return i.pool.Replace(ctx, function)
}

// Recycle ends the function's instances.
func (i instances) Recycle(function string) int { return i.pool.Recycle(function) }

// Explain says why there are as many instances of v as there are.
func (i instances) Explain(v *cove.Version) (wire.Explanation, *cove.Error) {
	e, err := i.pool.Explain(v)
	if err != nil {
		return wire.Explanation{}, err
	}
	o, d := e.Observation, e.Decision
	out := wire.Explanation{
		Reasons: e.Why,
		Observed: wire.Observed{
			Instances: wire.Instances{Starting: o.Starting, Busy: o.Busy, Queued: o.Waiting},
			InFlight:  o.InFlight, OldestWait: o.OldestWait, Stems: o.Stems, UseStems: e.CanUseStems, StartTook: o.StartTook, RunTook: o.RunTook,
		},
		Decided: wire.Decided{Start: d.Start, Stop: d.Stop, Pause: d.Pause, Keep: d.Keep, Next: d.Next},
	}
	for _, idle := range o.Idle {
		if idle.Paused {
			out.Observed.Instances.Paused++
		} else {
			out.Observed.Instances.Idle++
		}
	}
	if e.Failure != nil {
		out.Error = cmp.Or(cove.AsError(e.Failure).Message, e.Failure.Error())
	}
	return out, nil
}

// All are the instances that match. One that has ended meanwhile has no figures.
func (i instances) All(ctx context.Context, f api.InstanceFilter) []wire.Instance {
	var out []wire.Instance
	for _, info := range i.pool.Instances() {
		if f.Function != "" && f.Function != info.Function || f.State != "" && f.State != wire.InstanceState(info.State) {
			continue
		}
		w := wire.Instance{
			ID: info.ID, Function: info.Function, Version: info.Version, Runtime: info.Runtime, Isolation: info.Isolation,
			State: wire.InstanceState(info.State), Since: info.Since, InFlight: info.InFlight, Draining: info.Draining,
			Start: info.Start, Reserved: info.Reserved,
		}
		if usage, err := info.Sandbox().Usage(ctx); err == nil {
			w.Memory = usage.Memory
		}
		if f.Measure && ctx.Err() == nil {
			w.Measured = i.measure(ctx, &info)
		}
		out = append(out, w)
	}
	return out
}

// measure looks at every process of an instance's sandbox, nil if that failed.
func (i instances) measure(ctx context.Context, info *pool.InstanceInfo) *wire.Measured {
	pids, err := info.Sandbox().Processes(ctx)
	if err != nil {
		return nil // It has ended, or its driver cannot tell.
	}
	cost, err := host.Measure(pids)
	if err != nil {
		i.log.Warn("an instance could not be measured", "instance", info.ID, "error", err)
		return nil
	}
	return &wire.Measured{PSS: cost.PSS, Processes: cost.Processes}
}

// Stems are the stem cells.
func (i instances) Stems() []wire.Stem {
	var out []wire.Stem
	for _, s := range i.pool.Stats().Stems {
		out = append(out, wire.Stem{
			Runtime: s.Runtime, Isolation: s.Isolation, Network: s.Network, Tmp: s.Tmp, Memory: s.Memory, Functions: s.Functions,
			Ready: s.Ready, Starting: s.Starting, Target: s.Target, Taken: s.Taken, Missed: s.Missed, Refill: s.Refill, Error: s.Error,
		})
	}
	return out
}
