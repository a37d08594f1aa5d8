package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
)

// bare starts the subject in a process without isolation. It must be closed.
func (r *run) bare(ctx context.Context, s *subject) (*bare, error) {
	img, err := r.images.DriverImage(s.runtime.Image)
	if err != nil {
		return nil, err
	}
	handler := s.config.Handler
	if handler == "" {
		handler = s.runtime.DefaultHandler
	}
	return startBare(ctx, bareSpec{
		Runtime: s.runtime, Root: img.Root, Shims: r.shims, Code: s.dir, Handler: handler, Env: s.config.Env, Network: s.config.Network, Tmp: r.dir,
	})
}

// bench.Bare is there twice: the second one is the A/A arm.
const bareAgain = bench.Bare + " again"

// measureWorkloads measures what each isolation does to the functions' own time,
// which is told as a multiple of the same in a bare process.
func (r *run) measureWorkloads(ctx context.Context, budget time.Duration, tell func(float64)) ([]bench.Floor, error) {
	var floors []bench.Floor
	pairs := map[[2]string][][2][]time.Duration{}
	all, done := 0.0, 0.0
	for _, s := range r.subjects {
		all += s.weight()
	}
	for _, s := range r.subjects {
		share := s.weight() / all
		series, err := r.workload(ctx, s, time.Duration(share*float64(budget)), func(part float64) { tell(done + share*part) })
		done += share
		if ctx.Err() != nil {
			return floors, err
		}
		if err != nil {
			r.remark("workload %s: %v", s.label(), err)
			continue
		}
		bare := series[len(series)-2]
		own := bench.NoiseOf(bare.Took(), series[len(series)-1].Took(), r.o.Seed)
		floors = append(floors, bench.Floor{Of: s.label() + " " + bench.Bare, Judges: judged("the own time", []*subject{s}), Noise: own})
		for _, x := range series[:len(series)-1] {
			row := bench.WorkloadRow{
				Subject: s.name, Runtime: s.runtime.Name, Isolation: x.Arm, Loads: s.loads, Run: bench.Summarise(x.Took()),
				Counted: x.Counted(),
			}
			if x.Arm != bench.Bare {
				row.Ratio = bench.Ratio(x.Took(), bare.Took(), 0.5, r.o.Seed)
				row.Same = own.Hides(row.Ratio)
				if row.Ratio.Bounded() {
					key := [2]string{s.runtime.Name, x.Arm}
					pairs[key] = append(pairs[key], [2][]time.Duration{x.Took(), bare.Took()})
				}
			}
			r.report.Workloads = append(r.report.Workloads, row)
		}
	}
	for _, s := range r.wholes() {
		for _, isolation := range r.isolations {
			key := [2]string{s.runtime.Name, isolation}
			if of := pairs[key]; len(of) > 0 {
				r.report.Overall = append(r.report.Overall, bench.OverallRow{
					Runtime: s.runtime.Name, Isolation: isolation, Ratio: bench.GeometricMeanRatio(of, 0.5, r.o.Seed), Workloads: len(of),
				})
				delete(pairs, key)
			}
		}
	}
	return floors, nil
}

// weight is the subject's share of the time for workloads: a sample of one that
// is loaded anew each time takes much longer.
func (s *subject) weight() float64 {
	if s.loads {
		return 4
	}
	return 1
}

// workload measures one subject; the last two series are the bare process and
// its A/A arm. Took is the function's own time there.
func (r *run) workload(ctx context.Context, s *subject, budget time.Duration, tell func(float64)) ([]bench.Series, error) {
	var arms []bench.Arm
	for _, isolation := range r.isolations {
		arms = append(arms, bench.Arm{Name: isolation, Sample: func(ctx context.Context) (bench.Sample, error) {
			return r.ownTime(ctx, s, s.function(isolation, kindPlain))
		}})
	}
	for _, name := range []string{bench.Bare, bareAgain} {
		sample, end, err := r.bareArm(ctx, s)
		if err != nil {
			return nil, err
		}
		defer end()
		arms = append(arms, bench.Arm{Name: name, Sample: sample})
	}
	warmup := 3
	if s.loads {
		warmup = 1
	}
	return bench.Interleave(ctx, arms, bench.Rounds{Budget: budget, Warmup: warmup, Seed: r.o.Seed, Progress: rarely(tell)})
}

// ownTime is the time of the function itself in an isolation: of its handler's
// run, or of its loading in a new instance.
func (r *run) ownTime(ctx context.Context, s *subject, function string) (bench.Sample, error) {
	if s.loads {
		if err := r.recycle(ctx, function); err != nil {
			return bench.Sample{}, err
		}
	}
	x, err := r.invoke(ctx, s, function)
	x.Took = x.Timings.Run
	if s.loads {
		x.Took = x.Timings.Init
		if x.Start == cove.StartWarm && err == nil {
			err = errors.New("the function was loaded already")
		}
	}
	return x, err
}

// bareArm is the same in a bare process: one for all calls, or a new one each
// time. end ends what it leaves.
func (r *run) bareArm(ctx context.Context, s *subject) (sample func(context.Context) (bench.Sample, error), end func(), err error) {
	if s.loads {
		return func(ctx context.Context) (bench.Sample, error) {
			b, err := r.bare(ctx, s)
			if err != nil {
				return bench.Sample{}, err
			}
			_, answer, err := b.call(s.event)
			if err = errors.Join(err, b.Close()); err != nil {
				return bench.Sample{}, err
			}
			return bench.Sample{Took: b.init}, s.check(answer)
		}, func() {}, nil
	}
	b, err := r.bare(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	return func(context.Context) (bench.Sample, error) {
		took, answer, err := b.call(s.event)
		if err != nil {
			return bench.Sample{}, err
		}
		return bench.Sample{Took: took}, s.check(answer)
	}, func() { _ = b.Close() }, nil
}

// pss is a process's proportional set size.
func pss(pid int) (cove.ByteSize, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	value := field(string(data), "Pss", ":")
	kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("smaps_rollup of %d: %w", pid, err)
	}
	return cove.ByteSize(kib << 10), nil
}
