package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

func (a *app) warmCommand() *cobra.Command {
	want := wire.Warm{Instances: 1, Timeout: cove.Duration(time.Minute)}
	c := &cobra.Command{
		Use:   "warm NAME",
		Short: "Make instances of a function ready",
		Long: `Makes instances of the active version ready without calling the handler, and
says when they are; those that are there count. Before a rush, say, or to see
whether the function can be loaded.

They end as others do when nobody calls them. To keep some for good, set
scaling.min; to keep memory free for some, scaling.reserved.`,
		Example: `  cove warm hello
  cove warm hello --instances 10
  cove warm hello || echo "it cannot be loaded"`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if want.Instances < 1 {
				return usagef("--instances %d: it must be at least 1", want.Instances)
			}
			api, err := a.client()
			if err != nil {
				return err
			}
			done, err := api.Warm(cmd.Context(), args[0], want)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(done)
			}
			a.note("%s of %s version %d ready in %s", count(done.Ready, "instance"), args[0], done.Version, duration(done.Took))
			return nil
		},
	}
	c.Flags().IntVar(&want.Instances, "instances", want.Instances, "`number` of instances, at most scaling.max")
	c.Flags().TextVar(&want.Timeout, "timeout", want.Timeout, "longest `time` to wait for them")
	return a.printable(a.remote(c))
}

func (a *app) recycleCommand() *cobra.Command {
	want := wire.Recycle{Timeout: cove.Duration(time.Minute)}
	c := &cobra.Command{
		Use:   "recycle NAME",
		Short: "Replace a function's instances by new ones",
		Long: `Makes as many new instances as the load of late needs, then ends those that
there were, the busy ones after what they serve: no request fails, and none
waits for a start. The requests that follow get new instances.

For instances that hold something stale: a connection to what has moved, a
cache, a key that was rotated elsewhere. If new ones cannot be made, the old
ones are kept and the error is shown.

Meanwhile there may be twice as many instances as scaling.max. With --now they
are ended first, and the requests that follow wait for new ones.`,
		Example: `  cove recycle hello
  cove recycle hello --now`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			done, err := api.Recycle(cmd.Context(), args[0], want)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(done)
			}
			if want.Now {
				a.note("%s of %s ended", count(done.Instances, "instance"), args[0])
			} else {
				a.note("%s of %s replaced in %s", count(done.Instances, "instance"), args[0], duration(done.Took))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&want.Now, "now", false, "end them though there are no new ones yet")
	c.Flags().TextVar(&want.Timeout, "timeout", want.Timeout, "longest `time` to wait for the new ones")
	return a.printable(a.remote(c))
}

func (a *app) explainCommand() *cobra.Command {
	return a.printable(a.remote(&cobra.Command{
		Use:   "explain NAME",
		Short: "Say why a function has as many instances as it has",
		Long: `Says what Cove observes of a function, how many instances it decides on, and why.
The decision is the one that would be taken now; asking changes nothing.`,
		Example: `  cove explain hello
  cove explain hello -o json
  watch cove explain hello`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			e, err := api.Explain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(e)
			}
			a.printExplanation(e, time.Now())
			return nil
		},
	}))
}

func (a *app) printExplanation(e wire.Explanation, now time.Time) {
	for _, reason := range e.Reasons {
		fmt.Fprintln(a.out, clean(reason))
	}
	fmt.Fprintln(a.out)
	o, d := e.Observed, e.Decided
	stems := "none can be used: this function is always started from nothing"
	if o.UseStems {
		stems = count(o.Stems, "stem cell") + " ready"
	}
	queued := ""
	if o.Instances.Queued > 0 {
		queued = fmt.Sprintf("%s, the first for %s", count(o.Instances.Queued, "request"), duration(o.OldestWait))
	}
	next := ""
	if !d.Next.IsZero() {
		next = "in " + duration(max(0, d.Next.Sub(now)))
	}
	a.pairs([][2]string{
		{"Version", fmt.Sprint(e.Version)}, {"Scaling", scaling(e.Policy)},
		{"Instances", instances(o.Instances)}, {"In flight", fmt.Sprint(o.InFlight)}, {"Waiting", queued},
		{"Decision", fmt.Sprintf("start %d, end %d, pause %d; keep %d though nobody waits", d.Start, d.Stop, d.Pause, d.Keep)},
		{"Stem cells", stems}, {"Start takes", known(o.StartTook)}, {"Run takes", known(o.RunTook)}, {"Next look", next},
		{"Trouble", clean(e.Error)},
	})
}

// known is a recent average for people.
func known(d time.Duration) string {
	if d == 0 {
		return "not known yet"
	}
	return "about " + duration(d)
}

// count is n of what, in the plural where n asks for it.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
