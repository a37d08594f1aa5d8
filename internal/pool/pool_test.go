package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/pool/pooltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run runs f in a bubble of synthetic time.
func run(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, f)
	})
}

func code(err error) cove.Code { return cove.CodeOf(err) }

func TestAcquire(t *testing.T) {
	t.Parallel()

	run(t, "keeps the package for who waits while the function is deleted, and no longer", func(t *testing.T) {
		p, _ := setup(t, &pooltest.Driver{StartDelay: 2 * time.Second}, cove.GiB)
		var held atomic.Int64
		p.o.Code = holding(&held)
		v := version(nil)
		var active atomic.Pointer[cove.Version]
		active.Store(v)
		p.o.Active = func(string) *cove.Version { return active.Load() }
		done := make(chan error, 1)
		go func() {
			_, _, err := call(p, v, "x")
			done <- err
		}()
		time.Sleep(time.Second)
		active.Store(nil)
		p.Switch(v, nil)
		if held.Load() == 0 {
			t.Error("nobody keeps the package of the start")
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if n := held.Load(); n != 0 {
			t.Errorf("the package is held %d times", n)
		}
	})

	run(t, "starts an instance for the first request and keeps it warm for the next", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 300 * time.Millisecond, InitDelay: 50 * time.Millisecond}
		p, _ := setup(t, d, cove.GiB)
		v := version(nil)
		for i, want := range []cove.StartClass{cove.StartCold, cove.StartWarm, cove.StartWarm} {
			class, answer, err := call(p, v, fmt.Sprint("r", i))
			if err != nil || class != want || answer != fmt.Sprint("r", i) {
				t.Errorf("call %d: %s %q %v", i, class, answer, err)
			}
		}
		if n := d.Created.Load(); n != 1 {
			t.Errorf("%d sandboxes for requests one after another", n)
		}
	})

	run(t, "tells how long starting and loading took", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 300 * time.Millisecond, InitDelay: 50 * time.Millisecond}
		p, _ := setup(t, d, cove.GiB)
		lease, err := p.Acquire(t.Context(), version(nil))
		if err != nil {
			t.Fatal(err)
		}
		defer lease.Release()
		if lease.StartTook() != d.StartDelay || lease.InitTook() != d.InitDelay {
			t.Errorf("start %s, init %s", lease.StartTook(), lease.InitTook())
		}
	})

	run(t, "runs as many requests at once as max allows and lets the others wait", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 100 * time.Millisecond}
		p, _ := setup(t, d, cove.GiB)
		v := version(nil)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, _, err := call(p, v, "sleep 500ms"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := d.Created.Load(); n != 4 {
			t.Errorf("%d sandboxes, max is 4", n)
		}
	})

	run(t, "refuses at once when the queue is full", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 100 * time.Millisecond}
		p, _ := setup(t, d, cove.GiB)
		v := version(func(c *cove.Config) { c.Scaling.Max, c.Scaling.Queue = 1, 2; c.Timeout = cove.Duration(time.Minute) })
		var wg sync.WaitGroup
		codes := make(chan cove.Code, 8)
		for range 8 {
			wg.Go(func() {
				_, _, err := call(p, v, "sleep 1s")
				codes <- code(err)
			})
			synctest.Wait()
		}
		wg.Wait()
		close(codes)
		count := map[cove.Code]int{}
		for c := range codes {
			count[c]++
		}
		if count[""] != 2 || count[cove.CodeQueueFull] != 6 {
			t.Errorf("got %v", count)
		}
	})

	run(t, "gives up after the queue timeout, which does not count while an instance is started", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 20 * time.Second, InitDelay: 5 * time.Second}
		p, _ := setup(t, d, cove.GiB)
		v := version(func(c *cove.Config) { c.Scaling.Max = 1; c.Timeout = cove.Duration(time.Minute) })
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := call(p, v, "sleep 30s"); err != nil {
				t.Errorf("the one for which the instance was started: %v", err)
			}
		})
		synctest.Wait()
		began := time.Now()
		_, _, err := call(p, v, "x")
		if code(err) != cove.CodeOverloaded || time.Since(began) != 10*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		wg.Wait()
	})

	run(t, "withdraws a request whose caller leaves", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p, _ := setup(t, d, cove.GiB)
		v := version(nil)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := p.Acquire(ctx, v)
		if err == nil || err.Code != cove.CodeTimeout {
			t.Fatalf("got %v", err)
		}
		time.Sleep(2 * time.Second)
		if s := p.Stats().Groups[0]; s.Waiting != 0 || s.Idle != 1 {
			t.Errorf("what was started for it is kept: %+v", s)
		}
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()

	run(t, "an init that fails is told to all who wait and not hammered", func(t *testing.T) {
		d := &pooltest.Driver{InitError: &cove.FunctionError{Type: "Runtime.ImportError", Message: "no module"}}
		p, _ := setup(t, d, cove.GiB)
		v := version(nil)
		began := time.Now()
		tries := []time.Duration{}
		for time.Since(began) < 200*time.Second {
			before := d.Created.Load()
			_, _, err := call(p, v, "x")
			if code(err) != cove.CodeInitError {
				t.Fatalf("got %v", err)
			}
			if d.Created.Load() != before {
				tries = append(tries, time.Since(began).Truncate(time.Second))
			}
			time.Sleep(100 * time.Millisecond)
		}
		want := []time.Duration{0, 1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second, 63 * time.Second, 123 * time.Second, 183 * time.Second}
		if fmt.Sprint(tries) != fmt.Sprint(want) {
			t.Errorf("attempts at %v", tries)
		}
	})

	run(t, "a sandbox that cannot be made fails the request it was for", func(t *testing.T) {
		p, _ := setup(t, &pooltest.Driver{StartError: errBoom}, cove.GiB)
		_, _, err := call(p, version(nil), "x")
		if code(err) != cove.CodeSandboxStartFailed || !errors.Is(err, errBoom) {
			t.Errorf("got %v", err)
		}
	})

	run(t, "an init that hangs ends at the init timeout", func(t *testing.T) {
		p, _ := setup(t, &pooltest.Driver{InitDelay: time.Hour}, cove.GiB)
		began := time.Now()
		_, _, err := call(p, version(nil), "x")
		if code(err) != cove.CodeInitTimeout || time.Since(began) != 10*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})

	run(t, "an idle instance that dies is not lent again", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, cove.GiB)
		v := version(nil)
		if _, _, err := call(p, v, "x"); err != nil {
			t.Fatal(err)
		}
		d.KillAll()
		synctest.Wait()
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartCold {
			t.Errorf("%s %v", class, err)
		}
	})

	run(t, "a deadline ends the instance and a replacement is started for who waits", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, cove.GiB)
		v := version(func(c *cove.Config) { c.Scaling.Max = 1 })
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, _, err := call(p, v, "sleep 1h"); err == nil {
				t.Error("no timeout")
			}
		})
		synctest.Wait()
		began := time.Now()
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartCold || time.Since(began) != time.Second {
			t.Errorf("%s %v after %s", class, err, time.Since(began))
		}
		wg.Wait()
	})
}

