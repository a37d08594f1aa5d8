package metrics

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// counter is what happened to one series since it was last collected: what is
// counted, and the records of the same calls. Most of the time it counts in the
// aggregate of one minute.
type counter struct {
	mu     sync.Mutex
	series store.Series
	minute int64
	open   *aggregate
	closed []delta
	// records are the oldest first; spare is memory for those that come when they
	// were taken. Usual is how many there are at a time, lately: memory for more than
	// twice that is not kept.
	records, spare []cove.Invocation
	usual          int
	// dead says that the counter is not collected any more.
	dead bool
	used time.Time
}

// delta is what happened to one series in one minute.
type delta struct {
	series store.Series
	minute int64
	what   *aggregate
}

// record counts v, and keeps its record where there is room for it. Both are one
// step, so that who takes one takes the other. It is false if the counter is dead.
func (c *counter) record(minute int64, v *cove.Invocation, room bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false
	}
	c.at(minute).add(v)
	if room {
		c.records = append(c.records, *v)
	}
	return true
}

// observe adds gauges, and is false if the counter is dead.
func (c *counter) observe(minute int64, g *gauges) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false
	}
	c.at(minute).gauges.merge(g)
	return true
}

// at is the aggregate of a minute. The lock is held.
func (c *counter) at(minute int64) *aggregate {
	if c.open != nil && c.minute == minute {
		return c.open
	}
	if c.open != nil {
		c.closed = append(c.closed, delta{c.series, c.minute, c.open})
	}
	c.minute, c.open = minute, &aggregate{}
	return c.open
}

// take hands over what was counted and recorded since, and gives the counter up if
// that is nothing for a while. The memory of the records is to be given back.
func (c *counter) take(now time.Time) (all []delta, records []cove.Invocation, dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, c.closed = c.closed, nil
	if c.open != nil {
		all = append(all, delta{c.series, c.minute, c.open})
		c.open = nil
	}
	c.usual = max(len(c.records), c.usual/2)
	if len(c.records) > 0 {
		records, c.records, c.spare = c.records, c.spare, nil
	}
	c.records, c.spare = c.worthKeeping(c.records), c.worthKeeping(c.spare)
	if len(all) > 0 || c.used.IsZero() {
		c.used = now
	}
	c.dead = now.Sub(c.used) > forgetAfter
	return all, records, c.dead
}

// giveBack lets a counter use the memory of what was taken of it again.
func (c *counter) giveBack(records []cove.Invocation) {
	clear(records) // Lets go of the strings.
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spare = c.worthKeeping(records[:0])
}

// worthKeeping is memory, which is empty, or nil where that is more than is needed:
// most functions are called seldom, and what a burst has taken is not kept.
func (c *counter) worthKeeping(memory []cove.Invocation) []cove.Invocation {
	if cap(memory) > 2*c.usual {
		return nil
	}
	return memory
}

// run is what was taken of one counter.
type run struct {
	counter *counter
	records []cove.Invocation
}

// appendInOrder appends the records of all runs in the order in which the calls
// ended, and gives the memory of the runs back. The store wants them like that.
func appendInOrder(to []cove.Invocation, runs []run) []cove.Invocation {
	if len(runs) == 1 {
		to = append(to, runs[0].records...)
		runs[0].counter.giveBack(runs[0].records)
		return to
	}
	type place struct {
		ended time.Duration
		n     int
		at    *cove.Invocation
	}
	var places []place
	for _, run := range runs {
		for i := range run.records {
			v := &run.records[i]
			// The distance to the first is by the monotonic clock where there is one, so
			// that calls stay in their order when the wall clock is set back.
			ended := v.Time.Sub(runs[0].records[0].Time) + v.Timings.Total
			places = append(places, place{ended, len(places), v})
		}
	}
	// Those of one series that ended at once stay as they were recorded. (A sort that
	// is stable by itself takes several times as long.)
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.ended, b.ended), a.n-b.n) })
	to = slices.Grow(to, len(places))
	for _, p := range places {
		to = append(to, *p.at)
	}
	for _, run := range runs {
		run.counter.giveBack(run.records)
	}
	return to
}
