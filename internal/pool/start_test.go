package pool

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/pool/pooltest"
)

func TestWhatStartsTakeIsLearnt(t *testing.T) {
	t.Parallel()

	run(t, "also of a function that always gets stem cells", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 200 * time.Millisecond, InitDelay: 3 * time.Second}
		p := setupRunning(t, d, cove.GiB, 10)
		v := version(nil)
		p.Switch(nil, v)
		time.Sleep(time.Second)
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartStem {
			t.Fatalf("got %s, %v", class, err)
		}
		e, err := p.Explain(v)
		if o := e.Observation; err != nil || o.StartTook != 3200*time.Millisecond || o.StemTook != 3*time.Second {
			t.Errorf("a start takes %s, of a stem cell %s, %v", o.StartTook, o.StemTook, err)
		}
	})

	run(t, "one that is known of the version before one of any other", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: time.Second, InitDelay: 3 * time.Second}
		p := setupRunning(t, d, cove.GiB, 0)
		if _, _, err := call(p, version(nil), "x"); err != nil {
			t.Fatal(err)
		}
		d.InitDelay = 100 * time.Millisecond
		for _, want := range []time.Duration{4 * time.Second, 1100 * time.Millisecond} {
			if e, err := p.Explain(other(nil)); err != nil || e.Observation.StartTook != want {
				t.Errorf("a start takes %s, not %s, %v", e.Observation.StartTook, want, err)
			}
			if _, _, err := call(p, other(nil), "x"); err != nil {
				t.Fatal(err)
			}
		}
	})

	run(t, "so that one that imports for long is ready as early before a request that is due", func(t *testing.T) {
		const gap = 30 * time.Minute
		quick, slow := readyAhead(t, 0, gap), readyAhead(t, 9*time.Second, gap)
		if late := slow - quick; late > 2*time.Second || slow >= gap {
			t.Errorf("it is ready %s after the request before, one that loads at once %s", slow, quick)
		}
	})

	run(t, "so that what is dear to load is not ended first where memory is short", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 200 * time.Millisecond, InitDelay: 3 * time.Second}
		p := setupRunning(t, d, 350*cove.MiB, 10)
		slow, quick := version(nil), other(nil)
		p.Switch(nil, slow)
		for _, v := range []*cove.Version{slow, quick} {
			time.Sleep(10 * time.Second)
			if class, _, err := call(p, v, "x"); err != nil || class != cove.StartStem {
				t.Fatalf("got %s, %v", class, err)
			}
			d.InitDelay = 100 * time.Millisecond
		}
		time.Sleep(10 * time.Second)
		large := other(func(c *cove.Config) { c.Name, c.Memory = "large", 200*cove.MiB })
		large.ID, large.Function = "large", "large"
		if _, _, err := call(p, large, "x"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		left := map[string]int{}
		for _, s := range p.Stats().Groups {
			left[s.Function] = s.Idle
		}
		if left["hello"] != 1 || left["other"] != 0 {
			t.Errorf("there are %v", left)
		}
	})
}

// readyAhead is how long after the last of several requests, a gap apart, an
// instance is ready for the next.
func readyAhead(t *testing.T, loading, gap time.Duration) time.Duration {
	t.Helper()
	p := setupRunning(t, &pooltest.Driver{StartDelay: 200 * time.Millisecond, InitDelay: loading}, cove.GiB, 10)
	v := version(func(c *cove.Config) {
		c.Scaling.Policy, c.Scaling.Idle = cove.PolicyAdaptive, cove.Duration(20*time.Second)
	})
	p.o.Active = func(string) *cove.Version { return v }
	p.Switch(nil, v)
	for range 8 {
		time.Sleep(gap)
		if _, _, err := call(p, v, "x"); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	time.Sleep(gap / 2)
	if s := p.Stats().Groups[0]; s.Idle != 0 {
		t.Fatalf("it is kept: %+v", s)
	}
	for p.Stats().Groups[0].Idle == 0 && time.Since(began) < gap {
		time.Sleep(500 * time.Millisecond)
	}
	return time.Since(began)
}
