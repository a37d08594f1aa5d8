package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

func (a *app) statsCommand() *cobra.Command {
	var q client.MetricsQuery
	var since string
	groups := []string{"function", "version", "isolation"}
	c := &cobra.Command{
		Use:   "stats [NAME]",
		Short: "Show calls, errors, latencies and costs",
		Long: `Shows what happened in a range of time: calls, errors, percentiles of the whole
time from request to answer, how many calls had to wait for an instance to be
made (COLD), and what it cost at the prices of the settings. Ranges longer than a
day are widened to whole hours.`,
		Example: `  cove stats
  cove stats hello --since 7d
  cove stats hello --by version -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.GroupBy != "" && !slices.Contains(groups, q.GroupBy) {
				return usagef("--by %s: there are function, version and isolation", q.GroupBy)
			}
			if len(args) == 1 {
				q.Function = args[0]
			} else {
				q.GroupBy = cmp.Or(q.GroupBy, "function")
			}
			q.From = timeAgo(since)
			api, err := a.client()
			if err != nil {
				return err
			}
			out, err := api.Metrics(cmd.Context(), q)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(out)
			}
			a.printStats(&out, q.GroupBy == "")
			return nil
		},
	}
	c.Flags().StringVar(&since, "since", "1h", "how far back: a `time` such as 30m, 24h or 7d, or a moment such as 2026-11-22T14:00:00Z")
	c.Flags().StringVar(&q.To, "until", "", "up to this `moment`, or a time ago such as -1h (default now)")
	c.Flags().StringVar(&q.GroupBy, "by", "", "one `line` for each function, version or isolation")
	c.Flags().StringVar(&q.Isolation, "isolation", "", "only in this `isolation`")
	c.Flags().IntVar(&q.Version, "version", 0, "only this version's `number`")
	_ = c.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(groups, cobra.ShellCompDirectiveNoFileComp))
	return a.printable(a.remote(c))
}

// timeAgo is a moment as the API has it, of a time ago or a moment as people type it.
func timeAgo(since string) string {
	if since == "" || strings.HasPrefix(since, "-") || strings.Contains(since, "T") || since == "now" {
		return since
	}
	return "-" + since
}

func (a *app) printStats(out *wire.MetricsQuery, one bool) {
	if one && len(out.Groups) == 1 {
		a.printTotal(out)
		return
	}
	if len(out.Groups) == 0 {
		a.note("Nothing was called from %s to %s", timestamp(out.From), timestamp(out.To))
		return
	}
	rows := make([][]string, 0, len(out.Groups))
	for i := range out.Groups {
		g := &out.Groups[i]
		rows = append(rows, append([]string{groupName(g)}, statsRow(&g.Total)...))
	}
	a.table(append([]string{"NAME"}, statsHeader()...), rows)
}

func groupName(g *wire.MetricsGroup) string {
	switch {
	case g.Version > 0:
		return g.Function + " " + strconv.Itoa(g.Version)
	case g.Isolation != "":
		return g.Isolation
	}
	return orDash(g.Function)
}

func statsHeader() []string {
	return []string{"CALLS", "ERRORS", "P50", "P90", "P99", "MAX", "COLD", "BILLED", "CPU", "COST"}
}

func statsRow(p *wire.MetricsPoint) []string {
	l := wire.Percentiles{}
	if p.Latency != nil {
		l = *p.Latency
	}
	return []string{
		strconv.FormatInt(p.Invocations, 10), share(p.Errors, p.Invocations), duration(l.P50), duration(l.P90), duration(l.P99), duration(l.Max),
		share(p.Starts["cold"]+p.Starts["stem"], p.Invocations), duration(p.Billed), duration(p.CPU), money(p.Cost.Total, p.Cost.Currency),
	}
}

// share is a number and which part of all it is.
func share(n, all int64) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%.2g%%)", n, 100*float64(n)/float64(max(all, 1)))
}

func money(amount float64, currency string) string {
	if amount == 0 {
		return "0"
	}
	return fmt.Sprintf("%.3g %s", amount, currency)
}

// printTotal tells of one group in full.
func (a *app) printTotal(out *wire.MetricsQuery) {
	p := &out.Groups[0].Total
	a.pairs([][2]string{
		{"Range", timestamp(out.From) + " to " + timestamp(out.To)},
		{"Calls", strconv.FormatInt(p.Invocations, 10)}, {"Errors", share(p.Errors, p.Invocations)},
		{"Outcomes", counts(p.Outcomes)}, {"Starts", counts(p.Starts)},
		{"Latency", percentiles(p.Latency)}, {"Handler", percentiles(p.Run)},
		{"Waited", fmt.Sprintf("%s for instances, %s for sandboxes, %s for loading", duration(p.Queue), duration(p.Start), duration(p.Init))},
		{"Billed", duration(p.Billed)}, {"Processor", duration(p.CPU)}, {"Peak memory", size(int64(p.PeakMemory))},
		{"In and out", size(p.BytesIn) + " in, " + size(p.BytesOut) + " out"},
		{"Cost", fmt.Sprintf("%s: %s of processors, %s of memory", money(p.Cost.Total, p.Cost.Currency), money(p.Cost.CPU, p.Cost.Currency), money(p.Cost.Memory, p.Cost.Currency))},
	})
}

func percentiles(p *wire.Percentiles) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("p50 %s, p90 %s, p95 %s, p99 %s, max %s, average %s",
		duration(p.P50), duration(p.P90), duration(p.P95), duration(p.P99), duration(p.Max), duration(p.Avg))
}

// counts is "ok 12, timeout 1", the most frequent first.
func counts(m map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	parts := make([]string, 0, len(names))
	for _, name := range names {
		parts = append(parts, name+" "+strconv.FormatInt(m[name], 10))
	}
	return strings.Join(parts, ", ")
}

// rate is how many a second n in d are.
func rate(n int64, d time.Duration) string {
	r := float64(n) / d.Seconds()
	if r >= 100 {
		return fmt.Sprintf("%.0f", r)
	}
	return fmt.Sprintf("%.2g", r)
}
