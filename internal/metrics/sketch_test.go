package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// within says whether got is no further from want than the sketch promises, with
// a little for the rounding to whole nanoseconds.
func within(got, want time.Duration) bool {
	return math.Abs(float64(got-want)) <= accuracy*float64(want)+1
}

func TestSketch(t *testing.T) {
	t.Parallel()
	// values are spread over all orders of magnitude that there are.
	values := func(n int, seed uint64) []time.Duration {
		random := rand.New(rand.NewPCG(seed, 1))
		list := make([]time.Duration, n)
		for i := range list {
			list[i] = time.Duration(math.Exp(math.Log(1e3) + random.Float64()*math.Log(1e9)))
		}
		return list
	}
	of := func(list []time.Duration) *sketch {
		s := &sketch{}
		for _, d := range list {
			s.add(d)
		}
		return s
	}
	check := func(t *testing.T, s *sketch, list []time.Duration) {
		t.Helper()
		slices.Sort(list)
		var sum time.Duration
		for _, d := range list {
			sum += d
		}
		if s.n != uint64(len(list)) || s.sum != sum || s.max != list[len(list)-1] {
			t.Fatalf("got %d values, sum %s, max %s", s.n, s.sum, s.max)
		}
		for _, q := range []float64{0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1} {
			want := list[rank(q, uint64(len(list)))-1]
			if got := s.quantile(q); !within(got, want) {
				t.Errorf("quantile %v is %s, want %s", q, got, want)
			}
		}
	}

	t.Run("every quantile is within 1 % of the true one", func(t *testing.T) {
		t.Parallel()
		list := values(20_000, 1)
		check(t, of(list), list)
	})

	t.Run("the sum of two is the sketch of both", func(t *testing.T) {
		t.Parallel()
		a, b := values(5000, 2), values(3000, 3)
		for i := range b {
			b[i] = max(b[i]/100, shortest)
		}
		s := of(a)
		s.merge(of(b))
		check(t, s, append(a, b...))
		empty := &sketch{}
		empty.merge(s)
		if empty.quantile(0.5) != s.quantile(0.5) || empty.n != s.n {
			t.Error("what was added to nothing is not the same")
		}
	})

	t.Run("what was written is read back, and adds up", func(t *testing.T) {
		t.Parallel()
		list := values(2000, 4)
		data := of(list).append(nil)
		s := &sketch{}
		for range 2 {
			r := &reader{data: data}
			if s.mergeFrom(r); r.err != nil || len(r.data) != 0 {
				t.Fatalf("%v, %d bytes left", r.err, len(r.data))
			}
		}
		check(t, s, append(list, list...))
	})

	t.Run("a thousand calls of one kind take less than 250 bytes", func(t *testing.T) {
		t.Parallel()
		random := rand.New(rand.NewPCG(5, 5))
		s := &sketch{}
		for range 1000 {
			s.add(time.Duration(2e6 * math.Exp(random.NormFloat64()*0.3)))
		}
		if n := len(s.append(nil)); n > 250 {
			t.Errorf("takes %d bytes", n)
		}
	})

	t.Run("what is beyond its range counts at the edge", func(t *testing.T) {
		t.Parallel()
		s := of([]time.Duration{-1, 0, 1, 1000 * time.Hour})
		if s.n != 4 || !within(s.quantile(0), shortest) || !within(s.quantile(1), longest) {
			t.Errorf("got %d, %s, %s", s.n, s.quantile(0), s.quantile(1))
		}
	})

	t.Run("an empty one answers 0", func(t *testing.T) {
		t.Parallel()
		var s sketch
		if s.quantile(0.5) != 0 || s.average() != 0 {
			t.Error("not 0")
		}
	})
}
