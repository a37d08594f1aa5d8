package scale

import "time"

// History is what is remembered of one function's requests: bounded in size,
// the same through all its versions. It has no lock; whoever calls its methods
// or hands it to Decide holds one. The zero value knows nothing.
type History struct {
	last time.Time
}

// Arrive notes a request that arrived; inFlight is how many of the function's
// requests are served or wait now, this one included. It takes constant time.
func (h *History) Arrive(now time.Time, inFlight int) { h.last = now }

// Leave notes that a request ended; inFlight is how many are left. It takes
// constant time. Idling is counted from the last one that left.
func (h *History) Leave(now time.Time, inFlight int) {}
