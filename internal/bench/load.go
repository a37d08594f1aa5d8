package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Call makes one request and checks its answer. It is called concurrently.
type Call func(ctx context.Context) error

// Load is what a load found.
type Load struct {
	// Rate is the offered one in calls per second; 0 of a closed loop, which
	// offers as many as are answered.
	Rate float64 `json:"rate,omitzero"`
	// Workers is the number of callers of a closed loop.
	Workers int `json:"workers,omitzero"`
	// PerSecond are the calls that were answered well, by the second.
	PerSecond float64 `json:"per_second"`
	// Latency of the good answers: from the moment at which the call was due, in
	// an open loop.
	Latency Summary `json:"latency"`
	// SendLag is how much later than due calls were sent while a place was free
	// for them: the load generator's own share of the latency.
	SendLag Summary `json:"send_lag,omitzero"`
	// Calls are those that were due; Failed those that were not answered well, or
	// not until the load was broken off, and Error is the first reason.
	Calls  int    `json:"calls"`
	Failed int    `json:"failed"`
	Error  string `json:"error,omitempty"`
	// Elapsed is from the first call to the last answer.
	Elapsed time.Duration `json:"elapsed_ns"`
	// Took are the latencies that Latency sums up, in no order.
	Took []time.Duration `json:"-"`
	// Lags are what SendLag sums up.
	Lags []time.Duration `json:"-"`
}

// joined are the slices of one load as one.
func joined(parts []Load) Load {
	var all Load
	answered := 0
	for _, l := range parts {
		all.Rate, all.Workers = l.Rate, l.Workers
		all.Took, all.Lags = append(all.Took, l.Took...), append(all.Lags, l.Lags...)
		all.Calls, all.Failed, all.Elapsed = all.Calls+l.Calls, all.Failed+l.Failed, all.Elapsed+l.Elapsed
		all.Error = cmp.Or(all.Error, l.Error)
		answered += len(l.Took)
	}
	all.Latency, all.SendLag = Summarise(all.Took), Summarise(all.Lags)
	if all.Elapsed > 0 {
		all.PerSecond = float64(answered) / all.Elapsed.Seconds()
	}
	return all
}

// grace is how long the answers to the last calls of a load are waited for.
const grace = 10 * time.Second

// ClosedLoop has workers callers call as fast as they are answered for a time d.
// It finds the peak throughput and nothing else: its callers wait while the
// server stalls, so its latencies leave out just the calls that would have
// suffered (coordinated omission).
func ClosedLoop(ctx context.Context, call Call, workers int, d time.Duration) Load {
	began := time.Now()
	r := recorder{}
	var wg sync.WaitGroup
	bounded, cancel := context.WithTimeout(ctx, d+grace)
	defer cancel()
	for range max(workers, 1) {
		wg.Go(func() {
			for bounded.Err() == nil && time.Since(began) < d {
				sent := time.Now()
				r.add(call(bounded), time.Since(sent))
			}
		})
	}
	wg.Wait()
	l := r.load(time.Since(began))
	l.Workers = workers
	return l
}

// Open says how an open loop calls.
type Open struct {
	// Rate is in calls per second, and For how long calls are due.
	Rate float64
	For  time.Duration
	// InFlight bounds the calls under way at once; 0 is 1,024. A call that is due
	// while all places are taken waits, and its latency runs.
	InFlight int
	// Seed decides the moments at which calls are due: gaps are exponential, as
	// those of independent callers are. Arms that are compared get the same seed
	// and so the same moments.
	Seed uint64
}

