package gateway

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// bodies is the memory for bodies, shared out so that the callers of one
// function cannot take it from those of all others. Requests of different
// functions hardly ever wait for each other: the total is one atomic number, and
// the functions' shares lie in many maps with a lock each.
type bodies struct {
	limit int64
	held  atomic.Int64
	seed  maphash.Seed
	parts [64]bodiesPart
}

// bodiesPart holds the shares of some functions; those that hold any.
type bodiesPart struct {
	mu sync.Mutex
	of map[string]int64 // by function
	// The next part's lock is in another line of the processor's cache.
	_ [48]byte
}

func newBodies(limit int64) *bodies {
	b := &bodies{limit: limit, seed: maphash.MakeSeed()}
	for i := range b.parts {
		b.parts[i].of = map[string]int64{}
	}
	return b
}

func (b *bodies) part(function string) *bodiesPart {
	return &b.parts[maphash.String(b.seed, function)%uint64(len(b.parts))]
}

// take reserves n bytes for a function, if both it and all together stay within
// their limits.
func (b *bodies) take(function string, n int64) bool {
	if b.held.Add(n) > b.limit {
		b.held.Add(-n)
		return false
	}
	p := b.part(function)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[function]+n > b.limit/2 {
		b.held.Add(-n)
		return false
	}
	p.of[function] += n
	return true
}

// give returns what take reserved.
func (b *bodies) give(function string, n int64) {
	b.held.Add(-n)
	p := b.part(function)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[function] -= n; p.of[function] <= 0 {
		delete(p.of, function)
	}
}
