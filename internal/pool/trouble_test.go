package pool

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/pool/pooltest"
)

// other is version(nil) of another function.
func other(change func(*cove.Config)) *cove.Version {
	v := version(change)
	v.ID, v.Function, v.Config.Name = "other", "other", "other"
	return v
}

func TestStarting(t *testing.T) {
	t.Parallel()

	run(t, "a minimum that the platform cannot start is not tried without a pause", func(t *testing.T) {
		d := &pooltest.Driver{StartError: errBoom, StartDelay: time.Millisecond}
		p, _ := setup(t, d, cove.GiB)
		ctx, cancel := context.WithCancel(t.Context())
		go p.Run(ctx)
		defer cancel()
		v := version(func(c *cove.Config) { c.Scaling.Min = 1 })
		p.Switch(nil, v)
		time.Sleep(30 * time.Second)
		if n := d.Attempts.Load(); n < 4 || n > 6 {
			t.Errorf("%d attempts in 30 s", n)
		}
		if _, _, err := call(p, v, "x"); code(err) != cove.CodeSandboxStartFailed {
			t.Errorf("a request is tried all the same: %v", err)
		}
	})

	run(t, "a minimum whose process ends before it has served anybody is not made again without a pause", func(t *testing.T) {
		d := &pooltest.Driver{EndAfter: 100 * time.Millisecond}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(func(c *cove.Config) { c.Scaling.Min = 1 })
		p.o.Active = func(string) *cove.Version { return v }
		p.Switch(nil, v)
		time.Sleep(time.Minute)
		if n := d.Created.Load(); n < 4 || n > 7 {
			t.Errorf("%d were made in a minute", n)
		}
		if e, err := p.Explain(v); err != nil || cove.CodeOf(e.Failure) != cove.CodeInitError {
			t.Errorf("got %+v, %v", e, err)
		}
		synctest.Wait()
		d.EndAfter = 0
		if _, _, err := call(p, v, "x"); err != nil {
			t.Errorf("a request does not wait for the pause: %v", err)
		}
		before := d.Created.Load()
		time.Sleep(2 * time.Minute)
		if s := p.Stats().Groups[0]; s.Idle != 1 || d.Created.Load() != before {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "a start ahead of a request that fails is not tried again without a pause", func(t *testing.T) {
		d := &pooltest.Driver{}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(func(c *cove.Config) {
			c.Scaling.Policy, c.Scaling.Idle = cove.PolicyAdaptive, cove.Duration(time.Second)
		})
		p.o.Active = func(string) *cove.Version { return v }
		for range 40 {
			if _, _, err := call(p, v, "x"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
		if _, _, err := call(p, v, "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		d.StartError = errBoom
		if s := p.Stats().Groups[0]; s.Idle != 0 {
			t.Fatalf("half way to the next request: %+v", s)
		}
		before := d.Attempts.Load()
		time.Sleep(10 * time.Minute)
		if n := d.Attempts.Load() - before; n < 1 || n > 5 {
			t.Errorf("%d attempts", n)
		}
	})

	run(t, "requests that failed are not thought to be served still", func(t *testing.T) {
		d := &pooltest.Driver{InitError: &cove.FunctionError{Type: "Runtime.ImportError"}}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(func(c *cove.Config) { c.Scaling.Policy = cove.PolicyAdaptive })
		p.o.Active = func(string) *cove.Version { return v }
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, _, err := call(p, v, "x"); code(err) != cove.CodeInitError {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		d.InitError = nil
		time.Sleep(2 * time.Minute)
		if _, err := p.Warm(t.Context(), v, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if s := p.Stats().Groups[0]; s.Idle != 0 {
			t.Errorf("an hour without a request: %+v", s)
		}
	})

	run(t, "nothing is started once nobody wants it any more", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, 150*cove.MiB)
		lease, err := p.Acquire(t.Context(), version(nil))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Acquire(ctx, other(nil)); err == nil {
			t.Fatal("there is no memory for it")
		}
		lease.Break("test")
		synctest.Wait()
		if n, r := d.Attempts.Load(), p.ledger.reserved(); n != 1 || r != 0 {
			t.Errorf("%d attempts, %s reserved", n, r)
		}
	})

	run(t, "an import that hangs keeps no other function from being started", func(t *testing.T) {
		p, _ := setup(t, &pooltest.Driver{InitDelay: time.Hour}, 100*cove.GiB)
		fine := &pooltest.Driver{}
		p.o.Drivers["fine"], p.recovery["fine"] = fine, newRecovery()
		hangs := version(func(c *cove.Config) { c.Scaling.Max = startsAtOnce() })
		for range startsAtOnce() {
			go func() { _, _, _ = call(p, hangs, "x") }()
		}
		synctest.Wait()
		began := time.Now()
		if _, _, err := call(p, other(func(c *cove.Config) { c.Isolation = "fine" }), "x"); err != nil || time.Since(began) > slotPatience {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})

	run(t, "who waits behind an instance that ends is told why no other can be loaded", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, cove.GiB)
		v := version(func(c *cove.Config) { c.Timeout = cove.Duration(500 * time.Millisecond) })
		began := time.Now()
		go func() { _, _, _ = call(p, v, "sleep 1h") }()
		synctest.Wait()
		d.InitError = &cove.FunctionError{Type: "Runtime.ImportError", Message: "no module"}
		if _, _, err := call(p, v, "x"); code(err) != cove.CodeInitError {
			t.Fatalf("got %v", err)
		}
		_, _, err := call(p, v, "x")
		if code(err) != cove.CodeInitError || time.Since(began) != 500*time.Millisecond {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})

	run(t, "memory stays reserved for a sandbox whose shim says nothing and that does not end", func(t *testing.T) {
		d := &pooltest.Driver{Mute: true}
		d.Stuck.Store(true)
		p, _ := setup(t, d, cove.GiB)
		if _, _, err := call(p, version(nil), "x"); code(err) != cove.CodeSandboxStartFailed {
			t.Errorf("got %v", err)
		}
		time.Sleep(destroyTimeout)
		synctest.Wait()
		if s := p.Stats(); s.Reserved != 100*cove.MiB || s.Stuck != 1 {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "closing waits for as long as sandboxes end", func(t *testing.T) {
		d := &pooltest.Driver{DestroyTurn: 2 * time.Second}
		p, _ := setup(t, d, cove.GiB)
		v := version(func(c *cove.Config) { c.Scaling.Max = 8 })
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() { _, _, _ = call(p, v, "sleep 1s") })
		}
		calls.Wait()
		began := time.Now()
		if err := p.Close(t.Context()); err != nil || time.Since(began) < 2*time.Second*8 || d.Destroyed.Load() != d.Created.Load() {
			t.Errorf("after %s: %v; %d of %d are gone", time.Since(began), err, d.Destroyed.Load(), d.Created.Load())
		}
	})

	run(t, "closing gives up on sandboxes that do not end, and says how many", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, cove.GiB)
		_, _, _ = call(p, version(nil), "x")
		d.Stuck.Store(true)
		began := time.Now()
		err := p.Close(t.Context())
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "could not be ended in time: 1") || took < closeStall || took > closeStall+2*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
		d.Stuck.Store(false)
	})

	run(t, "closing does not wait for what is being started", func(t *testing.T) {
		for _, d := range []*pooltest.Driver{{StartDelay: 20 * time.Second}, {Mute: true}, {InitDelay: 9 * time.Second}} {
			p, _ := setup(t, d, cove.GiB)
			go func() { _, _, _ = call(p, version(nil), "x") }()
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := p.Close(ctx); err != nil {
				t.Errorf("%v: %+v", err, p.Stats())
			}
			cancel()
		}
	})
}

// Not in a bubble of its own time: there nothing happens at the same time.
func TestTheEndOfASharedInstanceDoesNotRaceWithItsBeginning(t *testing.T) {
	t.Parallel()
	p, _ := setup(t, &pooltest.Driver{EndAfter: time.Nanosecond}, cove.GiB)
	for i := range 300 {
		v := version(func(c *cove.Config) { c.Scaling.Concurrency = 2 })
		v.ID = strconv.Itoa(i)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if lease, err := p.Acquire(ctx, v); err == nil {
			lease.Release()
		}
		cancel()
	}
}

func TestEnding(t *testing.T) {
	t.Parallel()

	run(t, "a removal that fails at once is tried again, but not without a pause", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, cove.GiB)
		d.Broken.Store(true)
		_, _, _ = call(p, version(nil), "exit")
		time.Sleep(30 * time.Second)
		if n := d.DestroyAttempts.Load(); n < 5 || n > 7 {
			t.Errorf("%d attempts in 30 s", n)
		}
	})

	run(t, "what is left of one that did not start keeps its memory until it is gone", func(t *testing.T) {
		d := &pooltest.Driver{StartError: errBoom, Remains: true}
		p, _ := setup(t, d, cove.GiB)
		d.Stuck.Store(true)
		if _, _, err := call(p, version(nil), "x"); err == nil {
			t.Fatal("it started")
		}
		time.Sleep(30 * time.Second)
		if r := p.ledger.reserved(); r != 100*cove.MiB {
			t.Errorf("%s reserved while it is there", r)
		}
		d.Stuck.Store(false)
		time.Sleep(10 * time.Second)
		if r := p.ledger.reserved(); r != 0 {
			t.Errorf("%s reserved when it is gone", r)
		}
	})

	run(t, "who has little time does not wait for one frozen instance after another", func(t *testing.T) {
		d := &pooltest.Driver{ResumeDelay: 900 * time.Millisecond, ResumeError: errBoom}
		p, _ := setup(t, d, cove.GiB)
		v := version(func(c *cove.Config) { c.Scaling.Pause = cove.Duration(time.Second) })
		p.o.Active = func(string) *cove.Version { return v }
		ctx, cancel := context.WithCancel(t.Context())
		go p.Run(ctx)
		defer cancel()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _, _, _ = call(p, v, "sleep 500ms") })
		}
		wg.Wait()
		time.Sleep(5 * time.Second)
		if n := d.Paused.Load(); n != 3 {
			t.Fatalf("%d are frozen", n)
		}
		ctx, done := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer done()
		began := time.Now()
		if _, err := p.Acquire(ctx, v); cove.CodeOf(err) != cove.CodeTimeout {
			t.Errorf("it got %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
	})

	run(t, "a lease without a call tells nothing of how long calls take", func(t *testing.T) {
		p, _ := setup(t, &pooltest.Driver{}, cove.GiB)
		v := version(nil)
		_, _, _ = call(p, v, "sleep 500ms")
		for range 10 {
			lease, err := p.Acquire(t.Context(), v)
			if err != nil {
				t.Fatal(err)
			}
			lease.Release()
		}
		for _, g := range p.groups {
			if took := time.Duration(g.runTook); took < 400*time.Millisecond {
				t.Errorf("a call takes %s", took)
			}
		}
	})

	run(t, "memory that does not come back is taken from who idles instead", func(t *testing.T) {
		d, fine := &pooltest.Driver{}, &pooltest.Driver{}
		p, _ := setup(t, d, 250*cove.MiB)
		p.o.Drivers["fine"], p.recovery["fine"] = fine, newRecovery()
		idles := other(func(c *cove.Config) { c.Isolation = "fine" })
		p.o.Active = func(string) *cove.Version { return idles }
		ctx, cancel := context.WithCancel(t.Context())
		go p.Run(ctx)
		defer cancel()
		if _, _, err := call(p, idles, "x"); err != nil {
			t.Fatal(err)
		}
		d.Stuck.Store(true)
		_, _, _ = call(p, version(nil), "exit")
		needs := other(func(c *cove.Config) { c.Isolation = "fine" })
		needs.ID = "needs"
		if _, _, err := call(p, needs, "x"); err != nil {
			t.Error(err)
		}
	})

	run(t, "the second of two who break a lease returns when it is broken, too", func(t *testing.T) {
		d := &pooltest.Driver{StopDelay: 10 * time.Millisecond}
		p, _ := setup(t, d, cove.GiB)
		lease, err := p.Acquire(t.Context(), version(nil))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		go lease.Break("timeout")
		synctest.Wait()
		lease.Break("timeout")
		if took := time.Since(began); took != d.StopDelay {
			t.Errorf("it returned after %s", took)
		}
	})

	run(t, "a version that becomes active again keeps its instances", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, cove.GiB)
		v, next := version(nil), version(nil)
		next.ID, next.Number = "v2", 2
		lease, err := p.Acquire(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		p.Switch(v, next)
		p.Switch(next, v)
		lease.Release()
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartWarm {
			t.Errorf("%s %v", class, err)
		}
		p.Switch(v, nil)
		synctest.Wait()
		if n := len(p.Stats().Groups); n != 0 {
			t.Errorf("%d groups are left", n)
		}
	})
}

