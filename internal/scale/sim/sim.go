// Package sim tries scaling policies on a recorded load in simulated time: the
// very scale.Decide and scale.History that package pool uses, around instances
// that are only numbers. A day of a function takes milliseconds.
//
// What it models: requests that arrive, run for a while on an instance of their
// own and leave; instances that take a constant time to start; a pool that
// decides when a request waits, when Decide asked for it and, while instances
// idle, after each Review. What it leaves out: a limit to the memory of all
// functions together, failures, stem cells, and starts that slow each other
// down.
package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/covefn/cove/internal/scale"
)

// Function is a recorded load.
type Function struct {
	// Name tells functions apart, also their random numbers.
	Name string
	// Minutes is how many requests arrive in each minute.
	Minutes []uint32
	// Run is the mean time of a request in the handler.
	Run time.Duration
	// Memory is what an instance holds, in MB.
	Memory float64
}

// World is what is the same for all functions.
type World struct {
	// Start is how long a cold start takes.
	Start time.Duration
	// Spread is the sigma of the log-normal distribution of a function's run
	// times around their mean.
	Spread float64
	// Review is the longest time between an instance's getting idle and the next
	// decision.
	Review time.Duration
	// Seed makes another day of the same counts.
	Seed uint64
}

// Result is what became of one function under one policy.
type Result struct {
	// Calls is how many requests there were, Cold how many of them did not find
	// an instance that could take them at once, Waited how long these waited
	// together.
	Calls, Cold int
	Waited      time.Duration
	// Starts is how many instances were started, those before a request included.
	Starts int
	// Idle is for how long instances were up without work, taken together, and
	// Busy for how long they served.
	Idle, Busy time.Duration
	// IdleMemory is Idle weighed with the function's memory, in MB times hours.
	IdleMemory float64
}

// ColdShare is the part of the requests that were cold.
func (r Result) ColdShare() float64 { return float64(r.Cold) / float64(max(1, r.Calls)) }

// epoch is when simulated time begins. Any would do.
var epoch = time.Date(2019, time.July, 15, 0, 0, 0, 0, time.UTC)

// run is the state of one simulation. All times are since the epoch.
type run struct {
	p       scale.Policy
	w       World
	h       scale.History
	now     time.Duration
	minutes []uint32
	random  *rand.Rand
	mean    float64 // of the run time's underlying normal distribution
	result  Result

	minute   int             // the next one to be spread
	arrivals []time.Duration // of the minute before, in order
	leaving  times           // when each busy instance is done
	starting []time.Duration // when each start is done, in order
	waiting  []time.Duration // since when, in order
	idle     []scale.Idle    // the longest idle first
	decide   time.Duration   // when to decide next
}

// Run simulates f under p.
func Run(f Function, p scale.Policy, w World) Result {
	r := &run{
		p: p, w: w, minutes: f.Minutes, decide: math.MaxInt64,
		random: rand.New(rand.NewPCG(w.Seed, hash(f.Name))),
		mean:   math.Log(f.Run.Seconds()) - w.Spread*w.Spread/2,
	}
	end := time.Duration(len(f.Minutes)) * time.Minute
	for r.step(end) {
	}
	for _, idle := range r.idle {
		r.result.Idle += end - idle.Since.Sub(epoch)
	}
	r.result.IdleMemory = r.result.Idle.Hours() * f.Memory
	return r.result
}

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(s) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

// step lets the next thing happen; it is false when that would be after end.
func (r *run) step(end time.Duration) bool {
	arrival, leave, start := r.nextArrival(), time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	if len(r.leaving) > 0 {
		leave = r.leaving[0]
	}
	if len(r.starting) > 0 {
		start = r.starting[0]
	}
	next := min(arrival, leave, start, r.decide)
	if next >= end {
		return false
	}
	r.now = next
	switch next {
	case leave:
		r.leaving.pop()
		r.h.Leave(epoch.Add(r.now), len(r.leaving)+len(r.waiting))
		r.free()
	case start:
		r.starting = r.starting[1:]
		r.free()
	case arrival:
		r.arrivals = r.arrivals[1:]
		r.arrive()
	default:
		r.review()
	}
	return true
}

// nextArrival spreads minutes until there is an arrival.
func (r *run) nextArrival() time.Duration {
	for len(r.arrivals) == 0 {
		if r.minute == len(r.minutes) {
			return math.MaxInt64
		}
		begin := time.Duration(r.minute) * time.Minute
		r.arrivals = slices.Grow(r.arrivals[:0], int(r.minutes[r.minute]))
		for range r.minutes[r.minute] {
			r.arrivals = append(r.arrivals, begin+time.Duration(r.random.Int64N(int64(time.Minute))))
		}
		slices.Sort(r.arrivals)
		r.minute++
	}
	return r.arrivals[0]
}

func (r *run) arrive() {
	r.result.Calls++
	r.h.Arrive(epoch.Add(r.now), len(r.leaving)+len(r.waiting)+1)
	if n := len(r.idle); n > 0 {
		r.result.Idle += r.now - r.idle[n-1].Since.Sub(epoch)
		r.idle = r.idle[:n-1]
		r.serve()
		return
	}
	r.result.Cold++
	r.waiting = append(r.waiting, r.now)
	r.review()
}

// serve makes a free instance busy.
func (r *run) serve() {
	took := time.Duration(math.Exp(r.mean+r.w.Spread*r.random.NormFloat64()) * float64(time.Second))
	r.result.Busy += took
	r.leaving.push(r.now + took)
}

// free gives an instance to who waits longest, or lets it idle.
func (r *run) free() {
	if len(r.waiting) > 0 {
		r.result.Waited += r.now - r.waiting[0]
		r.waiting = r.waiting[1:]
		r.serve()
		return
	}
	r.idle = append(r.idle, scale.Idle{Since: epoch.Add(r.now)})
	r.decide = min(r.decide, r.now+r.w.Review)
}

// review does what Decide says.
func (r *run) review() {
	now := epoch.Add(r.now)
	o := scale.Observation{
		Waiting: len(r.waiting), InFlight: len(r.leaving), Busy: len(r.leaving), Starting: len(r.starting),
		Idle: r.idle, StartTook: r.w.Start,
	}
	if len(r.waiting) > 0 {
		o.OldestWait = r.now - r.waiting[0]
	}
	d := scale.Decide(r.p, o, &r.h, now)
	for _, idle := range r.idle[:d.Stop] {
		r.result.Idle += now.Sub(idle.Since)
	}
	r.idle = slices.Delete(r.idle, 0, d.Stop)
	for range d.Start {
		r.result.Starts++
		r.starting = append(r.starting, r.now+r.w.Start)
	}
	r.decide = math.MaxInt64
	if !d.Next.IsZero() {
		r.decide = max(d.Next.Sub(epoch), r.now+time.Millisecond)
	}
}

// times is a heap, the earliest first.
type times []time.Duration

func (t *times) push(at time.Duration) {
	h := append(*t, at)
	i := len(h) - 1
	for i > 0 && at < h[(i-1)/2] {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = at
	*t = h
}

// pop removes the first.
func (t *times) pop() {
	h := *t
	last := h[len(h)-1]
	h = h[:len(h)-1]
	*t = h
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if last <= h[child] {
			break
		}
		h[i] = h[child]
		i = child
	}
	if len(h) > 0 {
		h[i] = last
	}
}
