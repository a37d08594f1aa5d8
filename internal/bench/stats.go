package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// MinP90 and MinP99 are how many samples a 90th and a 99th percentile need:
	// the second one is not told below 1,000, where it would rest on fewer than
	// ten samples beyond it.
	MinP90 = 10
	MinP99 = 1000
	// MinRatio is how many samples a ratio's interval needs on either side: with
	// fewer, a bootstrap knows nothing of how far off they may be.
	MinRatio = 5
	// Resamples is how often a bootstrap draws.
	Resamples = 10_000
	// Confidence is the probability that an Interval is made for.
	Confidence = 0.95
)

// Summary is what is told of a series of durations. P90 and P99 are zero, and
// absent in JSON, where there are too few samples for them.
type Summary struct {
	N    int           `json:"n"`
	Mean time.Duration `json:"mean_ns"`
	Min  time.Duration `json:"min_ns"`
	P50  time.Duration `json:"p50_ns"`
	P90  time.Duration `json:"p90_ns,omitzero"`
	P99  time.Duration `json:"p99_ns,omitzero"`
	Max  time.Duration `json:"max_ns"`
}

// Summarise is the summary of took, which may be in any order and is not
// changed. Of nothing it is the zero Summary.
func Summarise(took []time.Duration) Summary {
	if len(took) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(took))
	s := Summary{N: len(sorted), Min: sorted[0], P50: quantile(sorted, 0.5), Max: sorted[len(sorted)-1]}
	sum := 0.0
	for _, d := range sorted {
		sum += float64(d)
	}
	s.Mean = time.Duration(sum / float64(len(sorted)))
	if s.N >= MinP90 {
		s.P90 = quantile(sorted, 0.9)
	}
	if s.N >= MinP99 {
		s.P99 = quantile(sorted, 0.99)
	}
	return s
}

// Quantile is the q-quantile of took by nearest rank, always one of the samples:
// the smallest with at least q of all at or below it. Of nothing it is 0.
func Quantile(took []time.Duration, q float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	return quantile(slices.Sorted(slices.Values(took)), q)
}

func quantile(sorted []time.Duration, q float64) time.Duration { return sorted[rank(len(sorted), q)-1] }

// rank is the place, from 1, of the q-quantile among n sorted samples.
func rank(n int, q float64) int {
	// Without the small step back 0.9 of 10 would be the tenth: 0.9*10 is a bit
	// more than 9 for some n.
	return min(max(int(math.Ceil(q*float64(n)-1e-9)), 1), n)
}

// Interval is a measured ratio, with the bounds between which it is with a
// probability of Confidence. Low and High are 0 where there were too few samples
// for bounds.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Bounded says whether there are bounds.
func (i Interval) Bounded() bool { return i.High > 0 }

// Excludes says whether v is outside of the bounds. Without bounds nothing is.
func (i Interval) Excludes(v float64) bool { return i.Bounded() && (v < i.Low || v > i.High) }

// Ratio is the q-quantile of a as a multiple of that of b, with a percentile
// bootstrap interval: both series are drawn anew with replacement, independently
// of each other, Resamples times, and the interval is what the middle Confidence
// of the ratios lie in. The same seed gives the same interval. With fewer than
// MinRatio samples in a or b there are no bounds; with none, or if b's quantile is
// 0, it is the zero Interval.
func Ratio(a, b []time.Duration, q float64, seed uint64) Interval {
	if len(a) == 0 || len(b) == 0 {
		return Interval{}
	}
	top, bottom := newResampler(a, q), newResampler(b, q)
	if bottom.value() == 0 {
		return Interval{}
	}
	if min(len(a), len(b)) < MinRatio {
		return Interval{Value: top.value() / bottom.value()}
	}
	r := rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15))
	ratios := make([]float64, 0, Resamples)
	for range Resamples {
		if under := bottom.draw(r); under > 0 {
			ratios = append(ratios, top.draw(r)/under)
		}
	}
	return interval(top.value()/bottom.value(), ratios)
}

// GeometricMeanRatio is the geometric mean of the q-quantile ratios of pairs of
// series, a workload each, with its bootstrap interval. A pair whose ratio has no
// bounds is left out.
func GeometricMeanRatio(pairs [][2][]time.Duration, q float64, seed uint64) Interval {
	var tops, bottoms []*resampler
	for _, p := range pairs {
		if len(p[0]) < MinRatio || len(p[1]) < MinRatio || Quantile(p[1], q) == 0 || Quantile(p[0], q) == 0 {
			continue
		}
		tops, bottoms = append(tops, newResampler(p[0], q)), append(bottoms, newResampler(p[1], q))
	}
	if len(tops) == 0 {
		return Interval{}
	}
	geometric := func(ratio func(i int) float64) float64 {
		return math.Exp(mean(len(tops), func(i int) float64 { return math.Log(ratio(i)) }))
	}
	r := rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15))
	means := make([]float64, Resamples)
	for n := range means {
		means[n] = geometric(func(i int) float64 { return tops[i].draw(r) / bottoms[i].draw(r) })
	}
	return interval(geometric(func(i int) float64 { return tops[i].value() / bottoms[i].value() }), means)
}

