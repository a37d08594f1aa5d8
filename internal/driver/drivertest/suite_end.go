package drivertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove/internal/driver"
)

// testStop: after Stop nothing that runs inside does anything any more.
func (s *suite) testStop(t *testing.T) {
	works := map[string][]string{
		"a busy loop":                   {"beat", "spin"},
		"a process that stopped itself": {"stop"},
	}
	if !s.InMemory {
		works["a forker"] = []string{"beat", "forker"}
		works["a daemon of a dead parent"] = []string{"daemon"}
	}
	for name, commands := range works {
		t.Run(name+" is stopped, and nothing arrives afterwards", func(t *testing.T) {
			r := s.create(t)
			for _, do := range commands {
				r.must(do, nil, nil)
			}
			start := time.Now()
			if err := r.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			if !r.silent() {
				t.Error("something arrived after Stop")
			}
			// What had to be killed took some processor time to die, and has by now.
			before, usageErr := r.Usage(t.Context())
			if !r.silent() {
				t.Error("something arrived long after Stop")
			}
			after, err := r.Usage(t.Context())
			if err == nil && usageErr == nil && after.CPU-before.CPU > 5*time.Millisecond && !s.InMemory && !r.ended() {
				t.Errorf("%v of processor time were used after Stop", after.CPU-before.CPU)
			}
			if err := r.Resume(t.Context()); !errors.Is(err, driver.ErrDead) {
				t.Errorf("it could be resumed: %v", err)
			}
			if err := r.Destroy(t.Context(), "stopped"); err != nil {
				t.Error(err)
			}
			if e := r.exit(); e.Reason != "stopped" {
				t.Errorf("the exit is %+v", e)
			}
			t.Logf("Stop took %v", took)
		})
	}
}

// testEnd: how a sandbox ends, by itself and by Destroy.
func (s *suite) testEnd(t *testing.T) {
	for _, code := range []int{0, 7} {
		t.Run(fmt.Sprintf("the exit code %d is reported, to all who wait and afterwards", code), func(t *testing.T) {
			r := s.create(t)
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					if e := r.exit(); e.Code != code || e.Signal != 0 || e.OOM || e.Reason != "" {
						t.Errorf("the exit is %+v", e)
					}
				})
			}
			if err := r.tell("exit", code); err != nil {
				t.Fatal(err)
			}
			all.Wait()
			if _, err := r.next(); err == nil {
				t.Error("the connection did not end")
			}
			if e := r.exit(); e.Code != code {
				t.Errorf("asked again it is %+v", e)
			}
			if err := r.Pause(t.Context()); err == nil {
				t.Error("what has ended can be paused")
			}
		})
	}
	for _, signal := range []int{9, 15} {
		// Linux ignores what the first process of a PID namespace sends itself;
		// then it has to go on working.
		t.Run(fmt.Sprintf("signal %d from within to the first process ends it or does nothing", signal), func(t *testing.T) {
			r := s.create(t)
			if err := r.ask("signal", signal, nil); err == nil {
				r.must("ping", nil, nil)
				return
			}
			if e := r.exit(); e.Signal != signal {
				t.Errorf("the exit is %+v", e)
			}
		})
	}
	t.Run("a crash of the first process is reported with its signal", func(t *testing.T) {
		r := s.create(t)
		if err := r.tell("crash", nil); err != nil {
			t.Fatal(err)
		}
		if e := r.exit(); e.Signal != 11 {
			t.Errorf("the exit is %+v", e)
		}
	})
	t.Run("Wait ends with its context", func(t *testing.T) {
		r := s.create(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := r.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	})
	for name, prepare := range map[string]func(r *running) error{
		"idle":    func(*running) error { return nil },
		"busy":    func(r *running) error { return r.ask("spin", nil, nil) },
		"stopped": func(r *running) error { return r.Stop(t.Context()) },
		"ended": func(r *running) error {
			err := r.tell("exit", 0)
			r.exit()
			return err
		},
	} {
		t.Run("a sandbox that is "+name+" is destroyed by any number of callers", func(t *testing.T) {
			r := s.create(t)
			if err := prepare(r); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					if err := r.Destroy(t.Context(), "one of many"); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if err := r.Destroy(t.Context(), "once more"); err != nil {
				t.Error(err)
			}
			if e := r.exit(); e.Reason != "one of many" && name != "ended" {
				t.Errorf("the exit is %+v", e)
			}
			if err := r.Stop(t.Context()); err != nil {
				t.Errorf("Stop after the end: %v", err)
			}
		})
	}
	t.Run("a Destroy whose context has ended goes on", func(t *testing.T) {
		r := s.create(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Destroy(ctx, "in passing"); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		if e := r.exit(); e.Reason != "in passing" {
			t.Errorf("the exit is %+v", e)
		}
	})
}

// testMany: many at once, and nothing of any of them is left.
func (s *suite) testMany(t *testing.T) {
	const many, atOnce = 20, 10
	_ = s.create(t).Destroy(t.Context(), "warm")
	census := Census{Owner: s.Owner, DataDir: s.DataDir, Docker: s.Docker}
	before := census.Take(t)
	t.Run("sandboxes", func(t *testing.T) {
		places := make(chan struct{}, atOnce)
		for range many {
			spec := s.spec(t)
			t.Run(spec.ID, func(t *testing.T) {
				t.Parallel()
				places <- struct{}{}
				defer func() { <-places }()
				r := create(t, s.driver, spec)
				r.must("ping", nil, nil)
				if err := r.Destroy(t.Context(), "enough"); err != nil {
					t.Error(err)
				}
			})
		}
	})
	census.Same(t, before)
	t.Run("of many at once every other is given up midway, some are of the background, and nothing of any is left", func(t *testing.T) {
		before := census.Take(t)
		var all sync.WaitGroup
		for i := range many {
			spec := s.spec(t)
			spec.Limits.Background = i%4 > 1
			all.Go(func() { s.createUnderLoad(t, spec, i) })
		}
		all.Wait()
		census.Same(t, before)
	})
}

// createUnderLoad makes a sandbox while others are made, or, of every other,
// gives up after a time of its own.
func (s *suite) createUnderLoad(t *testing.T, spec driver.Spec, i int) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	if i%2 == 1 {
		cancel()
		ctx, cancel = context.WithTimeout(t.Context(), time.Duration(i)*20*time.Millisecond)
	}
	defer cancel()
	inner, err := s.driver.Create(ctx, spec)
	if err != nil {
		if i%2 == 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("create a sandbox: %v", err)
		}
		return
	}
	// It may have been ready before its time was up.
	g := driver.Guard(inner)
	stdout, stderr := drainBoth(g)
	if err := g.Destroy(t.Context(), "enough"); err != nil {
		t.Error(err)
	}
	<-stdout.done
	<-stderr.done
}
