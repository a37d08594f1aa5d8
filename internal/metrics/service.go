package metrics

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/store"
)

// Options are what a Service is built from.
type Options struct {
	Records  store.Records
	Recorder *Recorder
	// Settings are those that count now: retention and prices.
	Settings func() store.Settings
	// Scrape answers Prometheus.
	Scrape http.Handler
	// LogLines are how many lines of logs were kept and dropped, and what logs take
	// on disk beside the records; nil is none.
	LogLines func() (kept, dropped, bytes int64)
}

// Service answers what happened. It is safe for concurrent use.
type Service struct{ o Options }

// NewService returns a service over what a recorder writes.
func NewService(o Options) *Service {
	if o.LogLines == nil {
		o.LogLines = func() (kept, dropped, bytes int64) { return 0, 0, 0 }
	}
	return &Service{o: o}
}

// Prometheus answers a scrape.
func (s *Service) Prometheus() http.Handler { return s.o.Scrape }

// Recording says how the recording is doing, since the daemon started.
func (s *Service) Recording() wire.Recording {
	lines, dropped, bytes := s.o.LogLines()
	return wire.Recording{
		Recorded: s.o.Recorder.kept.Load(), Dropped: s.o.Recorder.dropped.Load(),
		LogLines: lines, LogDropped: dropped, Bytes: cove.ByteSize(s.o.Records.RecordBytes() + bytes),
	}
}

// settle has what ended before be in the answers that follow. Where it cannot be
// written they tell what there is; the recorder logs why. A caller who leaves
// meanwhile is no failure to write.
func (s *Service) settle(ctx context.Context) { _ = s.o.Recorder.Flush(context.WithoutCancel(ctx)) }

// Invocations are the records that match, those that ended just now included.
func (s *Service) Invocations(ctx context.Context, q store.InvocationQuery) (store.InvocationPage, error) {
	s.settle(ctx)
	return s.o.Records.Invocations(ctx, q)
}

// Invocation is one record, and what it cost: its processor time, and the most
// memory that its instance has had for the time that is billed. One that ended
// just now is there already.
func (s *Service) Invocation(ctx context.Context, id string) (cove.Invocation, wire.Cost, error) {
	v, err := s.o.Records.Invocation(ctx, id)
	if cove.CodeOf(err) == cove.CodeNotFound {
		s.settle(ctx)
		v, err = s.o.Records.Invocation(ctx, id)
	}
	if err != nil {
		return v, wire.Cost{}, err
	}
	prices := s.o.Settings().Prices
	return v, cost(prices, v.CPU, float64(v.PeakMemory)/float64(cove.GiB)*v.Billed.Hours()), nil
}

// cost is the price of processor time and of GiB hours.
func cost(p store.Prices, cpu time.Duration, gibHours float64) wire.Cost {
	c := wire.Cost{CPU: cpu.Hours() * p.VCPUHour, Memory: gibHours * p.GiBHour, Currency: p.Currency}
	c.Total = c.CPU + c.Memory
	return c
}

// keep is how long roll-ups are kept.
func keep(r store.Retention) [len(store.Resolutions)]time.Duration {
	return [...]time.Duration{r.Minutes.Std(), r.Hours.Std(), r.Days.Std()}
}

// maxAnswered is how many points an answer has at most, of all groups together.
const maxAnswered = 100_000

// Query answers q; what ended just now is in it.
func (s *Service) Query(ctx context.Context, q Query) (wire.MetricsQuery, error) {
	settings := s.o.Settings()
	if q.Version > 0 && q.Function == "" {
		return wire.MetricsQuery{}, cove.Invalid("function", "is needed with version")
	}
	s.settle(ctx)
	functions, err := s.functions(ctx, q)
	if err != nil {
		return wire.MetricsQuery{}, err
	}
	p, err := newPlan(q.From, q.To, q.Step, len(functions), keep(settings.Retention), time.Now())
	if err != nil {
		return wire.MetricsQuery{}, err
	}
	if n := len(functions) * p.points(); n > maxAnswered {
		return wire.MetricsQuery{}, cove.Invalid("step", "would make %d points of %d functions; take a longer step", n, len(functions))
	}
	out := wire.MetricsQuery{From: moment(p.from), To: moment(p.to), Step: cove.Duration(time.Duration(p.step) * time.Minute)}
	if q.Histogram {
		out.Bounds = slices.Clone(bounds[:])
	}
	a := &answer{query: q, plan: p, prices: settings.Prices, groups: map[store.Series]*group{}, made: new(atomic.Int64)}
	if err := s.gather(ctx, a, functions); err != nil {
		return wire.MetricsQuery{}, err
	}
	out.Groups = a.finish()
	return out, nil
}