func TestLife(t *testing.T) {
	t.Parallel()

	run(t, "an instance goes when it was idle long enough, but not below min", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, cove.GiB)
		v := version(func(c *cove.Config) { c.Scaling.Min = 1 })
		ctx, cancel := context.WithCancel(t.Context())
		go p.Run(ctx)
		defer cancel()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _, _, _ = call(p, v, "sleep 100ms") })
		}
		wg.Wait()
		time.Sleep(4 * time.Minute)
		if s := p.Stats().Groups[0]; s.Idle != 3 {
			t.Errorf("too early: %+v", s)
		}
		time.Sleep(2 * time.Minute)
		if s := p.Stats().Groups[0]; s.Idle != 1 {
			t.Errorf("min is 1: %+v", s)
		}
	})

	run(t, "switching ends the old version's instances when they are not in use and starts the minimum of the new", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, cove.GiB)
		old := version(nil)
		if _, _, err := call(p, old, "x"); err != nil {
			t.Fatal(err)
		}
		busy, err := p.Acquire(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		next := version(func(c *cove.Config) { c.Scaling.Min = 2 })
		next.ID, next.Number = "v2", 2
		p.o.Active = func(string) *cove.Version { return next }
		p.Switch(old, next)
		synctest.Wait()
		stats := map[int]GroupStats{}
		for _, s := range p.Stats().Groups {
			stats[s.Version] = s
		}
		if stats[1].Busy != 1 || stats[2].Idle != 2 {
			t.Errorf("got %+v", stats)
		}
		busy.Release()
		synctest.Wait()
		if _, _, err := call(p, old, "late"); err != nil {
			t.Errorf("a request that chose the old version before the switch: %v", err)
		}
		synctest.Wait()
		if n := len(p.Stats().Groups); n != 1 {
			t.Errorf("%d groups are left", n)
		}
	})

	run(t, "memory that is short is taken from who idles longest, and waited for", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 100 * time.Millisecond}
		p, _ := setup(t, d, 250*cove.MiB)
		a, b, c := version(nil), version(nil), version(nil)
		b.ID, c.ID = "vb", "vc"
		for _, v := range []*cove.Version{a, b, c} {
			g, err := p.group(v)
			if err != nil {
				t.Fatal(err)
			}
			g.retired = false
		}
		for _, v := range []*cove.Version{a, b, c} {
			if _, _, err := call(p, v, "x"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		idle := map[string]int{}
		for _, g := range p.allGroups() {
			idle[g.version.ID] = g.stats().Idle
		}
		if idle["v1"] != 0 || idle["vb"] != 1 || idle["vc"] != 1 {
			t.Errorf("got %v", idle)
		}
	})

	run(t, "memory that is short is taken from who gives back more of it, if both are as likely to be needed", func(t *testing.T) {
		p, _ := setup(t, &pooltest.Driver{StartDelay: 100 * time.Millisecond}, 350*cove.MiB)
		small, large, next := version(nil), version(func(c *cove.Config) { c.Memory = 200 * cove.MiB }), version(nil)
		large.ID, next.ID = "large", "next"
		for _, v := range []*cove.Version{small, large, next} {
			g, err := p.group(v)
			if err != nil {
				t.Fatal(err)
			}
			g.retired = false
		}
		for _, v := range []*cove.Version{small, large} {
			if _, _, err := call(p, v, "x"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		if _, _, err := call(p, next, "x"); err != nil {
			t.Fatal(err)
		}
		idle := map[string]int{}
		for _, g := range p.allGroups() {
			idle[g.version.ID] = g.stats().Idle
		}
		if idle[small.ID] != 1 || idle[large.ID] != 0 {
			t.Errorf("got %v", idle)
		}
	})

	run(t, "memory stays reserved until a sandbox has been seen dead", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, 150*cove.MiB)
		v := version(func(c *cove.Config) { c.QueueTimeout = cove.Duration(2 * time.Second) })
		d.Stuck.Store(true)
		if _, _, err := call(p, v, "exit"); err == nil {
			t.Fatal("no error")
		}
		time.Sleep(20 * time.Second)
		if s := p.Stats(); s.Stuck != 1 || s.Reserved != 100*cove.MiB {
			t.Errorf("got %+v", s)
		}
		if _, _, err := call(p, v, "x"); code(err) != cove.CodeOverloaded {
			t.Errorf("got %v", err)
		}
		d.Stuck.Store(false)
		time.Sleep(6 * time.Second)
		if _, _, err := call(p, v, "x"); err != nil {
			t.Errorf("got %v", err)
		}
		if s := p.Stats(); s.Stuck != 0 {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "closing tells who waits and ends what is in use", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, cove.GiB)
		v := version(func(c *cove.Config) { c.Scaling.Max = 1; c.Timeout = cove.Duration(time.Hour) })
		results := make(chan error, 2)
		for range 2 {
			go func() { _, _, err := call(p, v, "sleep 30m"); results <- err }()
			synctest.Wait()
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		first, second := <-results, <-results
		if code(first) != cove.CodeShuttingDown && code(second) != cove.CodeShuttingDown {
			t.Errorf("got %v and %v", first, second)
		}
		if _, err := p.Acquire(t.Context(), v); err == nil || err.Code != cove.CodeShuttingDown {
			t.Errorf("got %v", err)
		}
	})
}

func TestWhoWaitedForAStartIsToldItsProcessorTime(t *testing.T) {
	t.Parallel()
	for name, warmed := range map[string]bool{"of a start in the request": false, "of one before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := setup(t, &pooltest.Driver{}, cove.GiB)
			if warmed {
				if _, err := p.Warm(t.Context(), version(nil), 1); err != nil {
					t.Fatal(err)
				}
			}
			l, err := p.Acquire(t.Context(), version(nil))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Release()
			if cpu, _ := l.Usage(t.Context()); (cpu == 0) != warmed {
				t.Errorf("told %v", cpu)
			}
		})
	}
}
