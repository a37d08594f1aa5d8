package scale

import (
	"math"
	"time"
)

const (
	// What is believed of a function before anything is known: gaps with a heavy
	// tail, of which the chance to last beyond t falls with the square root of t.
	// This counts as much as priorGaps gaps that were seen.
	priorGaps  = 4.0
	priorScale = time.Minute
	priorTail  = 0.5

	// A saved start is worth more to a function that has few requests: there it
	// is a large part of them. The price of idling is in proportion to the rate of
	// requests, where perDayAtPrice of them make it what the idle time says, and
	// within bounds.
	perDayAtPrice = 500.0
	leastPrice    = 0.06
	mostPrice     = 3.0

	// restartCost is what it costs, in saved starts, to end an instance and to
	// start another before the next request: nobody waits for that, but it takes
	// as much of the processors, and it pays only if the history is right.
	restartCost = 0.4
)

// prior is how many of the made-up gaps fall into each bin: a constant that the
// language cannot write down.
var prior = func() (count [gapBins + 1]float64) {
	for i := range gapBins {
		count[i] = priorGaps * (priorBeyond(gapFrom(i)) - priorBeyond(gapFrom(i+1)))
	}
	count[gapBins] = priorGaps * priorBeyond(gapFrom(gapBins))
	return count
}()

// priorBeyond is the part of the made-up gaps that last for longer than gap.
func priorBeyond(gap time.Duration) float64 {
	return math.Pow(float64(priorScale)/float64(gap+priorScale), priorTail)
}

// outlook is the best plan for the gap that lasts: in which bins to have an
// instance.
type outlook struct {
	// stay says whether an instance that is there when the gap comes to a bin is
	// worth keeping, start whether one that is not there is worth starting.
	stay, start [gapBins + 1]bool
}

// outlook is that of a level. The price of a second of idling, in starts, is such
// that an instance of a function of which nothing is known is kept for p.Idle.
func (h *History) outlook(p Policy, at int) *outlook {
	ends := prior // The weight of the gaps that end in each bin.
	price := priorTail / (p.Idle + priorScale).Seconds()
	if l := h.gaps(at); l != nil {
		price *= min(max(h.perDay()/perDayAtPrice, leastPrice), mostPrice)
		before := uint(l.gaps[0])
		for i, count := range l.gaps[:gapBins] {
			ends[i] += float64(before+2*uint(count)+uint(l.gaps[i+1])) / (4 * gapUnit)
			before = uint(count)
		}
		ends[gapBins] += float64(l.gaps[gapBins]) / gapUnit
	}
	// From the end of time backwards: what the best plan gains from a bin on, with
	// an instance and without.
	o := new(outlook)
	with, without := 0.0, 0.0
	lasts := ends[gapBins] // The weight of the gaps that last beyond a bin.
	for i := gapBins - 1; i >= 0; i-- {
		idles := (gapFrom(i+1) - gapFrom(i)).Seconds() * (lasts + ends[i]/2)
		keeping := ends[i] - price*idles + with
		lasts += ends[i]
		starting := keeping - restartCost*lasts
		if at > 0 {
			starting = math.Inf(-1) // Only the first instance is started ahead.
		}
		o.stay[i], o.start[i] = keeping >= without, starting > without
		without = max(without, starting)
		with = max(keeping, without)
	}
	return o
}

// until is to which age of the gap an instance is worth keeping; 0 if it is not
// worth it now.
func (o *outlook) until(age time.Duration) time.Duration {
	i := gapBin(age)
	if !o.stay[i] {
		return 0
	}
	for o.stay[i] {
		i++
	}
	return gapFrom(i)
}

// due is at which age of the gap, from this one on, it is worth starting an
// instance after none was worth keeping; false if never.
func (o *outlook) due(age time.Duration) (time.Duration, bool) {
	for i := max(1, gapBin(age)); i < gapBins; i++ {
		if o.start[i] && !o.start[i-1] && gapFrom(i) >= age {
			return gapFrom(i), true
		}
	}
	return 0, false
}
