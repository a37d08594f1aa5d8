package apitest

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/metrics"
	"github.com/covefn/cove/internal/settings"
	"github.com/covefn/cove/internal/store/sqlite"
)

// Calls are the invocations that a Server knows of from its start: three of
// "hello", of which one was slow and one failed, and one of "other".
func Calls(now time.Time) []cove.Invocation {
	call := func(id, function string, back, total time.Duration) cove.Invocation {
		return cove.Invocation{
			ID: id, Function: function, Version: 1, Isolation: "gvisor", Instance: "i-1", Kind: cove.KindHTTP, Method: "GET", Path: "/" + function,
			Time: now.Add(-back), Start: cove.StartWarm, Outcome: cove.OutcomeOK, Status: 200, Billed: total, BytesIn: 10, BytesOut: 20,
			Timings: cove.Timings{Run: total / 2, Total: total}, CPU: total / 4, PeakMemory: 24 * cove.MiB,
		}
	}
	list := []cove.Invocation{
		call("call-fast-0001", "hello", 50*time.Second, 2*time.Millisecond),
		call("call-slow-0002", "hello", 40*time.Second, 3*time.Second),
		call("call-fail-0003", "hello", 30*time.Second, 5*time.Millisecond),
		call("call-else-0004", "other", 20*time.Second, time.Millisecond),
	}
	list[1].Start, list[1].Timings.Start = cove.StartCold, time.Second
	failed := &list[2]
	failed.Outcome, failed.Fault, failed.Status = string(cove.CodeFunctionError), cove.FaultFunction, 502
	failed.Error, failed.ErrorType = "there is no such customer", "LookupError"
	return list
}

// openMetrics opens records that hold Calls.
func openMetrics(t testing.TB, dir string, kept *settings.Service) (*metrics.Recorder, *metrics.Service) {
	t.Helper()
	records, err := sqlite.OpenRecords(t.Context(), filepath.Join(dir, "records.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { records.Close() })
	recorder := metrics.NewRecorder(records, nil)
	for _, v := range Calls(time.Now()) {
		recorder.Record(&v)
	}
	if err := recorder.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	scrape := metrics.NewPrometheus(recorder, func() metrics.Levels { return metrics.Levels{} }, "test")
	return recorder, metrics.NewService(metrics.Options{Records: records, Recorder: recorder, Settings: kept.Settings, Scrape: scrape})
}
