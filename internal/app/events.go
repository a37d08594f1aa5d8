package app

import (
	"context"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// snapshot is what listeners are told of the system every moment.
func (a *App) snapshot(version string) func(context.Context) wire.SystemEvent {
	s := &system{app: a, version: version}
	return func(context.Context) wire.SystemEvent {
		info := s.Info()
		if info.Stems = (instances{a.pool, a.log}).Stems(); info.Stems == nil {
			info.Stems = []wire.Stem{}
		}
		return wire.SystemEvent{System: info, Host: new(a.machine.Now())}
	}
}

// tellChange tells listeners that the active version of a function is another.
func (a *App) tellChange(old, active *cove.Version) {
	if active == nil {
		a.events.Function(wire.FunctionEvent{Name: old.Function, Change: "deleted"})
		return
	}
	e := wire.FunctionEvent{Name: active.Function, Change: "updated", Version: active.Number}
	switch {
	case old == nil:
		e.Change = "created"
	case active.Disabled && !old.Disabled:
		e.Change = "disabled"
	case old.Disabled && !active.Disabled:
		e.Change = "enabled"
	}
	if f, err := a.deploy.Get(context.Background(), active.Function); err == nil {
		e.Revision = f.Revision
	}
	a.events.Function(e)
}
