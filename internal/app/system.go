package app

import (
	"context"

	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/deploy"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/pool"
)

// system is what the control API tells about the daemon.
type system struct {
	app     *App
	version string
}

// Isolations probes anew.
func (s *system) Isolations(ctx context.Context) []driver.Report { return s.app.isolations.probe(ctx) }

// State is "starting", "ok" or "draining".
func (s *system) State() string { return s.app.getState() }

// Runtimes are those of the catalogue, with whether their image is there.
func (s *system) Runtimes() []wire.Runtime {
	var list []wire.Runtime
	for _, r := range s.app.runtimes.All() {
		w := wire.Runtime{
			Name: r.Name, Language: r.Language, Version: r.Version, Extension: r.Extensions[0],
			Handler: r.DefaultHandler, Aliases: r.Aliases, Image: r.Image,
		}
		if img, err := s.app.images.Get(r.Image); err == nil {
			w.Available, w.Image = true, img.Ref
		} else {
			w.Reason, w.Fix = "its image is not there", "cove image build "+r.Image+" --images "+s.app.images.Dir()
		}
		list = append(list, w)
	}
	return list
}

// Info describes the daemon from memory.
func (s *system) Info() wire.System {
	stats := s.app.pool.Stats()
	_, functions, err := s.app.deploy.List(context.Background(), deploy.Query{Limit: 1})
	if err != nil {
		s.app.log.Error("count the functions", "error", err)
	}
	info := wire.System{
		Version: s.version, Started: s.app.started, Data: s.app.cfg.Data, Gateway: s.app.GatewayURL(),
		Isolation: s.app.cfg.Isolation, Functions: functions,
		MemoryBudget: stats.Budget, MemoryReserved: stats.Reserved, Stuck: stats.Stuck,
	}
	for _, g := range stats.Groups {
		add(&info.Instances, g)
	}
	return info
}

// Instances counts those of one function, of all its versions.
func (s *system) Instances(function string) wire.Instances {
	var sum wire.Instances
	for _, g := range s.app.pool.Stats().Groups {
		if g.Function == function {
			add(&sum, g)
		}
	}
	return sum
}

func add(sum *wire.Instances, g pool.GroupStats) {
	sum.Starting += g.Starting
	sum.Idle += g.Idle
	sum.Paused += g.Paused
	sum.Busy += g.Busy
	sum.Stopping += g.Dying
	sum.Queued += g.Waiting
}
