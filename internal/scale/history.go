package scale

import (
	"math"
	"math/bits"
	"time"
)

// Gaps, the times without a request, are counted in bins whose width grows with
// the gap: an eighth of an octave, that is 6 to 12 % of it, from a second to a
// day and a half. "Serverless in the Wild" uses bins of a minute and margins of
// 10 %; here the bins are the margins, and one histogram serves functions that
// are called each second and functions that are called each day.
const (
	gapSteps   = 8 // bins in an octave
	gapOctaves = 17
	gapBins    = gapSteps * gapOctaves

	// gapUnit is what one gap adds to its bin, so that halving loses nothing, and
	// gapMemory how many gaps are remembered until the old count half.
	gapUnit   = 16
	gapMemory = 512
)

// gapBin is the bin that a gap belongs to; gapBins is beyond the last.
func gapBin(gap time.Duration) int {
	u := uint64(max(0, gap) / (time.Second / gapSteps))
	if u < gapSteps {
		return 0
	}
	octave := bits.Len64(u) - 4
	return min(octave*gapSteps+int(u>>octave)-gapSteps, gapBins)
}

// gapFrom is where bin i begins.
func gapFrom(i int) time.Duration {
	if i == 0 {
		return 0
	}
	return time.Second / gapSteps * time.Duration(gapSteps+i%gapSteps) << (i / gapSteps)
}

// History is what is remembered of one function's requests, through all its
// versions: the gaps between them, how many there are, and the concurrency of
// the last minute. It is bounded in size: some 300 bytes for each level of
// concurrency that the function ever reached, and levels get scarcer upwards. It
// has no lock; whoever calls its methods or hands it to Decide holds one. The
// zero value knows nothing.
type History struct {
	levels []level
	window window
	// calls is how many requests there were since, with the old ones fading.
	calls float64
	since time.Time
}

// level is the gaps of one level of concurrency: the times from when fewer than
// so many requests were in flight until there were as many again. As the instance
// that was used last is lent first, these are the gaps between the uses of the
// n-th instance.
type level struct {
	// down is when the gap began that lasts.
	down time.Time
	n    int
	gaps [gapBins + 1]uint16
}

// levelOf is which level n requests at once belong to, counted from 0, and
// whether they are the first that do: each of 1 to 16 is a level of its own, and
// then each eighth of an octave.
func levelOf(n int) (index int, first bool) {
	if n < 16 {
		return max(0, n-1), true
	}
	octave := bits.Len(uint(n)) - 4
	return octave*gapSteps + n>>octave - 1, n&(1<<octave-1) == 0
}

// Arrive notes a request that arrived; inFlight is how many of the function's
// requests are served or wait now, this one included. It takes constant time,
// and memory only when there were never as many before.
func (h *History) Arrive(now time.Time, inFlight int) {
	h.window.set(now, inFlight)
	if h.since.IsZero() {
		h.since = now
	}
	h.calls++
	if span := now.Sub(h.since); span > rateMemory {
		h.calls, h.since = h.calls/2, now.Add(-span/2)
	}
	i, first := levelOf(inFlight)
	if !first {
		return
	}
	for len(h.levels) <= i {
		h.levels = append(h.levels, level{})
	}
	h.levels[i].note(now)
}

// note counts the gap that ends now.
func (l *level) note(now time.Time) {
	if l.down.IsZero() {
		return
	}
	if l.n == gapMemory {
		l.n = 0
		for i, count := range l.gaps {
			l.gaps[i] = count / 2
		}
		l.n = gapMemory / 2
	}
	l.n++
	l.gaps[gapBin(now.Sub(l.down))] += gapUnit
}

// Leave notes that a request ended or gave up; inFlight is how many are left. It
// takes constant time.
func (h *History) Leave(now time.Time, inFlight int) {
	h.window.set(now, inFlight)
	if i, first := levelOf(inFlight + 1); first && i < len(h.levels) {
		h.levels[i].down = now
	}
}

// rateMemory is for how long a request counts, about, in the rate of requests.
const rateMemory = 48 * time.Hour

// perDay is the rate of requests. A function is not believed to be a busy one
// for what it does in its first hour. During a gap it stays as it was.
func (h *History) perDay() float64 {
	return h.calls / max(time.Unix(0, h.window.last).Sub(h.since), time.Hour).Hours() * 24
}

// gaps is what is known of a level; nil if nothing is.
func (h *History) gaps(i int) *level {
	if h == nil || i >= len(h.levels) || h.levels[i].n == 0 {
		return nil
	}
	return &h.levels[i]
}

// Needed is how many instances the requests of late kept busy, by the higher of the
// two windows' averages: at least one.
func (h *History) Needed(now time.Time, concurrency int) int {
	stable, burst := h.window.averages(now)
	return max(1, int(math.Ceil(max(stable, burst)/float64(max(1, concurrency)))))
}

// seen says whether there was a request at all.
func (h *History) seen() bool { return h != nil && !h.since.IsZero() }

// gap is for how long no request has been in flight: 0 while one is.
func (h *History) gap(now time.Time) time.Duration {
	if h.window.inFlight > 0 || len(h.levels) == 0 || h.levels[0].down.IsZero() {
		return 0
	}
	return now.Sub(h.levels[0].down)
}
