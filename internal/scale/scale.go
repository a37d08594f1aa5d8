// Package scale decides how many instances of a function there should be, for
// how long those without work are kept, and how many stem cells. It is pure: no
// clock, no lock, no I/O; the loop around it is in package pool.
package scale

import (
	"fmt"
	"time"
)

// Policy is what the function's configuration and the platform allow.
type Policy struct {
	// Min instances are kept even when idle, at most Max live at once.
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
}

// Idle is an instance without work.
type Idle struct {
	// Since is when it became idle.
	Since time.Time
	// Paused says that it is frozen already.
	Paused bool
}

// Observation is what there is of one version now.
type Observation struct {
	// Waiting is how many requests wait for an instance, InFlight how many are
	// served now.
	Waiting, InFlight int
	// Busy and Starting are how many instances serve and come up.
	Busy, Starting int
	// Room is how many requests the busy instances could take beside those they
	// serve: 0 where Concurrency is 1.
	Room int
	// Idle are the instances without work, the longest idle first.
	Idle []Idle
	// OldestWait is how long the first of those who wait has waited.
	OldestWait time.Duration
	// StartTook is what a cold start takes and RunTook what a request takes in
	// the handler, as recent averages; 0 is not known.
	StartTook, RunTook time.Duration
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
// request that waits, Min at least, Max at most, none that was idle too long. It
// changes nothing, h included, and says the same for the same arguments. h may
// be nil: nothing is known then.
func Decide(p Policy, o Observation, h *History, now time.Time) Decision {
	live := o.Busy + o.Starting + len(o.Idle)
	covered := (o.Starting+len(o.Idle))*max(1, p.Concurrency) + o.Room
	lacking := (max(0, o.Waiting-covered) + max(1, p.Concurrency) - 1) / max(1, p.Concurrency)
	start := max(lacking, p.Min-live)
	d := Decision{Start: max(0, min(start, p.Max-live)), Keep: p.Min}
	for d.Stop < len(o.Idle) && live-d.Stop > p.Min && now.Sub(o.Idle[d.Stop].Since) >= p.Idle && o.Waiting == 0 {
		d.Stop++
	}
	if p.Pause >= 0 && p.Pause <= p.Idle {
		for _, idle := range o.Idle[d.Stop:] {
			if !idle.Paused && now.Sub(idle.Since) >= p.Pause {
				d.Pause++
			}
		}
	}
	return d
}

// Explain says in sentences for people what Decide decides for the same
// arguments, and why.
func Explain(p Policy, o Observation, h *History, now time.Time) []string {
	d := Decide(p, o, h, now)
	return []string{fmt.Sprintf("%d instances serve, %d start, %d are idle; %d requests wait: %d to start, %d to stop.",
		o.Busy, o.Starting, len(o.Idle), o.Waiting, d.Start, d.Stop)}
}
