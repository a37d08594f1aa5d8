package main

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

// view is one way to look at the data.
type view struct {
	Name string `json:"name"`
	// Base is the fixed keep-alive to compare with; Same the adaptive policy with
	// as much idle instance-time, Fixed the keep-alive that spends what Adaptive,
	// with the idle time of Base, does.
	Base     sim.Summary `json:"base"`
	Same     sim.Summary `json:"adaptive_at_equal_idle_time"`
	Adaptive sim.Summary `json:"adaptive"`
	Fixed    sim.Summary `json:"fixed_at_adaptives_idle_time"`
	// Floor is what keeping everything for the whole day gives: no policy that
	// cannot foresee first requests and bursts does better.
	Floor sim.Summary `json:"floor"`
	// Ratio is the p75 of the cold share of Same by that of Base.
	Ratio float64 `json:"p75_ratio"`
	// Curve is both policies with shorter and longer idle times.
	Curve []sim.Summary `json:"curve"`
}

// report is what the simulation found.
type report struct {
	Source    string  `json:"source"`
	Functions int     `json:"functions"`
	Seed      uint64  `json:"seed"`
	Views     []*view `json:"views"`
	Seconds   float64 `json:"seconds"`
}

// source is what must be cited.
const source = "Azure Functions Trace 2019, Microsoft, CC-BY 4.0 (Shahrad et al., Serverless in the Wild, USENIX ATC 2020), as sampled by vHive's InVitro loader"

// simulate runs the day of the functions in two views and prints what came out.
func simulate(ctx context.Context, rows []function, seed uint64, keep time.Duration, out io.Writer) (*report, error) {
	began := time.Now()
	functions := modelled(rows, seed)
	short := slices.Clone(functions)
	for i := range short {
		short[i].Run = time.Millisecond
	}
	r := &report{Source: source, Functions: len(functions), Seed: seed}
	for _, v := range []struct {
		name      string
		functions []sim.Function
	}{
		{"requests take no time, as in the paper: one instance serves almost every function", short},
		{"requests take their time: log-normal between functions, a function has as many instances as it needs", functions},
	} {
		found, err := look(ctx, v.name, lab(v.functions, seed), keep)
		if err != nil {
			return nil, err
		}
		found.print(out)
		r.Views = append(r.Views, found)
	}
	r.Seconds = time.Since(began).Seconds()
	fmt.Fprintf(out, "%d functions, seed %d, %.0f s. Data: %s.\n", r.Functions, r.Seed, r.Seconds, source)
	return r, nil
}

// lab is where the policies are tried. A cold start takes what one in gVisor
// does, nearly; the instances of a function have no other bound than the sense
// of it. What idles is looked at each five seconds, while the daemon does so each
// second: that changes nothing in the figures and saves most of the time.
func lab(functions []sim.Function, seed uint64) *sim.Lab {
	return &sim.Lab{
		Functions: functions, Max: 20_000, Workers: runtime.GOMAXPROCS(0),
		World: sim.World{Start: 250 * time.Millisecond, Spread: 0.5, Review: 5 * time.Second, Seed: seed + seedOfTheirCalls},
	}
}

// look tries all of a view.
func look(ctx context.Context, name string, l *sim.Lab, keep time.Duration) (*view, error) {
	v := &view{Name: name, Base: l.Try(false, keep)}
	v.Same = l.AtIdle(true, v.Base.IdleHours)
	v.Adaptive = l.Try(true, keep)
	v.Fixed = l.AtIdle(false, v.Adaptive.IdleHours)
	v.Floor = l.Try(false, 24*time.Hour)
	if v.Base.P75 > 0 {
		v.Ratio = v.Same.P75 / v.Base.P75
	}
	for _, adaptive := range []bool{false, true} {
		for _, minutes := range []int{2, 5, 10, 20, 60} {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			v.Curve = append(v.Curve, l.Try(adaptive, time.Duration(minutes)*time.Minute))
		}
	}
	return v, nil
}

func (v *view) print(out io.Writer) {
	fmt.Fprintf(out, "%s\n\n", v.Name)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "policy\tidle time\tcold p50\tp75\tp68-82\tp90\tof all calls\tcold\tstarts\tidle h\tidle GB h\tmean wait\t")
	line := func(s sim.Summary, what string) {
		fmt.Fprintf(w, "%s\t%.1f min\t%.2f %%\t%.2f %%\t%.2f %%\t%.2f %%\t%.4f %%\t%d\t%d\t%.0f\t%.0f\t%.2f s\t %s\n", s.Policy, s.Keep, 100*s.Median, 100*s.P75,
			100*s.Near75, 100*s.P90, 100*s.Overall, s.Cold, s.Starts, s.IdleHours, s.IdleMemory, s.WaitSeconds, what)
	}
	line(v.Base, "the base")
	line(v.Same, "at equal idle time")
	line(v.Adaptive, "at the same setting")
	line(v.Fixed, "with the idle time of that")
	line(v.Floor, "everything is kept all day")
	fmt.Fprintln(w, "\t\t\t\t\t\t\t\t\t\t\t\t")
	for _, s := range v.Curve {
		line(s, "")
	}
	_ = w.Flush() // What cannot be printed cannot be told of.
	fmt.Fprintf(out, "\np75 over functions of the cold share at equal idle time, adaptive by fixed: %.3f\n\n", v.Ratio)
}
