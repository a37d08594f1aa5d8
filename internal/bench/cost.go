package bench

import (
	"math"
	"slices"
	"time"

	"github.com/covefn/cove"
)

// Usage is what one function costs in one isolation, as measured.
type Usage struct {
	// CPUPerThousand are the CPU seconds of 1,000 calls on warm instances, by
	// everything that works for them: the function, the isolation's helpers, the
	// daemon.
	CPUPerThousand float64 `json:"cpu_s_per_1000_calls"`
	// CPUPerStart are the CPU seconds of one start, with those of making the stem
	// cell that takes the place of the one it used.
	CPUPerStart float64 `json:"cpu_s_per_start"`
	// CPUPerIdleHour are the CPU seconds in an hour of one instance that waits and is
	// not paused, CPUPerPausedHour those of a paused one.
	CPUPerIdleHour   float64 `json:"cpu_s_per_idle_hour"`
	CPUPerPausedHour float64 `json:"cpu_s_per_paused_hour,omitzero"`
	// PausedAfter is how long an instance waits until it is paused: 0, or longer than
	// it is kept, is never.
	PausedAfter time.Duration `json:"paused_after_ns,omitzero"`
	// Memory is that of one instance, its helpers included.
	Memory cove.ByteSize `json:"memory_per_instance"`
	// Standing is the memory that is taken all the time whatever the traffic is: a
	// stem cell that waits.
	Standing cove.ByteSize `json:"memory_standing"`
	// CPUPerStandingHour are the CPU seconds of that in an hour.
	CPUPerStandingHour float64 `json:"cpu_s_per_standing_hour,omitzero"`
	// Call is how long one call takes an instance.
	Call time.Duration `json:"call_ns"`
}

// Prices are those of a processor's and of a GiB of memory's hour.
type Prices struct {
	VCPUHour float64 `json:"vcpu_hour"`
	GiBHour  float64 `json:"gib_hour"`
	Currency string  `json:"currency"`
	// Source says whose prices these are, and AsOf of when.
	Source string `json:"source"`
	AsOf   string `json:"as_of,omitempty"`
}

// DefaultPrices are public ones of rented capacity that is billed by exactly
// these two measures. Who owns the machine has others.
func DefaultPrices() Prices {
	return Prices{
		VCPUHour: 0.04048, GiBHour: 0.004445, Currency: "USD",
		Source: "AWS Fargate, on demand, Linux/x86, US East (N. Virginia): https://aws.amazon.com/fargate/pricing/",
		AsOf:   "2026-06",
	}
}

// Traffic is the load of one function.
type Traffic struct {
	// PerSecond are calls per second: one number for all the time, or one for each
	// part of a day that repeats (24 for a shape by the hour).
	PerSecond []float64 `json:"per_second"`
	// KeepAlive is how long an instance without work is kept.
	KeepAlive time.Duration `json:"keep_alive_ns"`
	// Min instances are kept always.
	Min int `json:"min"`
}

// Month is the time that a bill per month is for: a twelfth of a year of 365 days.
const Month = 730 * time.Hour

// Bill is what traffic costs.
type Bill struct {
	// PerMonth and PerMillion (calls) are in the prices' currency. PerMillion is 0
	// when there are no calls.
	PerMonth   float64 `json:"per_month"`
	PerMillion float64 `json:"per_million"`
	// The parts of PerMonth: the calls themselves, starting instances, memory while
	// they work, memory and processor time while they wait, and memory and processor
	// time of what stands ready whatever comes.
	Calls    float64 `json:"calls"`
	Starts   float64 `json:"starts"`
	Busy     float64 `json:"busy"`
	Idle     float64 `json:"idle"`
	Standing float64 `json:"standing"`
	// Instances is how many there are on average, and ColdShare which part of the
	// calls needs a start.
	Instances float64 `json:"instances"`
	ColdShare float64 `json:"cold_share"`
	// CallsPerMonth are those of the traffic.
	CallsPerMonth float64 `json:"calls_per_month"`
}

// Cost is the bill for a function of usage u under traffic t at prices p. What is
// used is paid, the time of instances that wait included.
//
// Calls arrive independently of each other (Poisson) and go to the first instance
// that is free, in a fixed order, each of which serves one at a time. Then the
// n-th instance is used by the calls that find n-1 taken, which is Erlang's loss
// formula; between two of its calls it waits, and is ended when that takes longer
// than KeepAlive. The gaps are taken as exponential, which they are exactly for
// the first instance.
func Cost(u Usage, t Traffic, p Prices) Bill {
	var b Bill
	var o occupied
	calls := 0.0
	for _, rate := range t.PerSecond {
		part := occupancy(rate, u, t)
		o.busy, o.awake, o.paused, o.starts = o.busy+part.busy, o.awake+part.awake, o.paused+part.paused, o.starts+part.starts
		calls += rate
	}
	parts := float64(max(len(t.PerSecond), 1))
	o.busy, o.awake, o.paused, o.starts = o.busy/parts, o.awake/parts, o.paused/parts, o.starts/parts
	calls /= parts

	hours := Month.Hours()
	gib := float64(u.Memory) / float64(cove.GiB) * p.GiBHour * hours
	perCPUSecond := p.VCPUHour / 3600
	b.CallsPerMonth = calls * Month.Seconds()
	b.Calls = b.CallsPerMonth / 1000 * u.CPUPerThousand * perCPUSecond
	b.Starts = o.starts * Month.Seconds() * u.CPUPerStart * perCPUSecond
	b.Busy = o.busy * gib
	b.Idle = (o.awake+o.paused)*gib + (o.awake*u.CPUPerIdleHour+o.paused*u.CPUPerPausedHour)*hours*perCPUSecond
	b.Standing = float64(u.Standing)/float64(cove.GiB)*p.GiBHour*hours + u.CPUPerStandingHour*hours*perCPUSecond
	b.PerMonth = b.Calls + b.Starts + b.Busy + b.Idle + b.Standing
	b.Instances = o.busy + o.awake + o.paused
	if calls > 0 {
		b.PerMillion = b.PerMonth / b.CallsPerMonth * 1e6
		b.ColdShare = o.starts / calls
	}
	return b
}

