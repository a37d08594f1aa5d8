package metrics

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

func TestRows(t *testing.T) {
	t.Parallel()
	now := time.Now()
	key := func(i int) rowKey { return rowKey{store.Series{Function: fmt.Sprint(i)}, store.Minute, 1} }
	called := &aggregate{}
	called.add(&cove.Invocation{Outcome: "ok", Start: cove.StartWarm})
	setup := func(n int) *rows {
		s := newRows(now)
		for i := range n {
			s.put(&row{key: key(i)})
		}
		return s
	}

	t.Run("each that was added to is written once, and no other", func(t *testing.T) {
		t.Parallel()
		s := setup(5)
		s.add(s.find(key(3)), called)
		s.add(s.find(key(3)), called)
		s.add(s.find(key(1)), called)
		got := s.rollups()
		if len(got) != 2 || got[0].Series.Function != "3" || got[1].Series.Function != "1" {
			t.Errorf("got %+v", got)
		}
		s.saved(now)
		if got := s.rollups(); len(got) != 0 {
			t.Errorf("once written, there are %+v", got)
		}
		s.add(s.find(key(3)), called)
		var sum aggregate
		if got = s.rollups(); len(got) != 1 || sum.mergeData(got[0].Data) != nil || sum.few[0].n != 3 {
			t.Errorf("added to again, got %+v", got)
		}
	})

	t.Run("what is not used is forgotten, and what is used stays", func(t *testing.T) {
		t.Parallel()
		s := setup(2)
		for at := time.Duration(0); at <= 3*forgetAfter; at += forgetAfter / 4 {
			s.saved(now.Add(at))
			if u := s.find(key(1)); u == nil {
				t.Fatalf("what is used is forgotten after %s", at)
			}
			if s.young[key(0)] == nil && s.old[key(0)] == nil && at <= forgetAfter {
				t.Fatalf("it is forgotten after %s", at)
			}
		}
		if s.find(key(0)) != nil || len(s.young)+len(s.old) != 1 {
			t.Errorf("it remembers %d and %d", len(s.young), len(s.old))
		}
	})
}

// TestWhatCouldNotBeWrittenIsNotForgotten has a store that fails for as long as
// would have a row forgotten.
func TestWhatCouldNotBeWrittenIsNotForgotten(t *testing.T) {
	t.Parallel()
	f := setup(t)
	broken := &brokenRecords{Records: f.records, save: true}
	f.recorder.records = broken
	now := time.Now()
	f.recorder.Record(&cove.Invocation{ID: "one", Function: "f", Version: 1, Isolation: "gvisor", Time: now, Outcome: "ok", Start: cove.StartWarm})
	for i := range 5 {
		if f.recorder.flush(t.Context(), now.Add(time.Duration(i)*2*forgetAfter)) == nil {
			t.Fatal("it was written")
		}
	}
	broken.save = false
	f.flush()
	if n := f.query(Query{From: now.Add(-time.Minute), To: now.Add(time.Minute)}).Groups[0].Total.Invocations; n != 1 {
		t.Errorf("got %d", n)
	}
}

// BenchmarkFlush is what each question does first: with nothing to write, and
// with one call, while 100,000 roll-ups are remembered.
func BenchmarkFlush(b *testing.B) {
	for name, calls := range map[string]int{"nothing": 0, "a call": 1} {
		b.Run(name, func(b *testing.B) {
			_, service := openPast(b, 1, 1, 1, 0, time.Now())
			r := service.o.Recorder
			for i := range 100_000 {
				r.rows.put(&row{key: rowKey{store.Series{Function: fmt.Sprint(i)}, store.Minute, 1}})
			}
			call := cove.Invocation{Function: "f", Version: 1, Isolation: "gvisor", Time: time.Now(), Outcome: "ok", Start: cove.StartWarm}
			for b.Loop() {
				for range calls {
					r.Record(&call)
				}
				if err := r.Flush(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
