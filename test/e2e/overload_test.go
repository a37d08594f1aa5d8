package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/bench"
)

// worker sleeps for the milliseconds in the query, and counts as far as it says,
// in thousands. (It could not compute for a time: gVisor's clocks of processor time
// go on while the host lets others run.)
const worker = `
import time

def handler(event, context):
    q = event.get("queryStringParameters") or {}
    time.sleep(float(q.get("sleep", 0)) / 1000)
    for _ in range(int(q.get("count", 0)) * 1000):
        pass
    return {"statusCode": 200, "body": "done"}
`

// Twice as many requests as a function can serve: the rest is refused quickly and
// told when to come again, what is accepted waits no longer than the queue is
// long, and another function does not notice.
func TestTwiceTheCapacity(t *testing.T) {
	h := start(t, options{Plain: true, Args: []string{"--log-level", "info"}})
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			quiet, flood := h.deployFlood(t, isolation, cove.Scaling{Min: 4, Max: 4, Queue: 8})
			const capacity = 4 * time.Second / (50 * time.Millisecond) // requests a second
			alone := h.offer(t.Context(), quiet, 50, 2*time.Second)
			full := h.offer(t.Context(), flood+"?sleep=50", float64(capacity), 2*time.Second)
			var wg sync.WaitGroup
			var beside offered
			wg.Go(func() { beside = h.offer(t.Context(), quiet, 50, 3*time.Second) })
			twice := h.offer(t.Context(), flood+"?sleep=50", 2*float64(capacity), 3*time.Second)
			wg.Wait()
			t.Logf("the other alone: %s", alone)
			t.Logf("at the capacity: %s", full)
			t.Logf("at twice that:   %s", twice)
			t.Logf("the other then:  %s", beside)

			if n := len(twice.Refused); n < twice.Sent/5 || twice.Bare > 0 || len(twice.Other) > 0 {
				t.Errorf("%d of %d were refused, %d without Retry-After, and others: %v", n, twice.Sent, twice.Bare, twice.Other)
			}
			if p50 := quantile(twice.Refused, 0.5); p50 > 50*time.Millisecond {
				t.Errorf("a refusal took %s (p50)", p50)
			}
			if p50, before := quantile(twice.Accepted, 0.5), quantile(full.Accepted, 0.5); p50 > 3*before+100*time.Millisecond {
				t.Errorf("what was accepted took %s (p50), and %s at the capacity", p50, before)
			}
			if len(beside.Accepted) != beside.Sent {
				t.Errorf("the other function: %s", beside)
			}
			if p50, before := quantile(beside.Accepted, 0.5), quantile(alone.Accepted, 0.5); p50 > 2*before+20*time.Millisecond {
				t.Errorf("the other function took %s (p50), and %s alone", p50, before)
			}
		})
	}
}

// A function whose many instances all compute takes as much processor time as
// another whose one instance does: what both call for the same work takes the
// other far less time.
func TestFloodThatComputes(t *testing.T) {
	h := start(t, options{Plain: true, Args: []string{"--log-level", "info"}})
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			const callers = 16
			quiet, flood := h.deployFlood(t, isolation, cove.Scaling{Max: callers, Queue: callers})
			if _, err := h.Client.Warm(t.Context(), flood[1:], wire.Warm{Instances: callers}); err != nil {
				t.Fatal(err)
			}
			alone := h.series(t, quiet+"?count=2000", 3)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			var mu sync.Mutex
			var theirs []time.Duration
			for range callers {
				wg.Go(func() {
					for ctx.Err() == nil {
						a, err := h.try(t.Context(), request{Path: flood + "?count=2000"})
						if err != nil || a.Status != http.StatusOK {
							t.Errorf("the flood was answered %d: %v", a.Status, err)
							return
						}
						mu.Lock()
						theirs = append(theirs, a.Took)
						mu.Unlock()
					}
				})
			}
			h.waitBusy(t, flood[1:], callers)
			beside := h.series(t, quiet+"?count=2000", 10)
			cancel()
			wg.Wait()
			its, others := quantile(beside, 0.5), quantile(theirs, 0.5)
			t.Logf("the same work takes %s alone, %s beside the flood, and the flood's own %s (p50)", quantile(alone, 0.5), its, others)
			if its > others/2 {
				t.Errorf("a call of the one instance takes %s, and one of the flood's %d instances %s", its, callers, others)
			}
		})
	}
}

// deployFlood makes a function that is called a little and one that is called too
// much, and says their routes.
func (h *harness) deployFlood(t *testing.T, isolation string, s cove.Scaling) (quiet, flood string) {
	t.Helper()
	q, f := function("quiet-"+isolation, "python", isolation), function("flood-"+isolation, "python", isolation)
	f.Scaling, f.Timeout = s, cove.Duration(time.Minute)
	for _, cfg := range []cove.Config{q, f} {
		h.deploy(t, cfg, files{"main.py": worker})
	}
	return q.Route, f.Route
}

// series makes n calls, one after the other.
func (h *harness) series(t *testing.T, path string, n int) (all []time.Duration) {
	t.Helper()
	for range n {
		all = append(all, h.want(t, http.StatusOK, request{Path: path}).Took)
	}
	return all
}

// offered is what became of the requests of an open loop.
type offered struct {
	Sent              int
	Accepted, Refused []time.Duration
	// Bare are the refusals without Retry-After.
	Bare int
	// Other counts all other ends.
	Other map[string]int
}

// offer sends requests at a rate for a time, whatever becomes of the earlier
// ones.
func (h *harness) offer(ctx context.Context, path string, rate float64, d time.Duration) offered {
	var mu sync.Mutex
	o := offered{Other: map[string]int{}}
	bench.OpenLoop(ctx, func(ctx context.Context) error {
		a, err := h.try(ctx, request{Path: path})
		mu.Lock()
		defer mu.Unlock()
		o.Sent++
		switch {
		case err != nil:
			o.Other[err.Error()]++
		case a.Status == http.StatusOK && a.Body == "done":
			o.Accepted = append(o.Accepted, a.Took)
		case a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable:
			o.Refused = append(o.Refused, a.Took)
			if a.Header.Get("Retry-After") == "" {
				o.Bare++
			}
		default:
			o.Other[fmt.Sprintf("%d %.200s", a.Status, a.Body)]++
		}
		return nil
	}, bench.Open{Rate: rate, For: d, Seed: 7})
	return o
}

// String is for messages.
func (o offered) String() string {
	return fmt.Sprintf("%d sent, %d accepted (p50 %s, p99 %s), %d refused (p50 %s, p99 %s), others: %v", o.Sent,
		len(o.Accepted), quantile(o.Accepted, 0.5), quantile(o.Accepted, 0.99),
		len(o.Refused), quantile(o.Refused, 0.5), quantile(o.Refused, 0.99), o.Other)
}

// quantile is 0 of nothing.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(10 * time.Microsecond)
}
