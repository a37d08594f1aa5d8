package wire

import (
	"time"

	"github.com/covefn/cove"
)

// MetricsQuery is what GET /metrics/query answers: what happened in a range of
// time, by group and, if asked for, by step.
type MetricsQuery struct {
	// From and To are the range that was answered: the one asked for, widened to
	// whole steps (minutes where there is none).
	From time.Time `json:"from" doc:"Where the answered range begins: what was asked for, widened to whole steps"`
	To   time.Time `json:"to" doc:"Where it ends, exclusive"`
	// Step is the length of a point; 0 where the range is one point.
	Step cove.Duration `json:"step,omitzero" doc:"The length of a point; absent where the range is one"`
	// Bounds are the upper bounds of Point.Histogram's buckets.
	Bounds []time.Duration `json:"bounds_ns,omitempty" doc:"Upper bounds of the buckets of each histogram, in nanoseconds; the last bucket has none"`
	Groups []MetricsGroup  `json:"groups" doc:"One for each value of what it is grouped by; those that were called most first" nullable:"false"`
}

// MetricsGroup is what happened to one function, version or isolation, or to all.
type MetricsGroup struct {
	// Function, Version and Isolation are set if they were grouped by.
	Function  string `json:"function,omitempty" doc:"Set when grouped by function or version"`
	Version   int    `json:"version,omitempty" doc:"Set when grouped by version"`
	Isolation string `json:"isolation,omitempty" doc:"Set when grouped by isolation"`
	// Total is the whole range.
	Total MetricsPoint `json:"total" doc:"The whole range"`
	// Points are the steps in their order; those in which nothing happened too.
	Points []MetricsPoint `json:"points,omitempty" doc:"One for each step, also where nothing happened; absent without step"`
}

// MetricsPoint is what happened in one span of time.
type MetricsPoint struct {
	Time time.Time `json:"time" doc:"When the span begins"`
	// Invocations counts all of them, Errors those whose outcome is not ok. The
	// faults add up to Errors.
	Invocations int64                `json:"invocations" doc:"How many invocations ended"`
	Errors      int64                `json:"errors" doc:"How many of them had another outcome than ok"`
	Faults      map[cove.Fault]int64 `json:"faults,omitempty" doc:"Errors by whose fault they were: caller, function, platform"`
	// Outcomes and Starts count by outcome and start class; invocations that never
	// got an instance have the start class "none".
	Outcomes map[string]int64 `json:"outcomes,omitempty" doc:"Invocations by outcome"`
	Starts   map[string]int64 `json:"starts,omitempty" doc:"Invocations by start class; none for those that never got an instance"`
	// Latency is of the whole invocation as its caller saw it, Run of the handler
	// alone; absent where nothing happened.
	Latency *Percentiles `json:"latency,omitempty" doc:"Of whole invocations, arrival to answer; absent where nothing happened"`
	Run     *Percentiles `json:"run,omitempty" doc:"Of the handler alone; absent where none ran"`
	// Histogram counts invocations by latency, see MetricsQuery.Bounds.
	Histogram []int64 `json:"histogram,omitempty" doc:"Invocations by latency, one for each bucket; only with histogram=true"`
	// Queue, Start, Init, RunTime are sums over the invocations.
	Queue   time.Duration `json:"queue_ns" doc:"Sum of the times spent waiting for an instance, in nanoseconds"`
	Start   time.Duration `json:"start_ns" doc:"Sum of the times spent making sandboxes"`
	Init    time.Duration `json:"init_ns" doc:"Sum of the times spent loading functions"`
	RunTime time.Duration `json:"run_ns" doc:"Sum of the run times"`
	Billed  time.Duration `json:"billed_ns" doc:"Sum of the billed times"`
	CPU     time.Duration `json:"cpu_ns" doc:"Sum of the processor time"`
	// PeakMemory is the largest of any sandbox.
	PeakMemory cove.ByteSize `json:"peak_memory" doc:"The most memory that any of the sandboxes has had"`
	BytesIn    int64         `json:"bytes_in" doc:"Sum of the payloads' sizes"`
	BytesOut   int64         `json:"bytes_out" doc:"Sum of the answers' sizes"`
	// Cost is what that cost at the prices of the settings.
	Cost Cost `json:"cost" doc:"What it cost, at the prices of the settings"`
}

