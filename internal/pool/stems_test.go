package pool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/pool/pooltest"
)

func TestStemCells(t *testing.T) {
	t.Parallel()

	run(t, "one is ready for a function's first request and is made up for at once", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 300 * time.Millisecond, InitDelay: 2 * time.Millisecond}
		p := setupRunning(t, d, cove.GiB, 10)
		v := version(nil)
		p.Switch(nil, v)
		time.Sleep(time.Second)
		if s := p.Stats().Stems; len(s) != 1 || s[0].Ready != 1 || s[0].Target != 1 || s[0].Functions != 1 {
			t.Fatalf("got %+v", s)
		}
		lease, err := p.Acquire(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		if lease.Class() != cove.StartStem || lease.StartTook() != 0 || lease.InitTook() != d.InitDelay {
			t.Errorf("%s, start %s, init %s", lease.Class(), lease.StartTook(), lease.InitTook())
		}
		lease.Release()
		if d.Resized.Load() != 1 {
			t.Error("it was not given the function's limits")
		}
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartWarm {
			t.Errorf("got %s, %v", class, err)
		}
		time.Sleep(time.Second)
		if s := p.Stats().Stems[0]; s.Ready != 1 || s.Taken != 1 || s.Missed != 0 || s.Refill != d.StartDelay {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "there are as many as the largest burst within the time to make one took", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p := setupRunning(t, d, 10*cove.GiB, 10)
		v := version(nil)
		p.Switch(nil, v)
		time.Sleep(2 * time.Second)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { _, _, _ = call(p, v, "sleep 900ms") })
		}
		wg.Wait()
		time.Sleep(10 * time.Second)
		if s := p.Stats().Stems[0]; s.Ready != 4 {
			t.Errorf("got %+v", s)
		}
		time.Sleep(3 * time.Hour)
		if s := p.Stats().Stems[0]; s.Ready != 1 {
			t.Errorf("long after it: %+v", s)
		}
	})

	run(t, "a kind that has none comes before the second of another, also where memory is short", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p := setupRunning(t, d, 4*128*cove.MiB+100*cove.MiB, 10)
		v := version(nil)
		p.Switch(nil, v)
		time.Sleep(2 * time.Second)
		for range 4 {
			go func() { _, _, _ = call(p, v, "sleep 900ms") }()
		}
		time.Sleep(10 * time.Second)
		p.Recycle("hello")
		time.Sleep(10 * time.Second)
		if s := p.Stats().Stems; s[0].Ready != 4 {
			t.Fatalf("got %+v", s)
		}
		egress := other(func(c *cove.Config) { c.Network = cove.NetworkEgress })
		p.Switch(nil, egress)
		time.Sleep(10 * time.Second)
		for _, s := range p.Stats().Stems {
			if s.Ready == 0 {
				t.Errorf("got %+v", s)
			}
		}
	})

	run(t, "all kinds together reserve no more memory than stem cells may", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, 10*cove.GiB, 10)
		p.o.StemMemory = 2*stemMemory - 1
		p.Switch(nil, version(nil))
		p.Switch(nil, other(func(c *cove.Config) { c.Network = cove.NetworkEgress }))
		time.Sleep(time.Minute)
		if s := p.Stats(); len(s.Stems) != 2 || s.Stems[0].Ready+s.Stems[1].Ready != 1 || s.Reserved != stemMemory {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "what was counted of a kind outlives the kind", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 10)
		v := version(nil)
		for round := int64(1); round <= 2; round++ {
			p.o.Active = func(string) *cove.Version { return v }
			p.Switch(nil, v)
			time.Sleep(time.Second)
			if _, _, err := call(p, v, "x"); err != nil {
				t.Fatal(err)
			}
			p.o.Active = func(string) *cove.Version { return nil }
			p.Switch(v, nil)
			time.Sleep(10 * time.Second)
			if s := p.Stats(); len(s.Stems) != 0 || len(s.PastStems) != 1 || s.PastStems[0].Taken != round || s.PastStems[0].Missed != 0 {
				t.Errorf("after %d: %+v", round, s)
			}
		}
	})

	run(t, "never more than is allowed of a kind", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p := setupRunning(t, d, 10*cove.GiB, 2)
		v := version(nil)
		p.Switch(nil, v)
		for range 4 {
			go func() { _, _, _ = call(p, v, "sleep 900ms") }()
		}
		time.Sleep(time.Minute)
		if s := p.Stats().Stems[0]; s.Ready != 2 {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "an environment that has to be there from the start makes the start a cold one", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 10)
		p.Switch(nil, version(nil))
		v := other(func(c *cove.Config) { c.Env = cove.Env{"LANG": {Value: "1"}} })
		p.Switch(nil, v)
		time.Sleep(time.Second)
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartCold {
			t.Errorf("got %s, %v", class, err)
		}
	})

	run(t, "one that is taken to compile in has reserved as much as it may use", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 1)
		v := version(func(c *cove.Config) { c.Memory = 500 * cove.MiB })
		p.Switch(nil, v)
		time.Sleep(time.Second)
		g, err := p.group(v)
		if err != nil {
			t.Fatal(err)
		}
		c, failed := g.spareCell(t.Context())
		if failed != nil {
			t.Fatal(failed)
		}
		p.ledger.mu.Lock()
		held := p.ledger.held["hello"]
		p.ledger.mu.Unlock()
		if c.reserved != 500*cove.MiB || held != c.reserved {
			t.Errorf("it has reserved %s, and the function %s", c.reserved, held)
		}
		p.discard(c, "the test is over")
	})

	run(t, "those of another kind are not taken", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 10)
		p.Switch(nil, version(nil))
		time.Sleep(time.Second)
		if class, _, err := call(p, other(func(c *cove.Config) { c.Network = cove.NetworkEgress }), "x"); err != nil || class != cove.StartCold {
			t.Errorf("got %s, %v", class, err)
		}
	})

	run(t, "one that died is replaced and not handed out", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 300 * time.Millisecond}
		p := setupRunning(t, d, cove.GiB, 10)
		v := version(nil)
		p.Switch(nil, v)
		time.Sleep(time.Second)
		d.KillAll()
		synctest.Wait()
		if s := p.Stats().Stems[0]; s.Ready != 0 {
			t.Errorf("got %+v", s)
		}
		time.Sleep(time.Second)
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartStem {
			t.Errorf("got %s, %v", class, err)
		}
	})

	run(t, "one that takes no package costs the request no more than a cold start", func(t *testing.T) {
		d := &pooltest.Driver{}
		p := setupRunning(t, d, cove.GiB, 10)
		v := version(nil)
		p.Switch(nil, v)
		time.Sleep(time.Second)
		d.ResizeError = errBoom
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartCold {
			t.Errorf("got %s, %v", class, err)
		}
	})

	run(t, "an import that fails is the function's fault and is tried once", func(t *testing.T) {
		d := &pooltest.Driver{}
		p := setupRunning(t, d, cove.GiB, 10)
		v := version(nil)
		p.Switch(nil, v)
		time.Sleep(time.Second)
		d.InitError = &cove.FunctionError{Type: "Runtime.ImportError", Message: "no module"}
		if _, _, err := call(p, v, "x"); code(err) != cove.CodeInitError {
			t.Errorf("got %v", err)
		}
		time.Sleep(100 * time.Millisecond)
		if s := p.Stats(); s.Reserved != 228*cove.MiB-100*cove.MiB {
			t.Errorf("%s are reserved for one stem cell", s.Reserved)
		}
	})

	run(t, "they give way to a function that needs their memory", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, 200*cove.MiB, 10)
		p.Switch(nil, version(nil))
		time.Sleep(time.Second)
		if s := p.Stats().Stems[0]; s.Ready != 1 {
			t.Fatalf("got %+v", s)
		}
		v := other(func(c *cove.Config) { c.Network = cove.NetworkEgress })
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartCold {
			t.Errorf("got %s, %v", class, err)
		}
	})

	run(t, "they go with the last function that could use them", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 10)
		p.Switch(nil, version(nil))
		time.Sleep(time.Second)
		p.Switch(version(nil), nil)
		time.Sleep(2 * time.Second)
		if s := p.Stats(); len(s.Stems) != 0 || s.Reserved != 0 {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "what keeps them from being made is told and not tried without a pause", func(t *testing.T) {
		d := &pooltest.Driver{StartError: errors.New("no image")}
		p := setupRunning(t, d, cove.GiB, 10)
		p.Switch(nil, version(nil))
		time.Sleep(20 * time.Second)
		if n := d.Attempts.Load(); n < 3 || n > 6 {
			t.Errorf("%d attempts", n)
		}
		if s := p.Stats().Stems[0]; s.Error == "" {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "making one waits while sandboxes are started for requests", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p := setupRunning(t, d, cove.GiB, 10)
		p.Switch(nil, version(nil))
		time.Sleep(3 * time.Second)
		cold := other(func(c *cove.Config) { c.Env = cove.Env{"LANG": {Value: "C"}} })
		go func() { _, _, _ = call(p, cold, "x") }()
		synctest.Wait()
		if class, _, err := call(p, version(nil), "x"); err != nil || class != cove.StartStem {
			t.Errorf("got %s, %v", class, err)
		}
		time.Sleep(1100 * time.Millisecond)
		if n := d.Created.Load(); n != 2 {
			t.Errorf("%d sandboxes: a stem cell was made beside the one a request waits for", n)
		}
		time.Sleep(time.Second)
		if n := d.Created.Load(); n != 3 {
			t.Errorf("%d sandboxes", n)
		}
	})
}

