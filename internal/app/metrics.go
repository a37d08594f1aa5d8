package app

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/deploy"
	"github.com/covefn/cove/internal/metrics"
	"github.com/covefn/cove/internal/store/sqlite"
)

// openRecords opens what invocations leave.
func (a *App) openRecords(ctx context.Context, version string) (err error) {
	if a.records, err = sqlite.OpenRecords(ctx, filepath.Join(a.cfg.Data, "records.db")); err != nil {
		return err
	}
	a.onClose(a.records.Close)
	a.recorder = metrics.NewRecorder(a.records, a.log)
	a.prometheus = metrics.NewPrometheus(a.recorder, a.levels, version)
	return nil
}

// record takes the record of every invocation.
func (a *App) record(v *cove.Invocation) {
	a.recorder.Record(v)
	a.events.Invocation(v)
}

// metricsService answers what the recorder writes.
func (a *App) metricsService() *metrics.Service {
	return metrics.NewService(metrics.Options{Records: a.records, Recorder: a.recorder, Settings: a.settings.Settings, Scrape: a.prometheus, LogLines: a.keptLines})
}

// startMetrics begins to record. What it returns writes the rest, and must be
// called when no invocation runs any more.
func (a *App) startMetrics(ctx context.Context) (stop func() error) {
	a.recorder.Start()
	sampler := metrics.NewSampler(a.recorder, newSampling(a).look)
	sampler.Start(ctx)
	sweeper := metrics.NewSweeper(a.records, a.settings.Settings, a.log)
	sweeper.Start(ctx)
	return func() error {
		sampler.Stop()
		sweeper.Stop()
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		return a.recorder.Close(ctx)
	}
}

// sampling remembers the processor time of each instance from one look to the
// next. It is for one goroutine.
type sampling struct {
	app *App
	cpu map[string]time.Duration
}

func newSampling(a *App) *sampling { return &sampling{app: a, cpu: map[string]time.Duration{}} }

// look is how the instances and the machine are now.
func (s *sampling) look(ctx context.Context) metrics.Sample {
	host := s.app.machine.Now()
	out := metrics.Sample{CPU: host.SandboxCPU, Memory: host.SandboxUsed, HostCPU: host.CPU, HostMemory: host.MemoryUsed}
	stats := s.app.pool.Stats()
	for _, k := range stats.Stems {
		out.Stems += k.Ready
	}
	type key struct {
		function  string
		version   int
		isolation string
	}
	at := map[key]int{}
	for _, g := range stats.Groups {
		k := key{g.Function, g.Version, g.Isolation}
		if _, there := at[k]; there {
			continue // Made again under its name: the one before is ending.
		}
		at[k] = len(out.Groups)
		out.Groups = append(out.Groups, metrics.GroupSample{
			Function: g.Function, Version: g.Version, Isolation: g.Isolation,
			Starting: g.Starting, Idle: g.Idle, Busy: g.Busy, Paused: g.Paused, Queued: g.Waiting, Reserved: g.Reserved,
		})
	}
	before := s.cpu
	s.cpu = map[string]time.Duration{}
	for _, info := range s.app.pool.Instances() {
		i, there := at[key{info.Function, info.Version, info.Isolation}]
		usage, err := info.Sandbox().Usage(ctx)
		if !there || err != nil {
			continue // It has come, or gone, meanwhile.
		}
		out.Groups[i].Memory += usage.Memory
		// What an instance has used before the first look at it was for its start.
		if last, known := before[info.ID]; known {
			out.Groups[i].CPU += max(0, usage.CPU-last)
		}
		s.cpu[info.ID] = usage.CPU
	}
	return out
}

// levels are what Prometheus is told of this moment.
func (a *App) levels() metrics.Levels {
	stats := a.pool.Stats()
	l := metrics.Levels{Budget: stats.Budget, Reserved: stats.Reserved, Stuck: stats.Stuck}
	l.LogLines, l.LogDropped = a.logs.Recorded()
	_, functions, err := a.deploy.List(context.Background(), deploy.Query{Limit: 1})
	if err != nil {
		a.log.Error("count the functions", "error", err)
	}
	l.Functions = functions
	for _, g := range stats.Groups {
		l.Instances = append(l.Instances, metrics.InstanceLevel{
			Function: g.Function, Isolation: g.Isolation, Starting: g.Starting, Idle: g.Idle, Busy: g.Busy, Paused: g.Paused,
			Stopping: g.Dying, Queued: g.Waiting,
		})
	}
	for _, s := range slices.Concat(stats.Stems, stats.PastStems) {
		l.Stems = append(l.Stems, metrics.StemLevel{
			Runtime: s.Runtime, Isolation: s.Isolation, Ready: s.Ready, Starting: s.Starting, Target: s.Target, Taken: s.Taken, Missed: s.Missed,
		})
	}
	return l
}
