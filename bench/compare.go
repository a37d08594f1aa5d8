package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/covefn/cove/internal/bench"
)

// seed makes a run's random orders and intervals those of the next run too.
const seed = 20191115

// comparison is what several arms gave in turns.
type comparison map[string]bench.Series

// again is the name of the second arm of a baseline.
func again(name string) string { return name + " again" }

// twice adds to arms a second one of the first, for the noise.
func twice(arms []bench.Arm) []bench.Arm {
	return append(arms, bench.Arm{Name: again(arms[0].Name), Sample: arms[0].Sample})
}

// interleave lets the arms take turns. The samples of arms with the same name come
// together.
func interleave(ctx context.Context, arms []bench.Arm, rounds bench.Rounds) (comparison, error) {
	rounds.Seed = seed
	series, err := bench.Interleave(ctx, arms, rounds)
	c := comparison{}
	for _, s := range series {
		if same, ok := c[s.Arm]; ok {
			s.Samples, s.Failed = append(same.Samples, s.Samples...), same.Failed+s.Failed
			s.Error, s.GaveUp = cmp.Or(same.Error, s.Error), same.GaveUp || s.GaveUp
		}
		c[s.Arm] = s
	}
	return c, err
}

// want is a row that a comparison is to fill.
type want struct {
	name, baseline, cove string
	q                    float64
	least, aim           float64
	note                 string
}

// row compares a quantile of two arms. A p99 takes 1,000 samples of both; where
// there are fewer the row says so instead of a figure.
func (c comparison) row(w want) row {
	r := row{Name: w.name, Least: w.least, Aim: w.aim, Note: w.note}
	a, b := c[w.cove], c[w.baseline]
	r.N = len(a.Samples)
	if len(b.Samples) > 0 {
		r.Baseline, r.BaselineSummary = short(bench.Quantile(b.Took(), w.q)), bench.Summarise(b.Took())
	}
	if len(a.Samples) > 0 {
		r.Cove, r.CoveSummary = short(bench.Quantile(a.Took(), w.q)), bench.Summarise(a.Took())
	}
	for _, s := range []bench.Series{b, a} {
		switch {
		case len(s.Samples) == 0:
			r.Missing = join(r.Missing, fmt.Sprintf("%s gave no sample: %.200s", s.Arm, s.Error))
		case s.Failed > 0:
			r.Note = join(r.Note, fmt.Sprintf("%d samples of %s failed, the first with: %.200s", s.Failed, s.Arm, s.Error))
		}
	}
	if n := min(len(a.Samples), len(b.Samples)); r.Missing == "" && w.q > 0.95 && n < bench.MinP99 {
		r.Missing = fmt.Sprintf("%d samples, and a p99 takes %d (make bench-full)", n, bench.MinP99)
	}
	if r.Missing != "" {
		if w.q > 0.95 {
			r.Baseline, r.Cove = "", ""
		}
		return r
	}
	r.Ratio = bench.Ratio(a.Took(), b.Took(), w.q, seed)
	if n, ok := c[again(w.baseline)]; ok {
		r.Noise = noise(b, n, w.q)
	}
	return r
}

// noise is that of the quantile q between two arms of the same thing.
func noise(a, b bench.Series, q float64) bench.Noise {
	r := bench.Ratio(b.Took(), a.Took(), q, seed)
	if r.Value == 0 {
		return bench.Noise{}
	}
	return bench.Noise{Ratio: r, Floor: max(r.High-1, 1-r.Low)}
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// timed is an arm's sample of something that times itself.
func timed(f func(ctx context.Context) (time.Duration, error)) func(context.Context) (bench.Sample, error) {
	return func(ctx context.Context) (bench.Sample, error) {
		took, err := f(ctx)
		return bench.Sample{Took: took}, err
	}
}

// stopwatch is an arm's sample of a call that is too short to time itself.
func stopwatch(f func() error) func(context.Context) (bench.Sample, error) {
	return func(context.Context) (bench.Sample, error) {
		began := time.Now()
		err := f()
		return bench.Sample{Took: time.Since(began)}, err
	}
}
