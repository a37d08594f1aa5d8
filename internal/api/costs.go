package api

import (
	"cmp"
	"context"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/bench"
)

const (
	// costKeepAlive is that of a query without one.
	costKeepAlive = 5 * time.Minute
	// maxRate is the most calls per second that costs are reckoned of; the model
	// takes time for every instance that they need.
	maxRate = 1e5
)

type costInput struct{ Body wire.CostQuery }

type costOutput struct{ Body wire.CostAnswer }

func (a *API) reckonCosts(_ context.Context, in *costInput) (*costOutput, error) {
	q := in.Body
	for _, rate := range q.PerSecond {
		// Written so that what is no number is refused, too.
		if !(rate >= 0 && rate <= maxRate) {
			return nil, cove.Invalid("per_second", "must be from 0 to %g", maxRate)
		}
	}
	if q.KeepAlive < 0 || q.KeepAlive.Std() > 7*24*time.Hour {
		return nil, cove.Invalid("keep_alive", "must be from 0s to 168h")
	}
	if q.Prices.VCPUHour < 0 || q.Prices.GiBHour < 0 {
		return nil, cove.Invalid("prices", "must not be negative")
	}
	id := q.Run
	if id == "" {
		var err error
		if id, err = a.newestDone(); err != nil {
			return nil, err
		}
	}
	var report bench.Report
	if err := a.reportOf(id, &report); err != nil {
		return nil, err
	}
	if q.Prices == (wire.Prices{}) {
		q.Prices = wire.Prices(a.Settings.Settings().Prices)
	}
	traffic := bench.Traffic{PerSecond: q.PerSecond, KeepAlive: cmp.Or(q.KeepAlive.Std(), costKeepAlive), Min: q.Min}
	items, err := costs(&report, q, traffic)
	if err != nil {
		return nil, err
	}
	return &costOutput{Body: wire.CostAnswer{Run: id, Prices: q.Prices, Items: items}}, nil
}

// costs are the bills of traffic, one for each isolation that was measured with
// the workload.
func costs(report *bench.Report, q wire.CostQuery, traffic bench.Traffic) ([]wire.IsolationCost, error) {
	items := []wire.IsolationCost{}
	workload, runtime := q.Workload, q.Runtime
	for _, row := range report.Cost.Bills {
		workload, runtime = cmp.Or(workload, row.Subject), cmp.Or(runtime, row.Runtime)
		if row.Subject != workload || row.Runtime != runtime {
			continue
		}
		b := bench.Cost(row.Usage, traffic, bench.Prices(q.Prices))
		items = append(items, wire.IsolationCost{
			Isolation: row.Isolation, PerMonth: b.PerMonth, PerMillion: b.PerMillion, Calls: b.Calls, Starts: b.Starts, Busy: b.Busy,
			Idle: b.Idle, Standing: b.Standing, Instances: b.Instances, ColdShare: b.ColdShare,
		})
	}
	if len(items) == 0 {
		return nil, cove.Invalid("workload", "the run has no bill for the workload %q in the runtime %q", workload, runtime)
	}
	return items, nil
}
