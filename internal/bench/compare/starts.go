package compare

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/bench"
)

const (
	// stemWait bounds the wait for a stem cell, pauseWait that for an instance to be
	// paused, endWait that for instances to end: longer means that it will not be.
	stemWait  = 10 * time.Second
	pauseWait = 5 * time.Second
	endWait   = 30 * time.Second
	// askAgain is the time between two looks at what the daemon has.
	askAgain = 10 * time.Millisecond
)

// place is what one arm measures.
type place struct {
	subject   *subject
	isolation string
	class     cove.StartClass
}

// measureStarts measures the first answer of every start class but warm, which
// has a phase of its own with many more samples.
func (r *run) measureStarts(ctx context.Context, budget time.Duration, tell func(float64)) (bench.Noise, error) {
	var arms []bench.Arm
	var places []place
	add := func(p place, again string) {
		places = append(places, p)
		arms = append(arms, bench.Arm{
			Name:   fmt.Sprintf("%s %s %s%s", p.subject.label(), p.isolation, p.class, again),
			Sample: func(ctx context.Context) (bench.Sample, error) { return r.start(ctx, p) },
		})
	}
	for _, s := range r.wholes() {
		for _, class := range []cove.StartClass{cove.StartCold, cove.StartStem, cove.StartThawed} {
			for _, isolation := range r.isolations {
				add(place{s, isolation, class}, "")
			}
		}
	}
	// The A/A arm.
	again := len(arms)
	add(place{r.wholes()[0], r.isolations[0], cove.StartStem}, " again")
	series, err := bench.Interleave(ctx, arms, bench.Rounds{Budget: budget, N: 1000, Warmup: 1, Seed: r.o.Seed, Progress: tell})
	noise := bench.Noise{}
	for i, p := range places[:again] {
		if p == places[again] {
			noise = bench.NoiseOf(series[i].Took(), series[again].Took(), r.o.Seed)
		}
	}
	for i, p := range places[:again] {
		r.report.Starts = append(r.report.Starts, r.startRow(p, series, places[:again], i, noise))
	}
	return noise, err
}

// startRow sums up one arm, beside that of the first isolation.
func (r *run) startRow(p place, series []bench.Series, places []place, i int, noise bench.Noise) bench.StartRow {
	s := &series[i]
	median := func(pick func(cove.Timings) time.Duration) time.Duration {
		return bench.Quantile(s.Each(func(x bench.Sample) time.Duration { return pick(x.Timings) }), 0.5)
	}
	row := bench.StartRow{
		Subject: p.subject.name, Runtime: p.subject.runtime.Name, Isolation: p.isolation, Class: p.class, Took: bench.Summarise(s.Took()),
		Queue:   median(func(t cove.Timings) time.Duration { return t.Queue }),
		Start:   median(func(t cove.Timings) time.Duration { return t.Start }),
		Init:    median(func(t cove.Timings) time.Duration { return t.Init }),
		Run:     median(func(t cove.Timings) time.Duration { return t.Run }),
		Counted: bench.Counted{Failed: s.Failed, Error: s.Error},
	}
	for j, q := range places {
		if q.subject == p.subject && q.class == p.class && q.isolation == r.isolations[0] && q != p {
			row.Ratio = bench.Ratio(s.Took(), series[j].Took(), 0.5, r.o.Seed)
			row.Same = noise.Hides(row.Ratio)
		}
	}
	return row
}

// start brings the state about that a class begins from, and measures the call.
func (r *run) start(ctx context.Context, p place) (bench.Sample, error) {
	switch p.class {
	case cove.StartCold:
		function := p.subject.function(p.isolation, kindCold)
		if err := r.recycle(ctx, function); err != nil {
			return bench.Sample{}, err
		}
		return r.classed(ctx, p.subject, function, cove.StartCold)
	case cove.StartStem:
		function := p.subject.function(p.isolation, kindPlain)
		if err := r.recycle(ctx, function); err != nil {
			return bench.Sample{}, err
		}
		if err := r.awaitStem(ctx, function); err != nil {
			return bench.Sample{}, err
		}
		return r.classed(ctx, p.subject, function, cove.StartStem)
	case cove.StartThawed:
		function := p.subject.function(p.isolation, kindPaused)
		if _, err := r.invoke(ctx, p.subject, function); err != nil {
			return bench.Sample{}, err
		}
		if err := r.awaitPaused(ctx, function); err != nil {
			return bench.Sample{}, err
		}
		return r.classed(ctx, p.subject, function, cove.StartThawed)
	case cove.StartWarm:
	}
	return r.classed(ctx, p.subject, p.subject.function(p.isolation, kindPlain), cove.StartWarm)
}

// awaitStem waits until a stem cell is ready that the function could use.
func (r *run) awaitStem(ctx context.Context, function string) error {
	return until(ctx, stemWait, func() (bool, error) {
		e, err := r.daemon.client.Explain(ctx, function)
		if err == nil && !e.Observed.UseStems {
			err = errors.New("the function cannot use stem cells")
		}
		return err == nil && e.Observed.Stems > 0, err
	}, "no stem cell was ready")
}

// awaitPaused waits until an instance of the function is paused.
func (r *run) awaitPaused(ctx context.Context, function string) error {
	return until(ctx, pauseWait, func() (bool, error) {
		paused, err := r.daemon.client.Instances(ctx, client.InstanceQuery{Function: function, State: wire.InstancePaused})
		return len(paused) > 0, err
	}, "no instance was paused")
}

// recycle ends the function's instances, none of which is busy, and returns when
// they are gone.
func (r *run) recycle(ctx context.Context, function string) error {
	if _, err := r.daemon.client.Recycle(ctx, function); err != nil {
		return err
	}
	return until(ctx, endWait, func() (bool, error) {
		left, err := r.daemon.client.Instances(ctx, client.InstanceQuery{Function: function})
		return len(left) == 0, err
	}, "the instances did not end")
}

// until asks until the answer is yes, for the time limit at most; otherwise says
// what was waited for.
func until(ctx context.Context, limit time.Duration, ask func() (bool, error), otherwise string) error {
	deadline := time.Now().Add(limit)
	for {
		yes, err := ask()
		if err != nil || yes {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s within %s", otherwise, limit)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(askAgain):
		}
	}
}
