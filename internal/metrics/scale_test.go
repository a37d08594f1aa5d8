package metrics

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
	"github.com/covefn/cove/internal/store/sqlite"
)

// sampledRecords keep one record of single invocations in every so many, as the
// retention of a Cove that has run for long does; of roll-ups all.
type sampledRecords struct {
	*sqlite.Records
	every int
}

func (s *sampledRecords) SaveRecords(ctx context.Context, v []cove.Invocation, u []store.Rollup) error {
	kept := v[:0:0]
	for i := 0; s.every > 0 && i < len(v); i += s.every {
		kept = append(kept, v[i])
	}
	return s.Records.SaveRecords(ctx, kept, u)
}

// past records calls of functions, evenly over the days before now: in the
// last three days minute by minute, before that once an hour, since minutes are
// not kept so long.
func past(tb testing.TB, r *Recorder, days, functions, calls int, now time.Time) {
	tb.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	from := now.AddDate(0, 0, -days).Truncate(time.Hour)
	moments := []time.Time{}
	for t := from; t.Before(now); {
		moments = append(moments, t)
		if now.Sub(t) > 72*time.Hour {
			t = t.Add(time.Hour)
		} else {
			t = t.Add(time.Minute)
		}
	}
	names := make([]string, functions)
	for i := range names {
		names[i] = fmt.Sprintf("function-%03d", i)
	}
	// An hour's worth at an hour's moment, a minute's at a minute's.
	perMinute := float64(calls) / now.Sub(from).Minutes()
	owed := 0.0
	for i, t := range moments {
		minutes := 1.0
		if i+1 < len(moments) {
			minutes = moments[i+1].Sub(t).Minutes()
		}
		for owed += perMinute * minutes; owed >= 1; owed-- {
			which := random.IntN(functions)
			total := time.Duration(2e6 * math.Exp(random.NormFloat64()))
			r.Record(&cove.Invocation{
				ID: "0b6e2f9c0c3c4f0f9f5e3c1a1b", Function: names[which], Version: 1 + which%3, Isolation: []string{"gvisor", "docker", "runc"}[which%3],
				Instance: "instance-0123456789ab", Kind: cove.KindHTTP, Method: "GET", Path: "/things/17", Outcome: cove.OutcomeOK, Start: cove.StartWarm,
				Time: t, Timings: cove.Timings{Run: total / 2, Total: total}, Billed: total, CPU: total / 3, PeakMemory: cove.GiB,
			})
		}
		if i%60 == 0 {
			if err := r.Flush(context.Background()); err != nil {
				tb.Fatal(err)
			}
			// The minutes that are over: they are kept for two minutes of real time.
			maps.DeleteFunc(r.rows.young, func(k rowKey, _ *row) bool { return k.resolution == store.Minute })
		}
	}
	if err := r.Flush(context.Background()); err != nil {
		tb.Fatal(err)
	}
}

func openPast(tb testing.TB, days, functions, calls, every int, now time.Time) (*sqlite.Records, *Service) {
	tb.Helper()
	records, err := sqlite.OpenRecords(tb.Context(), filepath.Join(tb.TempDir(), "records.db"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { records.Close() })
	r := NewRecorder(&sampledRecords{records, every}, nil)
	past(tb, r, days, functions, calls, now)
	settings := store.Settings{Retention: store.Retention{
		Minutes: cove.Duration(72 * time.Hour), Hours: cove.Duration(90 * 24 * time.Hour), Days: cove.Duration(3 * 365 * 24 * time.Hour),
	}}
	return records, NewService(Options{Records: records, Recorder: r, Settings: func() store.Settings { return settings }})
}

func TestStorageGrowsWithFunctionsAndTimeAndNotWithCalls(t *testing.T) {
	t.Parallel()
	now := time.Now()
	few, _ := openPast(t, 1, 1, 2_000, 0, now)
	many, _ := openPast(t, 1, 1, 30_000, 0, now)
	// Fifteen times as many calls fill more of a sketch's buckets, and no more rows.
	if a, b := few.RecordBytes(), many.RecordBytes(); b > 3*a {
		t.Errorf("2,000 calls take %d bytes, 30,000 take %d", a, b)
	} else {
		t.Logf("2,000 calls take %d KiB, 30,000 take %d KiB", a>>10, b>>10)
	}
}

// processorTime is what this process has used.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkThirtyDays times queries over 30 days with as many invocations behind
// them as COVE_BENCH_CALLS says, by default 200,000. That with 10,000,000 takes
// a minute or two:
//
//	COVE_BENCH_CALLS=10000000 go test ./internal/metrics -run - -bench ThirtyDays -benchtime 20x
func BenchmarkThirtyDays(b *testing.B) {
	calls, functions := 200_000, 50
	if s := os.Getenv("COVE_BENCH_CALLS"); s != "" {
		var err error
		if calls, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
		functions = 200
	}
	now := time.Now()
	began := time.Now()
	records, service := openPast(b, 30, functions, calls, max(1, calls/1_000_000), now)
	b.Logf("recorded %d calls of %d functions in %s; they take %d MiB", calls, functions, time.Since(began).Round(time.Second), records.RecordBytes()>>20)
	from := now.AddDate(0, 0, -30)
	for name, q := range map[string]Query{
		"all":                   {},
		"all by hour":           {Step: time.Hour},
		"by function":           {GroupBy: ByFunction},
		"by function and 12 h":  {GroupBy: ByFunction, Step: 12 * time.Hour},
		"by isolation and day":  {GroupBy: ByIsolation, Step: 24 * time.Hour, Histogram: true},
		"a function by hour":    {Function: "function-007", Step: time.Hour, Histogram: true},
		"a function's versions": {Function: "function-007", GroupBy: ByVersion},
	} {
		q.From, q.To = from, now
		b.Run(name, func(b *testing.B) {
			before := processorTime(b)
			for b.Loop() {
				if _, err := service.Query(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
			// What it takes where nothing else runs.
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
	b.Run("page of failures", func(b *testing.B) {
		for b.Loop() {
			if _, err := service.Invocations(b.Context(), store.InvocationQuery{Fault: cove.FaultFunction, Limit: 100}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("page of a function", func(b *testing.B) {
		for b.Loop() {
			if _, err := service.Invocations(b.Context(), store.InvocationQuery{Function: "function-007", Limit: 100}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