// left is what a daemon left: a sandbox of d that nobody knows of.
func left(t *testing.T, d *pooltest.Driver) driver.Sandbox {
	t.Helper()
	s, err := d.Create(t.Context(), driver.Spec{ID: "left"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRecover(t *testing.T) {
	t.Parallel()

	run(t, "destroys what is left", func(t *testing.T) {
		d := &pooltest.Driver{}
		s := left(t, d)
		d.Left = func() ([]driver.Sandbox, error) { return []driver.Sandbox{s}, nil }
		p, _ := setup(t, d, cove.GiB)
		if err := p.Recover(t.Context()); err != nil || d.Destroyed.Load() != 1 {
			t.Errorf("%v, %d destroyed", err, d.Destroyed.Load())
		}
	})

	run(t, "is tried again before the isolation is used where it failed, and keeps no other from serving", func(t *testing.T) {
		d, fine := &pooltest.Driver{}, &pooltest.Driver{}
		s, away := left(t, d), true
		d.Left = func() ([]driver.Sandbox, error) {
			if away {
				return nil, errBoom
			}
			return []driver.Sandbox{s}, nil
		}
		p, _ := setup(t, d, cove.GiB)
		p.o.Drivers["fine"], p.recovery["fine"] = fine, newRecovery()
		if err := p.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := call(p, other(func(c *cove.Config) { c.Isolation = "fine" }), "x"); err != nil {
			t.Error(err)
		}
		if _, _, err := call(p, version(nil), "x"); code(err) != cove.CodeSandboxStartFailed {
			t.Errorf("got %v", err)
		}
		away = false
		if _, _, err := call(p, version(nil), "x"); err != nil || d.Destroyed.Load() != 1 {
			t.Errorf("%v, %d destroyed", err, d.Destroyed.Load())
		}
	})

	run(t, "goes on behind the opened doors with what cannot be removed", func(t *testing.T) {
		d := &pooltest.Driver{}
		s := left(t, d)
		d.Left = func() ([]driver.Sandbox, error) { return []driver.Sandbox{s}, nil }
		d.Broken.Store(true)
		p, _ := setup(t, d, cove.GiB)
		began := time.Now()
		if err := p.Recover(t.Context()); err != nil || time.Since(began) != destroyTimeout {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		d.Broken.Store(false)
		time.Sleep(2 * destroyTimeout)
		if d.Destroyed.Load() != 1 {
			t.Error("it was not tried again")
		}
	})
}
