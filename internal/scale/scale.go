// Package scale decides how many instances of a function there should be, for
// how long those without work are kept, and how many stem cells. It is pure: no
// clock, no lock, no I/O; the loop around it is in package pool.
package scale

import (
	"math"
	"time"
)

// Policy is what the function's configuration and the platform allow.
type Policy struct {
	// Min instances are kept even when idle, at most Max live at once. A Max of 0
	// says that none can be loaded at the moment.
	Min, Max int
	// Concurrency is how many requests one instance serves at once; less than 1
	// means 1.
	Concurrency int
	// Idle is how long an instance without work is kept. With Adaptive it is what
	// counts while there is nothing to learn from, and the measure of how much
	// idling the function is worth.
	Idle time.Duration
	// Pause is how long an instance idles until it is frozen; nothing is ever
	// frozen if it is longer than Idle, or negative.
	Pause time.Duration
	// Adaptive allows to learn from the History.
	Adaptive bool
	// Reactive forbids to start an instance before the request that is expected:
	// that has failed a moment ago.
	Reactive bool
}

// Idle is an instance without work.
type Idle struct {
	// Since is when it became idle.
	Since time.Time
	// Paused says that it is frozen already.
	Paused bool
	// Warmed says that somebody asked for it and it has served nobody since.
	Warmed bool
}

// left is for how much longer the instance is kept, if useful is what the history
// says: never less than leastIdle in all, and what was asked for no shorter than
// under the fixed policy.
func (i Idle) left(p Policy, useful time.Duration, now time.Time) time.Duration {
	idle := now.Sub(i.Since)
	left := max(useful, leastIdle-idle)
	if i.Warmed {
		left = max(left, p.Idle-idle)
	}
	return left
}

// Observation is what there is of one version now.
type Observation struct {
	// Waiting is how many requests wait for an instance, InFlight how many are
	// served now.
	Waiting, InFlight int
	// Busy and Starting are how many instances serve and come up.
	Busy, Starting int
	// StartingStems is how many of those that come up are made of stem cells.
	StartingStems int
	// AwaitMemory and AwaitTurn are how many of those that come up wait for memory, and
	// for their turn to have a sandbox made. They change nothing but the explanation.
	AwaitMemory, AwaitTurn int
	// Room is how many requests the busy instances could take beside those they
	// serve: 0 where Concurrency is 1.
	Room int
	// Idle are the instances without work, the longest idle first.
	Idle []Idle
	// OldestWait is how long the first of those who wait has waited.
	OldestWait time.Duration
	// StartTook is what a cold start takes, StemTook what one of a stem cell does, and
	// RunTook what a request takes in the handler, as recent averages; 0 is not known.
	StartTook, StemTook, RunTook time.Duration
	// Stems is how many stem cells are ready that the version could use.
	Stems int
}

// Decision is what to do about it.
type Decision struct {
	// Start is how many instances to begin.
	Start int
	// Stop is how many of the idle ones to end, the longest idle first.
	Stop int
	// Pause is how many to freeze of the idle ones that stay: the longest idle
	// first of those that are not frozen.
	Pause int
	// Keep is how many instances there should be though nobody waits: the minimum,
	// and what is started before a request that is due. A start under way within
	// this number is wanted, whoever has left meanwhile.
	Keep int
	// Next is when to decide again though nothing happens; zero means that the
	// periodic review of the pool is soon enough.
	Next time.Time
}

// Decide compares what there is with what there should be: an instance for each
// request that waits and will not be served sooner than one could start, Min at
// least, Max at most, none that is not worth its idling. It changes nothing, h
// included, and says the same for the same arguments. h may be nil: nothing is
// known then.
func Decide(p Policy, o Observation, h *History, now time.Time) Decision {
	live := o.Busy + o.Starting + len(o.Idle)
	var d Decision
	start, wait := lacking(p, o)
	d.Start = max(0, min(max(start, p.Min-live), p.Max-live))
	d.Keep = p.Min
	d.sooner(now, wait)
	if o.Waiting > 0 {
		return d
	}
	if learns(p, h) {
		d.adapt(p, o, h, now)
	} else {
		d.expire(p, o, now)
	}
	d.pause(p, o, now)
	return d
}

