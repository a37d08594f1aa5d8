package pool

import (
	"time"

	"github.com/covefn/cove"
)

// After each failure of a version the next attempt waits longer, from
// firstBackoff doubling to maxBackoff.
const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute
)

// failure remembers why a version could not be started, so that a handler whose
// import fails is not started again for every request.
type failure struct {
	err   *cove.Error
	count int
	until time.Time
}

// set notes one more failure.
func (f *failure) set(err *cove.Error, now time.Time) {
	wait := maxBackoff
	if f.count < 6 {
		wait = firstBackoff << f.count
	}
	f.err, f.count, f.until = err, f.count+1, now.Add(wait)
}

// clear forgets them: an attempt has worked.
func (f *failure) clear() { *f = failure{} }

// last is the error while no new attempt is due, and nil after that.
func (f *failure) last(now time.Time) *cove.Error {
	if f.err == nil || !now.Before(f.until) {
		return nil
	}
	err := *f.err
	err.RetryAfter = f.until.Sub(now)
	return &err
}