// OpenLoop makes calls at the moments at which they are due, whether or not
// earlier ones have been answered, and measures each from the moment it was due.
// A server that stalls is charged with every call that was due meanwhile.
func OpenLoop(ctx context.Context, call Call, o Open) Load {
	bounded, cancel := context.WithTimeout(ctx, o.For+grace)
	defer cancel()
	if o.InFlight <= 0 {
		o.InFlight = 1024
	}
	places := make(chan struct{}, o.InFlight)
	random := rand.New(rand.NewPCG(o.Seed, 2))
	r := recorder{}
	var wg sync.WaitGroup
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for due := next(random, o.Rate); due < o.For && ctx.Err() == nil; due += next(random, o.Rate) {
		if wait := due - time.Since(began); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		select {
		case places <- struct{}{}:
			r.late(time.Since(began) - due)
			wg.Go(func() {
				err := call(bounded)
				r.add(err, time.Since(began)-due)
				<-places
			})
		default:
			wg.Go(func() {
				select {
				case places <- struct{}{}:
				case <-bounded.Done():
					r.add(errNotSent, 0)
					return
				}
				err := call(bounded)
				r.add(err, time.Since(began)-due)
				<-places
			})
		}
	}
	wg.Wait()
	l := r.load(time.Since(began))
	l.Rate = o.Rate
	return l
}

var errNotSent = errors.New("the call was due and could not be sent before the load was broken off")

// next is the gap until the call that follows.
func next(r *rand.Rand, rate float64) time.Duration {
	return time.Duration(r.ExpFloat64() / rate * float64(time.Second))
}

// recorder collects the outcomes of a load. It is safe for concurrent use.
type recorder struct {
	calls atomic.Int64

	mu     sync.Mutex
	took   []time.Duration
	lags   []time.Duration
	failed int
	err    string
}

func (r *recorder) add(err error, took time.Duration) {
	r.calls.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.took = append(r.took, took)
		return
	}
	if r.failed++; r.err == "" {
		r.err = err.Error()
	}
}

func (r *recorder) late(lag time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lags = append(r.lags, max(lag, 0))
}

func (r *recorder) load(elapsed time.Duration) Load {
	l := Load{
		Latency: Summarise(r.took), SendLag: Summarise(r.lags), Calls: int(r.calls.Load()), Failed: r.failed, Error: r.err,
		Elapsed: elapsed, Took: r.took, Lags: r.lags,
	}
	if elapsed > 0 {
		l.PerSecond = float64(len(r.took)) / elapsed.Seconds()
	}
	return l
}

// Target is one of several servers under the same loads.
type Target struct {
	// Name is unique among the targets of one climb.
	Name string
	Call Call
}

// Ladder says how targets are loaded.
type Ladder struct {
	// Workers are the callers of the closed loops.
	Workers int
	// Peak is how long each target's peak is looked for, and Step how long each
	// step of the open loop takes, all its slices together.
	Peak, Step time.Duration
	// Parts are the steps as parts of the slower target's peak; nil is 0.5, 0.7
	// and 0.9.
	Parts []float64
	// Seed decides the order of the targets in every round and the moments of
	// their calls.
	Seed uint64
	// Progress, if not nil, is told which part is done, 0 to 1.
	Progress func(part float64)
}

const (
	// ladderRounds is how many slices each target's peak and each of its steps has.
	// They are the samples of the ratios' intervals: the calls within a slice are
	// not independent of each other, as what holds up one holds up the next. It is
	// odd, so that a median is one of them.
	ladderRounds = 7
	// leastSlice is how long a slice is at least.
	leastSlice = 50 * time.Millisecond
)

// Climbed is what one target did on a ladder.
type Climbed struct {
	Name string `json:"name"`
	// Peak is the median of the closed loops.
	Peak Load `json:"peak"`
	// Each is the time per call in every one of them, in their order.
	Each []time.Duration `json:"-"`
	// Steps are the open loops, one for each part.
	Steps []Step `json:"steps"`
}

// Step is an open loop at a part of the slower target's peak.
type Step struct {
	Part float64 `json:"part"`
	Load
	// Ratio is the median latency as a multiple of that of the first target, over
	// the slices; zero for that one. Same says that it is no more than the noise.
	Ratio Interval `json:"ratio,omitzero"`
	Same  bool     `json:"same,omitempty"`
	// Each are the medians of the slices, in their order.
	Each []time.Duration `json:"-"`
}

