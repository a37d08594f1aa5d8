package gateway

import "sync"

// bodies is the memory for bodies, shared out so that the callers of one
// function cannot take it from those of all others.
type bodies struct {
	limit int64

	mu   sync.Mutex
	held int64
	of   map[string]int64 // by function; those that hold any
}

// take reserves n bytes for a function, if both it and all together stay within
// their limits.
func (b *bodies) take(function string, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held+n > b.limit || b.of[function]+n > b.limit/2 {
		return false
	}
	b.held += n
	b.of[function] += n
	return true
}

// give returns what take reserved.
func (b *bodies) give(function string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= n
	if b.of[function] -= n; b.of[function] <= 0 {
		delete(b.of, function)
	}
}
