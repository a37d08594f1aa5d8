package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/covefn/cove"
)

// Levels are what is counted outside of the recorder and told to Prometheus.
type Levels struct {
	Instances []InstanceLevel
	Stems     []StemLevel
	// Budget is the memory that sandboxes may reserve and Reserved what they do.
	Budget, Reserved cove.ByteSize
	// Stuck is how many sandboxes were told to end and not seen dead in time.
	Stuck int
	// Functions is how many functions there are.
	Functions int
	// LogLines and LogDropped count lines of logs kept and dropped.
	LogLines, LogDropped int64
}

// InstanceLevel is the instances of one function in one isolation by state, and
// the requests that wait for one.
type InstanceLevel struct {
	Function, Isolation                    string
	Starting, Idle, Busy, Paused, Stopping int
	Queued                                 int
}

// StemLevel is the stem cells of one runtime in one isolation.
type StemLevel struct {
	Runtime, Isolation      string
	Ready, Starting, Target int
	Taken, Missed           int64
}

// Prometheus tells the recorder's counters and the levels of the moment in
// Prometheus's format. It has a registry of its own.
type Prometheus struct {
	recorder *Recorder
	levels   func() Levels
	overshot prometheus.Histogram
	descs    descriptions
	handler  http.Handler
}

var _ prometheus.Collector = (*Prometheus)(nil)

// descriptions are those of the metrics that are made anew for each scrape.
type descriptions struct {
	invocations, duration              *prometheus.Desc
	queue, init, billed, cpu, in, out  *prometheus.Desc
	instances, queued, functions       *prometheus.Desc
	stems, stemsTaken, stemsMissed     *prometheus.Desc
	budget, reserved, stuck            *prometheus.Desc
	recorded, dropped, failures, bytes *prometheus.Desc
	logLines, logDropped               *prometheus.Desc
}

func describe() descriptions {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cove_"+name, help, labels, nil)
	}
	of := []string{"function", "isolation"}
	return descriptions{
		invocations: desc("invocations_total", "Invocations that ended.", "function", "isolation", "outcome", "fault", "start"),
		duration:    desc("invocation_duration_seconds", "From the arrival of a request to its answer.", of...),
		queue:       desc("queue_seconds_total", "Time spent waiting for an instance.", of...),
		init:        desc("init_seconds_total", "Time spent loading functions.", of...),
		billed:      desc("billed_seconds_total", "Billed time.", of...),
		cpu:         desc("cpu_seconds_total", "Processor time of invocations.", of...),
		in:          desc("request_bytes_total", "Payloads of invocations.", of...),
		out:         desc("response_bytes_total", "Answers of invocations.", of...),
		instances:   desc("instances", "Instances by what they do.", "function", "isolation", "state"),
		queued:      desc("queued_requests", "Requests that wait for an instance.", of...),
		functions:   desc("functions", "Functions that are deployed."),
		stems:       desc("stem_cells", "Stem cells: ready, starting, and wanted.", "runtime", "isolation", "state"),
		stemsTaken:  desc("stem_cells_taken_total", "Stem cells that became instances.", "runtime", "isolation"),
		stemsMissed: desc("stem_cells_missed_total", "How often a stem cell was wanted and there was none.", "runtime", "isolation"),
		budget:      desc("memory_budget_bytes", "Memory that sandboxes may reserve."),
		reserved:    desc("memory_reserved_bytes", "Memory that sandboxes have reserved."),
		stuck:       desc("sandboxes_stuck", "Sandboxes that were told to end and not seen dead in time."),
		recorded:    desc("records_total", "Records of invocations that were kept."),
		dropped:     desc("records_dropped_total", "Invocations that are counted, but whose records were not kept as too many came at once."),
		failures:    desc("record_write_failures_total", "Transactions of records that failed; their content is tried again."),
		bytes:       desc("records_bytes", "What records take on disk."),
		logLines:    desc("log_lines_total", "Lines of logs that were kept."),
		logDropped:  desc("log_lines_dropped_total", "Lines of logs that were not kept as too many came at once."),
	}
}

// NewPrometheus returns a handler's metrics: those of recorder, of levels, which is
// called for each scrape, and of the process.
func NewPrometheus(recorder *Recorder, levels func() Levels, version string) *Prometheus {
	p := &Prometheus{
		recorder: recorder, levels: levels, descs: describe(),
		overshot: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "cove_deadline_overshoot_seconds",
			Help:    "How long after its deadline the caller of a timed out invocation was told.",
			Buckets: []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10},
		}),
	}
	registry := prometheus.NewRegistry()
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cove_build_info", Help: "Which Cove this is; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
	registry.MustRegister(p, p.overshot, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return p
}

// Late takes how long after its deadline a caller was told; see invoke.Options.
func (p *Prometheus) Late(d time.Duration) { p.overshot.Observe(max(0, d.Seconds())) }

