package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/metrics"
	"github.com/covefn/cove/internal/store"
)

// Metrics answers what happened; *metrics.Service does. Errors are *cove.Error.
type Metrics interface {
	// Query and Gauges answer over a range of time; CodeInvalid says that the range
	// or the step cannot be answered.
	Query(ctx context.Context, q metrics.Query) (wire.MetricsQuery, error)
	Gauges(ctx context.Context, q metrics.GaugeQuery) (wire.Gauges, error)
	// Recording says how the recording itself is doing.
	Recording() wire.Recording
	Invocations(ctx context.Context, q store.InvocationQuery) (store.InvocationPage, error)
	// Invocation is one record and what it cost, or CodeNotFound.
	Invocation(ctx context.Context, id string) (cove.Invocation, wire.Cost, error)
	// Prometheus answers a scrape.
	Prometheus() http.Handler
}

func (a *API) registerMetrics() {
	register(a, huma.Operation{
		OperationID: "queryMetrics", Method: http.MethodGet, Path: Prefix + "/metrics/query", Tags: []string{"metrics"},
		Summary:     "What happened",
		Description: "Counts, sums, percentiles and costs over a range of time, by step and group. Invocations count when they end. The range is widened to whole steps; without a step to whole minutes, or to whole hours where it is longer than a day or so old that minutes are not kept any more. A step is made longer where what is kept is coarser; the answer says what it is.",
	}, exampleMetrics(), a.queryMetrics, cove.CodeInvalid)
	register(a, huma.Operation{
		OperationID: "queryGauges", Method: http.MethodGet, Path: Prefix + "/metrics/gauges", Tags: []string{"metrics"},
		Summary:     "How many instances there were",
		Description: "Instances by state, waiting requests, memory and processors over a range of time: of one function, or of the whole system with the machine itself.",
	}, exampleGauges(), a.queryGauges, cove.CodeInvalid)
	register(a, huma.Operation{
		OperationID: "getRecording", Method: http.MethodGet, Path: Prefix + "/metrics/recording", Tags: []string{"metrics"},
		Summary: "How recording is doing", Description: "What was kept and what was dropped since the daemon started, and what it takes on disk.",
	}, wire.Recording{Recorded: 1200, LogLines: 5000, Bytes: 12 * cove.MiB}, a.getRecording)
}

type metricsInput struct {
	Function  string `query:"function" maxLength:"63" doc:"Only this function"`
	Version   int    `query:"version" minimum:"1" doc:"Only this version of the function"`
	Isolation string `query:"isolation" maxLength:"63" doc:"Only this isolation"`
	RangeInput
	GroupBy   string `query:"group_by" enum:"function,version,isolation" doc:"One group for each; absent for one of everything"`
	Histogram bool   `query:"histogram" doc:"Count by latency too"`
}

// RangeInput is a range of time. It is exported because huma fills embedded fields
// of exported types only.
type RangeInput struct {
	From string `query:"from" maxLength:"40" doc:"Where the range begins: RFC 3339, or a time ago such as -1h or -7d; absent means an hour before its end" example:"-24h"`
	To   string `query:"to" maxLength:"40" doc:"Where it ends; absent means now"`
	Step string `query:"step" maxLength:"20" doc:"The length of a point, in whole minutes: 1m, 1h, 1d; at most 1,000 points. Absent for one point over the range" example:"1h"`
}

// defaultRange is how much of the past an answer is about that was not told.
const defaultRange = time.Hour

func (in RangeInput) read(now time.Time) (from, to time.Time, step time.Duration, err error) {
	to = now
	if in.To != "" {
		if to, err = metrics.ParseTime("to", in.To, now); err != nil {
			return from, to, step, err
		}
	}
	from = to.Add(-defaultRange)
	if in.From != "" {
		if from, err = metrics.ParseTime("from", in.From, now); err != nil {
			return from, to, step, err
		}
	}
	step, err = metrics.ParseStep("step", in.Step)
	return from, to, step, err
}

type metricsOutput struct{ Body wire.MetricsQuery }

func (a *API) queryMetrics(ctx context.Context, in *metricsInput) (*metricsOutput, error) {
	q := metrics.Query{
		Function: in.Function, Version: in.Version, Isolation: in.Isolation,
		GroupBy: metrics.GroupBy(in.GroupBy), Histogram: in.Histogram,
	}
	var err error
	if q.From, q.To, q.Step, err = in.read(time.Now()); err != nil {
		return nil, err
	}
	out, err := a.Metrics.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	return &metricsOutput{Body: out}, nil
}

type gaugesInput struct {
	Function string `query:"function" maxLength:"63" doc:"Only this function; absent for the whole system"`
	RangeInput
}

type gaugesOutput struct{ Body wire.Gauges }

func (a *API) queryGauges(ctx context.Context, in *gaugesInput) (*gaugesOutput, error) {
	q := metrics.GaugeQuery{Function: in.Function}
	var err error
	if q.From, q.To, q.Step, err = in.read(time.Now()); err != nil {
		return nil, err
	}
	out, err := a.Metrics.Gauges(ctx, q)
	if err != nil {
		return nil, err
	}
	return &gaugesOutput{Body: out}, nil
}

type recordingOutput struct{ Body wire.Recording }

func (a *API) getRecording(context.Context, *struct{}) (*recordingOutput, error) {
	return &recordingOutput{Body: a.Metrics.Recording()}, nil
}

func exampleMetrics() wire.MetricsQuery {
	p := wire.MetricsPoint{
		Time: exampleTime(), Invocations: 1200, Errors: 2, Faults: map[cove.Fault]int64{cove.FaultFunction: 2},
		Outcomes: map[string]int64{cove.OutcomeOK: 1198, string(cove.CodeTimeout): 2}, Starts: map[string]int64{"warm": 1199, "cold": 1},
		Latency: &wire.Percentiles{P50: 2 * time.Millisecond, P90: 4 * time.Millisecond, P95: 5 * time.Millisecond, P99: 9 * time.Millisecond, Max: 10 * time.Second, Avg: 19 * time.Millisecond},
		RunTime: 22 * time.Second, Billed: 23 * time.Second, CPU: time.Second, PeakMemory: 24 * cove.MiB,
		Cost: wire.Cost{Total: 0.0012, CPU: 0.0002, Memory: 0.001, Currency: "USD"},
	}
	return wire.MetricsQuery{
		From: exampleTime(), To: exampleTime().Add(time.Hour),
		Groups: []wire.MetricsGroup{{Function: "hello", Total: p}},
	}
}

func exampleGauges() wire.Gauges {
	return wire.Gauges{
		From: exampleTime(), To: exampleTime().Add(time.Hour), Step: cove.Duration(time.Minute),
		Points: []wire.GaugePoint{{Time: exampleTime(), Idle: 1.5, Busy: 0.5, MaxInstances: 3, Reserved: 320 * cove.MiB, Memory: 60 * cove.MiB, CPU: 0.4}},
	}
}
