package metrics

import (
	"fmt"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

const (
	// maxPoints is how many points one group of an answer has at most.
	maxPoints = 1000
	// maxSpans is how many spans are read of a function, and maxRead of all
	// functions together, to make the points of an answer; a step that needed more
	// is made longer. A span takes about 3 us.
	maxSpans = 5000
	maxRead  = 20_000
	// byMinutes is the longest range that is answered to the minute when no step is
	// asked for. The edge of a longer one is widened to an hour.
	byMinutes = 24 * 60
)

// plan says which roll-ups answer a query. Times are minutes since 1970.
type plan struct {
	// from and to are the range that is answered, to exclusive.
	from, to int64
	// step is the length of a point, 0 for one over the range.
	step  int64
	parts []part
}

// part is a range that is read at one resolution. It begins and ends at whole
// spans of it.
type part struct {
	resolution store.Resolution
	from, to   int64
}

// span is the length of a roll-up in minutes.
func span(r store.Resolution) int64 { return int64(r.Length() / time.Minute) }

func floor(n, unit int64) int64 { return n - n%unit }

func ceil(n, unit int64) int64 { return floor(n+unit-1, unit) }

// newPlan plans a query over [from, to) in steps of step (0: none) that reads so
// many functions. keep is how long roll-ups are kept, by resolution; 0 is for
// ever. Errors are *cove.Error of
// CodeInvalid.
func newPlan(from, to time.Time, step time.Duration, functions int, keep [len(store.Resolutions)]time.Duration, now time.Time) (plan, error) {
	if !from.Before(to) {
		return plan{}, cove.Invalid("from", "must be before to")
	}
	p := plan{from: floor(from.Unix()/60, 1), to: ceilMinutes(to), step: int64(step / time.Minute)}
	// The finest span that is still kept where the range begins.
	finest := store.Minute
	// What is as old as that by now was not yet when it was asked for.
	for finest < store.Day && keep[finest] > 0 && from.Before(now.Add(-keep[finest]-time.Minute)) {
		finest++
	}
	if p.step == 0 {
		p.whole(finest, functions, ceilMinutes(now))
		return p, nil
	}
	for unit := finest; ; unit++ {
		p.step = ceil(p.step, span(unit))
		spans := (p.to - p.from) / span(coarsest(p.step))
		if unit == store.Day || spans <= maxSpans && spans*int64(functions) <= maxRead {
			break
		}
	}
	p.from, p.to = floor(p.from, p.step), ceil(p.to, p.step)
	if n := (p.to - p.from) / p.step; n > maxPoints {
		return plan{}, cove.Invalid("step", "would make %d points and at most %d are answered: take %s or more, or a shorter range",
			n, maxPoints, cove.Duration(time.Duration(ceil(p.to-p.from, maxPoints)/maxPoints)*time.Minute))
	}
	p.parts = []part{{coarsest(p.step), p.from, p.to}}
	return p, nil
}

// whole plans the range as one point, with edges no finer than a span of unit, and
// coarser if that many functions are read faster so.
func (p *plan) whole(unit store.Resolution, functions int, now int64) {
	if p.to-p.from > byMinutes {
		unit = max(unit, store.Hour)
	}
	from, to := p.from, p.to
	for ; ; unit++ {
		p.from, p.to = floor(from, span(unit)), ceil(to, span(unit))
		p.parts = split(p.from, p.to, now)
		spans := int64(0)
		for _, part := range p.parts {
			spans += (part.to - part.from) / span(part.resolution)
		}
		if unit == store.Day || functions == 1 || spans*int64(functions) <= maxRead/4 {
			return
		}
	}
}

func ceilMinutes(t time.Time) int64 {
	m := t.Unix() / 60
	if t.After(time.Unix(m*60, 0)) {
		m++
	}
	return m
}

// coarsest is the longest resolution of which step is a multiple.
func coarsest(step int64) store.Resolution {
	for _, r := range []store.Resolution{store.Day, store.Hour} {
		if step%span(r) == 0 {
			return r
		}
	}
	return store.Minute
}

// split is [from, to) as days, with hours and minutes at the edges. Where it
// reaches up to now, the spans of now hold nothing that is not asked for, so they
// are taken whole.
func split(from, to, now int64) (parts []part) {
	if to >= now {
		to = max(ceil(now, span(store.Day)), to)
	}
	return splitAt(store.Day, from, to, nil)
}

func splitAt(r store.Resolution, from, to int64, parts []part) []part {
	if from >= to {
		return parts
	}
	if r == store.Minute {
		return append(parts, part{r, from, to})
	}
	first, last := ceil(from, span(r)), floor(to, span(r))
	if first >= last {
		return splitAt(r-1, from, to, parts)
	}
	parts = splitAt(r-1, from, first, parts)
	parts = append(parts, part{r, first, last})
	return splitAt(r-1, last, to, parts)
}

// points is how many points the plan has.
func (p *plan) points() int {
	if p.step == 0 {
		return 0
	}
	return int((p.to - p.from) / p.step)
}

// String is for the log and for tests.
func (p part) String() string {
	return fmt.Sprintf("%s from %d to %d", p.resolution.Length(), p.from, p.to)
}
