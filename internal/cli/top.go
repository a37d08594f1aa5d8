package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

// topWindow is the time that the figures of `cove top` are about.
const topWindow = 5 * time.Minute

func (a *app) topCommand() *cobra.Command {
	var every time.Duration
	var once bool
	c := &cobra.Command{
		Use:   "top",
		Short: "Watch what happens, live",
		Long: `Shows, live, the machine, the instances and the functions that were called most in
the last minutes. Ctrl-C ends it. Where the output is no terminal, or with --once,
it is told once.`,
		Example: "  cove top\n  cove top --every 5s\n  cove top --once -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every < 200*time.Millisecond {
				return usagef("--every takes 200ms or more")
			}
			api, err := a.client()
			if err != nil {
				return err
			}
			if once || a.json() || !isTerminal(a.out) {
				t, err := look(cmd.Context(), api)
				if err != nil {
					return err
				}
				if a.json() {
					return a.printJSON(t)
				}
				a.printTop(&t, time.Now(), 0)
				return nil
			}
			return a.watch(cmd.Context(), api, every)
		},
	}
	c.Flags().DurationVar(&every, "every", 2*time.Second, "`time` from one look to the next")
	c.Flags().BoolVar(&once, "once", false, "look once")
	return a.printable(a.remote(c))
}

// top is what one look sees.
type top struct {
	System  wire.System       `json:"system"`
	Metrics wire.MetricsQuery `json:"metrics"`
	Now     wire.Gauges       `json:"gauges"`
}

func look(ctx context.Context, api *client.Client) (t top, err error) {
	if t.System, err = api.System(ctx); err != nil {
		return t, err
	}
	window := client.Range{From: "-" + topWindow.String()}
	if t.Metrics, err = api.Metrics(ctx, client.MetricsQuery{Range: window, GroupBy: "function"}); err != nil {
		return t, err
	}
	window.Step = "1m"
	t.Now, err = api.Gauges(ctx, "", window)
	return t, err
}

// watch looks again and again, on a screen of its own, until ctx ends.
func (a *app) watch(ctx context.Context, api *client.Client, every time.Duration) error {
	screen := a.out
	// The other screen, and no cursor on it; both are undone in the end.
	if _, err := io.WriteString(screen, "\x1b[?1049h\x1b[?25l"); err != nil {
		return err
	}
	defer func() { _, _ = io.WriteString(screen, "\x1b[?25h\x1b[?1049l") }()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		t, err := look(ctx, api)
		if ctx.Err() != nil {
			return nil
		}
		var page bytes.Buffer
		b := *a
		b.out = &page
		if err != nil {
			// The daemon may be starting anew: the next look may find it.
			fmt.Fprintln(&page, clean(err.Error()))
		} else {
			b.printTop(&t, time.Now(), height(screen))
		}
		// Each line is cleared behind its text, so that nothing flickers.
		text := "\x1b[H" + strings.ReplaceAll(page.String(), "\n", "\x1b[K\r\n") + "\x1b[J"
		if _, err := io.WriteString(screen, text); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// height is how many lines a terminal has, 0 where that is not known.
func height(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Row)
}

// printTop writes what was seen, in at most that many lines if that is not 0.
func (a *app) printTop(t *top, now time.Time, lines int) {
	s := &t.System
	var host string
	if n := len(t.Now.Points); n > 0 {
		p := t.Now.Points[n-1]
		host = fmt.Sprintf("%.2f processors, of which functions %.2f; %s of memory, of which functions %s",
			p.HostCPU, p.CPU, size(int64(p.HostMemory)), size(int64(p.Memory)))
	}
	var calls, errs int64

	for i := range t.Metrics.Groups {
		p := &t.Metrics.Groups[i].Total
		calls, errs = calls+p.Invocations, errs+p.Errors
	}
	window := now.Sub(t.Metrics.From)
	a.pairs([][2]string{
		{"Cove", s.Version + ", up " + since(s.Started, now)}, {"Machine", host},
		{"Memory", fmt.Sprintf("%s reserved of %s", size(int64(s.MemoryReserved)), size(int64(s.MemoryBudget)))},
		{"Instances", instances(s.Instances)},
		{"Calls", fmt.Sprintf("%d in the last %s, %s a second; %s failed", calls, duration(window.Truncate(time.Second)), rate(calls, window), share(errs, calls))},
	})
	fmt.Fprintln(a.out)
	groups := slices.DeleteFunc(slices.Clone(t.Metrics.Groups), func(g wire.MetricsGroup) bool { return g.Total.Invocations == 0 })
	if len(groups) == 0 {
		fmt.Fprintln(a.out, "No function was called.")
		return
	}
	const head = 8
	if lines > head {
		groups = groups[:min(len(groups), lines-head)]
	}
	rows := make([][]string, 0, len(groups))
	for i := range groups {
		p := &groups[i].Total
		rows = append(rows, append([]string{groups[i].Function, rate(p.Invocations, window)}, statsRow(p)...))
	}
	a.table(append([]string{"FUNCTION", "A SECOND"}, statsHeader()...), rows)
}
