package bench

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// upTo is 1 to n nanoseconds, the largest first.
func upTo(n int) []time.Duration {
	var out []time.Duration
	for i := n; i > 0; i-- {
		out = append(out, time.Duration(i))
	}
	return out
}

// lognormal are n durations around median with the spread sigma.
func lognormal(n int, median time.Duration, sigma float64, seed uint64) []time.Duration {
	r := rand.New(rand.NewPCG(seed, 7))
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = time.Duration(float64(median) * math.Exp(sigma*r.NormFloat64()))
	}
	return out
}

func TestSummary(t *testing.T) {
	t.Parallel()
	t.Run("percentiles are samples, by nearest rank", func(t *testing.T) {
		t.Parallel()
		want := Summary{N: 1000, Mean: 500, Min: 1, P50: 500, P90: 900, P99: 990, Max: 1000}
		if diff := cmp.Diff(want, Summarise(upTo(1000))); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a p99 is told from 1,000 samples on, a p90 from 10 on", func(t *testing.T) {
		t.Parallel()
		if s := Summarise(upTo(999)); s.P99 != 0 || s.P90 != 900 {
			t.Errorf("of 999: %+v", s)
		}
		if s := Summarise(upTo(9)); s.P90 != 0 || s.P50 != 5 {
			t.Errorf("of 9: %+v", s)
		}
	})
	t.Run("of nothing there is nothing to say", func(t *testing.T) {
		t.Parallel()
		if s := Summarise(nil); s != (Summary{}) {
			t.Errorf("%+v", s)
		}
		if r := Ratio(nil, upTo(30), 0.5, 1); r != (Interval{}) {
			t.Errorf("a ratio of no samples: %+v", r)
		}
		few := Ratio(upTo(MinRatio-1), upTo(30), 0.5, 1)
		if few.Value != 2.0/15 || few.Bounded() || few.Excludes(100) || (Noise{Floor: 1}).Hides(few) {
			t.Errorf("a ratio of few samples: %+v", few)
		}
		if n := NoiseOf(upTo(3), upTo(30), 1); n != (Noise{}) {
			t.Errorf("the noise of few samples: %+v", n)
		}
	})
}

func TestRatio(t *testing.T) {
	t.Parallel()
	t.Run("its interval holds the true ratio about as often as it says", func(t *testing.T) {
		t.Parallel()
		const runs = 400
		held := 0
		for seed := range uint64(runs) {
			a, b := lognormal(61, 2*time.Millisecond, 0.4, 2*seed), lognormal(61, time.Millisecond, 0.4, 2*seed+1)
			if !Ratio(a, b, 0.5, seed).Excludes(2) {
				held++
			}
		}
		if part := float64(held) / runs; part < 0.91 || part > 0.995 {
			t.Errorf("%d of %d intervals hold 2, for a confidence of %v", held, runs, Confidence)
		}
	})
	t.Run("the short way of resampling is distributed as the long way", func(t *testing.T) {
		t.Parallel()
		took := lognormal(40, time.Millisecond, 0.7, 3)
		r := rand.New(rand.NewPCG(1, 1))
		short := newResampler(took, 0.9)
		const draws = 20_000
		var fast, slow []time.Duration
		again := make([]time.Duration, len(took))
		for range draws {
			fast = append(fast, time.Duration(short.draw(r)))
			for i := range again {
				again[i] = took[r.IntN(len(took))]
			}
			slow = append(slow, Quantile(again, 0.9))
		}
		// The largest distance of the two distributions, at every sample; by chance
		// alone it is below 0.02 in all but one of a thousand cases.
		for _, at := range took {
			if d := math.Abs(below(fast, at) - below(slow, at)); d > 0.02 {
				t.Errorf("at %s the distributions differ by %.3f", at, d)
			}
		}
	})
	t.Run("the same seed gives the same interval", func(t *testing.T) {
		t.Parallel()
		a, b := lognormal(30, 5, 0.5, 1), lognormal(30, 7, 0.5, 2)
		if x, y := Ratio(a, b, 0.5, 9), Ratio(a, b, 0.5, 9); x != y {
			t.Errorf("%v and %v", x, y)
		}
	})
}

func below(took []time.Duration, at time.Duration) float64 {
	n := 0
	for _, d := range took {
		if d <= at {
			n++
		}
	}
	return float64(n) / float64(len(took))
}

