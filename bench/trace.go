package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/bench/trace"
	"github.com/covefn/cove/internal/bench"
)

// traceSeed is that of what is drawn for the day of real traffic.
const traceSeed = 1

// azure simulates a day of real traffic under two policies, and replays a part of
// it beside a process for each function that is always on.
func azure(ctx context.Context, s *setting) ([]row, error) {
	functions, err := trace.Functions(traceSeed)
	if err != nil {
		return nil, err
	}
	s.logf("   %s", trace.Source)
	// The compressed time must not outlast the gateway's patience with a connection
	// on which nothing comes, two minutes.
	r := trace.Replay{Functions: 20, Length: pick(s, time.Minute, 2*time.Minute), Clip: time.Second, Rate: 40, Seed: traceSeed}
	r.Span = compression * r.Length
	n, calls := r.Plan(functions)
	var rows []row
	for _, isolation := range isolations() {
		mark := s.mark()
		arms, err := replayArms(ctx, s, isolation, n)
		var took []replayed
		if err == nil {
			took, err = replay(ctx, calls, arms)
		}
		if err = errors.Join(err, s.release(mark)); err != nil {
			return rows, fmt.Errorf("%s: %w", isolation, err)
		}
		what := fmt.Sprintf("%d functions, %d calls in %s, %d times as fast as they came", n, len(calls), r.Length, compression)
		rows = append(rows, replayRows(isolation, what, calls, took)...)
	}
	simulated, err := simulate(ctx, s, trace.Views(functions, traceSeed))
	return append(rows, simulated...), err
}

// simulate compares the policies.
func simulate(ctx context.Context, s *setting, views []trace.View) ([]row, error) {
	const keep = 10 * time.Minute
	percent := func(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }
	var rows []row
	for _, v := range views {
		c := v.Compare(keep)
		rows = append(rows, row{
			Name:     "Azure Functions trace, simulated, " + v.Name + ": p75 over the functions of the cold share, at equal idle time / fixed keep-alive of 10 minutes",
			Baseline: percent(c.Fixed.P75), Cove: percent(c.Adaptive.P75), Ratio: bench.Interval{Value: c.Ratio(), Low: c.Ratio(), High: c.Ratio()},
			Least: 0.5, Aim: 0.25, N: len(v.Functions()),
			Note: fmt.Sprintf("%.0f and %.0f idle instance-hours; the mean from p68 to p82 is %s and %s", c.Fixed.IdleHours, c.Adaptive.IdleHours, percent(c.Fixed.Near75), percent(c.Adaptive.Near75)),
		})
		if ctx.Err() == nil && s.long() {
			if err := v.Explain(ctx, s.say, c, keep); err != nil {
				return rows, err
			}
		}
		if ctx.Err() != nil {
			return rows, ctx.Err()
		}
	}
	return rows, nil
}

// compression is how many times as fast as they came calls are replayed.
const compression = 10

// The arms of a replay.
const (
	replayCove = iota
	replayBare
	replayBareAgain
	replayCount
)

// replayArms are the targets of each arm, one for each function. The second ones of
// the baseline are processes of their own.
func replayArms(ctx context.Context, s *setting, isolation string, n int) (arms [replayCount][]*target, err error) {
	g, err := s.variant(s.languages[0], "sleeper")
	if err != nil {
		return arms, err
	}
	for _, arm := range []int{replayBare, replayBareAgain} {
		for range n {
			bare, err := s.bareServers(ctx, g, (*exec.Cmd).Start)
			if err != nil {
				return arms, err
			}
			arms[arm] = append(arms[arm], bare...)
		}
	}
	d, err := s.daemon(ctx, false)
	if err != nil {
		return arms, err
	}
	for range n {
		t, err := d.deploy(ctx, g, isolation, func(cfg *cove.Config) {
			cfg.Memory = 64 * cove.MiB
			cfg.Scaling = cove.Scaling{Max: 20, Queue: 100, Idle: cove.Duration(10 * time.Minute / compression)}
		})
		if err != nil {
			return arms, err
		}
		arms[replayCove] = append(arms[replayCove], t)
	}
	return arms, until(ctx, restPatience, func() error { return d.atRest(ctx) })
}

// replayed is what the calls took in an arm, 0 where one failed.
type replayed struct {
	took   []time.Duration
	failed int
	err    error
}

// stagger lies between the arms' turns of a call, which are in random order: at the
// same moment they would wait for each other.
const stagger = 3 * time.Millisecond

