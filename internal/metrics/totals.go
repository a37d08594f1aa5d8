package metrics

import (
	"time"

	"github.com/covefn/cove/internal/store"
)

// totals are the counts of a function in one isolation since the daemon started,
// of all its versions together. They never get less.
type totals struct {
	few                      []classCount
	histogram                [len(bounds) + 1]int64
	latency                  time.Duration
	queue, init, billed, cpu time.Duration
	in, out                  int64
}

func (t *totals) add(a *aggregate) {
	for _, c := range a.few {
		t.count(c)
	}
	for i, n := range a.histogram {
		t.histogram[i] += n
	}
	t.latency += a.latency.sum
	t.queue += a.queue
	t.init += a.init
	t.billed += a.billed
	t.cpu += a.cpu
	t.in += a.in
	t.out += a.out
}

func (t *totals) count(c classCount) {
	for i := range t.few {
		if t.few[i].class == c.class {
			t.few[i].n += c.n
			return
		}
	}
	t.few = append(t.few, c)
}

func (t *totals) clone() *totals {
	c := *t
	c.few = append([]classCount(nil), t.few...)
	return &c
}

// total is the totals that a series counts into. The caller holds collecting.
func (r *Recorder) total(s store.Series) *totals {
	s.Version = 0
	t := r.totals[s]
	if t == nil {
		t = &totals{}
		r.totals[s] = t
	}
	return t
}

// sinceStart are the totals of every function and isolation right now, what is
// not written yet included. Each invocation whose Record has returned is in them,
// once.
func (r *Recorder) sinceStart() map[store.Series]*totals {
	r.collecting.Lock()
	defer r.collecting.Unlock()
	all := make(map[store.Series]*totals, len(r.totals))
	of := func(s store.Series) *totals {
		s.Version = 0
		if all[s] == nil {
			all[s] = &totals{}
		}
		return all[s]
	}
	for s, t := range r.totals {
		all[s] = t.clone()
	}
	for s, c := range *r.counters.Load() {
		c.mu.Lock()
		if c.open != nil {
			of(s).add(c.open)
		}
		for _, d := range c.closed {
			of(s).add(d.what)
		}
		c.mu.Unlock()
	}
	return all
}
