package trace

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/covefn/cove/internal/scale/sim"
)

// Replay is a part of the day, compressed.
type Replay struct {
	// Functions is how many are replayed at most.
	Functions int
	// Span is how much of the middle of the day is replayed in Length.
	Span, Length time.Duration
	// Clip is the longest that a call takes.
	Clip time.Duration
	// Rate is the most calls in a second, on average. Functions that are called more
	// often than their part of it lose calls by chance.
	Rate float64
	Seed uint64
}

// Call is one of a replay: when it is due, of which function, and how long it takes.
type Call struct {
	At       time.Duration
	Function int
	Takes    time.Duration
}

// Plan picks functions, from those that are called rarely to the frequent, and
// plans their calls in the order in which they are due. n is how many were picked:
// those that are called twice at least can be.
func (r Replay) Plan(functions []sim.Function) (n int, planned []Call) {
	random := rand.New(rand.NewPCG(r.Seed, streamReplay))
	span := int(r.Span.Minutes())
	if len(functions) > 0 {
		span = min(span, len(functions[0].Minutes))
	}
	window := func(f sim.Function) (begin, end int) {
		begin = (len(f.Minutes) - span) / 2
		return begin, begin + span
	}
	total := func(f sim.Function) int {
		begin, end := window(f)
		return calls(f, begin, end)
	}
	candidates := slices.DeleteFunc(slices.Clone(functions), func(f sim.Function) bool { return total(f) < 2 })
	slices.SortStableFunc(candidates, func(a, b sim.Function) int { return cmp.Compare(total(a), total(b)) })
	n = min(r.Functions, len(candidates))
	most := r.Rate * r.Length.Seconds() / float64(max(1, n))
	for i := range n {
		f := candidates[(2*i+1)*len(candidates)/(2*n)]
		kept := min(1, most/float64(total(f)))
		begin, end := window(f)
		for m, c := range f.Minutes[begin:end] {
			for range c {
				at := (float64(m) + random.Float64()) / float64(span)
				takes := f.Run.Seconds() * math.Exp(0.5*random.NormFloat64())
				if random.Float64() < kept {
					planned = append(planned, Call{
						At: time.Duration(at * float64(r.Length)), Function: i,
						Takes: min(r.Clip, max(time.Millisecond, time.Duration(takes*float64(time.Second)))),
					})
				}
			}
		}
	}
	slices.SortFunc(planned, func(a, b Call) int { return cmp.Compare(a.At, b.At) })
	return n, planned
}