func TestGeometricMean(t *testing.T) {
	t.Parallel()
	t.Run("of numbers", func(t *testing.T) {
		t.Parallel()
		if got := GeometricMean([]float64{1, 2, 4, 8}, 1); math.Abs(got.Value-math.Sqrt(8)) > 1e-12 || got.Bounded() {
			t.Errorf("%v", got)
		}
	})
	t.Run("of none is nothing", func(t *testing.T) {
		t.Parallel()
		if got := GeometricMean(nil, 1); got != (Interval{}) {
			t.Errorf("%v", got)
		}
	})
	t.Run("has the interval of the normal distribution where there are many", func(t *testing.T) {
		t.Parallel()
		r := rand.New(rand.NewPCG(1, 2))
		ratios := make([]float64, 400)
		for i := range ratios {
			ratios[i] = math.Exp(0.5 + 0.2*r.NormFloat64())
		}
		got := GeometricMean(ratios, 1)
		// 1.96 standard errors on either side, to a tenth of them.
		width := math.Log(got.High) - math.Log(got.Low)
		if want := 2 * 1.96 * 0.2 / 20; math.Abs(width-want) > 0.1*want || got.Excludes(math.Exp(0.5)) {
			t.Errorf("%v, %v wide", got, width)
		}
	})
	t.Run("of ratios, with an interval around it", func(t *testing.T) {
		t.Parallel()
		pairs := [][2][]time.Duration{
			{lognormal(200, 4*time.Millisecond, 0.1, 1), lognormal(200, time.Millisecond, 0.1, 2)},
			{lognormal(200, time.Millisecond, 0.1, 3), lognormal(200, time.Millisecond, 0.1, 4)},
			{nil, upTo(5)},
		}
		got := GeometricMeanRatio(pairs, 0.5, 1)
		if got.Excludes(2) || got.High-got.Low > 0.2 || got.Low > got.Value || got.High < got.Value {
			t.Errorf("%+v", got)
		}
	})
}

func TestMeanRatio(t *testing.T) {
	t.Parallel()
	t.Run("its interval is around the ratio of the means, and as wide as chance makes it", func(t *testing.T) {
		t.Parallel()
		r := rand.New(rand.NewPCG(1, 2))
		a, b := make([]float64, 400), make([]float64, 400)
		for i := range a {
			a[i], b[i] = 20+2*r.NormFloat64(), 10+r.NormFloat64()
		}
		got := MeanRatio(a, b, 1)
		// 1.96 standard errors on either side, to a tenth of them: each mean is off by
		// a tenth of itself by the root of 400.
		if want := 2 * 1.96 * 2 * math.Sqrt2 * 0.1 / 20; math.Abs(got.High-got.Low-want) > 0.1*want || got.Excludes(2) || got.Excludes(got.Value) {
			t.Errorf("%v, to be %v wide", got, want)
		}
	})
	t.Run("of few there are no bounds, of none there is nothing", func(t *testing.T) {
		t.Parallel()
		if got := MeanRatio([]float64{2, 4}, []float64{1, 1, 1, 1, 1}, 1); got != (Interval{Value: 3}) {
			t.Errorf("%v", got)
		}
		if got := MeanRatio(nil, []float64{1}, 1); got != (Interval{}) {
			t.Errorf("%v", got)
		}
	})
}

func TestNoise(t *testing.T) {
	t.Parallel()
	t.Run("a difference within the A/A arms' is hidden, a larger one is not", func(t *testing.T) {
		t.Parallel()
		a, again := lognormal(300, time.Millisecond, 0.2, 1), lognormal(300, time.Millisecond, 0.2, 2)
		n := NoiseOf(a, again, 1)
		if n.Floor <= 0 || n.Floor > 0.15 {
			t.Errorf("the floor is %v", n.Floor)
		}
		most := Largest([]Floor{{Noise: Noise{Floor: 0.01}}, {Of: "this", Noise: n}, {}})
		if most != n || Largest(nil) != (Noise{}) || NoiseIn(Interval{Value: 3}) != (Noise{}) {
			t.Errorf("the largest is %+v", most)
		}
		if !n.Hides(Interval{1 + n.Floor/2, 1.001, 1 + n.Floor}) || n.Hides(Interval{2, 1.8, 2.2}) || !n.Hides(Interval{2, 0.9, 4}) {
			t.Errorf("%+v hides the wrong ones", n)
		}
	})
}
