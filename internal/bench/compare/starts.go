package compare

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/bench"
)

const (
	// stemWait bounds the wait for a stem cell, pauseWait that for an instance to be
	// paused, endWait that for instances to end: longer means that it will not be.
	stemWait  = 20 * time.Second
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
func (r *run) measureStarts(ctx context.Context, budget time.Duration, tell func(float64)) ([]bench.Floor, error) {
	var arms []bench.Arm
	var places []place
	add := func(p place, again string) {
		places = append(places, p)
		turn := -1 // The round of warming up.
		arms = append(arms, bench.Arm{
			Name: fmt.Sprintf("%s %s %s%s", p.subject.label(), p.isolation, p.class, again),
			Sample: func(ctx context.Context) (bench.Sample, error) {
				turn++
				return r.start(ctx, p, turn%recordEvery == 2)
			},
		})
	}
	wholes := r.wholes()
	for _, s := range wholes {
		for _, class := range startClasses {
			for _, isolation := range r.isolations {
				add(place{s, isolation, class}, "")
			}
		}
	}
	// The A/A arms: one for each class, as a cold start swings by other things than a
	// thaw does. Of the first function only: of each they would take a third of the
	// time from the others.
	again := len(arms)
	for _, class := range startClasses {
		add(place{wholes[0], r.isolations[0], class}, " again")
	}
	series, err := bench.Interleave(ctx, arms, bench.Rounds{Budget: budget, Warmup: 1, Seed: r.o.Seed, Progress: tell})
	return r.startRows(places, series, again), err
}

// startRows tells what the arms gave, of which those from again on are second arms,
// and returns the noise floors that judged it: each class has its own.
func (r *run) startRows(places []place, series []bench.Series, again int) []bench.Floor {
	var floors []bench.Floor
	noises := map[cove.StartClass]bench.Noise{}
	for n, p := range places[again:] {
		first := slices.Index(places, p)
		noise := bench.NoiseOf(waited(&series[first]), waited(&series[again+n]), r.o.Seed)
		noises[p.class] = noise
		floors = append(floors, bench.Floor{Of: series[first].Arm, Judges: judged(string(p.class)+" starts", r.wholes()), Noise: noise})
	}
	for i, p := range places[:again] {
		r.report.Starts = append(r.report.Starts, r.startRow(p, series, places[:again], i, noises[p.class]))
	}
	return floors
}

// startClasses are those that measureStarts measures.
var startClasses = []cove.StartClass{cove.StartCold, cove.StartStem, cove.StartThawed}

// judged says what a noise floor has judged: also what it was not measured with.
func judged(what string, of []*subject) string {
	var names []string
	for _, s := range of {
		names = append(names, s.label())
	}
	return what + " of " + strings.Join(names, ", ")
}

// startRow sums up one arm, beside that of the first isolation.
func (r *run) startRow(p place, series []bench.Series, places []place, i int, noise bench.Noise) bench.StartRow {
	s := &series[i]
	median := func(pick func(cove.Timings) time.Duration) time.Duration {
		var told []time.Duration
		for _, x := range s.Samples {
			if x.Timings.Total > 0 {
				told = append(told, pick(x.Timings))
			}
		}
		return bench.Quantile(told, 0.5)
	}
	row := bench.StartRow{
		Subject: p.subject.name, Runtime: p.subject.runtime.Name, Isolation: p.isolation, Class: p.class, Took: bench.Summarise(waited(s)),
		Queue:   median(func(t cove.Timings) time.Duration { return t.Queue }),
		Start:   median(func(t cove.Timings) time.Duration { return t.Start }),
		Init:    median(func(t cove.Timings) time.Duration { return t.Init }),
		Run:     median(func(t cove.Timings) time.Duration { return t.Run }),
		Counted: s.Counted(),
	}
	for j, q := range places {
		if q.subject == p.subject && q.class == p.class && q.isolation == r.isolations[0] && q != p {
			row.Ratio = bench.Ratio(waited(s), waited(&series[j]), 0.5, r.o.Seed)
			row.Same = noise.Hides(row.Ratio)
		}
	}
	return row
}

// waited are the times of the samples that have one.
func waited(s *bench.Series) []time.Duration {
	return slices.DeleteFunc(s.Took(), func(d time.Duration) bool { return d == 0 })
}

// recordEvery is which part of the starts is called through the control API: its
// answer has the record with the phases, which the gateway's has not.
const recordEvery = 4

// start brings the state about that a class begins from, and measures the call.
// It goes through the gateway, as callers do, or with record through the control
// API: that sample has Timings and no Took.
func (r *run) start(ctx context.Context, p place, record bool) (bench.Sample, error) {
	function := p.subject.function(p.isolation, kindOf(p.class))
	if err := r.makeReady(ctx, p, function); err != nil {
		return bench.Sample{}, err
	}
	if !p.subject.web() {
		return r.classed(ctx, p.subject, function, p.class)
	}
	if record {
		x, err := r.classed(ctx, p.subject, function, p.class)
		x.Took = 0
		return x, err
	}
	x, err := r.timed(r.gatewayCall(p.subject, function))(ctx)
	if err != nil || p.class == cove.StartThawed {
		return x, err // It was seen paused.
	}
	x.Start = p.class
	return x, r.checkMade(ctx, function, p.class)
}

// kindOf is the form of a subject that a start class is measured with.
func kindOf(class cove.StartClass) kind {
	switch class {
	case cove.StartCold:
		return kindCold
	case cove.StartThawed:
		return kindPaused
	case cove.StartStem, cove.StartWarm:
	}
	return kindPlain
}

// makeReady brings the state about that a start class begins from.
func (r *run) makeReady(ctx context.Context, p place, function string) error {
	switch p.class {
	case cove.StartCold:
		return r.recycle(ctx, function)
	case cove.StartStem:
		if err := r.recycle(ctx, function); err != nil {
			return err
		}
		return r.awaitStem(ctx, function)
	case cove.StartThawed:
		if _, err := r.invoke(ctx, p.subject, function); err != nil {
			return err
		}
		return r.awaitPaused(ctx, function)
	case cove.StartWarm:
	}
	return nil
}

// checkMade is an error unless the function has one instance, which was made as
// the class says.
func (r *run) checkMade(ctx context.Context, function string, class cove.StartClass) error {
	made, err := r.daemon.client.Instances(ctx, client.InstanceQuery{Function: function})
	switch {
	case err != nil:
		return err
	case len(made) != 1:
		return fmt.Errorf("one call made %d instances", len(made))
	case made[0].Start != class:
		return fmt.Errorf("the start was %s and not %s", made[0].Start, class)
	}
	return nil
}

// awaitStem waits until a stem cell is ready that the function could use.
func (r *run) awaitStem(ctx context.Context, function string) error {
	return until(ctx, stemWait, func() (bool, error) {
		e, err := r.daemon.client.Explain(ctx, function)
		if err == nil && !e.Observed.UseStems {
			err = errNoStems
		}
		return err == nil && e.Observed.Stems > 0, err
	}, "no stem cell was ready")
}

// errNoStems says that an instance of a function is never made of a stem cell.
var errNoStems = errors.New("the function cannot use stem cells")

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
	if _, err := r.daemon.client.Recycle(ctx, function, wire.Recycle{Now: true}); err != nil {
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
