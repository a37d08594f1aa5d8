package drivertest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// testPause: what is paused does nothing, and everything can still be done to it.
func (s *suite) testPause(t *testing.T) {
	if !s.has(driver.FeaturePause) {
		return
	}
	t.Run("what is paused does nothing, and goes on when resumed", func(t *testing.T) {
		r := s.create(t)
		r.must("beat", nil, nil)
		if err := r.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !r.silent() {
			t.Error("something arrived while it was paused")
		}
		if err := r.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !r.beats() {
			t.Error("nothing arrives after resuming")
		}
	})
	t.Run("a call that is sent while it is paused is answered when it goes on", func(t *testing.T) {
		r := s.create(t)
		for range 30 {
			if err := r.Pause(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := r.tell("ping", nil); err != nil {
				t.Fatal(err)
			}
			if err := r.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := r.next(); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("what is paused is measured, and uses no processor time", func(t *testing.T) {
		r := s.create(t)
		if !s.InMemory {
			r.must("spin", nil, nil)
		}
		if err := r.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		before, err1 := r.Usage(t.Context())
		time.Sleep(50 * time.Millisecond)
		after, err2 := r.Usage(t.Context())
		if err := errors.Join(err1, err2); err != nil || after.CPU-before.CPU > 5*time.Millisecond || after.Memory <= 0 {
			t.Errorf("before %+v, after %+v, %v", before, after, err)
		}
	})
	t.Run("what is paused can be resized, and goes on with its new limits", func(t *testing.T) {
		if s.InMemory || !s.has(driver.FeatureResize) {
			return
		}
		r, l := s.create(t), limits()
		l.Memory = cove.GiB
		if err := errors.Join(r.Pause(t.Context()), r.Resize(t.Context(), l), r.Resume(t.Context())); err != nil {
			t.Fatal(err)
		}
		r.must("hold", 256<<20, nil)
		l.Memory = limits().Memory
		if err := r.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.Resize(t.Context(), l); !errors.Is(err, driver.ErrRefused) {
			t.Errorf("a limit below what a paused one holds: %v", err)
		}
		if err := r.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.must("ping", nil, nil)
	})
	t.Run("one of the background is paused while others are busy", func(t *testing.T) {
		spec := s.spec(t)
		spec.Limits.Background = true
		r, busy := create(t, s.driver, spec), s.create(t)
		r.must("beat", nil, nil)
		busy.must("spin", nil, nil)
		if err := r.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !r.silent() {
			t.Error("something arrived while it was paused")
		}
	})
	t.Run("what is paused can be stopped and destroyed", func(t *testing.T) {
		r := s.create(t)
		if err := errors.Join(r.Pause(t.Context()), r.Stop(t.Context()), r.Destroy(t.Context(), "paused")); err != nil {
			t.Error(err)
		}
	})
	t.Run("what is paused is destroyed without being stopped", func(t *testing.T) {
		r := s.create(t)
		r.must("beat", nil, nil)
		if err := errors.Join(r.Pause(t.Context()), r.Destroy(t.Context(), "paused")); err != nil {
			t.Error(err)
		}
		if e := r.exit(); e.Reason != "paused" {
			t.Errorf("the exit is %+v", e)
		}
	})
	t.Run("a Stop at the same time as pausing and resuming wins", func(t *testing.T) {
		for i := range 6 {
			r := s.create(t)
			r.must("beat", nil, nil)
			var changing sync.WaitGroup
			changing.Go(func() {
				for r.Pause(t.Context()) == nil && r.Resume(t.Context()) == nil {
				}
			})
			time.Sleep(time.Duration(i) * time.Millisecond)
			if err := r.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			changing.Wait()
			if !r.silent() {
				t.Error("something arrived after Stop")
			}
			if err := r.Destroy(t.Context(), "stopped"); err != nil {
				t.Error(err)
			}
		}
	})
}

// beats says whether beats arrive.
func (r *running) beats() bool {
	// The reading deadline of silent may have cut a line.
	r.lines.Reset(r.Conn())
	for range 2 {
		_ = r.Conn().SetReadDeadline(time.Now().Add(patience))
		if _, err := r.lines.ReadBytes('\n'); err != nil {
			return false
		}
	}
	return true
}
