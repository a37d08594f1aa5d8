package e2e

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/covefn/cove"
)

// redeployTime is how long TestRedeployUnderLoad goes on, with a new version
// each redeployPause.
const (
	redeployTime  = 60 * time.Second
	redeployPause = time.Second
)

// A function is deployed again every second while callers never let up, every
// other time with a version that is loaded before it is the active one. No
// request may fail, and none may be answered by a version older than the newest
// one that was confirmed when the request was sent.
func TestRedeployUnderLoad(t *testing.T) {
	h := start(t, options{})
	runtimes := map[string]string{"docker": "python", "gvisor": "node"}
	var wg sync.WaitGroup
	for _, isolation := range isolations {
		wg.Go(func() { h.redeploy(t, function("changing-"+isolation, runtimes[isolation], isolation)) })
	}
	wg.Wait()
}

func (h *harness) redeploy(t *testing.T, cfg cove.Config) {
	cfg.Scaling.Max = 4
	if _, err := h.upload(t.Context(), cfg, constant(cfg.Runtime, 1)); err != nil {
		t.Errorf("deploy %s: %v", cfg.Name, err)
		return
	}
	var confirmed, requests, failed atomic.Int64
	confirmed.Store(1)
	ctx, cancel := context.WithTimeout(t.Context(), redeployTime)
	defer cancel()
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			for ctx.Err() == nil && failed.Load() < 5 {
				oldest := confirmed.Load()
				// What was begun is finished: a request cut off by the end of the
				// test is no failure of the daemon's.
				bounded, stop := context.WithTimeout(t.Context(), requestTime)
				a, err := h.try(bounded, request{Path: "/" + cfg.Name})
				stop()
				n, parse := strconv.ParseInt(a.Body, 10, 64)
				switch {
				case err != nil:
					t.Errorf("%s: a request failed: %v", cfg.Name, err)
					failed.Add(1)
				case a.Status != 200 || parse != nil:
					t.Errorf("%s: a request was answered %d: %.500s", cfg.Name, a.Status, a.Body)
					failed.Add(1)
				case n < oldest:
					t.Errorf("%s: version %d answered a request that was sent when %d had been confirmed", cfg.Name, n, oldest)
					failed.Add(1)
				}
				requests.Add(1)
			}
		})
	}
	tick := time.NewTicker(redeployPause)
	defer tick.Stop()
	for ctx.Err() == nil {
		n := confirmed.Load() + 1
		c := h.Client
		if n%2 == 0 {
			c = c.WarmFirst()
		}
		if _, err := c.Replace(t.Context(), cfg.Name, cfg, constant(cfg.Runtime, int(n)).archive(), 0); err != nil {
			t.Errorf("%s: deploy number %d failed: %v", cfg.Name, n, err)
			break
		}
		confirmed.Store(n)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	callers.Wait()
	t.Logf("%s: %d requests during %d deploys", cfg.Name, requests.Load(), confirmed.Load())
	// Each deploy makes the next requests wait for a new sandbox, so on a busy
	// machine they are few; but they go on.
	if requests.Load() < 20 || confirmed.Load() < 20 {
		t.Errorf("%s: that is too little to say anything", cfg.Name)
	}
}
