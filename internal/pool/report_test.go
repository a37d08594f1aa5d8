package pool

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/pool/pooltest"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	// explained is all that is said of v in one line.
	explained := func(t *testing.T, p *Pool, v *cove.Version) string {
		t.Helper()
		e, err := p.Explain(v)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(e.Why, " ")
	}

	run(t, "says how many starts wait for memory", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, 100*cove.MiB, 0)
		v := version(nil)
		for range 3 {
			go func() { _, _, _ = call(p, v, "sleep 900ms") }()
		}
		synctest.Wait()
		if got := explained(t, p, v); !strings.Contains(got, "2 starting (of which wait: 2 for memory)") {
			t.Error(got)
		}
	})

	run(t, "says how many starts wait for a turn", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{StartDelay: time.Second}, cove.GiB, 0)
		p.turns = newTurns(1, 1)
		v := version(nil)
		for range 3 {
			go func() { _, _, _ = call(p, v, "x") }()
		}
		synctest.Wait()
		if got := explained(t, p, v); !strings.Contains(got, "3 starting (of which wait: 2 for a turn to have a sandbox made)") {
			t.Error(got)
		}
	})

	run(t, "names the variable that rules stem cells out", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 10)
		v := version(func(c *cove.Config) { c.Env = cove.Env{"A": {Value: "1"}, "LANG": {Value: "C"}} })
		if got := explained(t, p, v); !strings.Contains(got, "the variable LANG") {
			t.Error(got)
		}
	})

	run(t, "says that the daemon keeps no stem cells", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 0)
		if got := explained(t, p, version(nil)); !strings.Contains(got, "--stems 0") {
			t.Error(got)
		}
	})

	run(t, "says that the last stem cell is not for a function that has an instance", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 10)
		for _, v := range []*cove.Version{version(nil), other(nil)} {
			p.Switch(nil, v)
		}
		time.Sleep(time.Second)
		if got := explained(t, p, version(nil)); strings.Contains(got, "stem cell") {
			t.Errorf("before the first call: %s", got)
		}
		if _, _, err := call(p, version(nil), "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := explained(t, p, version(nil)); !strings.Contains(got, "is kept for a function that has no instance") {
			t.Error(got)
		}
	})
}