// readers is how many functions are read side by side for one answer. The store
// has more connections than that, so that others get theirs.
const readers = 2

// gather adds to a what is kept of functions. Where there are several, each has
// groups of its own, so what reads one needs nothing of the others.
func (s *Service) gather(ctx context.Context, a *answer, functions []string) error {
	reading, ctx := errgroup.WithContext(ctx)
	apart := make([]answer, min(readers, len(functions)))
	var next atomic.Int64
	for i := range apart {
		apart[i] = *a
		apart[i].groups = map[store.Series]*group{}
		reading.Go(func() error {
			for n := next.Add(1); n <= int64(len(functions)); n = next.Add(1) {
				for _, part := range a.plan.parts {
					q := store.RollupQuery{Function: functions[n-1], Resolution: part.resolution, From: part.from, To: part.to}
					if err := s.o.Records.Rollups(ctx, q, apart[i].add); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	err := reading.Wait()
	for i := range apart {
		maps.Copy(a.groups, apart[i].groups)
	}
	return err
}

// functions are those whose roll-ups answer q; "" is the whole system's.
func (s *Service) functions(ctx context.Context, q Query) ([]string, error) {
	if q.Function != "" || q.GroupBy == "" || q.GroupBy == ByIsolation {
		return []string{q.Function}, nil
	}
	return s.o.Records.RecordedFunctions(ctx)
}

func moment(minutes int64) time.Time { return time.Unix(minutes*60, 0).UTC() }

// answer puts the groups of a query together. Roll-ups with a step come in the
// order of time for each group, so one point of each is open at a time.
type answer struct {
	query  Query
	plan   plan
	prices store.Prices
	groups map[store.Series]*group
	// made is how many groups there are, those of what is read beside included.
	made *atomic.Int64
}

// group is one group of an answer.
type group struct {
	key    store.Series
	total  aggregate
	points []wire.MetricsPoint
	// open is the point that is added to, beginning at time.
	open aggregate
	time int64
}

// add takes in one roll-up.
func (a *answer) add(u store.Rollup) error {
	s := u.Series
	if s.Isolation == "" || a.query.Version > 0 && s.Version != a.query.Version || a.query.Isolation != "" && s.Isolation != a.query.Isolation {
		return nil // Gauges alone, or not asked for.
	}
	var key store.Series
	switch a.query.GroupBy {
	case ByFunction:
		key.Function = s.Function
	case ByVersion:
		key.Function, key.Version = s.Function, s.Version
	case ByIsolation:
		key.Isolation = s.Isolation
	}
	if a.groups[key] == nil && a.made.Add(1)*int64(max(1, a.plan.points())) > maxAnswered {
		// Functions were counted before, but not their versions.
		return cove.Invalid("step", "would make more than %d points in all; take a longer step, a shorter range, or one function", maxAnswered)
	}
	g := a.group(key)
	if a.plan.step == 0 {
		return unreadable(g.total.mergeData(u.Data))
	}
	if t := floor(u.Time, a.plan.step); t != g.time {
		a.close(g, t)
	}
	return unreadable(g.open.mergeData(u.Data))
}

func unreadable(err error) error {
	if err == nil {
		return nil
	}
	return &cove.Error{Code: cove.CodeInternal, Message: "the metrics that are kept cannot be read", Err: err}
}

func (a *answer) group(key store.Series) *group {
	g := a.groups[key]
	if g == nil {
		g = &group{key: key, time: a.plan.from, points: make([]wire.MetricsPoint, 0, a.plan.points())}
		a.groups[key] = g
	}
	return g
}

// close ends the open point, and fills up to the one that begins at next.
func (a *answer) close(g *group, next int64) {
	g.points = append(g.points, a.point(&g.open, g.time))
	g.total.merge(&g.open)
	g.open.reset()
	for g.time += a.plan.step; g.time < next; g.time += a.plan.step {
		g.points = append(g.points, a.point(&g.open, g.time))
	}
}

// finish is the groups, those that were called most first.
func (a *answer) finish() []wire.MetricsGroup {
	if a.query.GroupBy == "" {
		a.group(store.Series{}) // There is one also where nothing happened.
	}
	groups := make([]wire.MetricsGroup, 0, len(a.groups))
	for _, g := range a.groups {
		w := wire.MetricsGroup{Function: g.key.Function, Version: g.key.Version, Isolation: g.key.Isolation}
		if a.plan.step > 0 {
			a.close(g, a.plan.to)
			w.Points = g.points
		}
		w.Total = a.point(&g.total, a.plan.from)
		groups = append(groups, w)
	}
	slices.SortFunc(groups, func(x, y wire.MetricsGroup) int {
		return cmp.Or(cmp.Compare(y.Total.Invocations, x.Total.Invocations), cmp.Compare(x.Function, y.Function),
			cmp.Compare(y.Version, x.Version), cmp.Compare(x.Isolation, y.Isolation))
	})
	return groups
}

// point is what an aggregate tells.
func (a *answer) point(g *aggregate, minutes int64) wire.MetricsPoint {
	p := wire.MetricsPoint{
		Time: moment(minutes), Queue: g.queue, Start: g.start, Init: g.init, RunTime: g.run.sum, Billed: g.billed, CPU: g.cpu,
		PeakMemory: g.peak, BytesIn: g.in, BytesOut: g.out, Latency: percentiles(&g.latency), Run: percentiles(&g.run),
		Cost: cost(a.prices, g.cpu, memoryHours(g.gauges.reserved)),
	}
	if a.query.Histogram {
		p.Histogram = slices.Clone(g.histogram[:])
	}
	if len(g.few) == 0 {
		return p
	}
	p.Outcomes, p.Starts = map[string]int64{}, map[string]int64{}
	for _, c := range g.few {
		p.Invocations += c.n
		p.Outcomes[c.outcome] += c.n
		p.Starts[c.start] += c.n
		if fault := c.fault(); fault != "" {
			if p.Faults == nil {
				p.Faults = map[cove.Fault]int64{}
			}
			p.Errors += c.n
			p.Faults[fault] += c.n
		}
	}
	return p
}

// percentiles are those of a set, nil of an empty one.
func percentiles(s *sketch) *wire.Percentiles {
	if s.n == 0 {
		return nil
	}
	return &wire.Percentiles{
		P50: s.quantile(0.5), P90: s.quantile(0.9), P95: s.quantile(0.95), P99: s.quantile(0.99), Max: s.max, Avg: s.average(),
	}
}

// Gauges answers q. A step is a minute where none is asked for, or longer where
// that made too many points.
func (s *Service) Gauges(ctx context.Context, q GaugeQuery) (wire.Gauges, error) {
	if q.Step == 0 {
		q.Step = max(time.Minute, (q.To.Sub(q.From)/(maxPoints/2)).Truncate(time.Minute)+time.Minute)
	}
	p, err := newPlan(q.From, q.To, q.Step, 1, keep(s.o.Settings().Retention), time.Now())
	if err != nil {
		return wire.Gauges{}, err
	}
	// For how long anything was measured is known of the whole system: where that
	// was, and a function has no measurement, it had no instance.
	system, err := s.gauges(ctx, "", p)
	if err != nil {
		return wire.Gauges{}, err
	}
	of := system
	if q.Function != "" {
		if of, err = s.gauges(ctx, q.Function, p); err != nil {
			return wire.Gauges{}, err
		}
	}
	out := wire.Gauges{From: moment(p.from), To: moment(p.to), Step: cove.Duration(time.Duration(p.step) * time.Minute), Points: []wire.GaugePoint{}}
	for t := p.from; t < p.to; t += p.step {
		if all := system[t]; all != nil && all.observed > 0 {
			g := of[t]
			if g == nil {
				g = &gauges{}
			}
			out.Points = append(out.Points, gaugePoint(t, g, float64(all.observed)))
		}
	}
	return out, nil
}

// gauges are those of a function, or the system, as a whole, by the time at which
// each step begins.
func (s *Service) gauges(ctx context.Context, function string, p plan) (map[int64]*gauges, error) {
	steps := map[int64]*gauges{}
	part := p.parts[0]
	err := s.o.Records.Rollups(ctx, store.RollupQuery{Function: function, Resolution: part.resolution, From: part.from, To: part.to}, func(u store.Rollup) error {
		if u.Series.Isolation != "" {
			return nil
		}
		var a aggregate
		if err := a.mergeData(u.Data); err != nil {
			return unreadable(err)
		}
		t := floor(u.Time, p.step)
		if steps[t] == nil {
			steps[t] = &gauges{}
		}
		steps[t].merge(&a.gauges)
		return nil
	})
	return steps, err
}

func gaugePoint(minutes int64, g *gauges, observed float64) wire.GaugePoint {
	average := func(n int64) float64 { return float64(n) / observed }
	size := func(n int64) cove.ByteSize { return cove.ByteSize(average(n) * float64(cove.KiB)) }
	return wire.GaugePoint{
		Time: moment(minutes), Starting: average(g.starting), Idle: average(g.idle), Busy: average(g.busy), Paused: average(g.paused),
		Queued: average(g.queued), MaxInstances: int(g.maxInstances), MaxQueued: int(g.maxQueued),
		Reserved: size(g.reserved), Memory: size(g.memory), CPU: float64(g.cpu.Milliseconds()) / observed,
		HostCPU: float64(g.hostCPU.Milliseconds()) / observed, HostMemory: size(g.hostMemory), Stems: average(g.stems),
	}
}
