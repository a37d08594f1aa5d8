package metrics

import (
	"context"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

func TestWhatEndedJustNowIsAnswered(t *testing.T) {
	t.Parallel()
	f := setup(t)
	now := time.Now()
	f.recorder.Record(&cove.Invocation{ID: "one", Function: "f", Version: 1, Isolation: "gvisor", Time: now, Outcome: "timeout", Fault: cove.FaultFunction})
	got := f.query(Query{From: now.Add(-time.Minute), To: now.Add(time.Minute), GroupBy: ByFunction})
	if len(got.Groups) != 1 || got.Groups[0].Total.Errors != 1 {
		t.Errorf("got %+v", got.Groups)
	}
	f.recorder.Record(&cove.Invocation{ID: "two", Function: "f", Version: 1, Isolation: "gvisor", Time: now, Outcome: "ok"})
	page, err := f.service.Invocations(t.Context(), store.InvocationQuery{Function: "f", Limit: 10})
	if err != nil || len(page.Items) != 2 {
		t.Errorf("got %+v, %v", page.Items, err)
	}
}

func TestACallerWhoLeavesIsNoFailureToWrite(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.recorder.Record(&cove.Invocation{ID: "one", Function: "f", Version: 1, Isolation: "gvisor", Time: time.Now(), Outcome: "ok"})
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := f.service.Invocations(gone, store.InvocationQuery{Limit: 10}); err == nil {
		t.Error("somebody who left was answered")
	}
	if n, kept := f.recorder.failures.Load(), f.recorder.kept.Load(); n != 0 || kept != 1 {
		t.Errorf("%d failures, %d records kept", n, kept)
	}
}