// learns says whether there is something to learn from and whether that may be.
func learns(p Policy, h *History) bool { return p.Adaptive && p.Idle > 0 && h.seen() }

// sooner brings Next forward to after wait, if that is positive.
func (d *Decision) sooner(now time.Time, wait time.Duration) {
	if at := now.Add(wait); wait > 0 && (d.Next.IsZero() || at.Before(d.Next)) {
		d.Next = at
	}
}

// expire ends what is idle for longer than allowed.
func (d *Decision) expire(p Policy, o Observation, now time.Time) {
	for live := o.Busy + o.Starting + len(o.Idle); d.Stop < len(o.Idle) && live-d.Stop > p.Min; d.Stop++ {
		if left := p.Idle - now.Sub(o.Idle[d.Stop].Since); left > 0 {
			d.sooner(now, left)
			return
		}
	}
}

// leastIdle is how long an instance idles at least before it is ended for what
// the history says: ending and starting cost processor time, which a gap of some
// seconds is not worth. It is the length of the panic window.
const leastIdle = panicBuckets * windowBucket

// adapt ends what is not worth its idling and starts what is due.
func (d *Decision) adapt(p Policy, o Observation, h *History, now time.Time) {
	live := o.Busy + o.Starting + len(o.Idle)
	floor := p.Min
	stable, burst := h.window.averages(now)
	if panics(stable, burst) {
		floor = live
	} else {
		floor = max(floor, int(math.Round(stable/float64(max(1, p.Concurrency)))))
	}
	var out *outlook
	for at := -1; d.Stop < len(o.Idle) && live-d.Stop > p.Min; d.Stop++ {
		if live-d.Stop <= floor {
			d.sooner(now, windowBucket)
			break
		}
		// The last of them serves when as many requests are in flight as the
		// others cannot take.
		if level, _ := levelOf((live-d.Stop-1)*max(1, p.Concurrency) + 1); level != at {
			at = level
			out = h.outlook(p, at)
		}
		age := now.Sub(o.Idle[d.Stop].Since)
		if at == 0 {
			age = h.gap(now)
		}
		if left := o.Idle[d.Stop].left(p, out.until(age)-age, now); left > 0 {
			d.sooner(now, left)
			break
		}
	}
	if live-d.Stop+d.Start == 0 && p.Max > 0 && !p.Reactive {
		d.prewarm(p, o, h, now)
	}
}

// panics says whether the load rises so fast that nothing should be ended.
func panics(stable, burst float64) bool { return burst >= 1 && burst >= panicThreshold*stable }

// prewarmLate is how late an instance may still be started ahead. It is short, so
// that one which was ended for want of memory, or could not be started, is not
// tried again and again.
const prewarmLate = 2 * time.Second

// prewarm starts an instance shortly before the next request is due.
func (d *Decision) prewarm(p Policy, o Observation, h *History, now time.Time) {
	age := h.gap(now)
	at, ok := h.outlook(p, 0).due(age - prewarmLate)
	if !ok {
		return
	}
	if lead := at - age - o.StartTook; lead > 0 {
		d.sooner(now, lead)
		return
	}
	d.Start, d.Keep = 1, max(1, p.Min)
}

// pause freezes what idles for long among those that stay.
func (d *Decision) pause(p Policy, o Observation, now time.Time) {
	if p.Pause < 0 || p.Pause > p.Idle {
		return
	}
	for _, idle := range o.Idle[d.Stop:] {
		if idle.Paused {
			continue
		}
		if left := p.Pause - now.Sub(idle.Since); left > 0 {
			d.sooner(now, left)
			return
		}
		d.Pause++
	}
}
