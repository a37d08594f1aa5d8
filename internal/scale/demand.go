package scale

import (
	"math"
	"time"
)

const (
	// demandShortest is the shortest window in which takes are counted; each of
	// the demandWindows is twice as long as the one before, so up to 32 s.
	demandShortest = 250 * time.Millisecond
	demandWindows  = 8
	// demandMemory is for how long a burst is remembered, in slots of demandSlot.
	demandMemory = time.Hour
	demandSlot   = 10 * time.Minute
	demandSlots  = int(demandMemory/demandSlot) + 1
)

// Demand is how stem cells of one kind were wanted in the recent past: the
// largest burst in windows of several lengths. It is bounded in size and has no
// lock. The zero value is one that was never wanted.
type Demand struct {
	windows [demandWindows]demandWindow
}

// demandWindow counts takes in a window that slides over two buckets.
type demandWindow struct {
	bucket  int64 // which one now is, counted since 1970
	now     int
	before  int
	peaks   [demandSlots]int // the largest count of each slot
	peaksOf [demandSlots]int64
}

// Take notes that a stem cell was wanted, whether there was one or not. It takes
// constant time.
func (d *Demand) Take(now time.Time) {
	for i := range d.windows {
		d.windows[i].take(now, demandShortest<<i)
	}
}

func (w *demandWindow) take(now time.Time, length time.Duration) {
	at := now.UnixNano()
	switch bucket := at / int64(length); bucket - w.bucket {
	case 0:
		w.now++
	case 1:
		w.bucket, w.before, w.now = bucket, w.now, 1
	default:
		w.bucket, w.before, w.now = bucket, 0, 1
	}
	// What the bucket before still contributes falls as this one passes.
	passed := float64(at%int64(length)) / float64(length)
	count := w.now + int(math.Ceil(float64(w.before)*(1-passed)))
	slot := at / int64(demandSlot)
	i := int(slot % int64(demandSlots))
	if w.peaksOf[i] != slot {
		w.peaksOf[i], w.peaks[i] = slot, 0
	}
	w.peaks[i] = max(w.peaks[i], count)
}

// Target is how many stem cells to keep ready if making one up again takes
// refill: the largest burst within one such time, which counts less and less as
// an hour passes, and nothing after it.
func (d *Demand) Target(refill time.Duration, now time.Time) int {
	i := 0
	for i < demandWindows-1 && demandShortest<<i < refill {
		i++
	}
	w := &d.windows[i]
	slot := now.UnixNano() / int64(demandSlot)
	target := 0
	for j, peak := range w.peaks {
		age := time.Duration(slot-w.peaksOf[j]) * demandSlot
		if age < 0 || age >= demandMemory {
			continue
		}
		target = max(target, int(math.Ceil(float64(peak)*(1-float64(age)/float64(demandMemory)))))
	}
	return target
}
