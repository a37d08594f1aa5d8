package scale

import "time"

// The windows are those of knative's autoscaler: one that follows the load
// calmly and one, a tenth of it, in which a burst shows; twice as much in the
// short one is a panic.
const (
	windowBucket   = 2 * time.Second
	stableBuckets  = 30
	panicBuckets   = 3
	panicThreshold = 2.0
)

// window is the concurrency of the last minute: how many requests were in flight
// for how long, in buckets. The zero value is one without any.
type window struct {
	bucket   int64 // the newest, counted since 1970
	last     int64 // nanoseconds of the latest change
	inFlight int   // since then
	seconds  [stableBuckets + 1]float64
}

// set notes that from now on inFlight requests are in flight.
func (w *window) set(now time.Time, inFlight int) {
	at := now.UnixNano()
	if at < w.last {
		at = w.last // A clock that was set back.
	}
	from, to := w.bucket, at/int64(windowBucket)
	if from < to-stableBuckets {
		w.last = max(w.last, (to-stableBuckets)*int64(windowBucket))
		from = to - stableBuckets - 1
	}
	for b := from; b <= to; b++ {
		slot := &w.seconds[b%int64(len(w.seconds))]
		if b != w.bucket {
			*slot = 0
		}
		end := min(at, (b+1)*int64(windowBucket))
		if end > w.last {
			*slot += float64(w.inFlight) * time.Duration(end-w.last).Seconds()
			w.last = end
		}
	}
	w.bucket, w.last, w.inFlight = to, at, inFlight
}

// averages is the mean concurrency of the stable and of the panic window.
func (w *window) averages(now time.Time) (stable, burst float64) {
	at := *w // What follows must not change it.
	at.set(now, w.inFlight)
	for i := range stableBuckets {
		s := at.seconds[(at.bucket-int64(i)+int64(len(at.seconds)))%int64(len(at.seconds))]
		stable += s
		if i < panicBuckets {
			burst += s
		}
	}
	return stable / (stableBuckets * windowBucket).Seconds(), burst / (panicBuckets * windowBucket).Seconds()
}