// climb is the state of one ladder.
type climb struct {
	targets []Target
	ladder  Ladder
	order   *rand.Rand
	out     []Climbed
	done    int
}

// Climb finds every target's peak with closed loops, and then every target's
// latency at the same rates, which are parts of the slowest one's peak: at a rate
// that one of them cannot keep up with, there would be nothing to compare. Peaks
// and steps are cut into slices, in which the targets take turns in random order.
func Climb(ctx context.Context, targets []Target, l Ladder) ([]Climbed, error) {
	if len(l.Parts) == 0 {
		l.Parts = []float64{0.5, 0.7, 0.9}
	}
	c := &climb{targets: targets, ladder: l, order: rand.New(rand.NewPCG(l.Seed, 3)), out: make([]Climbed, len(targets))}
	slowest, err := c.peaks(ctx)
	for n, part := range l.Parts {
		if err == nil {
			err = c.step(ctx, n, part, part*slowest)
		}
	}
	return c.out, err
}

// rounds lets the targets take turns, with the number of the round. Each has about
// the time span for all of its slices: where a single call takes longer than a
// slice, there are fewer of them.
func (c *climb) rounds(ctx context.Context, span time.Duration, slice func(round, target int)) error {
	began, most := time.Now(), 2*time.Duration(len(c.targets))*max(span, ladderRounds*leastSlice)
	for round := range ladderRounds {
		if round > 0 && time.Since(began) > most {
			c.done += (ladderRounds - round) * len(c.targets)
			break
		}
		for _, i := range c.order.Perm(len(c.targets)) {
			slice(round, i)
			if ctx.Err() != nil {
				return fmt.Errorf("the load was broken off: %w", context.Cause(ctx))
			}
			if c.done++; c.ladder.Progress != nil {
				c.ladder.Progress(float64(c.done) / float64(ladderRounds*len(c.targets)*(1+len(c.ladder.Parts))))
			}
		}
	}
	return nil
}

// peaks finds every target's peak, and says which is the lowest.
func (c *climb) peaks(ctx context.Context) (slowest float64, err error) {
	found := make([][]Load, len(c.targets))
	err = c.rounds(ctx, c.ladder.Peak, func(_, i int) {
		found[i] = append(found[i], ClosedLoop(ctx, c.targets[i].Call, c.ladder.Workers, max(c.ladder.Peak/ladderRounds, leastSlice)))
	})
	slowest = math.Inf(1)
	for i, loads := range found {
		at := &c.out[i]
		at.Name = c.targets[i].Name
		if len(loads) == 0 {
			return 0, err // Nothing was begun.
		}
		for _, l := range loads {
			if l.PerSecond > 0 {
				at.Each = append(at.Each, time.Duration(float64(time.Second)/l.PerSecond))
			}
		}
		slices.SortStableFunc(loads, func(a, b Load) int { return cmp.Compare(a.PerSecond, b.PerSecond) })
		at.Peak = loads[len(loads)/2]
		if slowest = min(slowest, at.Peak.PerSecond); slowest == 0 && err == nil {
			return 0, fmt.Errorf("%s answered no call: %s", at.Name, at.Peak.Error)
		}
	}
	return slowest, err
}

// step loads every target with the n-th part of the slowest one's peak.
func (c *climb) step(ctx context.Context, n int, part, rate float64) error {
	found := make([][]Load, len(c.targets))
	err := c.rounds(ctx, c.ladder.Step, func(round, i int) {
		found[i] = append(found[i], OpenLoop(ctx, c.targets[i].Call, Open{
			Rate: rate, For: max(c.ladder.Step/ladderRounds, leastSlice), Seed: c.ladder.Seed + uint64(n*ladderRounds+round),
		}))
	})
	for i, loads := range found {
		step := Step{Part: part, Load: joined(loads)}
		for _, l := range loads {
			if l.Latency.N > 0 {
				step.Each = append(step.Each, l.Latency.P50)
			}
		}
		c.out[i].Steps = append(c.out[i].Steps, step)
	}
	return err
}
