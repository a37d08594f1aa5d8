package events_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func subscribe(t *testing.T, h *events.Hub, function string) *events.Subscription {
	t.Helper()
	s, err := h.Subscribe(function)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// got is what waits for a subscriber, by type.
func got(s *events.Subscription) map[string]int {
	counts := map[string]int{}
	for {
		select {
		case e := <-s.Events():
			counts[e.Type]++
		default:
			return counts
		}
	}
}

func TestHub(t *testing.T) {
	t.Parallel()

	t.Run("tells 50 invocations in a second, and counts the others", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := events.NewHub(nil)
			s := subscribe(t, h, "")
			for range 80 {
				h.Invocation(&cove.Invocation{Function: "a"})
			}
			if n := got(s)[wire.EventInvocation]; n != 50 {
				t.Errorf("%d were told", n)
			}
			if skipped, some := s.Skipped(); !some || skipped.Invocations != 30 {
				t.Errorf("skipped %+v", skipped)
			}
			if _, some := s.Skipped(); some {
				t.Error("they are counted twice")
			}
			time.Sleep(time.Second)
			h.Invocation(&cove.Invocation{Function: "a"})
			if n := got(s)[wire.EventInvocation]; n != 1 {
				t.Errorf("%d in the next second", n)
			}
		})
	})

	t.Run("tells a record as it was, whatever becomes of it", func(t *testing.T) {
		t.Parallel()
		h := events.NewHub(nil)
		s := subscribe(t, h, "")
		record := &cove.Invocation{ID: "r", Outcome: "ok"}
		h.Invocation(record)
		record.Outcome = "timeout"
		if e := <-s.Events(); e.Data.(cove.Invocation).Outcome != "ok" {
			t.Errorf("told %+v", e.Data)
		}
	})

	t.Run("tells who wants one function of that one, and of the system", func(t *testing.T) {
		t.Parallel()
		h := events.NewHub(func(context.Context) wire.SystemEvent { return wire.SystemEvent{} })
		s := subscribe(t, h, "a")
		for _, name := range []string{"a", "b"} {
			h.Invocation(&cove.Invocation{Function: name})
			h.Function(wire.FunctionEvent{Name: name})
		}
		counts := got(s)
		if counts[wire.EventInvocation] != 1 || counts[wire.EventFunction] != 1 {
			t.Errorf("told %v", counts)
		}
	})

	t.Run("counts what a slow reader misses, and goes on", func(t *testing.T) {
		t.Parallel()
		h := events.NewHub(nil)
		s := subscribe(t, h, "")
		for range 300 {
			h.Function(wire.FunctionEvent{Name: "a"})
		}
		if skipped, _ := s.Skipped(); skipped.Events != 300-256 {
			t.Errorf("skipped %+v", skipped)
		}
		if n := got(s)[wire.EventFunction]; n != 256 {
			t.Errorf("%d were told", n)
		}
	})

	t.Run("takes so many subscribers, and another when one has left", func(t *testing.T) {
		t.Parallel()
		h := events.NewHub(nil)
		var last *events.Subscription
		for range 64 {
			last = subscribe(t, h, "")
		}
		_, err := h.Subscribe("")
		if e := cove.AsError(err); e == nil || e.Code != cove.CodeTooManyRequests {
			t.Errorf("one more: %v", err)
		}
		last.Close()
		subscribe(t, h, "")
	})

	t.Run("looks at the system only while somebody listens, and at once for who comes", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			looked := 0
			h := events.NewHub(func(context.Context) wire.SystemEvent { looked++; return wire.SystemEvent{} })
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); h.Run(ctx) }()
			time.Sleep(time.Minute)
			synctest.Wait()
			if looked != 0 {
				t.Errorf("it looked %d times for nobody", looked)
			}
			s, err := h.Subscribe("")
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if n := got(s)[wire.EventSystem]; n != 1 {
				t.Errorf("%d told at once", n)
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if n := got(s)[wire.EventSystem]; n != 5 {
				t.Errorf("%d told in 10 s", n)
			}
			s.Close()
			before := looked
			time.Sleep(time.Minute)
			synctest.Wait()
			if looked != before {
				t.Errorf("it looked %d times after the last has left", looked-before)
			}
			cancel()
			<-done
		})
	})
}

// BenchmarkInvocation is what the hub costs a call while nobody listens.
func BenchmarkInvocation(b *testing.B) {
	h := events.NewHub(nil)
	record := &cove.Invocation{Function: "a"}
	for b.Loop() {
		h.Invocation(record)
	}
}