// ServeHTTP answers a scrape.
func (p *Prometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// Describe implements prometheus.Collector.
func (p *Prometheus) Describe(c chan<- *prometheus.Desc) {
	d := &p.descs
	for _, desc := range []*prometheus.Desc{
		d.invocations, d.duration, d.queue, d.init, d.billed, d.cpu, d.in, d.out, d.instances, d.queued, d.functions,
		d.stems, d.stemsTaken, d.stemsMissed, d.budget, d.reserved, d.stuck, d.recorded, d.dropped, d.failures, d.bytes, d.logLines, d.logDropped,
	} {
		c <- desc
	}
}

// sender makes metrics and sends them.
type sender chan<- prometheus.Metric

func (c sender) counter(d *prometheus.Desc, v float64, labels ...string) {
	c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func (c sender) gauge(d *prometheus.Desc, v float64, labels ...string) {
	c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// Collect implements prometheus.Collector.
func (p *Prometheus) Collect(metrics chan<- prometheus.Metric) {
	c, d := sender(metrics), &p.descs
	for s, t := range p.recorder.sinceStart() {
		if s.Function == "" || s.Isolation == "" {
			continue // Gauges alone.
		}
		p.collectTotals(c, t, s.Function, s.Isolation)
	}
	l := p.levels()
	p.collectLevels(c, &l)
	c.counter(d.recorded, float64(p.recorder.kept.Load()))
	c.counter(d.dropped, float64(p.recorder.dropped.Load()))
	c.counter(d.failures, float64(p.recorder.failures.Load()))
	c.gauge(d.bytes, float64(p.recorder.records.RecordBytes()))
}

func (p *Prometheus) collectTotals(c sender, t *totals, function, isolation string) {
	d := &p.descs
	var calls uint64
	for _, k := range t.few {
		calls += uint64(k.n)
		c.counter(d.invocations, float64(k.n), function, isolation, k.outcome, string(k.fault()), k.start)
	}
	if calls == 0 {
		return // Only gauges were recorded of it.
	}
	buckets := make(map[float64]uint64, len(bounds))
	var below uint64
	for i, bound := range bounds {
		below += uint64(t.histogram[i])
		buckets[bound.Seconds()] = below
	}
	c <- prometheus.MustNewConstHistogram(d.duration, calls, t.latency.Seconds(), buckets, function, isolation)
	for desc, v := range map[*prometheus.Desc]time.Duration{d.queue: t.queue, d.init: t.init, d.billed: t.billed, d.cpu: t.cpu} {
		c.counter(desc, v.Seconds(), function, isolation)
	}
	c.counter(d.in, float64(t.in), function, isolation)
	c.counter(d.out, float64(t.out), function, isolation)
}

func (p *Prometheus) collectLevels(c sender, l *Levels) {
	d := &p.descs
	for _, i := range sum(l.Instances, (*InstanceLevel).labels, (*InstanceLevel).add) {
		for state, n := range map[string]int{"starting": i.Starting, "idle": i.Idle, "busy": i.Busy, "paused": i.Paused, "stopping": i.Stopping} {
			c.gauge(d.instances, float64(n), i.Function, i.Isolation, state)
		}
		c.gauge(d.queued, float64(i.Queued), i.Function, i.Isolation)
	}
	for _, s := range sum(l.Stems, (*StemLevel).labels, (*StemLevel).add) {
		for state, n := range map[string]int{"ready": s.Ready, "starting": s.Starting, "target": s.Target} {
			c.gauge(d.stems, float64(n), s.Runtime, s.Isolation, state)
		}
		c.counter(d.stemsTaken, float64(s.Taken), s.Runtime, s.Isolation)
		c.counter(d.stemsMissed, float64(s.Missed), s.Runtime, s.Isolation)
	}
	c.gauge(d.functions, float64(l.Functions))
	c.gauge(d.budget, float64(l.Budget))
	c.gauge(d.reserved, float64(l.Reserved))
	c.gauge(d.stuck, float64(l.Stuck))
	c.counter(d.logLines, float64(l.LogLines))
	c.counter(d.logDropped, float64(l.LogDropped))
}

// sum puts those together that have the same labels, in the order in which they
// come first.
func sum[L any](list []L, labels func(*L) [2]string, add func(to, more *L)) []L {
	at := map[[2]string]int{}
	var out []L
	for i := range list {
		key := labels(&list[i])
		if first, found := at[key]; found {
			add(&out[first], &list[i])
			continue
		}
		at[key] = len(out)
		out = append(out, list[i])
	}
	return out
}

// labels are those that the versions of a function have in common.
func (l *InstanceLevel) labels() [2]string { return [2]string{l.Function, l.Isolation} }

func (l *InstanceLevel) add(o *InstanceLevel) {
	l.Starting += o.Starting
	l.Idle += o.Idle
	l.Busy += o.Busy
	l.Paused += o.Paused
	l.Stopping += o.Stopping
	l.Queued += o.Queued
}

// labels are those that the kinds of stem cells of a runtime have in common.
func (l *StemLevel) labels() [2]string { return [2]string{l.Runtime, l.Isolation} }

func (l *StemLevel) add(o *StemLevel) {
	l.Ready += o.Ready
	l.Starting += o.Starting
	l.Target += o.Target
	l.Taken += o.Taken
	l.Missed += o.Missed
}
