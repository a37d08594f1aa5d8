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
func (r *run) measureWarm(ctx context.Context, budget time.Duration, tell func(float64)) ([]bench.Floor, error) {
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
	var floors []bench.Floor
	var noise bench.Noise
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
			noise = bench.NoiseOf(s.Took(), series[i].Took(), r.o.Seed)
			floors = append(floors, bench.Floor{Of: s.Arm, Judges: judged("warm calls", []*subject{p.subject}), Noise: noise})
		} else {
			row.Ratio = bench.Ratio(s.Took(), first.Took(), 0.5, r.o.Seed)
			row.Same = noise.Hides(row.Ratio)
		}
		r.report.Warm = append(r.report.Warm, row)
	}
	return floors, err
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
// closed loop, the latencies by an open one at parts of the slowest's peak. The
// first isolation is there twice, which is the A/A arm.
func (r *run) measureThroughput(ctx context.Context, budget time.Duration, tell func(float64)) ([]bench.Floor, error) {
	var floors []bench.Floor
	wholes := r.wholes()
	// Each target has its peak, of a step and a half, and three steps.
	step := time.Duration(float64(budget) / (4.5 * float64(len(wholes)*(len(r.isolations)+1))))
	for n, s := range wholes {
		var targets []bench.Target
		for _, isolation := range r.isolations {
			call := r.gatewayCall(s, s.function(isolation, kindPlain))
			// As many instances as can be, before the first of them counts.
			if l := bench.ClosedLoop(ctx, call, 4*goruntime.NumCPU(), 200*time.Millisecond); l.PerSecond == 0 {
				return floors, fmt.Errorf("%s in %s: %s", s.label(), isolation, l.Error)
			}
			targets = append(targets, bench.Target{Name: isolation, Call: call})
		}
		targets = append(targets, bench.Target{Name: r.isolations[0] + " again", Call: targets[0].Call})
		climbed, err := bench.Climb(ctx, targets, bench.Ladder{
			Workers: 4 * goruntime.NumCPU(), Peak: step * 3 / 2, Step: step, Seed: r.o.Seed,
			Progress: func(part float64) { tell((float64(n) + part) / float64(len(wholes))) },
		})
		if err != nil {
			return floors, err
		}
		floors = append(floors, r.throughputRows(s, climbed)...)
	}
	return floors, nil
}

// throughputRows tells what a subject's targets did, the last of which is the first
// one again, and returns the noise floors that judged it.
func (r *run) throughputRows(s *subject, climbed []bench.Climbed) []bench.Floor {
	first, again := climbed[0], climbed[len(climbed)-1]
	of := s.label() + " " + first.Name
	// A ratio of rates is that of the times per call, upside down.
	peaks := bench.NoiseOf(again.Each, first.Each, r.o.Seed)
	floors := []bench.Floor{{Of: of + ", peak", Judges: judged("the peaks", []*subject{s}), Noise: peaks}}
	var latencies []bench.Noise
	for i, step := range first.Steps {
		noise := bench.NoiseOf(step.Each, again.Steps[i].Each, r.o.Seed)
		latencies = append(latencies, noise)
		at := fmt.Sprintf("%.0f %%", step.Part*100)
		floors = append(floors, bench.Floor{Of: of + ", latency at " + at, Judges: judged("the latencies at "+at, []*subject{s}), Noise: noise})
	}
	for n, c := range climbed[:len(climbed)-1] {
		row := bench.ThroughputRow{Subject: s.name, Runtime: s.runtime.Name, Isolation: c.Name, Peak: c.Peak, Steps: c.Steps}
		if n > 0 {
			row.Ratio = bench.Ratio(first.Each, c.Each, 0.5, r.o.Seed)
			row.Same = peaks.Hides(row.Ratio)
			for i := range row.Steps {
				at := &row.Steps[i]
				at.Ratio = bench.Ratio(at.Each, first.Steps[i].Each, 0.5, r.o.Seed)
				at.Same = latencies[i].Hides(at.Ratio)
			}
		}
		r.report.Throughput = append(r.report.Throughput, row)
	}
	return floors
}
