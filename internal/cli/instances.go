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

func (a *app) instancesCommand() *cobra.Command {
	var q client.InstanceQuery
	var state string
	states := []string{string(wire.InstanceIdle), string(wire.InstancePaused), string(wire.InstanceBusy)}
	c := &cobra.Command{
		Use:   "instances [NAME]",
		Short: "List the sandboxes that run functions now",
		Long: `Lists the sandboxes that run functions now, or those of one function. MADE says
whether one was made of a stem cell or from nothing (cold), MEMORY what it uses
now of what is reserved for it.

--measure looks at every process of each of them: PSS is their memory, in which
what several share is counted in parts, so that the sum over all is right.`,
		Example: `  cove instances
  cove instances hello --state paused
  cove instances --measure`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if state != "" && !slices.Contains(states, state) {
				return usagef("--state %s: there are idle, paused and busy", state)
			}
			q.State = wire.InstanceState(state)
			if len(args) == 1 {
				q.Function = args[0]
			}
			api, err := a.client()
			if err != nil {
				return err
			}
			items, err := api.Instances(cmd.Context(), q)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(items)
			}
			a.printInstances(items, q.Measure, time.Now())
			return nil
		},
	}
	c.Flags().StringVar(&state, "state", "", "only those in this `state`: idle, paused or busy")
	c.Flags().BoolVar(&q.Measure, "measure", false, "measure their processes; takes some milliseconds for each")
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(states, cobra.ShellCompDirectiveNoFileComp))
	return a.printable(a.remote(c))
}

func (a *app) printInstances(items []wire.Instance, measured bool, now time.Time) {
	if len(items) == 0 {
		a.note("There are no instances. The next request makes one; so does cove warm NAME")
		return
	}
	header := []string{"ID", "VERSION", "ISOLATION", "STATE", "SINCE", "IN FLIGHT", "MADE", "MEMORY", "RESERVED"}
	if measured {
		header = append(header, "PSS", "PROCESSES")
	}
	rows := make([][]string, 0, len(items))
	for _, i := range items {
		state, memory := string(i.State), "-"
		if i.Draining {
			state += ", then ends"
		}
		if i.Memory > 0 {
			memory = size(int64(i.Memory))
		}
		row := []string{
			i.ID, strconv.Itoa(i.Version), i.Isolation, state, duration(now.Sub(i.Since).Truncate(time.Second)),
			strconv.Itoa(i.InFlight), orDash(string(i.Start)), memory, size(int64(i.Reserved)),
		}
		if measured {
			pss, processes := "-", "-"
			if m := i.Measured; m != nil {
				pss, processes = size(int64(m.PSS)), strconv.Itoa(m.Processes)
			}
			row = append(row, pss, processes)
		}
		rows = append(rows, row)
	}
	a.table(header, rows)
}

func (a *app) systemCommand() *cobra.Command {
	return a.printable(a.remote(&cobra.Command{
		Use:     "system",
		Aliases: []string{"info"},
		Short:   "Show the daemon, its memory and its stem cells",
		Long: `Shows the daemon: addresses, memory, instances, and the stem cells, which are
sandboxes with the language started that wait for a function. TAKEN counts those
that became instances, MISSED how often one was wanted and there was none.`,
		Example: "  cove system\n  cove system -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			s, err := api.System(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(s)
			}
			a.printSystem(s)
			return nil
		},
	}))
}

func (a *app) printSystem(s wire.System) {
	stuck := ""
	if s.Stuck > 0 {
		stuck = fmt.Sprintf("%d sandboxes were killed and not seen dead; the daemon's log says more", s.Stuck)
	}
	a.pairs([][2]string{
		{"Version", s.Version}, {"Started", timestamp(s.Started)}, {"Data", s.Data}, {"Gateway", s.Gateway}, {"Isolation", s.Isolation},
		{"Functions", strconv.Itoa(s.Functions)}, {"Instances", instances(s.Instances)},
		{"Memory", fmt.Sprintf("%s reserved of %s", size(int64(s.MemoryReserved)), size(int64(s.MemoryBudget)))}, {"Stuck", stuck},
	})
	if len(s.Stems) == 0 {
		return
	}
	fmt.Fprintln(a.out)
	rows := make([][]string, 0, len(s.Stems))
	for _, k := range s.Stems {
		rows = append(rows, []string{
			k.Runtime, k.Isolation, kind(k), strconv.Itoa(k.Ready), strconv.Itoa(k.Starting), strconv.Itoa(k.Target),
			strconv.FormatInt(k.Taken, 10), strconv.FormatInt(k.Missed, 10), refill(k), k.Error,
		})
	}
	a.table([]string{"STEM CELLS OF", "ISOLATION", "KIND", "READY", "STARTING", "TARGET", "TAKEN", "MISSED", "REFILL", ""}, rows)
}

// kind is what stem cells of one runtime and isolation can differ in.
func kind(k wire.Stem) string {
	text := "tmp " + k.Tmp.String()
	if k.Memory > 0 {
		text = k.Memory.String() + ", " + text
	}
	if k.Network != cove.NetworkNone {
		text += ", " + string(k.Network)
	}
	return text
}

func refill(k wire.Stem) string {
	if k.Refill == 0 {
		return "-"
	}
	return duration(k.Refill)
}

// instances is i in words.
func instances(i wire.Instances) string {
	text := fmt.Sprintf("%d idle, %d busy, %d starting, %d paused", i.Idle, i.Busy, i.Starting, i.Paused)
	if i.Queued > 0 {
		text += fmt.Sprintf("; %d requests wait", i.Queued)
	}
	return text
}
