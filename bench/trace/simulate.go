package trace

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/covefn/cove/internal/scale/sim"
)

// View is one way to look at the day.
type View struct {
	// Name says how long calls take in it.
	Name string
	lab  *sim.Lab
}

// Views are the two ways: calls take no time, as in the paper, and one instance
// serves almost every function; or they take their time, and a function has as
// many instances as it needs.
func Views(functions []sim.Function, seed uint64) []View {
	short := slices.Clone(functions)
	for i := range short {
		short[i].Run = time.Millisecond
	}
	return []View{
		{"calls take no time, as in the paper", newLab(short, seed)},
		{"calls take LogNormal(-0.38, 2.36) s", newLab(functions, seed)},
	}
}

// Functions are those of the view.
func (v View) Functions() []sim.Function { return v.lab.Functions }

// newLab is where the policies are tried. A cold start takes what one in gVisor
// does, nearly; the instances of a function have no other bound than the sense
// of it. What idles is looked at each five seconds, while the daemon does so each
// second: that changes nothing in the figures and saves most of the time.
func newLab(functions []sim.Function, seed uint64) *sim.Lab {
	return &sim.Lab{
		Functions: functions, Max: 20_000, Workers: runtime.GOMAXPROCS(0),
		World: sim.World{Start: 250 * time.Millisecond, Spread: 0.5, Review: 5 * time.Second, Seed: seed + streamCalls},
	}
}

// Comparison is what a view gives under a fixed keep-alive, and under the adaptive
// policy with as much idle instance-time, all functions taken together.
type Comparison struct{ Fixed, Adaptive sim.Summary }

// Ratio is the p75 over the functions of the cold share, adaptive by fixed.
func (c Comparison) Ratio() float64 {
	if c.Fixed.P75 == 0 {
		return 0
	}
	return c.Adaptive.P75 / c.Fixed.P75
}

// Compare simulates the day with a fixed keep-alive and looks for the adaptive
// policy that idles as long.
func (v View) Compare(keep time.Duration) Comparison {
	fixed := v.lab.Try(false, keep)
	return Comparison{fixed, v.lab.AtIdle(true, fixed.IdleHours)}
}

// Explain prints a comparison, and beside it the adaptive policy at the same
// setting, the fixed keep-alive that idles as long as that, and what keeping
// everything for the whole day gives: no policy that cannot foresee first requests
// and bursts does better.
func (v View) Explain(ctx context.Context, out io.Writer, c Comparison, keep time.Duration) error {
	fmt.Fprintf(out, "%s\n\n", v.Name)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "policy\tidle time\tcold p50\tp75\tp68-82\tp90\tof all calls\tcold\tstarts\tidle h\tidle GB h\tmean wait\t")
	line := func(s sim.Summary, what string) {
		fmt.Fprintf(w, "%s\t%.1f min\t%.2f %%\t%.2f %%\t%.2f %%\t%.2f %%\t%.4f %%\t%d\t%d\t%.0f\t%.0f\t%.2f s\t %s\n", s.Policy, s.Keep, 100*s.Median, 100*s.P75,
			100*s.Near75, 100*s.P90, 100*s.Overall, s.Cold, s.Starts, s.IdleHours, s.IdleMemory, s.WaitSeconds, what)
	}
	line(c.Fixed, "the base")
	line(c.Adaptive, "at equal idle time")
	same := v.lab.Try(true, keep)
	line(same, "at the same setting")
	if ctx.Err() == nil {
		line(v.lab.AtIdle(false, same.IdleHours), "with the idle time of that")
	}
	if ctx.Err() == nil {
		line(v.lab.Try(false, 24*time.Hour), "everything is kept all day")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return ctx.Err()
}