// GeometricMean is that of ratios, all of which must be positive, with a percentile
// bootstrap interval: they are drawn anew with replacement, Resamples times. With
// fewer than MinRatio there are no bounds; of none it is the zero Interval.
func GeometricMean(ratios []float64, seed uint64) Interval {
	if len(ratios) == 0 {
		return Interval{}
	}
	logs := make([]float64, len(ratios))
	for i, v := range ratios {
		logs[i] = math.Log(v)
	}
	geometric := func(at func(i int) float64) float64 { return math.Exp(mean(len(logs), at)) }
	value := geometric(func(i int) float64 { return logs[i] })
	if len(logs) < MinRatio {
		return Interval{Value: value}
	}
	r := rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15))
	means := make([]float64, Resamples)
	for n := range means {
		means[n] = geometric(func(int) float64 { return logs[r.IntN(len(logs))] })
	}
	return interval(value, means)
}

// MeanRatio is the mean of a as a multiple of that of b, both of which are positive,
// with a percentile bootstrap interval: both are drawn anew with replacement,
// independently, Resamples times. With fewer than MinRatio in a or b there are no
// bounds; with none it is the zero Interval.
func MeanRatio(a, b []float64, seed uint64) Interval {
	if len(a) == 0 || len(b) == 0 {
		return Interval{}
	}
	value := mean(len(a), func(i int) float64 { return a[i] }) / mean(len(b), func(i int) float64 { return b[i] })
	if min(len(a), len(b)) < MinRatio {
		return Interval{Value: value}
	}
	r := rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15))
	anew := func(of []float64) float64 {
		return mean(len(of), func(int) float64 { return of[r.IntN(len(of))] })
	}
	ratios := make([]float64, Resamples)
	for n := range ratios {
		ratios[n] = anew(a) / anew(b)
	}
	return interval(value, ratios)
}

// mean is that of n numbers, n at least 1.
func mean(n int, at func(i int) float64) float64 {
	sum := 0.0
	for i := range n {
		sum += at(i)
	}
	return sum / float64(n)
}

// interval takes the middle Confidence of the resampled values.
func interval(value float64, resampled []float64) Interval {
	slices.Sort(resampled)
	at := func(q float64) float64 { return resampled[rank(len(resampled), q)-1] }
	return Interval{Value: value, Low: at((1 - Confidence) / 2), High: at((1 + Confidence) / 2)}
}

// resampler draws the quantile of a bootstrap resample without drawing the
// resample. A resample of n samples is n indices drawn uniformly; its k-th
// smallest is the sample at the k-th smallest index; and the k-th smallest of n
// uniform numbers is distributed as Beta(k, n+1-k). So one draw of that
// distribution is one resample, exactly.
type resampler struct {
	sorted []time.Duration
	k      int
}

func newResampler(took []time.Duration, q float64) *resampler {
	return &resampler{sorted: slices.Sorted(slices.Values(took)), k: rank(len(took), q)}
}

func (s *resampler) value() float64 { return float64(s.sorted[s.k-1]) }

func (s *resampler) draw(r *rand.Rand) float64 {
	n := len(s.sorted)
	x, y := gamma(r, float64(s.k)), gamma(r, float64(n+1-s.k))
	return float64(s.sorted[min(int(float64(n)*x/(x+y)), n-1)])
}

// gamma draws from the gamma distribution of a shape of at least 1, by the
// method of Marsaglia and Tsang ("A simple method for generating gamma
// variables", ACM Transactions on Mathematical Software 26, 2000).
func gamma(r *rand.Rand, shape float64) float64 {
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// Noise is what an A/A comparison found: two arms of the same thing, so that
// every difference between them is the machine's.
type Noise struct {
	// Ratio is the median of the second arm as a multiple of the first's.
	Ratio Interval `json:"ratio"`
	// Floor is the least relative difference that means anything: the larger of
	// the interval's distances from 1. 0.05 is five percent.
	Floor float64 `json:"floor"`
}

// NoiseOf compares two series of the same thing.
func NoiseOf(a, again []time.Duration, seed uint64) Noise {
	return NoiseIn(Ratio(again, a, 0.5, seed))
}

// NoiseIn is the noise that the ratio of two arms of the same thing shows: none that
// is known if it has no bounds.
func NoiseIn(r Interval) Noise {
	if !r.Bounded() {
		return Noise{}
	}
	return Noise{Ratio: r, Floor: max(math.Abs(r.High-1), math.Abs(1-r.Low))}
}

// Floor is the noise of one A/A arm, with what it judged: a phase measures several
// things, and how far each of them swings by itself differs.
type Floor struct {
	// Of is what was measured twice, and Judges which ratios its noise has decided on.
	Of     string `json:"of"`
	Judges string `json:"judges"`
	Noise
}

// Largest is the noise of the floor that hides most, the zero Noise of none.
func Largest(floors []Floor) Noise {
	var most Noise
	for _, f := range floors {
		if f.Floor > most.Floor {
			most = f.Noise
		}
	}
	return most
}

// Hides says whether a ratio is no more than the noise. One without bounds is not
// judged.
func (n Noise) Hides(r Interval) bool {
	return r.Bounded() && (math.Abs(r.Value-1) <= n.Floor || !r.Excludes(1))
}
