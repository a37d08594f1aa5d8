package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// Range is a range of time. From and To are RFC 3339, or a time ago such as "-1h"
// or "-7d"; Step is "1m", "1h". What is empty is left to the server: the last
// hour, up to now, as one point.
type Range struct{ From, To, Step string }

func (r Range) add(q url.Values) {
	set(q, "from", r.From)
	set(q, "to", r.To)
	set(q, "step", r.Step)
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// MetricsQuery chooses what is counted; what is zero does not.
type MetricsQuery struct {
	Range
	Function  string
	Version   int
	Isolation string
	// GroupBy is "function", "version", "isolation", or "" for one group.
	GroupBy string
	// Histogram asks for counts by latency too.
	Histogram bool
}

// Metrics is what happened in a range of time: counts, sums, percentiles, costs.
func (c *Client) Metrics(ctx context.Context, q MetricsQuery) (wire.MetricsQuery, error) {
	query := url.Values{}
	q.add(query)
	set(query, "function", q.Function)
	set(query, "isolation", q.Isolation)
	set(query, "group_by", q.GroupBy)
	if q.Version > 0 {
		query.Set("version", strconv.Itoa(q.Version))
	}
	if q.Histogram {
		query.Set("histogram", "true")
	}
	var out wire.MetricsQuery
	err := c.get(ctx, "/metrics/query", query, &out)
	return out, err
}

// Gauges are how many instances of a function there were and what they held; of
// the whole system, if function is "".
func (c *Client) Gauges(ctx context.Context, function string, r Range) (wire.Gauges, error) {
	query := url.Values{}
	r.add(query)
	set(query, "function", function)
	var out wire.Gauges
	err := c.get(ctx, "/metrics/gauges", query, &out)
	return out, err
}

// Recording says how the recording of invocations is doing.
func (c *Client) Recording(ctx context.Context) (wire.Recording, error) {
	var out wire.Recording
	err := c.get(ctx, "/metrics/recording", nil, &out)
	return out, err
}

// InvocationQuery chooses records of invocations; what is zero does not.
type InvocationQuery struct {
	Function, Isolation, Outcome, Instance string
	Version                                int
	Fault                                  cove.Fault
	Start                                  cove.StartClass
	// Min is the least time that it took.
	Min time.Duration
	// Search is the beginning of an id, or a part of an error's message.
	Search string
	// From and To bound when it ended; see Range.
	From, To string
	// Before is the Next of the page before.
	Before string
	Limit  int
}

// Invocations is one page of records, those that ended last first.
func (c *Client) Invocations(ctx context.Context, q InvocationQuery) (wire.InvocationList, error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"function": q.Function, "isolation": q.Isolation, "outcome": q.Outcome, "instance": q.Instance, "fault": string(q.Fault),
		"start": string(q.Start), "q": q.Search, "from": q.From, "to": q.To, "before": q.Before,
	} {
		set(query, name, value)
	}
	for name, value := range map[string]int64{"version": int64(q.Version), "min_ms": q.Min.Milliseconds(), "limit": int64(q.Limit)} {
		if value > 0 {
			query.Set(name, strconv.FormatInt(value, 10))
		}
	}
	var out wire.InvocationList
	err := c.get(ctx, "/invocations", query, &out)
	return out, err
}

// Invocation is one record with its log and its cost.
func (c *Client) Invocation(ctx context.Context, id string) (wire.InvocationDetail, error) {
	var out wire.InvocationDetail
	err := c.get(ctx, "/invocations/"+url.PathEscape(id), nil, &out)
	return out, err
}
