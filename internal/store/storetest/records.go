package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// Invocation is a record with something in every field, which ended so long
// before now.
func Invocation(id, function string, now time.Time, back time.Duration) cove.Invocation {
	const total = 30 * time.Millisecond
	return cove.Invocation{
		ID: id, Function: function, Version: 3, Isolation: "gvisor", Instance: "i-1", Kind: cove.KindHTTP, Time: now.Add(-back - total).UTC().Round(0),
		Start: cove.StartCold, Outcome: cove.OutcomeOK, Status: 200, Method: "GET", Path: "/x", Trace: "4bf92f3577b34da6a3ce929d0e0e4736",
		Timings: cove.Timings{Queue: 1, Start: 2, Init: 3, Run: 4, Total: total}, Billed: time.Millisecond,
		BytesIn: 5, BytesOut: 6, CPU: 7, PeakMemory: 8,
	}
}

// RunRecords checks a store.Records; open makes an empty one.
func RunRecords(t *testing.T, open func(t *testing.T) store.Records) {
	t.Helper()
	now := time.Now().Truncate(time.Microsecond)
	save := func(t *testing.T, r store.Records, list ...cove.Invocation) {
		t.Helper()
		if err := r.SaveRecords(t.Context(), list, nil); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(t *testing.T, r store.Records, q store.InvocationQuery) (list []string, next int64) {
		t.Helper()
		if q.Limit == 0 {
			q.Limit = 100
		}
		page, err := r.Invocations(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Items {
			list = append(list, page.Items[i].ID)
		}
		return list, page.Next
	}
	equal := func(t *testing.T, got any, want any) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}

	t.Run("a record comes back as it was, and of two with one id the newest", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		old, failed := Invocation("same", "hello", now, time.Minute), Invocation("same", "hello", now, time.Second)
		failed.Outcome, failed.Fault, failed.Error, failed.ErrorType = "function_error", cove.FaultFunction, "nö", "ValueError"
		save(t, r, old, failed)
		got, err := r.Invocation(t.Context(), "same")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, failed)
		if _, err := r.Invocation(t.Context(), "nobody"); cove.CodeOf(err) != cove.CodeNotFound {
			t.Errorf("got %v", err)
		}
	})

	t.Run("every condition chooses", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		a, b, c := Invocation("id-a", "hello", now, 3*time.Minute), Invocation("id-b", "hello", now, 2*time.Minute), Invocation("id-c", "other", now, time.Minute)
		b.Version, b.Isolation, b.Instance, b.Start = 4, "docker", "i-2", cove.StartWarm
		b.Outcome, b.Fault, b.Error = "timeout", cove.FaultFunction, "took TOO long: id-a"
		b.Timings.Total = time.Hour
		b.Time = now.Add(-2*time.Minute - time.Hour)
		save(t, r, a, b, c)
		for _, q := range []store.InvocationQuery{
			{Version: 4}, {Isolation: "docker"}, {Instance: "i-2"}, {Start: cove.StartWarm}, {Outcome: "timeout"}, {Fault: cove.FaultFunction},
			{MinTotal: time.Minute}, {Search: "id-b"}, {Search: "too long"}, {From: now.Add(-150 * time.Second), To: now.Add(-90 * time.Second)},
			{Function: "hello", Fault: cove.FaultFunction, Search: "TOO"},
		} {
			if got, next := ids(t, r, q); len(got) != 1 || got[0] != "id-b" || next != 0 {
				t.Errorf("%+v: got %v, next %d", q, got, next)
			}
		}
		got, _ := ids(t, r, store.InvocationQuery{Function: "hello"})
		equal(t, got, []string{"id-b", "id-a"})
		got, _ = ids(t, r, store.InvocationQuery{Search: "id-a"})
		equal(t, got, []string{"id-b", "id-a"})
		got, _ = ids(t, r, store.InvocationQuery{Outcome: "ok"})
		equal(t, got, []string{"id-c", "id-a"})
		for _, q := range []store.InvocationQuery{{Function: "nobody"}, {Search: "%"}, {Search: "_d-b"}, {Fault: cove.FaultCaller}} {
			if got, _ := ids(t, r, q); got != nil {
				t.Errorf("%+v: got %v", q, got)
			}
		}
	})

	t.Run("pages follow one another, the newest first, also where calls ended at once", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		var list []cove.Invocation
		for i := range 10 {
			list = append(list, Invocation(fmt.Sprintf("id-%d", i), "hello", now, time.Second))
		}
		save(t, r, list...)
		for _, q := range []store.InvocationQuery{{}, {Function: "hello"}, {Start: cove.StartCold}, {Search: "id-"}} {
			var all []string
			q.Limit = 3
			for pages := 0; pages < 5; pages++ {
				got, next := ids(t, r, q)
				all = append(all, got...)
				if q.Before = next; next == 0 {
					break
				}
			}
			equal(t, all, []string{"id-9", "id-8", "id-7", "id-6", "id-5", "id-4", "id-3", "id-2", "id-1", "id-0"})
		}
	})

	t.Run("a roll-up is replaced by the next of its series and time, and read by function, resolution and time", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		one, two := store.Series{Function: "hello", Version: 1, Isolation: "gvisor"}, store.Series{Isolation: "gvisor"}
		put := func(s store.Series, resolution store.Resolution, minutes int64, data string) {
			t.Helper()
			if err := r.SaveRecords(t.Context(), nil, []store.Rollup{{Series: s, Resolution: resolution, Time: minutes, Data: []byte(data)}}); err != nil {
				t.Fatal(err)
			}
		}
		put(one, store.Minute, 60, "a")
		put(one, store.Minute, 60, "b")
		put(one, store.Minute, 61, "c")
		put(one, store.Hour, 60, "d")
		put(two, store.Minute, 60, "e")
		read := func(q store.RollupQuery) (out string) {
			t.Helper()
			err := r.Rollups(t.Context(), q, func(u store.Rollup) error {
				out += fmt.Sprintf("%s %d %s;", u.Series.Function, u.Time, u.Data)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		equal(t, read(store.RollupQuery{Function: "hello", From: 0, To: 100}), "hello 60 b;hello 61 c;")
		equal(t, read(store.RollupQuery{Function: "hello", From: 60, To: 61}), "hello 60 b;")
		equal(t, read(store.RollupQuery{Function: "hello", Resolution: store.Hour, From: 0, To: 100}), "hello 60 d;")
		equal(t, read(store.RollupQuery{From: 0, To: 100}), " 60 e;")
		equal(t, read(store.RollupQuery{Function: "nobody", From: 0, To: 100}), "")
		data, err := r.Rollup(t.Context(), one, store.Minute, 61)
		if err != nil || string(data) != "c" {
			t.Errorf("got %q, %v", data, err)
		}
		if data, err := r.Rollup(t.Context(), store.Series{Function: "hello", Version: 2}, store.Minute, 61); data != nil || err != nil {
			t.Errorf("got %q, %v", data, err)
		}
		names, err := r.RecordedFunctions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, names, []string{"hello"})
	})

	t.Run("what is beyond the limits goes, the oldest first, and then the names of what is gone", func(t *testing.T) {
		t.Parallel()
		r := open(t)
		var list []cove.Invocation
		for i := range 20 {
			list = append(list, Invocation(fmt.Sprintf("id-%02d", i), "hello", now, time.Duration(20-i)*time.Hour))
		}
		save(t, r, list...)
		old := now.Add(-100*time.Hour).Unix() / 60
		err := r.SaveRecords(t.Context(), nil, []store.Rollup{
			{Series: store.Series{Function: "gone", Version: 1, Isolation: "gvisor"}, Time: old, Data: []byte("x")},
			{Series: store.Series{Function: "hello", Version: 1, Isolation: "gvisor"}, Time: now.Unix() / 60, Data: []byte("x")},
		})
		if err != nil {
			t.Fatal(err)
		}
		trim := func(limits store.RecordLimits, want int64) {
			t.Helper()
			if n, err := r.TrimRecords(t.Context(), limits, now); n != want || err != nil {
				t.Errorf("%+v: removed %d, want %d, %v", limits, n, want, err)
			}
		}
		trim(store.RecordLimits{}, 0)
		trim(store.RecordLimits{Invocations: 10*time.Hour + time.Minute}, 10)
		trim(store.RecordLimits{InvocationCount: 4, Rollups: [3]time.Duration{time.Hour}}, 7)
		got, _ := ids(t, r, store.InvocationQuery{})
		equal(t, got, []string{"id-19", "id-18", "id-17", "id-16"})
		save(t, r, Invocation("new", "gone", now, 0))
		trim(store.RecordLimits{InvocationCount: 4}, 1)
		names, err := r.RecordedFunctions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, names, []string{"gone", "hello"})
	})

	// The hours before now, and a day in which the clock was half a year ahead.
	const ahead = 180 * 24 * time.Hour
	clockSetBack := func(t *testing.T) store.Records {
		t.Helper()
		r := open(t)
		save(t, r, Invocation("before", "hello", now, 2*time.Hour))
		// Those of both clocks may come together.
		save(t, r, Invocation("ahead-1", "hello", now, time.Hour-ahead), Invocation("ahead-2", "hello", now, time.Hour-ahead),
			Invocation("after-1", "hello", now, time.Minute), Invocation("after-2", "hello", now, time.Minute+time.Second))
		save(t, r, Invocation("after-3", "hello", now, 0))
		return r
	}

	t.Run("when the clock was set back, what comes then has its own time again", func(t *testing.T) {
		t.Parallel()
		r := clockSetBack(t)
		got, _ := ids(t, r, store.InvocationQuery{})
		equal(t, got, []string{"ahead-2", "ahead-1", "after-3", "after-2", "after-1", "before"})
		got, _ = ids(t, r, store.InvocationQuery{From: now.Add(-90 * time.Minute), To: now.Add(time.Second)})
		equal(t, got, []string{"after-3", "after-2", "after-1"})
		// It is set to what it was before, where all times are taken.
		save(t, r, Invocation("again", "hello", now, time.Hour-ahead), Invocation("again-2", "hello", now, time.Hour-ahead-time.Minute))
		got, _ = ids(t, r, store.InvocationQuery{From: now.Add(time.Hour)})
		equal(t, got, []string{"again-2", "again", "ahead-2", "ahead-1"})
	})

	t.Run("what is of the future goes when it is as far from now as what is too old", func(t *testing.T) {
		t.Parallel()
		r := clockSetBack(t)
		trim := func(limits store.RecordLimits, now time.Time, want ...string) {
			t.Helper()
			if _, err := r.TrimRecords(t.Context(), limits, now); err != nil {
				t.Fatal(err)
			}
			got, _ := ids(t, r, store.InvocationQuery{})
			equal(t, got, want)
		}
		// A clock that is far behind takes nothing with it.
		all := []string{"ahead-2", "ahead-1", "after-3", "after-2", "after-1", "before"}
		trim(store.RecordLimits{Invocations: 7 * 24 * time.Hour}, time.Unix(0, 0), all...)
		trim(store.RecordLimits{Invocations: 2 * ahead}, now, all...)
		trim(store.RecordLimits{Invocations: 24 * time.Hour}, now, all...)
		trim(store.RecordLimits{Invocations: 90 * time.Minute}, now, "after-3", "after-2", "after-1")
	})

	t.Run("of too many those of the future go first", func(t *testing.T) {
		t.Parallel()
		r := clockSetBack(t)
		for _, want := range [][]string{
			{"ahead-2", "after-3", "after-2", "after-1", "before"},
			{"after-3", "after-2", "after-1"},
		} {
			if _, err := r.TrimRecords(t.Context(), store.RecordLimits{InvocationCount: int64(len(want))}, now); err != nil {
				t.Fatal(err)
			}
			got, _ := ids(t, r, store.InvocationQuery{})
			equal(t, got, want)
		}
	})
}