// replay makes every call in every arm when it is due, whatever became of those
// before, and times it from then.
func replay(ctx context.Context, calls []trace.Call, arms [replayCount][]*target) ([]replayed, error) {
	type turn struct {
		at        time.Duration
		call, arm int
	}
	turns := make([]turn, 0, len(calls)*len(arms))
	random := rand.New(rand.NewPCG(seed, 0))
	for i, c := range calls {
		for slot, arm := range random.Perm(len(arms)) {
			turns = append(turns, turn{c.At + time.Duration(slot)*stagger, i, arm})
		}
	}
	slices.SortFunc(turns, func(a, b turn) int { return cmp.Compare(a.at, b.at) })
	found := make([]replayed, len(arms))
	errs := make([][]error, len(arms))
	for arm := range found {
		found[arm].took, errs[arm] = make([]time.Duration, len(calls)), make([]error, len(calls))
	}
	var wg sync.WaitGroup
	begin := time.Now()
	for _, t := range turns {
		select {
		case <-ctx.Done():
			wg.Wait()
			return nil, ctx.Err()
		case <-time.After(t.at - time.Since(begin)):
		}
		wg.Go(func() {
			c := calls[t.call]
			text := strconv.FormatFloat(c.Takes.Seconds(), 'f', 4, 64)
			to := arms[t.arm][c.Function]
			if _, err := to.exchange(ctx, to.with(text), text); err != nil {
				errs[t.arm][t.call] = err
				return
			}
			found[t.arm].took[t.call] = time.Since(begin) - t.at
		})
	}
	wg.Wait()
	for arm := range found {
		for _, err := range errs[arm] {
			if err != nil {
				found[arm].failed++
				found[arm].err = cmp.Or(found[arm].err, err)
			}
		}
	}
	return found, nil
}

// slowdowns are the ratios of what the calls took in two arms: each call's, and the
// geometric mean of each function's. Calls that failed in one of them are left out.
func slowdowns(calls []trace.Call, a, b replayed) (each, functions []float64) {
	of := map[int][]float64{}
	for i, c := range calls {
		if a.took[i] > 0 && b.took[i] > 0 {
			ratio := a.took[i].Seconds() / b.took[i].Seconds()
			each = append(each, ratio)
			of[c.Function] = append(of[c.Function], ratio)
		}
	}
	for _, function := range slices.Sorted(maps.Keys(of)) {
		functions = append(functions, bench.GeometricMean(of[function], seed).Value)
	}
	return each, functions
}

// replayRows are those of an isolation. The two times in them are medians.
func replayRows(isolation, what string, calls []trace.Call, found []replayed) []row {
	times := func(arm int) []time.Duration {
		return slices.DeleteFunc(slices.Clone(found[arm].took), func(d time.Duration) bool { return d == 0 })
	}
	base, top := times(replayBare), times(replayCove)
	each, functions := slowdowns(calls, found[replayCove], found[replayBare])
	againEach, againFunctions := slowdowns(calls, found[replayBareAgain], found[replayBare])
	fill := func(name string, ratios, again []float64) row {
		r := row{
			Name: name, Baseline: short(bench.Quantile(base, 0.5)), Cove: short(bench.Quantile(top, 0.5)),
			BaselineSummary: bench.Summarise(base), CoveSummary: bench.Summarise(top),
			Ratio: bench.GeometricMean(ratios, seed), N: len(top),
		}
		if len(ratios) == 0 {
			r.Missing = "no call was answered"
		}
		if a := bench.GeometricMean(again, seed); a.Bounded() {
			r.Noise = bench.Noise{Ratio: a, Floor: max(math.Abs(a.High-1), math.Abs(1-a.Low))}
		}
		for arm, name := range []string{"Cove", "the processes", "the processes' second arm"} {
			if f := found[arm]; f.failed > 0 {
				r.Note = join(r.Note, fmt.Sprintf("%d calls of %s failed, the first with: %.200s", f.failed, name, f.err))
			}
		}
		return r
	}
	first := fill(fmt.Sprintf("Azure Functions trace, replayed: geometric-mean slowdown over the functions, %s / one process for each, always on", isolationLabel(isolation)), functions, againFunctions)
	first.Least, first.Aim = 1.10, 1.02
	first.Note = join(join(what, fmt.Sprintf("the function with the most: %.3f", slices.Max(append(functions, 0)))), first.Note)
	return []row{first, fill("the same, over the calls: "+isolationLabel(isolation), each, againEach)}
}