// occupied is how many instances work, wait awake and wait paused, on average, and
// how many are started per second.
type occupied struct{ busy, awake, paused, starts float64 }

// occupancy is what rate calls per second occupy of instances of u.
func occupancy(rate float64, u Usage, t Traffic) occupied {
	var o occupied
	call, keep, pause := u.Call.Seconds(), t.KeepAlive.Seconds(), u.PausedAfter.Seconds()
	if pause == 0 || pause > keep {
		pause = math.Inf(1)
	}
	if rate <= 0 || call <= 0 {
		o.wait(float64(t.Min), math.Inf(1), math.Inf(1), pause)
		return o
	}
	load := rate * call
	// Instances far beyond the load have nothing to do.
	last := int(load+10*math.Sqrt(load)) + 50
	blocked := 1.0 // Erlang's B: the part of the calls that finds n instances taken.
	for n := 1; n <= max(last, t.Min); n++ {
		before := blocked
		blocked = load * blocked / (float64(n) + load*blocked)
		works := load * (before - blocked) // The part of the time that the n-th works.
		uses := works / call               // Its calls per second.
		gap := (1 - works) / uses
		o.busy += works
		switch {
		case n <= t.Min:
			o.wait(1-works, gap, math.Inf(1), pause)
		case uses > 0:
			o.wait(1-works, gap, keep, pause)
			o.starts += uses * math.Exp(-keep/gap)
		}
	}
	return o
}

// wait adds an instance that waits for a part of the time: in gaps of a mean length,
// of each of which it is there for keep seconds at most, and awake for pause.
func (o *occupied) wait(part, gap, keep, pause float64) {
	within := func(seconds float64) float64 {
		if math.IsInf(seconds, 1) {
			return part
		}
		return part * -math.Expm1(-seconds/gap)
	}
	awake := within(min(pause, keep))
	o.awake += awake
	o.paused += within(keep) - awake
}

// Priced is a name with what was measured for it.
type Priced struct {
	Name  string `json:"name"`
	Usage Usage  `json:"usage"`
}

// Span is a range of loads in which one of several is the cheapest. From and To
// are calls per second; the last To is the end of what was looked at.
type Span struct {
	From float64 `json:"from_per_second"`
	To   float64 `json:"to_per_second"`
	Name string  `json:"name"`
}

const (
	// LeastLoad and MostLoad bound the loads that CheapestByLoad looks at: one call
	// in about three hours, and 1,000 per second.
	LeastLoad = 1e-4
	MostLoad  = 1e3
)

// CheapestByLoad says at which constant load which of the candidates costs least,
// from LeastLoad to MostLoad. Only the rate of t is not used. The borders are
// exact to a thousandth. Of no candidates it is nil.
func CheapestByLoad(candidates []Priced, t Traffic, p Prices) []Span {
	if len(candidates) == 0 {
		return nil
	}
	cheapest := func(rate float64) string {
		at := t
		at.PerSecond = []float64{rate}
		best, name := math.Inf(1), ""
		for _, c := range candidates {
			if cost := Cost(c.Usage, at, p).PerMonth; cost < best {
				best, name = cost, c.Name
			}
		}
		return name
	}
	const perDecade = 40
	steps := int(math.Round(math.Log10(MostLoad/LeastLoad))) * perDecade
	spans := []Span{{From: LeastLoad, Name: cheapest(LeastLoad)}}
	low := LeastLoad
	for i := 1; i <= steps; i++ {
		high := LeastLoad * math.Pow(10, float64(i)/perDecade)
		if name := cheapest(high); name != spans[len(spans)-1].Name {
			border := bisect(low, high, func(rate float64) bool { return cheapest(rate) == spans[len(spans)-1].Name })
			spans[len(spans)-1].To = border
			spans = append(spans, Span{From: border, Name: name})
		}
		low = high
	}
	spans[len(spans)-1].To = MostLoad
	return slices.Clip(spans)
}

// bisect is where before stops to hold between low, where it does, and high.
func bisect(low, high float64, before func(float64) bool) float64 {
	for high/low > 1.001 {
		middle := math.Sqrt(low * high)
		if before(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return math.Sqrt(low * high)
}
