// Package scale decides how many instances of a version there should be. It is
// pure: no clock, no lock, no I/O; the loop around it is in package pool.
package scale

import "time"

// Policy is what the function's configuration and the platform allow.
type Policy struct {
	// Min instances are kept even when idle, at most Max live at once.
	Min, Max int
	// Idle is how long an instance without work is kept.
	Idle time.Duration
}

// Observation is what there is of one version now.
type Observation struct {
	// Waiting is how many requests wait for an instance.
	Waiting int
	// Busy and Starting are how many instances serve and come up.
	Busy, Starting int
	// Idle is since when each idle instance has been so, the longest first.
	Idle []time.Time
}

// Decision is what to do about it.
type Decision struct {
	// Start is how many instances to begin.
	Start int
	// Stop is how many of the idle ones to end, the longest idle first.
	Stop int
}

// Decide compares what there is with what there should be: an instance for each
// request that waits, Min at least, Max at most, none that was idle too long.
func Decide(p Policy, o Observation, now time.Time) Decision {
	live := o.Busy + o.Starting + len(o.Idle)
	start := max(o.Waiting-o.Starting-len(o.Idle), p.Min-live)
	start = max(0, min(start, p.Max-live))
	stop := 0
	for stop < len(o.Idle) && live-stop > p.Min && now.Sub(o.Idle[stop]) >= p.Idle && o.Waiting == 0 {
		stop++
	}
	return Decision{Start: start, Stop: stop}
}
