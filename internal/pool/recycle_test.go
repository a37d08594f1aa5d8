package pool

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/pool/pooltest"
)

func TestReplace(t *testing.T) {
	run(t, "no request waits for a start, and those that follow get new instances", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(func(c *cove.Config) { c.Scaling.Max = 2 })
		warm(t, p, v, 2)
		old := ids(p)
		replaced := make(chan int, 1)
		go func() {
			n, err := p.Replace(t.Context(), "hello")
			if err != nil {
				t.Error(err)
			}
			replaced <- n
		}()
		for range 9 {
			began := time.Now()
			if class, _, err := call(p, v, "x"); err != nil || class != cove.StartWarm || time.Since(began) > 0 {
				t.Fatalf("a call meanwhile: %s after %s, %v", class, time.Since(began), err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if d.Destroyed.Load() != 0 {
			t.Error("the old ones were ended before there were new ones")
		}
		if n := <-replaced; n != 2 {
			t.Errorf("%d replaced", n)
		}
		synctest.Wait()
		if d.Destroyed.Load() != 2 {
			t.Errorf("%d destroyed", d.Destroyed.Load())
		}
		if n := len(ids(p)); n != 1 || shared(old, ids(p)) { // One is enough for calls one by one.
			t.Errorf("%v became %v", old, ids(p))
		}
	})

	run(t, "a busy one ends after what it serves", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(nil)
		warm(t, p, v, 1)
		lease, err := p.Acquire(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := p.Replace(t.Context(), "hello"); n != 1 || err != nil {
			t.Fatalf("%d replaced, %v", n, err)
		}
		if s := p.Stats().Groups[0]; s.Busy != 1 || s.Idle != 1 {
			t.Errorf("got %+v", s)
		}
		lease.Release()
		synctest.Wait()
		if s := p.Stats().Groups[0]; s.Busy != 0 || s.Idle != 1 || d.Destroyed.Load() != 1 {
			t.Errorf("got %+v, %d destroyed", s, d.Destroyed.Load())
		}
	})

	run(t, "what nobody has called lately is ended only", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(func(c *cove.Config) { c.Scaling.Pause = cove.Duration(10 * time.Second) })
		warm(t, p, v, 2)
		time.Sleep(20 * time.Second)
		began := time.Now()
		if n, err := p.Replace(t.Context(), "hello"); n != 2 || err != nil || time.Since(began) > 0 {
			t.Fatalf("%d replaced after %s, %v", n, time.Since(began), err)
		}
		synctest.Wait()
		if s := p.Stats().Groups[0]; s.Paused+s.Idle+s.Starting != 0 {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "what cannot be replaced is kept", func(t *testing.T) {
		d := &pooltest.Driver{}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(nil)
		warm(t, p, v, 2)
		d.StartError = errBoom
		if n, err := p.Replace(t.Context(), "hello"); n != 0 || err == nil || err.Code != cove.CodeSandboxStartFailed {
			t.Fatalf("%d replaced, %v", n, err)
		}
		time.Sleep(time.Minute)
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartWarm || d.Destroyed.Load() != 0 {
			t.Errorf("%s, %v, %d destroyed", class, err, d.Destroyed.Load())
		}
		if e, err := p.Explain(v); err != nil || strings.Contains(strings.Join(e.Why, " "), "replaced") {
			t.Errorf("got %+v, %v", e, err)
		}
	})

	run(t, "who is out of time keeps what was there", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 4 * time.Second}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(nil)
		warm(t, p, v, 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { _, _ = p.Replace(context.Background(), "hello") }()
		synctest.Wait()
		if e, err := p.Explain(v); err != nil || !strings.Contains(strings.Join(e.Why, " "), "2 of them are being replaced") {
			t.Errorf("got %+v, %v", e, err)
		}
		if n, err := p.Replace(ctx, "hello"); n != 0 || err == nil || err.Code != cove.CodeTimeout {
			t.Errorf("%d replaced, %v", n, err)
		}
		time.Sleep(30 * time.Second)
		if d.Created.Load() != 3 || d.Destroyed.Load() != 2 {
			t.Errorf("%d created, %d destroyed", d.Created.Load(), d.Destroyed.Load())
		}
	})

	run(t, "there are as many new ones as the load needs, and no more than scaling.max", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(func(c *cove.Config) { c.Scaling.Max = 2 })
		stop := make(chan struct{})
		for range 2 {
			go func() {
				for {
					select {
					case <-stop:
						return
					default:
						_, _, _ = call(p, v, "sleep 100ms")
					}
				}
			}()
		}
		defer close(stop)
		time.Sleep(10 * time.Second)
		old := ids(p)
		for range 2 { // Once while others are still being made.
			go func() { _, _ = p.Replace(t.Context(), "hello") }()
		}
		time.Sleep(10 * time.Second)
		if n := len(ids(p)); n != 2 || shared(old, ids(p)) || d.Created.Load() != 6 {
			t.Errorf("%v became %v; %d were made", old, ids(p), d.Created.Load())
		}
	})

	run(t, "what is deleted meanwhile is not replaced", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 20 * time.Second}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(nil)
		p.Switch(nil, v)
		warm(t, p, v, 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if n, err := p.Replace(t.Context(), "hello"); n != 1 || err != nil {
				t.Errorf("%d ended, %v", n, err)
			}
		}()
		time.Sleep(time.Second)
		p.Switch(v, nil)
		synctest.Wait()
		if d.Destroyed.Load() != 1 {
			t.Error("the old one is kept")
		}
		<-done
	})

	run(t, "who finds too much else being started waits", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 0)
		v := version(nil)
		warm(t, p, v, 1)
		p.turns = newTurns(4, 1)
		if err := p.turns.take(t.Context(), "other", true); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(2*v.Config.QueueTimeout.Std(), func() { p.turns.leave("other", true) })
		if n, err := p.Replace(t.Context(), "hello"); n != 1 || err != nil {
			t.Errorf("%d replaced, %v", n, err)
		}
	})

	run(t, "where there is no memory for both, the old one goes first", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p := setupRunning(t, d, 150*cove.MiB, 0)
		v := version(nil)
		warm(t, p, v, 1)
		if n, err := p.Replace(t.Context(), "hello"); err != nil {
			t.Fatalf("%d replaced, %v", n, err)
		}
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartWarm || d.Created.Load() != 2 {
			t.Errorf("%s, %v, %d created", class, err, d.Created.Load())
		}
	})
}

// warm has n instances of v ready.
func warm(t *testing.T, p *Pool, v *cove.Version, n int) {
	t.Helper()
	if ready, err := p.Warm(t.Context(), v, n); err != nil || ready != n {
		t.Fatalf("%d of %d, %v", ready, n, err)
	}
}

// ids are those of all instances.
func ids(p *Pool) map[string]bool {
	all := map[string]bool{}
	for _, in := range p.Instances() {
		all[in.ID] = true
	}
	return all
}

// shared says whether there is one in both.
func shared(a, b map[string]bool) bool {
	for id := range a {
		if b[id] {
			return true
		}
	}
	return false
}
