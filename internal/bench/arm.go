package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/covefn/cove"
)

// Sample is one measurement.
type Sample struct {
	// Took is what the caller waited, by the caller's own monotonic clock.
	Took time.Duration `json:"took_ns"`
	// Start is the start class that the call turned out to have; "" where there
	// is none.
	Start cove.StartClass `json:"start,omitempty"`
	// Timings are the phases as the platform measured them, where it did.
	Timings cove.Timings `json:"timings,omitzero"`
}

// Arm is one of several things that are compared.
type Arm struct {
	// Name is what its series is called.
	Name string
	// Sample does the thing once, and says how long it took. It first brings about
	// what the measurement begins from, outside of the time it tells, and it
	// checks the answer: a wrong one is an error. It is never called concurrently.
	Sample func(ctx context.Context) (Sample, error)
}

// Series is what one arm gave.
type Series struct {
	Arm     string   `json:"arm"`
	Samples []Sample `json:"samples"`
	// Failed counts the samples that ended in an error, and Error is the first of
	// them. None of them is among Samples.
	Failed int    `json:"failed"`
	Error  string `json:"error,omitempty"`
	// GaveUp says that the arm failed so often in a row that it was left out of
	// the rounds that followed.
	GaveUp bool `json:"gave_up,omitempty"`
}

// Counted is what failed, as a report tells it.
func (s *Series) Counted() Counted {
	c := Counted{Failed: s.Failed, Error: s.Error}
	if s.GaveUp {
		c.Error = fmt.Sprintf("%s (left out after %d failures in a row)", c.Error, failuresInARow)
	}
	return c
}

// Took is the caller's time of each sample.
func (s *Series) Took() []time.Duration {
	return s.Each(func(x Sample) time.Duration { return x.Took })
}

// Each is one duration of each sample.
func (s *Series) Each(pick func(Sample) time.Duration) []time.Duration {
	out := make([]time.Duration, len(s.Samples))
	for i, x := range s.Samples {
		out[i] = pick(x)
	}
	return out
}

// Rounds says how long a comparison goes on: until N rounds are done or Budget
// is used up, whichever is first. One of the two must be given.
type Rounds struct {
	// N is the number of rounds; 0 is no bound.
	N int
	// Budget is the time for all rounds together; 0 is no bound. A round that has
	// begun is finished, so that every arm has as many samples.
	Budget time.Duration
	// Warmup rounds come first and are not counted, nor kept, nor part of Budget.
	Warmup int
	// Seed decides the order of the arms in every round.
	Seed uint64
	// Progress, if not nil, is told after every round which part is done, 0 to 1.
	Progress func(part float64)
}

// failuresInARow is after how many failures without a success between them an
// arm is given up: going on would only use the others' time.
const failuresInARow = 5

// Interleave measures arms round by round. Each round takes every arm once, in a
// new random order, so that whatever else the machine does hits all of them
// alike, and who comes after whom changes. A sample that fails is counted and
// told, never left out in silence. The error is that of ctx, or of what was asked
// for; the series hold what there was until then.
func Interleave(ctx context.Context, arms []Arm, rounds Rounds) ([]Series, error) {
	series := make([]Series, len(arms))
	for i, a := range arms {
		series[i].Arm = a.Name
	}
	if rounds.N <= 0 && rounds.Budget <= 0 {
		return series, errors.New("a comparison needs a number of rounds or a time")
	}
	m := &turns{arms: arms, series: series, order: rand.New(rand.NewPCG(rounds.Seed, 1)), row: make([]int, len(arms))}
	for range rounds.Warmup {
		if err := m.round(ctx, false); err != nil {
			return series, err
		}
	}
	began := time.Now()
	for n := 1; m.left(); n++ {
		if err := m.round(ctx, true); err != nil {
			return series, err
		}
		part := 0.0
		if rounds.N > 0 {
			part = float64(n) / float64(rounds.N)
		}
		if rounds.Budget > 0 {
			part = max(part, float64(time.Since(began))/float64(rounds.Budget))
		}
		if rounds.Progress != nil {
			rounds.Progress(min(part, 1))
		}
		if part >= 1 {
			break
		}
	}
	return series, nil
}

// turns is the state of one comparison; row counts each arm's failures since its
// last success.
type turns struct {
	arms   []Arm
	series []Series
	order  *rand.Rand
	row    []int
}

// left says whether any arm still takes part.
func (m *turns) left() bool {
	for i := range m.series {
		if !m.series[i].GaveUp {
			return true
		}
	}
	return false
}

func (m *turns) round(ctx context.Context, keep bool) error {
	for _, i := range m.order.Perm(len(m.arms)) {
		s := &m.series[i]
		if s.GaveUp {
			continue
		}
		x, err := m.arms[i].Sample(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("the comparison was broken off: %w", context.Cause(ctx))
		}
		if err == nil {
			m.row[i] = 0
			if keep {
				s.Samples = append(s.Samples, x)
			}
			continue
		}
		if s.Failed++; s.Error == "" {
			s.Error = err.Error()
		}
		m.row[i]++
		s.GaveUp = m.row[i] >= failuresInARow
	}
	return nil
}