func TestPausing(t *testing.T) {
	t.Parallel()
	paused := func(c *cove.Config) { c.Scaling.Pause = cove.Duration(10 * time.Second) }

	run(t, "an instance is frozen when it was idle for a while and goes on in the next request", func(t *testing.T) {
		d := &pooltest.Driver{}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(paused)
		if _, _, err := call(p, v, "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		if d.Paused.Load() != 0 {
			t.Error("too early")
		}
		time.Sleep(3 * time.Second)
		if s := p.Stats().Groups[0]; s.Paused != 1 || s.Idle != 0 || d.Paused.Load() != 1 {
			t.Errorf("got %+v", s)
		}
		for _, want := range []cove.StartClass{cove.StartThawed, cove.StartWarm} {
			if class, _, err := call(p, v, "x"); err != nil || class != want {
				t.Errorf("got %s, %v", class, err)
			}
		}
		if d.Paused.Load() != 0 {
			t.Error("it is frozen still")
		}
	})

	run(t, "a frozen one goes when it was idle too long", func(t *testing.T) {
		d := &pooltest.Driver{}
		p := setupRunning(t, d, cove.GiB, 0)
		if _, _, err := call(p, version(paused), "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		if d.Destroyed.Load() != 1 {
			t.Errorf("got %+v", p.Stats().Groups)
		}
	})

	run(t, "one that cannot be thawed is ended and the request served by another", func(t *testing.T) {
		d := &pooltest.Driver{ResumeError: errBoom}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(paused)
		if _, _, err := call(p, v, "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartCold {
			t.Errorf("got %s, %v", class, err)
		}
		if s := p.Stats().Groups[0]; s.Idle != 1 || s.Busy != 0 {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "one that cannot be frozen is ended", func(t *testing.T) {
		d := &pooltest.Driver{PauseError: errBoom}
		p := setupRunning(t, d, cove.GiB, 0)
		if _, _, err := call(p, version(paused), "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		if d.Destroyed.Load() != 1 {
			t.Errorf("got %+v", p.Stats().Groups)
		}
	})
}

func TestClosingWaitsForWhatNoRequestIsWaitingFor(t *testing.T) {
	t.Parallel()
	run(t, "a sandbox to compile in", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 20 * time.Second, Linger: time.Second, DestroyTurn: time.Second}
		p, _ := setup(t, d, cove.GiB)
		done := make(chan error, 1)
		go func() { done <- p.Compile(context.Background(), version(nil), nil) }()
		synctest.Wait()
		if err := p.Close(t.Context()); err != nil || d.Created.Load() != 1 || d.Destroyed.Load() != 1 {
			t.Errorf("%v: %d made and %d gone", err, d.Created.Load(), d.Destroyed.Load())
		}
		if err := <-done; err == nil {
			t.Error("it was compiled")
		}
		if err := p.Compile(t.Context(), version(nil), nil); code(err) != cove.CodeShuttingDown {
			t.Errorf("after it: %v", err)
		}
	})
	run(t, "a stem cell that is being made, and what remains of it", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 20 * time.Second, Linger: time.Second, DestroyTurn: time.Second}
		p := setupRunning(t, d, cove.GiB, 1)
		p.Switch(nil, version(nil))
		time.Sleep(2 * time.Second)
		if d.Attempts.Load() != 1 {
			t.Fatalf("%d sandboxes are being made", d.Attempts.Load())
		}
		if err := p.Close(t.Context()); err != nil || d.Created.Load() != 1 || d.Destroyed.Load() != 1 {
			t.Errorf("%v: %d made and %d gone", err, d.Created.Load(), d.Destroyed.Load())
		}
	})
}

