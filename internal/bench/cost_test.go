package bench

import (
	"math"
	"testing"
	"time"

	"github.com/covefn/cove"
)

// near says whether got is want to a part in a million.
func near(got, want float64) bool { return math.Abs(got-want) <= 1e-6*max(1e-9, math.Abs(want)) }

func check(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !near(got, want) {
		t.Errorf("%s is %v, not %v", what, got, want)
	}
}

func prices() Prices { return Prices{VCPUHour: 3.6, GiBHour: 0.01, Currency: "USD"} }

func TestCost(t *testing.T) {
	t.Parallel()
	t.Run("a call in a while, by hand", func(t *testing.T) {
		t.Parallel()
		// One call in 1,000 s of 1 ms, kept for 1,000 s: every gap is longer with a
		// probability of 1/e, and an instance waits (1-1/e) of the time.
		u := Usage{CPUPerThousand: 2, CPUPerStart: 0.5, Memory: cove.GiB / 2, Standing: cove.GiB, Call: time.Millisecond}
		b := Cost(u, Traffic{PerSecond: []float64{0.001}, KeepAlive: 1000 * time.Second}, prices())
		calls := 730 * 3.6
		const load = 1e-6
		check(t, "calls", b.CallsPerMonth, calls)
		check(t, "the price of calls", b.Calls, calls/1000*2*0.001)
		if math.Abs(b.ColdShare-math.Exp(-1)) > 1e-5 {
			t.Errorf("the cold share is %v", b.ColdShare)
		}
		check(t, "the price of starts", b.Starts, calls*b.ColdShare*0.5*0.001)
		check(t, "the price of memory that works", b.Busy, load*730*0.5*0.01)
		if want := (1 - math.Exp(-1)) * 730 * 0.5 * 0.01; math.Abs(b.Idle-want) > 1e-5*want {
			t.Errorf("the price of idling is %v, not %v", b.Idle, want)
		}
		check(t, "the price of what stands ready", b.Standing, 7.3)
		check(t, "the sum", b.PerMonth, b.Calls+b.Starts+b.Busy+b.Idle+b.Standing)
		check(t, "the price of a million", b.PerMillion, b.PerMonth/calls*1e6)
	})
	t.Run("kept for ever there is no start, not kept at all every call is one", func(t *testing.T) {
		t.Parallel()
		u := Usage{CPUPerStart: 1, Memory: cove.GiB, Call: 100 * time.Millisecond}
		at := func(keep time.Duration) Bill {
			return Cost(u, Traffic{PerSecond: []float64{5}, KeepAlive: keep}, prices())
		}
		if b := at(1e6 * time.Hour); b.ColdShare > 1e-9 || b.Instances < 1 {
			t.Errorf("%+v", b)
		}
		b := at(0)
		check(t, "the cold share", b.ColdShare, 1)
		check(t, "the instances", b.Instances, 0.5)
		check(t, "idling", b.Idle, 0)
	})
	t.Run("instances that work are as many as the load, at any rate", func(t *testing.T) {
		t.Parallel()
		for _, rate := range []float64{0.01, 1, 10, 100, 1000} {
			o := occupancy(rate, Usage{Call: 50 * time.Millisecond}, Traffic{KeepAlive: time.Minute})
			check(t, "the load", o.busy, rate*0.05)
		}
	})
	t.Run("a minimum is paid while it waits, and nothing is started for it", func(t *testing.T) {
		t.Parallel()
		u := Usage{CPUPerStart: 1, CPUPerIdleHour: 36, Memory: cove.GiB, Call: time.Millisecond}
		b := Cost(u, Traffic{PerSecond: []float64{0}, Min: 2}, prices())
		check(t, "idling", b.Idle, 2*730*(0.01+36*0.001))
		check(t, "starts", b.Starts, 0)
		check(t, "a million calls of none", b.PerMillion, 0)
	})
	t.Run("what waits is awake until it is paused, and costs what it does in each state", func(t *testing.T) {
		t.Parallel()
		// One call in 100 s, kept for 300 s and paused after 10: of the gaps, which are
		// exponential, 1-exp(-0.1) is waited awake, and until 1-exp(-3) paused.
		u := Usage{CPUPerIdleHour: 72, CPUPerPausedHour: 7.2, PausedAfter: 10 * time.Second, Call: time.Microsecond}
		at := Traffic{PerSecond: []float64{0.01}, KeepAlive: 300 * time.Second}
		awake := 1 - math.Exp(-0.1)
		paused := 1 - math.Exp(-3) - awake
		idle := func(u Usage) float64 { return Cost(u, at, prices()).Idle }
		if want := 730 * 0.001 * (awake*72 + paused*7.2); math.Abs(idle(u)-want) > 1e-4*want {
			t.Errorf("idling is %v, not %v", idle(u), want)
		}
		never := u
		never.PausedAfter = 0
		if want := 730 * 0.001 * (awake + paused) * 72; math.Abs(idle(never)-want) > 1e-4*want {
			t.Errorf("never paused it is %v, not %v", idle(never), want)
		}
		later := u
		later.PausedAfter = time.Hour // Longer than it is kept: that is never, too.
		check(t, "paused after its end", idle(later), idle(never))
	})
	t.Run("a minimum without calls is paused all the time, and a stem cell works a little", func(t *testing.T) {
		t.Parallel()
		u := Usage{CPUPerIdleHour: 36, CPUPerPausedHour: 3.6, PausedAfter: 10 * time.Second, CPUPerStandingHour: 7.2, Memory: cove.GiB, Call: time.Millisecond}
		b := Cost(u, Traffic{PerSecond: []float64{0}, Min: 2, KeepAlive: time.Minute}, prices())
		check(t, "idling", b.Idle, 2*730*(0.01+3.6*0.001))
		check(t, "what stands ready", b.Standing, 730*7.2*0.001)
		check(t, "the instances", b.Instances, 2)
		u.PausedAfter = 0
		b = Cost(u, Traffic{PerSecond: []float64{0.001}, Min: 2, KeepAlive: time.Minute}, prices())
		if want := 2 * 730 * (0.01 + 36*0.001); math.Abs(b.Idle-want) > 1e-5*want {
			t.Errorf("a minimum that is never paused is %v, not %v", b.Idle, want)
		}
	})
	t.Run("a day by the hour is the mean of its hours", func(t *testing.T) {
		t.Parallel()
		u := Usage{CPUPerThousand: 1, CPUPerStart: 1, Memory: cove.GiB, Call: time.Millisecond}
		one := func(rate float64) float64 {
			return Cost(u, Traffic{PerSecond: []float64{rate}, KeepAlive: time.Minute}, prices()).PerMonth
		}
		both := Cost(u, Traffic{PerSecond: []float64{0.1, 3}, KeepAlive: time.Minute}, prices()).PerMonth
		check(t, "the price", both, (one(0.1)+one(3))/2)
	})
}

