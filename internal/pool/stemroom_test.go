package pool

import (
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/pool/pooltest"
)

func TestMemoryOfStemCells(t *testing.T) {
	t.Parallel()
	// ofKinds is a pool with stem cells for so many kinds of 128 MiB each.
	ofKinds := func(t *testing.T, n int, memory, share, stretch cove.ByteSize) Stats {
		t.Helper()
		p := setupRunning(t, &pooltest.Driver{}, memory, 10)
		p.o.StemMemory, p.o.StemStretch = share, stretch
		for i := range n {
			p.Switch(nil, version(func(c *cove.Config) { c.Tmp = cove.ByteSize(i) * cove.MiB }))
		}
		time.Sleep(10_500 * time.Millisecond)
		return p.Stats()
	}
	ready := func(s Stats) (n int, why string) {
		for _, k := range s.Stems {
			n += k.Ready
			why += k.Error
		}
		return n, why
	}

	run(t, "an automatic share that is too little for one of each kind in use is stretched", func(t *testing.T) {
		if n, why := ready(ofKinds(t, 2, cove.GiB, 100*cove.MiB, 256*cove.MiB)); n != 2 || why != "" {
			t.Errorf("%d are ready: %s", n, why)
		}
	})

	run(t, "but not without end", func(t *testing.T) {
		n, why := ready(ofKinds(t, 3, cove.GiB, 100*cove.MiB, 256*cove.MiB))
		if n != 2 || !strings.Contains(why, "256MiB (setting stem-memory)") {
			t.Errorf("%d are ready: %s", n, why)
		}
	})

	run(t, "one that was set is not, and the setting is named", func(t *testing.T) {
		n, why := ready(ofKinds(t, 1, cove.GiB, 100*cove.MiB, 0))
		if n != 0 || !strings.Contains(why, "100MiB (setting stem-memory)") {
			t.Errorf("%d are ready: %s", n, why)
		}
	})

	run(t, "that there is no memory at all is told apart from that", func(t *testing.T) {
		n, why := ready(ofKinds(t, 1, 100*cove.MiB, cove.GiB, 0))
		if n != 0 || !strings.Contains(why, "100MiB (setting memory)") {
			t.Errorf("%d are ready: %s", n, why)
		}
	})
}

func TestTheLastStemCell(t *testing.T) {
	t.Parallel()
	named := func(function string) *cove.Version {
		v := version(func(c *cove.Config) { c.Name, c.Timeout = function, cove.Duration(time.Minute) })
		v.ID, v.Function = function, function
		return v
	}
	// deployed is a pool with one stem cell for these functions.
	deployed := func(t *testing.T, functions ...*cove.Version) *Pool {
		t.Helper()
		p := setupRunning(t, &pooltest.Driver{StartDelay: time.Second}, 10*cove.GiB, 10)
		p.o.Active = func(function string) *cove.Version { return named(function) }
		for _, v := range functions {
			p.Switch(nil, v)
		}
		time.Sleep(3 * time.Second)
		return p
	}
	// burst has n requests of v served at once, and says what each of them found.
	burst := func(t *testing.T, p *Pool, v *cove.Version, n int) map[cove.StartClass]int {
		t.Helper()
		classes := map[cove.StartClass]int{}
		for range n {
			lease, err := p.Acquire(t.Context(), v)
			if err != nil {
				t.Fatal(err)
			}
			classes[lease.Class()]++
			defer lease.Release()
		}
		return classes
	}

	run(t, "is not for a function that has an instance, but for the first call of another", func(t *testing.T) {
		a, b := named("a"), named("b")
		p := deployed(t, a, b)
		if class, _, err := call(p, a, "x"); err != nil || class != cove.StartStem {
			t.Fatalf("got %s, %v", class, err)
		}
		time.Sleep(3 * time.Second)
		if got := burst(t, p, a, 2); got[cove.StartWarm] != 1 || got[cove.StartCold] != 1 {
			t.Errorf("a has got %v", got)
		}
		if class, _, err := call(p, b, "x"); err != nil || class != cove.StartStem {
			t.Errorf("b has got %s, %v", class, err)
		}
	})

	run(t, "is for anybody where no other function could use it", func(t *testing.T) {
		a := named("a")
		p := deployed(t, a)
		if class, _, err := call(p, a, "x"); err != nil || class != cove.StartStem {
			t.Fatalf("got %s, %v", class, err)
		}
		time.Sleep(3 * time.Second)
		if got := burst(t, p, a, 2); got[cove.StartStem] != 1 {
			t.Errorf("got %v", got)
		}
	})

	run(t, "has others beside it once functions with an instance wanted some", func(t *testing.T) {
		a, b := named("a"), named("b")
		p := deployed(t, a, b)
		burst(t, p, a, 2)
		p.Recycle("a")
		time.Sleep(5 * time.Second)
		if got := burst(t, p, a, 2); got[cove.StartStem] != 2 {
			t.Errorf("got %v, of %+v", got, p.Stats().Stems)
		}
		if n := p.Stats().Stems[0].Ready; n == 0 {
			t.Error("none is left for b")
		}
	})
}