// Percentiles are those of a set of durations, within 1 % of the true value.
type Percentiles struct {
	P50 time.Duration `json:"p50_ns"`
	P90 time.Duration `json:"p90_ns"`
	P95 time.Duration `json:"p95_ns"`
	P99 time.Duration `json:"p99_ns"`
	Max time.Duration `json:"max_ns"`
	Avg time.Duration `json:"avg_ns"`
}

// Cost is an amount of money by what it was for.
type Cost struct {
	// Total is the sum of the others.
	Total float64 `json:"total" doc:"The sum of the others"`
	CPU   float64 `json:"cpu" doc:"For processor time"`
	// Memory is for what instances have reserved while they lived, at work or not.
	Memory   float64 `json:"memory" doc:"For the memory of instances while they live, idle ones included"`
	Currency string  `json:"currency" example:"USD"`
}

// Gauges is what GET /metrics/gauges answers: how many sandboxes there were, what
// they held, and how the host was, over a range of time.
type Gauges struct {
	From   time.Time     `json:"from"`
	To     time.Time     `json:"to" doc:"Exclusive"`
	Step   cove.Duration `json:"step"`
	Points []GaugePoint  `json:"points" doc:"One for each step for which there are measurements" nullable:"false"`
}

// GaugePoint is one step. Every figure is an average over the step, but those
// called Max.
type GaugePoint struct {
	Time     time.Time `json:"time"`
	Starting float64   `json:"starting" doc:"Instances being made, on average"`
	Idle     float64   `json:"idle"`
	Busy     float64   `json:"busy"`
	Paused   float64   `json:"paused"`
	Queued   float64   `json:"queued" doc:"Requests waiting for an instance, on average"`
	// MaxInstances and MaxQueued are the most at any moment that was looked at.
	MaxInstances int `json:"max_instances"`
	MaxQueued    int `json:"max_queued"`
	// Reserved is the memory set aside, Memory what the sandboxes' control groups
	// count.
	Reserved cove.ByteSize `json:"reserved" doc:"Memory set aside for instances"`
	Memory   cove.ByteSize `json:"memory" doc:"Memory that the control groups of the instances count"`
	// CPU is how many processors the sandboxes used.
	CPU float64 `json:"cpu" doc:"Processors used by the sandboxes, 1.0 is one of them all the time"`
	// HostCPU and HostMemory are of the whole machine; absent for one function.
	HostCPU    float64       `json:"host_cpu,omitempty" doc:"Processors used on the whole machine; only without function"`
	HostMemory cove.ByteSize `json:"host_memory,omitempty" doc:"Memory used on the whole machine; only without function"`
	Stems      float64       `json:"stems,omitempty" doc:"Stem cells that wait; only without function"`
}

// InvocationList is one page of invocations, the newest first.
type InvocationList struct {
	Items []cove.Invocation `json:"items" doc:"The newest first" nullable:"false"`
	// Next is what to send as `before` for the next page; "" on the last.
	Next string `json:"next,omitempty" doc:"Send this as before to get the next page; absent on the last"`
}

// InvocationDetail is one invocation with all that is kept of it.
type InvocationDetail struct {
	cove.Invocation
	// Logs are its lines, the oldest first, up to 1,000.
	Logs []LogLine `json:"logs" doc:"What it printed and what Cove said of it, the oldest first; at most 1,000 lines" nullable:"false"`
	// Cost is what it cost at the prices of the settings, without the memory of
	// idle instances.
	Cost Cost `json:"cost"`
}

// Recording says how the recording of invocations is doing, since the daemon
// started.
type Recording struct {
	// Recorded counts records kept, Dropped those that were counted in the metrics
	// but not kept as records since too many came at once.
	Recorded int64 `json:"recorded" doc:"Records kept"`
	Dropped  int64 `json:"dropped" doc:"Invocations that are counted in the metrics, but whose records were not kept, as too many came at once"`
	// LogLines and LogDropped are the same for lines of logs.
	LogLines   int64 `json:"log_lines" doc:"Log lines kept"`
	LogDropped int64 `json:"log_dropped" doc:"Log lines not kept, as too many came at once"`
	// Bytes is what records, metrics and logs take on disk.
	Bytes cove.ByteSize `json:"bytes" doc:"What records, metrics and logs take on disk"`
}