func TestCheapestByLoad(t *testing.T) {
	t.Parallel()
	// Without starts and idling: one costs 1 ct per hour standing, the other as
	// much for 10,000 calls of 1 ms CPU at 3.60 an hour: equal at 10,000 an hour.
	standing := Priced{"standing", Usage{Standing: cove.GiB, Call: time.Millisecond}}
	perCall := Priced{"per-call", Usage{CPUPerThousand: 1, Call: time.Millisecond}}
	t.Run("the border is where both cost the same", func(t *testing.T) {
		t.Parallel()
		spans := CheapestByLoad([]Priced{standing, perCall}, Traffic{KeepAlive: time.Hour}, prices())
		if len(spans) != 2 || spans[0].Name != "per-call" || spans[1].Name != "standing" {
			t.Fatalf("%+v", spans)
		}
		if want := 10_000.0 / 3600; math.Abs(spans[0].To-want) > 0.001*want || spans[1].From != spans[0].To || spans[1].To != MostLoad {
			t.Errorf("%+v, not at %v", spans, want)
		}
	})
	t.Run("one that is cheaper everywhere has all of it", func(t *testing.T) {
		t.Parallel()
		dear := Priced{"dear", Usage{CPUPerThousand: 2, Call: time.Millisecond}}
		if spans := CheapestByLoad([]Priced{dear, perCall}, Traffic{}, prices()); len(spans) != 1 || spans[0] != (Span{LeastLoad, MostLoad, "per-call"}) {
			t.Errorf("%+v", spans)
		}
	})
}
