package compare

import (
	"context"
	"fmt"
	goruntime "runtime"
	"time"

	"github.com/covefn/cove/internal/bench"
)

// measureWarm measures a call of an instance that waits, one after the other:
// what a caller sees of the whole way there and back.
func (r *run) measureWarm(ctx context.Context, budget time.Duration, tell func(float64)) (bench.Noise, error) {
	var arms []bench.Arm
	var places []place
	for _, s := range r.wholes() {
		for n, isolation := range r.isolations {
			p := place{subject: s, isolation: isolation}
			arm := bench.Arm{Name: s.label() + " " + isolation, Sample: r.timed(r.gatewayCall(s, s.function(isolation, kindPlain)))}
			arms, places = append(arms, arm), append(places, p)
			if n == 0 { // The A/A arm, of each subject.
				arm.Name += " again"
				arms, places = append(arms, arm), append(places, p)
			}
		}
	}
	series, err := bench.Interleave(ctx, arms, bench.Rounds{Budget: budget, Warmup: 20, Seed: r.o.Seed, Progress: rarely(tell)})
	noise := bench.Noise{}
	var first *bench.Series
	for i := 0; i < len(places); i++ {
		p, s := places[i], &series[i]
		row := bench.WarmRow{
			Subject: p.subject.name, Runtime: p.subject.runtime.Name, Isolation: p.isolation, Took: bench.Summarise(s.Took()),
			Counted: s.Counted(),
		}
		if p.isolation == r.isolations[0] {
			first = s
			i++ // The arm that follows is the same again.
			if n := bench.NoiseOf(s.Took(), series[i].Took(), r.o.Seed); n.Floor > noise.Floor {
				noise = n
			}
		} else {
			row.Ratio = bench.Ratio(s.Took(), first.Took(), 0.5, r.o.Seed)
		}
		r.report.Warm = append(r.report.Warm, row)
	}
	for i := range r.report.Warm {
		w := &r.report.Warm[i]
		w.Same = noise.Hides(w.Ratio)
	}
	return noise, err
}

// timed makes an arm's sample of a call.
func (r *run) timed(call bench.Call) func(context.Context) (bench.Sample, error) {
	return func(ctx context.Context) (bench.Sample, error) {
		ctx, cancel := context.WithTimeout(ctx, callTime)
		defer cancel()
		began := time.Now()
		err := call(ctx)
		return bench.Sample{Took: time.Since(began)}, err
	}
}

// rarely keeps a fast loop from telling its progress all the time.
func rarely(tell func(float64)) func(float64) {
	var told time.Time
	return func(part float64) {
		if now := time.Now(); now.Sub(told) > 100*time.Millisecond {
			told = now
			tell(part)
		}
	}
}

// measureThroughput loads each subject in all isolations by turns: the peak by a
// closed loop, the latencies by an open one at parts of the slowest's peak.
func (r *run) measureThroughput(ctx context.Context, budget time.Duration, tell func(float64)) (bench.Noise, error) {
	wholes := r.wholes()
	// Each target has its peak, of a step and a half, and three steps.
	step := time.Duration(float64(budget) / (4.5 * float64(len(wholes)*len(r.isolations))))
	for n, s := range wholes {
		var targets []bench.Target
		for _, isolation := range r.isolations {
			call := r.gatewayCall(s, s.function(isolation, kindPlain))
			// As many instances as can be, before the first of them counts.
			if l := bench.ClosedLoop(ctx, call, 4*goruntime.NumCPU(), 200*time.Millisecond); l.PerSecond == 0 {
				return bench.Noise{}, fmt.Errorf("%s in %s: %s", s.label(), isolation, l.Error)
			}
			targets = append(targets, bench.Target{Name: isolation, Call: call})
		}
		climbed, err := bench.Climb(ctx, targets, bench.Ladder{
			Workers: 4 * goruntime.NumCPU(), Peak: step * 3 / 2, Step: step, Seed: r.o.Seed,
			Progress: func(part float64) { tell((float64(n) + part) / float64(len(wholes))) },
		})
		if err != nil {
			return bench.Noise{}, err
		}
		for _, c := range climbed {
			r.report.Throughput = append(r.report.Throughput, bench.ThroughputRow{
				Subject: s.name, Runtime: s.runtime.Name, Isolation: c.Name, Peak: c.Peak, Steps: c.Steps,
			})
		}
	}
	return bench.Noise{}, nil
}
