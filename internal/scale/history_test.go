package scale

import (
	"math"
	"testing"
	"time"
)

func TestBinsOfGaps(t *testing.T) {
	t.Parallel()
	for i := range gapBins {
		if got := gapBin(gapFrom(i)); got != i {
			t.Fatalf("the beginning of bin %d, %s, is in bin %d", i, gapFrom(i), got)
		}
		if got := gapBin(gapFrom(i+1) - 1); got != i {
			t.Fatalf("the end of bin %d is in bin %d", i, got)
		}
	}
	if gapBin(-time.Hour) != 0 || gapBin(1000*time.Hour) != gapBins {
		t.Error("what is outside does not belong to the outermost bins")
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	next := 0
	for n := 1; n < 5000; n++ {
		i, first := levelOf(n)
		if first {
			if i != next {
				t.Fatalf("%d requests at once begin level %d, want %d", n, i, next)
			}
			next++
		} else if i != next-1 {
			t.Fatalf("%d requests at once belong to level %d, want %d", n, i, next-1)
		}
	}
	if next > 100 {
		t.Errorf("5000 requests at once have %d levels", next)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	t.Run("a gap is from the last that left to the next that arrives, at each level", func(t *testing.T) {
		t.Parallel()
		var h History
		at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
		h.Arrive(at(0), 1)
		h.Arrive(at(10), 2)
		h.Leave(at(20), 1)
		h.Leave(at(30), 0)
		h.Arrive(at(130), 1)
		h.Arrive(at(220), 2)
		if h.levels[0].gaps[gapBin(100*time.Second)] != gapUnit || h.levels[1].gaps[gapBin(200*time.Second)] != gapUnit {
			t.Error("the gaps were not noted")
		}
	})
	t.Run("what was long ago fades", func(t *testing.T) {
		t.Parallel()
		h := called(2000, time.Minute)
		old := h.levels[0].gaps[gapBin(time.Minute)]
		if old > gapMemory*gapUnit {
			t.Fatalf("a bin holds %d", old)
		}
		for i := range 2000 {
			at := noon.Add(time.Duration(i+1) * time.Hour)
			h.Arrive(at, 1)
			h.Leave(at, 0)
		}
		if left := h.levels[0].gaps[gapBin(time.Minute)]; left > old/4 {
			t.Errorf("%d of %d are left", left, old)
		}
		if rate := h.perDay(); math.Abs(rate-24) > 2 {
			t.Errorf("the rate is %.1f a day, want 24", rate)
		}
	})
	t.Run("a clock that goes back does no harm", func(t *testing.T) {
		t.Parallel()
		h := called(10, time.Minute)
		h.Arrive(noon.Add(-time.Hour), 1)
		h.Leave(noon.Add(-2*time.Hour), 0)
		Decide(Policy{Max: 1, Idle: time.Minute, Adaptive: true}, Observation{}, h, noon.Add(-3*time.Hour))
	})
}

func TestWindows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		n             int
		d             time.Duration
		stable, burst float64
	}{
		{"nothing", 0, 0, 0, 0},
		{"a load that lasts", 4, 10 * time.Minute, 4, 4},
		{"half a minute of one", 4, 30 * time.Second, 2, 4},
		{"three seconds", 4, 3 * time.Second, 0.2, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := busyFor(test.n, test.d)
			stable, burst := h.window.averages(noon)
			if math.Abs(stable-test.stable) > 0.15*test.stable+1e-9 || math.Abs(burst-test.burst) > 0.35*test.burst+1e-9 {
				t.Errorf("got %.2f and %.2f, want %.2f and %.2f", stable, burst, test.stable, test.burst)
			}
		})
	}
}

func TestDemand(t *testing.T) {
	t.Parallel()
	burst := func(d *Demand, n int, at time.Time, over time.Duration) {
		for i := range n {
			d.Take(at.Add(over * time.Duration(i) / time.Duration(n)))
		}
	}
	for _, test := range []struct {
		name   string
		n      int
		over   time.Duration
		refill time.Duration
		after  time.Duration
		lo, hi int
	}{
		{"never wanted", 0, 0, time.Second, 0, 0, 0},
		{"one", 1, 0, time.Second, time.Minute, 1, 1},
		{"all of a burst that is shorter than a refill", 20, 100 * ms, time.Second, time.Minute, 20, 20},
		{"of a slow one what falls into a refill", 60, time.Minute, 2 * time.Second, time.Minute, 2, 4},
		{"half of it after half an hour", 20, 100 * ms, time.Second, 31 * time.Minute, 8, 12},
		{"nothing after an hour", 20, 100 * ms, time.Second, 71 * time.Minute, 0, 0},
		{"a refill longer than any window", 20, 10 * time.Second, time.Hour, time.Minute, 20, 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var d Demand
			burst(&d, test.n, noon, test.over)
			if got := d.Target(test.refill, noon.Add(test.after)); got < test.lo || got > test.hi {
				t.Errorf("got %d, want %d to %d", got, test.lo, test.hi)
			}
		})
	}
}

// The one test that is not parallel: allocations can only be counted alone.
func TestNotingARequestTakesNoMemory(t *testing.T) {
	h := called(10, time.Minute)
	at := noon
	if n := testing.AllocsPerRun(100, func() {
		at = at.Add(time.Second)
		h.Arrive(at, 1)
		h.Leave(at, 0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkArriveAndLeave(b *testing.B) {
	h := called(10, time.Minute)
	at := noon
	for b.Loop() {
		at = at.Add(time.Millisecond)
		h.Arrive(at, 1)
		h.Leave(at, 0)
	}
}

func BenchmarkDecide(b *testing.B) {
	h := called(100, 5*time.Minute)
	o := Observation{Idle: idleSince(1)}
	for b.Loop() {
		Decide(Policy{Max: 1, Idle: time.Minute, Pause: -1, Adaptive: true}, o, h, noon)
	}
}

func TestNeeded(t *testing.T) {
	t.Parallel()
	var h History
	now := time.Unix(1_700_000_000, 0)
	if n := h.Needed(now, 1); n != 1 {
		t.Errorf("of nothing: %d", n)
	}
	for range 5 {
		h.Arrive(now, 5)
	}
	now = now.Add(11 * time.Second) // The bucket that has just begun counts as a whole one.
	if a, b := h.Needed(now, 1), h.Needed(now, 2); a != 5 || b != 3 {
		t.Errorf("five in flight need %d instances, and %d of which each serves two", a, b)
	}
	h.Leave(now, 0)
	if n := h.Needed(now.Add(time.Hour), 1); n != 1 {
		t.Errorf("an hour later: %d", n)
	}
}
