package auth

import (
	"net/netip"
	"sync"
	"time"
)

// rate bounds how often something is tried.
type rate struct {
	// burst may come at once; from then on one each every.
	burst float64
	every time.Duration
}

// nameRate bounds the attempts to sign in by one name, addressRate those from one
// address. Only those that fail count. A name can be tried 1,450 times a day,
// which finds no password of 10 characters; who is kept out by somebody else's
// attempts can still sign in by a one-time link. In a session the password that is
// to be changed can be tried as often as a name.
func nameRate() rate    { return rate{burst: 10, every: time.Minute} }
func addressRate() rate { return rate{burst: 30, every: 10 * time.Second} }

// maxBuckets bounds what a Limiter remembers.
const maxBuckets = 10_000

// Limiter bounds how often something is tried by each of many keys, and what it
// remembers of them. It is safe for concurrent use.
type Limiter struct {
	rate    rate
	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	left    float64
	at      time.Time
	refused bool
}

// NewLimiter lets burst attempts of a key through at once, and from then on one
// each every.
func NewLimiter(burst int, every time.Duration) *Limiter {
	return newLimiter(rate{burst: float64(burst), every: every})
}

func newLimiter(r rate) *Limiter { return &Limiter{rate: r, buckets: map[string]*bucket{}} }

// Take counts an attempt before it is made, so that many at once are not more than
// many in a row. wait is how long until the next one, if this one is refused, else 0;
// again says whether the one before was refused, too.
func (a *Limiter) Take(key string, now time.Time) (wait time.Duration, again bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.buckets[key]
	if b == nil {
		a.makeRoom(now)
		b = &bucket{left: a.rate.burst, at: now}
		a.buckets[key] = b
	}
	a.refill(b, now)
	if b.left < 1 {
		again, b.refused = b.refused, true
		return max(time.Duration((1-b.left)*float64(a.rate.every)), time.Second), again
	}
	b.left--
	b.refused = false
	return 0, false
}

// forgive takes back one attempt that was right, or all that are counted.
func (a *Limiter) forgive(key string, all bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.buckets[key]
	switch {
	case b == nil:
	case all || b.left+1 >= a.rate.burst:
		delete(a.buckets, key)
	default:
		b.left++
	}
}

func (a *Limiter) refill(b *bucket, now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.left = min(a.rate.burst, b.left+float64(passed)/float64(a.rate.every))
		b.at = now
	}
}

// makeRoom forgets the key that has the most attempts left of a few that it looks
// at, where there are too many keys.
func (a *Limiter) makeRoom(now time.Time) {
	if len(a.buckets) < maxBuckets {
		return
	}
	looked, best := 0, ""
	for key, b := range a.buckets { // In no order.
		a.refill(b, now)
		if best == "" || b.left > a.buckets[best].left {
			best = key
		}
		if looked++; looked == 20 {
			break
		}
	}
	delete(a.buckets, best)
}

// addressKey is what attempts from an address are counted by: the address, or for
// IPv6 its /64, which is what one customer has.
func addressKey(at netip.Addr) string {
	if at.Is6() {
		if p, err := at.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return at.String()
}
