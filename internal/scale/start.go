package scale

import (
	"math"
	"time"
)

const (
	// stemShare is how much of a cold start's time the queue may take at least to be
	// served before another stem cell is used for it: one is ready in less, unless the
	// function takes long to load.
	stemShare = 0.1
	// trialShare is how much of a cold start's time is waited for what the first
	// instances of a function make of the queue, while it is not known how long
	// its requests run.
	trialShare = 0.25
)

// lacking is how many instances the requests that wait need beside those that
// are there, and when to look again if that may be too few.
//
// An instance for each is right where requests run for longer than an instance
// takes to start. Fifty requests of a millisecond at once are served by one
// instance before a second has started, and twenty cold starts only take the
// processors away from it.
func lacking(p Policy, o Observation) (start int, wait time.Duration) {
	each := max(1, p.Concurrency)
	uncovered := o.Waiting - (o.Starting+len(o.Idle))*each - o.Room
	if uncovered <= 0 {
		return 0, 0
	}
	need := (uncovered + each - 1) / each
	switch {
	case o.StartTook <= 0:
		return need, 0
	case o.RunTook <= 0:
		return trial(o, need)
	default:
		return drained(o, need, each)
	}
}

// trial is lacking while it is not known how long requests run: all the stem
// cells there are, and cold starts only if these do not make short work of it.
func trial(o Observation, need int) (start int, wait time.Duration) {
	stems := min(need, o.Stems)
	patience := time.Duration(trialShare*float64(o.StartTook)) - o.OldestWait
	if patience <= 0 || stems+o.StartingStems == 0 || stems == need {
		return need, 0
	}
	return stems, patience
}

// drained is lacking when it is known how long requests run.
func drained(o Observation, need, each int) (start int, wait time.Duration) {
	servers := o.Busy + o.Starting
	work := float64(o.Waiting) * float64(o.RunTook) / float64(each)
	// As many as serve the queue in good time, of stem cells: what is served before
	// another one has loaded the function needs none.
	soon := max(stemShare*float64(o.StartTook), float64(o.StemTook))
	start = int(math.Ceil(work/soon)) - servers
	start = max(0, min(start, need, o.Stems))
	if servers+start == 0 {
		start = 1
	}
	// The reckoning is wrong if somebody waits for as long as a cold start takes:
	// an instance may be busy with a request that is not like the others.
	patience := o.StartTook
	if o.Starting+start > 0 {
		patience *= 2
	}
	if patience -= o.OldestWait; patience <= 0 {
		return need, 0
	}
	// What will be left of the queue when a cold start is done.
	left := (work - float64(servers+start)*float64(o.StartTook)) / float64(o.RunTook)
	return min(need, start+max(0, int(math.Ceil(left)))), patience
}
