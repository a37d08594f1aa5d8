package bench

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// server answers one call at a time, each in the time service, and stands still
// once, for the time stall from the moment at on.
type server struct {
	service, at, stall time.Duration

	began time.Time
	// line is a place for one; a mutex would keep synthetic time from passing.
	line chan struct{}
}

func newServer(service time.Duration) *server {
	return &server{service: service, began: time.Now(), line: make(chan struct{}, 1)}
}

func (s *server) call(ctx context.Context) error {
	s.line <- struct{}{}
	defer func() { <-s.line }()
	time.Sleep(s.service)
	if since := time.Since(s.began); s.stall > 0 && since >= s.at && since < s.at+s.stall {
		time.Sleep(s.at + s.stall - since)
	}
	return ctx.Err()
}

func TestOpenLoop(t *testing.T) {
	t.Parallel()
	t.Run("a stall is charged to every call that was due meanwhile, which a closed loop leaves out", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			stalling := newServer(time.Millisecond)
			stalling.at, stalling.stall = 5*time.Second, 2*time.Second
			open := OpenLoop(t.Context(), stalling.call, Open{Rate: 200, For: 20 * time.Second, Seed: 1})
			if open.Failed > 0 || open.Calls < 3700 || open.Calls > 4300 {
				t.Fatalf("%d calls, %d failed: %s", open.Calls, open.Failed, open.Error)
			}
			// A tenth of all calls were due during the stall and waited a second on
			// average; the p99 is near its whole length.
			if open.Latency.P99 < 1700*time.Millisecond || open.Latency.Max > 2500*time.Millisecond {
				t.Errorf("open loop: %+v", open.Latency)
			}
			stalling.began = time.Now()
			closed := ClosedLoop(t.Context(), stalling.call, 1, 20*time.Second)
			if closed.Latency.P99 > 2*time.Millisecond || closed.Latency.Max < 1900*time.Millisecond {
				t.Errorf("closed loop: %+v", closed.Latency)
			}
		})
	})
	t.Run("a call that finds no place waits, and its time runs", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			slow := func(context.Context) error { time.Sleep(time.Second); return nil }
			l := OpenLoop(t.Context(), slow, Open{Rate: 10, For: 2 * time.Second, InFlight: 5, Seed: 1})
			if l.Failed > 0 || l.Latency.Max < 2*time.Second || l.SendLag.Max != 0 {
				t.Errorf("%+v", l)
			}
		})
	})
	t.Run("a server that never answers ends the load, and every call counts as failed", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			never := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			l := OpenLoop(t.Context(), never, Open{Rate: 10, For: 2 * time.Second, InFlight: 5, Seed: 1})
			if l.Calls < 10 || l.Failed != l.Calls || l.Elapsed > 2*time.Second+grace+time.Millisecond || l.PerSecond != 0 {
				t.Errorf("%+v", l)
			}
		})
	})
	t.Run("the same seed gives the same moments", func(t *testing.T) {
		t.Parallel()
		moments := func() (at []time.Duration) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var mu sync.Mutex
				OpenLoop(t.Context(), func(context.Context) error {
					mu.Lock()
					defer mu.Unlock()
					at = append(at, time.Since(began))
					return nil
				}, Open{Rate: 100, For: time.Second, Seed: 8})
			})
			return at
		}
		a, b := moments(), moments()
		if len(a) < 70 || len(a) != len(b) || a[3] != b[3] || a[len(a)-1] != b[len(b)-1] {
			t.Errorf("%v\n%v", a, b)
		}
	})
}

func TestClosedLoop(t *testing.T) {
	t.Parallel()
	t.Run("its throughput is that of the server", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := newServer(10 * time.Millisecond)
			l := ClosedLoop(t.Context(), s.call, 4, 10*time.Second)
			if l.PerSecond < 99 || l.PerSecond > 101 || l.Failed > 0 || l.Workers != 4 {
				t.Errorf("%+v", l)
			}
		})
	})
}

func TestClimb(t *testing.T) {
	t.Parallel()
	t.Run("all targets get the same rates, which are parts of the slower one's peak", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fast, slow := newServer(5*time.Millisecond), newServer(10*time.Millisecond)
			var told []float64
			got, err := Climb(t.Context(), []Target{{"fast", fast.call}, {"slow", slow.call}}, Ladder{
				Workers: 4, Peak: 10 * time.Second, Step: 10 * time.Second, Seed: 1, Progress: func(p float64) { told = append(told, p) },
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, part := range []float64{0.5, 0.7, 0.9} {
				f, s := got[0].Steps[i], got[1].Steps[i]
				if f.Rate != s.Rate || f.Part != part || s.Rate < 99*part || s.Rate > 101*part || f.Calls != s.Calls {
					t.Errorf("step %v: %+v and %+v", part, f, s)
				}
				if f.Latency.P50 >= s.Latency.P50 {
					t.Errorf("step %v: the faster one has %s, the slower one %s", part, f.Latency.P50, s.Latency.P50)
				}
			}
			if told[len(told)-1] != 1 {
				t.Errorf("progress %v", told)
			}
		})
	})
	t.Run("peaks and steps are cut into slices, which are the samples of the ratios", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			fast, slow := newServer(5*time.Millisecond), newServer(10*time.Millisecond)
			got, err := Climb(t.Context(), []Target{{"fast", fast.call}, {"slow", slow.call}}, Ladder{Workers: 4, Peak: 7 * time.Second, Step: 7 * time.Second, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			if r := Ratio(got[0].Each, got[1].Each, 0.5, 1); len(got[0].Each) != ladderRounds || !r.Bounded() || math.Abs(r.Value-0.5) > 0.01 {
				t.Errorf("the fast one takes %v of the time per call: %v", r, got[0].Each)
			}
			for i, s := range got[1].Steps {
				if len(s.Each) != ladderRounds || s.Calls != s.Latency.N || s.SendLag.N == 0 || s.Elapsed < 6*time.Second || s.PerSecond < s.Rate/2 {
					t.Errorf("step %d: %+v", i, s)
				}
			}
		})
	})
	t.Run("calls that take longer than a slice have fewer slices", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			slow := func(context.Context) error { time.Sleep(2 * time.Second); return nil }
			got, err := Climb(t.Context(), []Target{{"slow", slow}}, Ladder{Workers: 1, Peak: time.Second, Step: time.Second, Seed: 1, Parts: []float64{0.5}})
			if err != nil || len(got[0].Each) >= ladderRounds || got[0].Peak.PerSecond != 0.5 || time.Since(began) > 20*time.Second {
				t.Errorf("after %s: %+v, %v", time.Since(began), got, err)
			}
		})
	})
	t.Run("a target that answers nothing is told by its name", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			broken := func(context.Context) error { time.Sleep(time.Millisecond); return errors.New("no") }
			_, err := Climb(t.Context(), []Target{{"broken", broken}}, Ladder{Workers: 1, Peak: time.Second, Step: time.Second})
			if err == nil || err.Error() != "broken answered no call: no" {
				t.Error(err)
			}
		})
	})
}
