package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove/client/wire"
)

// slowToLoad takes slowLoad to load, and answers with what is another in each
// instance.
var slowToLoad = map[string]files{
	"python": {"main.py": `
import time, uuid
time.sleep(2)
me = str(uuid.uuid4())
def handler(event, context):
    return {"statusCode": 200, "body": me}
`},
	"node": {"index.js": `
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000)
const me = require('crypto').randomUUID()
exports.handler = async () => ({ statusCode: 200, body: me })
`},
}

const slowLoad = 2 * time.Second

// The instances of functions that take two seconds to load are replaced while calls
// follow one another: none of those waits for that, and those after it are answered
// by another instance.
func TestRecycleUnderLoad(t *testing.T) {
	h := start(t, options{})
	runtimes := map[string]string{"docker": "python", "gvisor": "node"}
	var wg sync.WaitGroup
	for _, isolation := range isolations {
		wg.Go(func() {
			runtime := runtimes[isolation]
			cfg := function("stale-"+isolation, runtime, isolation)
			if _, err := h.upload(t.Context(), cfg, slowToLoad[runtime]); err != nil {
				t.Error(err)
				return
			}
			h.recycleUnderLoad(t, cfg.Name)
		})
	}
	wg.Wait()
}

func (h *harness) recycleUnderLoad(t *testing.T, name string) {
	call := func() answer {
		ctx, cancel := context.WithTimeout(t.Context(), requestTime)
		defer cancel()
		a, err := h.try(ctx, request{Path: "/" + name})
		if err != nil || a.Status != 200 {
			t.Errorf("%s: %d %.300s, %v", name, a.Status, a.Body, err)
		}
		return a
	}
	before := call().Body
	done := make(chan struct{})
	go func() {
		defer close(done)
		got, err := h.Client.Recycle(t.Context(), name, wire.Recycle{})
		if err != nil || got.Instances != 1 || got.Took < slowLoad {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}()
	calls := 0
	for over := false; !over && !t.Failed(); calls++ {
		select {
		case <-done:
			over = true
		default:
		}
		switch a := call(); {
		case a.Took >= slowLoad/2:
			t.Errorf("%s: a call took %s", name, a.Took)
		case over && a.Body == before:
			t.Errorf("%s: an old instance answered after it was replaced", name)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if calls < 20 {
		t.Errorf("%s: %d calls, which says nothing", name, calls)
	}
}
