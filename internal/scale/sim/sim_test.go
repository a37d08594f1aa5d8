package sim

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove/internal/scale"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var world = World{Start: 250 * time.Millisecond, Review: time.Second, Seed: 1}

// every is a day of requests, one each so many minutes.
func every(minutes int) Function {
	f := Function{Name: "f", Minutes: make([]uint32, 24*60), Run: time.Millisecond, Memory: 100}
	for m := 0; m < len(f.Minutes); m += minutes {
		f.Minutes[m] = 1
	}
	return f
}

func fixed(minutes int) scale.Policy {
	return scale.Policy{Max: 1000, Idle: time.Duration(minutes) * time.Minute, Pause: -1}
}

func TestRun(t *testing.T) {
	t.Parallel()
	t.Run("a gap longer than the keep-alive makes each request cold", func(t *testing.T) {
		t.Parallel()
		r := Run(every(20), fixed(10), world)
		if r.Calls != 72 || r.Cold != 72 || r.Starts != 72 {
			t.Errorf("got %+v", r)
		}
		if idle := r.Idle.Hours(); idle < 11.9 || idle > 12.01 {
			t.Errorf("idle for %.2f h, want 12", idle)
		}
	})
	t.Run("a gap shorter than it only the first", func(t *testing.T) {
		t.Parallel()
		r := Run(every(5), fixed(10), world)
		if r.Calls != 288 || r.Cold != 1 || r.Starts != 1 || r.Idle.Hours() < 23.9 {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("requests at once have instances each", func(t *testing.T) {
		t.Parallel()
		r := Run(Function{Name: "f", Minutes: []uint32{30, 0, 0}, Run: time.Hour}, fixed(10), world)
		if r.Cold != 30 || r.Starts != 30 || r.Idle != 0 || r.Busy.Round(time.Second) != 30*time.Hour {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("the same seed gives the same day, another one another", func(t *testing.T) {
		t.Parallel()
		f := every(7)
		f.Run = 30 * time.Second
		w := world
		w.Spread = 0.5
		a, b := Run(f, fixed(5), w), Run(f, fixed(5), w)
		w.Seed = 2
		if c := Run(f, fixed(5), w); a != b || a == c {
			t.Errorf("got %+v, %+v and %+v", a, b, c)
		}
	})
	t.Run("the adaptive policy has an instance when a request of a regular kind comes, with less idling", func(t *testing.T) {
		t.Parallel()
		p := fixed(10)
		p.Adaptive = true
		f := every(6 * 60)
		for range 3 {
			f.Minutes = append(f.Minutes, f.Minutes...) // Eight days.
		}
		learnt, without := Run(f, p, world), Run(f, fixed(60), world)
		if without.ColdShare() != 1 || learnt.ColdShare() > 0.2 || learnt.Idle > 2*without.Idle {
			t.Errorf("%.2f cold, idle for %s; %s with a fixed hour", learnt.ColdShare(), learnt.Idle, without.Idle)
		}
	})
}

func TestLab(t *testing.T) {
	t.Parallel()
	l := &Lab{World: world, Max: 100, Workers: 2}
	for i := 1; i < 60; i += 4 {
		f := every(i)
		f.Name = string(rune('A' + i))
		l.Functions = append(l.Functions, f)
	}
	base := l.Try(false, 10*time.Minute)
	if base.Policy != "fixed" || base.Keep != 10 || base.P75 < base.Median || base.P90 < base.P75 || base.Cold == 0 || base.IdleHours == 0 {
		t.Errorf("got %+v", base)
	}
	same := l.AtIdle(true, base.IdleHours)
	if same.IdleHours > base.IdleHours || same.IdleHours < 0.9*base.IdleHours || same.Calls != base.Calls {
		t.Errorf("got %+v beside %+v", same, base)
	}
}
