package scale

import (
	"math"
	"time"
)

const (
	// What is believed of a function before anything is known: gaps with a heavy
	// tail, of which the chance to last beyond t falls with the square root of t.
	// This counts as much as priorGaps gaps that were seen.
	priorGaps  = 2.0
	priorScale = time.Minute
	priorTail  = 0.5

	// A saved start is worth more to a function that has few requests: there it
	// is a large part of them. The price of idling is in proportion to the rate of
	// requests, where perDayAtPrice of them make it what the idle time says, and
	// within bounds.
	perDayAtPrice = 300.0
	leastPrice    = 0.03
	mostPrice     = 5.0

	// An instance is kept for a request that is expected within aheadLeast, or
	// within aheadShare of the gap so far. For one that is expected later it is
	// ended and started again.
	aheadLeast = 10 * time.Minute
	aheadShare = 0.3
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

// outlook is what is expected of the gap that lasts.
type outlook struct {
	// gain is what keeping an instance from the beginning of the gap to the
	// beginning of each bin is worth: the starts it saves, less the price of its
	// idling. Only differences of it mean something.
	gain [gapBins + 1]float64
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
	lasts := 0.0 // The weight of the gaps that last beyond a bin.
	for _, weight := range ends {
		lasts += weight
	}
	o := new(outlook)
	for i, weight := range ends[:gapBins] {
		lasts -= weight
		idles := (gapFrom(i+1) - gapFrom(i)).Seconds() * (lasts + weight/2)
		o.gain[i+1] = o.gain[i] + weight - price*idles
	}
	return o
}

// worth says whether an instance is worth its idling when the gap has come to
// bin i: there must be a time not too far ahead up to which the chance that a
// request comes pays for the idling until then.
func (o *outlook) worth(i int) bool {
	from := gapFrom(i)
	far := from + max(aheadLeast, time.Duration(aheadShare*float64(from)))
	for s := i + 1; s <= gapBins && gapFrom(s-1) < far; s++ {
		if o.gain[s] >= o.gain[i] {
			return true
		}
	}
	return false
}

// until is to which age of the gap an instance is worth keeping; 0 if it is not
// worth it now.
func (o *outlook) until(age time.Duration) time.Duration {
	i := gapBin(age)
	first := i
	for i < gapBins && o.worth(i) {
		i++
	}
	if i == first {
		return 0
	}
	return gapFrom(i)
}

// due is at which age of the gap, from this one on, it is worth having an
// instance again after it was not; false if never.
func (o *outlook) due(age time.Duration) (time.Duration, bool) {
	before := true
	for i := range gapBins {
		worth := o.worth(i)
		if worth && !before && gapFrom(i) >= age {
			return gapFrom(i), true
		}
		before = worth
	}
	return 0, false
}
