package cli

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

func (a *app) invocationsCommand() *cobra.Command {
	var q client.InvocationQuery
	var since, fault, start, id string
	var failed bool
	c := &cobra.Command{
		Use:     "invocations [NAME]",
		Aliases: []string{"calls"},
		Short:   "List calls, or show one with its log",
		Long: `Lists the records of single calls, those that ended last first; with --id one of
them with its times, its error and its log. The id of a call is in the header
X-Request-Id of its answer.`,
		Example: `  cove invocations hello
  cove invocations --failed --since 1d
  cove invocations hello --min 500ms --start cold
  cove invocations --id 01m83aszetnpa3z4f3ydwqdte5`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				q.Function = args[0]
			}
			q.Fault, q.Start, q.From = cove.Fault(fault), cove.StartClass(start), timeAgo(since)
			if failed && q.Outcome == "" {
				q.Outcome = "error" // Whatever failed.
			}
			if err := checkInvocationQuery(&q); err != nil {
				return err
			}
			api, err := a.client()
			if err != nil {
				return err
			}
			if id != "" {
				return a.showInvocation(cmd, api, id)
			}
			return a.listInvocations(cmd, api, q)
		},
	}
	f := c.Flags()
	f.StringVar(&id, "id", "", "only the call with this `id`, with its log")
	f.IntVarP(&q.Limit, "lines", "n", 20, "at most this `number` of calls")
	f.StringVar(&since, "since", "", "how far back: a `time` such as 30m, 24h or 7d, or a moment (default: all that are kept)")
	f.StringVar(&q.To, "until", "", "up to this `moment`, or a time ago such as -1h (default now)")
	f.BoolVar(&failed, "failed", false, "only those that failed, whosever fault it was")
	f.StringVar(&q.Outcome, "outcome", "", "only those with this `outcome`: ok, timeout, function_error, ...")
	f.StringVar(&fault, "fault", "", "only failures that are this one's `fault`: caller, function, platform")
	f.StringVar(&start, "start", "", "only those of this start `class`: warm, thawed, stem, cold")
	f.DurationVar(&q.Min, "min", 0, "only those that took this `time` or longer")
	f.StringVar(&q.Search, "grep", "", "only those whose id begins with this `text`, or whose error has it")
	f.StringVar(&q.Isolation, "isolation", "", "only in this `isolation`")
	f.StringVar(&q.Instance, "instance", "", "only on the instance with this `id`")
	f.IntVar(&q.Version, "version", 0, "only of this version's `number`")
	return a.printable(a.remote(c))
}

// checkInvocationQuery tells what is wrong with flags whose values are few.
func checkInvocationQuery(q *client.InvocationQuery) error {
	faults := []cove.Fault{"", cove.FaultCaller, cove.FaultFunction, cove.FaultPlatform}
	if !slices.Contains(faults, q.Fault) {
		return usagef("--fault %s: there are caller, function and platform", q.Fault)
	}
	starts := []cove.StartClass{"", cove.StartWarm, cove.StartThawed, cove.StartStem, cove.StartCold}
	if !slices.Contains(starts, q.Start) {
		return usagef("--start %s: there are warm, thawed, stem and cold", q.Start)
	}
	if q.Limit < 1 || q.Limit > 1000 {
		return usagef("-n takes 1 to 1000")
	}
	return nil
}

// listInvocations reads as many pages as it takes to have what was asked for, and
// prints them.
func (a *app) listInvocations(cmd *cobra.Command, api *client.Client, q client.InvocationQuery) error {
	items := []cove.Invocation{}
	for most := q.Limit; len(items) < most; {
		q.Limit = most - len(items)
		page, err := api.Invocations(cmd.Context(), q)
		if err != nil {
			return err
		}
		items = append(items, page.Items...)
		if q.Before = page.Next; page.Next == "" {
			break
		}
	}
	if a.json() {
		return a.printJSON(items)
	}
	a.printInvocations(items)
	return nil
}

func (a *app) printInvocations(items []cove.Invocation) {
	if len(items) == 0 {
		a.note("There are no such calls among those that are kept")
		return
	}
	rows := make([][]string, 0, len(items))
	for i := range items {
		v := &items[i]
		rows = append(rows, []string{
			v.Time.Local().Format("01-02 15:04:05.000"), v.ID, v.Function + " " + strconv.Itoa(v.Version), v.Isolation, orDash(string(v.Start)),
			v.Outcome, duration(v.Timings.Total), duration(v.Timings.Run), size(int64(v.PeakMemory)), clean(firstWords(v.Error)),
		})
	}
	a.table([]string{"TIME", "ID", "FUNCTION", "ISOLATION", "START", "OUTCOME", "TOTAL", "RUN", "MEMORY", "ERROR"}, rows)
}

// firstWords is as much of a message as a table has room for.
func firstWords(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func (a *app) showInvocation(cmd *cobra.Command, api *client.Client, id string) error {
	v, err := api.Invocation(cmd.Context(), id)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(v)
	}
	a.printInvocation(&v)
	return nil
}

func (a *app) printInvocation(v *wire.InvocationDetail) {
	request, status := "", ""
	if v.Method != "" {
		request = v.Method + " " + clean(v.Path)
	}
	if v.Status > 0 {
		status = strconv.Itoa(v.Status)
	}
	failure := clean(v.Error)
	if v.ErrorType != "" && failure != "" {
		failure = clean(v.ErrorType) + ": " + failure
	}
	outcome := v.Outcome
	if v.Fault != "" {
		outcome += ", the fault of the " + string(v.Fault)
	}
	t := v.Timings
	a.pairs([][2]string{
		{"Call", v.ID}, {"Function", v.Function + " version " + strconv.Itoa(v.Version)}, {"Isolation", v.Isolation}, {"Instance", v.Instance},
		{"Time", v.Time.Local().Format("2006-01-02 15:04:05.000")}, {"Request", request}, {"Outcome", outcome}, {"Status", status}, {"Error", failure},
		{"Start", string(v.Start)},
		{"Times", fmt.Sprintf("%s in all: %s waiting, %s making the sandbox, %s loading, %s running", duration(t.Total), duration(t.Queue), duration(t.Start), duration(t.Init), duration(t.Run))},
		{"Billed", duration(v.Billed)}, {"Processor", duration(v.CPU)}, {"Peak memory", size(int64(v.PeakMemory))},
		{"In and out", size(v.BytesIn) + " in, " + size(v.BytesOut) + " out"}, {"Trace", v.Trace}, {"Cost", money(v.Cost.Total, v.Cost.Currency)},
	})
	if len(v.Logs) > 0 {
		fmt.Fprintln(a.out)
		a.printLines(a.out, v.Logs, false)
	}
}

// since is how long ago t was, for people.
func since(t, now time.Time) string { return duration(now.Sub(t).Truncate(time.Second)) }