func TestWarming(t *testing.T) {
	t.Parallel()

	run(t, "makes as many instances ready as asked, and no more than allowed", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(nil)
		if n, err := p.Warm(t.Context(), v, 3); n != 3 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		if n, err := p.Warm(t.Context(), v, 100); n != 4 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		if s := p.Stats().Groups[0]; s.Idle != 4 {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "goes on where turns to start come later than the queue timeout", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 7 * time.Second}
		p := setupRunning(t, d, cove.GiB, 0)
		p.turns = newTurns(1, 1)
		v := version(func(c *cove.Config) { c.Scaling.Max = 9 })
		began := time.Now()
		if n, err := p.Warm(t.Context(), v, 9); n != 9 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		if took := time.Since(began); took > 9*7*time.Second+time.Second {
			t.Errorf("it took %s", took)
		}
		if d.Attempts.Load() != 9 {
			t.Errorf("%d sandboxes were made", d.Attempts.Load())
		}
	})

	run(t, "says why a version cannot be loaded", func(t *testing.T) {
		d := &pooltest.Driver{InitError: &cove.FunctionError{Type: "SyntaxError"}}
		p := setupRunning(t, d, cove.GiB, 0)
		if n, err := p.Warm(t.Context(), version(nil), 1); n != 0 || err == nil || err.Code != cove.CodeInitError {
			t.Errorf("got %d, %v", n, err)
		}
	})

	run(t, "begins the time anew after which an instance goes", func(t *testing.T) {
		d := &pooltest.Driver{}
		p := setupRunning(t, d, cove.GiB, 0)
		for range 5 {
			if _, err := p.Warm(t.Context(), version(nil), 1); err != nil {
				t.Fatal(err)
			}
			time.Sleep(4 * time.Minute)
		}
		if n := d.Created.Load(); n != 1 {
			t.Errorf("%d were made", n)
		}
	})

	run(t, "keeps an instance for scaling.idle though the times between the requests say otherwise", func(t *testing.T) {
		d := &pooltest.Driver{}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(func(c *cove.Config) { c.Scaling.Policy = cove.PolicyAdaptive })
		p.o.Active = func(string) *cove.Version { return v }
		if _, _, err := call(p, v, "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := d.Destroyed.Load(); n != 1 {
			t.Fatalf("%d were ended in an hour without a request", n)
		}
		if _, err := p.Warm(t.Context(), v, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Minute)
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartWarm {
			t.Errorf("got %s, %v", class, err)
		}
	})

	run(t, "what is prepared for a version is there when it becomes the active one", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second}
		p := setupRunning(t, d, cove.GiB, 0)
		next := version(nil)
		next.ID = "v2"
		release, err := p.Prepare(t.Context(), next, 2)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		p.o.Active = func(string) *cove.Version { return next }
		p.Switch(version(nil), next)
		release()
		synctest.Wait()
		if class, _, err := call(p, next, "x"); err != nil || class != cove.StartWarm {
			t.Errorf("got %s, %v", class, err)
		}
		if s := p.Stats().Groups[0]; s.Idle != 2 {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "what was prepared in vain goes", func(t *testing.T) {
		d := &pooltest.Driver{}
		p := setupRunning(t, d, cove.GiB, 0)
		next := version(nil)
		next.ID = "v2"
		release, err := p.Prepare(t.Context(), next, 1)
		if err != nil {
			t.Fatal(err)
		}
		release()
		time.Sleep(2 * time.Second)
		if n := len(p.Stats().Groups); n != 0 || d.Destroyed.Load() != 1 {
			t.Errorf("%d groups are left", n)
		}
	})

	run(t, "nothing is remembered of a function that never came to be", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 0)
		p.o.Active = func(string) *cove.Version { return nil }
		release, err := p.Prepare(t.Context(), version(nil), 1)
		if err != nil {
			t.Fatal(err)
		}
		release()
		time.Sleep(2 * time.Second)
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.groups)+len(p.arrivals) != 0 {
			t.Errorf("%d groups, %d functions", len(p.groups), len(p.arrivals))
		}
	})

	run(t, "recycling ends idle instances now and busy ones after their call", func(t *testing.T) {
		d := &pooltest.Driver{}
		p := setupRunning(t, d, cove.GiB, 0)
		v := version(nil)
		if _, err := p.Warm(t.Context(), v, 2); err != nil {
			t.Fatal(err)
		}
		lease, err := p.Acquire(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		if n := p.Recycle("hello"); n != 2 {
			t.Errorf("%d instances", n)
		}
		synctest.Wait()
		if s := p.Stats().Groups[0]; s.Busy != 1 || s.Idle != 0 {
			t.Errorf("got %+v", s)
		}
		lease.Release()
		synctest.Wait()
		if d.Destroyed.Load() != 2 {
			t.Error("the busy one is kept")
		}
	})

	run(t, "instances and why they are there are told", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 0)
		v := version(nil)
		if _, err := p.Warm(t.Context(), v, 2); err != nil {
			t.Fatal(err)
		}
		lease, err := p.Acquire(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		defer lease.Release()
		var states []string
		for _, in := range p.Instances() {
			states = append(states, in.State)
		}
		if slices.Sort(states); !slices.Equal(states, []string{StateBusy, StateIdle}) {
			t.Errorf("got %v", states)
		}
		if e, err := p.Explain(v); err != nil || e.Observation.Busy != 1 || len(e.Why) == 0 {
			t.Errorf("got %+v, %v", e, err)
		}
	})
}
