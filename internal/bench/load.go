package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
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
		Elapsed: elapsed, Took: r.took,
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
	// step of the open loop takes.
	Peak, Step time.Duration
	// Parts are the steps as parts of the slower target's peak; nil is 0.5, 0.7
	// and 0.9.
	Parts []float64
	// Seed decides the order of the targets at every step and the moments of
	// their calls.
	Seed uint64
	// Progress, if not nil, is told which part is done, 0 to 1.
	Progress func(part float64)
}

// Climbed is what one target did on a ladder.
type Climbed struct {
	Name string `json:"name"`
	// Peak is the better of two closed loops.
	Peak Load `json:"peak"`
	// Steps are the open loops, one for each part.
	Steps []Step `json:"steps"`
}

// Step is an open loop at a part of the slower target's peak.
type Step struct {
	Part float64 `json:"part"`
	Load
}

// Climb finds every target's peak with closed loops, and then every target's
// latency at the same rates, which are parts of the slowest one's peak: at a rate
// that one of them cannot keep up with, there would be nothing to compare. At
// every step the targets take turns in random order.
func Climb(ctx context.Context, targets []Target, l Ladder) ([]Climbed, error) {
	if len(l.Parts) == 0 {
		l.Parts = []float64{0.5, 0.7, 0.9}
	}
	out := make([]Climbed, len(targets))
	order := rand.New(rand.NewPCG(l.Seed, 3))
	const peaks = 2
	total, done := len(targets)*(peaks+len(l.Parts)), 0
	told := func() {
		if done++; l.Progress != nil {
			l.Progress(float64(done) / float64(total))
		}
	}
	for range peaks {
		for _, i := range order.Perm(len(targets)) {
			out[i].Name = targets[i].Name
			if p := ClosedLoop(ctx, targets[i].Call, l.Workers, l.Peak/peaks); p.PerSecond >= out[i].Peak.PerSecond {
				out[i].Peak = p
			}
			told()
		}
	}
	slowest := math.Inf(1)
	for _, c := range out {
		if slowest = min(slowest, c.Peak.PerSecond); slowest == 0 && ctx.Err() == nil {
			return out, fmt.Errorf("%s answered no call: %s", c.Name, c.Peak.Error)
		}
	}
	for n, part := range l.Parts {
		for _, i := range order.Perm(len(targets)) {
			if ctx.Err() != nil {
				return out, fmt.Errorf("the load was broken off: %w", context.Cause(ctx))
			}
			step := OpenLoop(ctx, targets[i].Call, Open{Rate: part * slowest, For: l.Step, Seed: l.Seed + uint64(n)})
			out[i].Steps = append(out[i].Steps, Step{Part: part, Load: step})
			told()
		}
	}
	return out, nil
}
