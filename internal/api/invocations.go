package api

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/logs"
	"github.com/covefn/cove/internal/metrics"
	"github.com/covefn/cove/internal/store"
)

const (
	defaultInvocations = 100
	// detailLines is how many lines of its log an invocation is told with.
	detailLines = 1000
)

func (a *API) registerInvocations() {
	register(a, huma.Operation{
		OperationID: "listInvocations", Method: http.MethodGet, Path: Prefix + "/invocations", Tags: []string{"metrics"},
		Summary:     "List invocations",
		Description: "Records of single invocations, those that ended last first. A page can be shorter than `limit` while there is a `next`: where few match, only so many are looked at for one page.",
	}, wire.InvocationList{Items: []cove.Invocation{exampleResult().Invocation}, Next: "1764071345000000"}, a.listInvocations, cove.CodeInvalid)
	register(a, huma.Operation{
		OperationID: "getInvocation", Method: http.MethodGet, Path: Prefix + "/invocations/{id}", Tags: []string{"metrics"},
		Summary: "Read an invocation", Description: "One record with its log and what it cost. Where several have the same id, the one that ended last.",
	}, wire.InvocationDetail{Invocation: exampleResult().Invocation, Logs: exampleResult().Logs, Cost: wire.Cost{Total: 1.4e-8, CPU: 1.1e-8, Memory: 0.3e-8, Currency: "USD"}}, a.getInvocation, cove.CodeNotFound)
}

type invocationsInput struct {
	Function  string `query:"function" maxLength:"63" doc:"Only those of this function"`
	Version   int    `query:"version" minimum:"1" doc:"Only those of this version"`
	Isolation string `query:"isolation" maxLength:"63" doc:"Only those in this isolation"`
	Outcome   string `query:"outcome" maxLength:"63" doc:"Only those with this outcome: ok, caller_gone or the code of an error; error for all that failed"`
	Fault     string `query:"fault" enum:"caller,function,platform" doc:"Only failures whose fault is this one's"`
	Start     string `query:"start" enum:"warm,thawed,stem,cold" doc:"Only those of this start class"`
	Instance  string `query:"instance" maxLength:"100" doc:"Only those on this instance"`
	MinMS     int64  `query:"min_ms" minimum:"0" maximum:"86400000" doc:"Only those that took this many milliseconds or more"`
	Query     string `query:"q" maxLength:"200" doc:"The beginning of an id, or a part of an error's message"`
	From      string `query:"from" maxLength:"40" doc:"Only those that ended then or later: RFC 3339, or a time ago such as -1h or -7d" example:"-24h"`
	To        string `query:"to" maxLength:"40" doc:"Only those that ended before"`
	Before    string `query:"before" maxLength:"20" doc:"The next of the page before this one"`
	Limit     int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many at most"`
}

func (in *invocationsInput) query(now time.Time) (store.InvocationQuery, error) {
	q := store.InvocationQuery{
		Function: in.Function, Version: in.Version, Isolation: in.Isolation, Outcome: in.Outcome, Fault: cove.Fault(in.Fault),
		Start: cove.StartClass(in.Start), Instance: in.Instance, MinTotal: time.Duration(in.MinMS) * time.Millisecond, Search: in.Query,
		Limit: cmp.Or(in.Limit, defaultInvocations),
	}
	var err error
	if in.From != "" {
		if q.From, err = metrics.ParseTime("from", in.From, now); err != nil {
			return q, err
		}
	}
	if in.To != "" {
		if q.To, err = metrics.ParseTime("to", in.To, now); err != nil {
			return q, err
		}
	}
	if in.Before != "" {
		if q.Before, err = strconv.ParseInt(in.Before, 10, 64); err != nil || q.Before < 1 {
			return q, cove.Invalid("before", "must be what the page before this one told as next")
		}
	}
	return q, nil
}

type invocationsOutput struct{ Body wire.InvocationList }

func (a *API) listInvocations(ctx context.Context, in *invocationsInput) (*invocationsOutput, error) {
	q, err := in.query(time.Now())
	if err != nil {
		return nil, err
	}
	page, err := a.Metrics.Invocations(ctx, q)
	if err != nil {
		return nil, err
	}
	out := wire.InvocationList{Items: page.Items}
	if out.Items == nil {
		out.Items = []cove.Invocation{}
	}
	if page.Next > 0 {
		out.Next = strconv.FormatInt(page.Next, 10)
	}
	return &invocationsOutput{Body: out}, nil
}

type invocationInput struct {
	ID string `path:"id" maxLength:"128" doc:"The request id" example:"0b6e2f9c-0c3c-4f0f-9f5e-3c1a1b6a2d11"`
}

type invocationOutput struct{ Body wire.InvocationDetail }

func (a *API) getInvocation(ctx context.Context, in *invocationInput) (*invocationOutput, error) {
	v, cost, err := a.Metrics.Invocation(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := wire.InvocationDetail{Invocation: v, Logs: []wire.LogLine{}, Cost: cost}
	page, err := a.Logs.Find(ctx, logs.Query{Function: v.Function, RequestID: v.ID, Limit: detailLines})
	if err != nil {
		return nil, err
	}
	for _, line := range page.Lines {
		// Callers choose ids, and may choose one twice.
		if line.Instance == v.Instance {
			out.Logs = append(out.Logs, wire.LogLine(line))
		}
	}
	return &invocationOutput{Body: out}, nil
}
