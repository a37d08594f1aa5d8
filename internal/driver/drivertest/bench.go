package drivertest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// idleTime is how long a sandbox is left alone before it is called, so that a
// call to an idle one and one to a paused one find the same cold caches.
const idleTime = 10 * time.Millisecond

// BenchChanges measures what happens to a sandbox in the path of a request: a
// call to one that idles and to one that is paused, pausing, resuming, and what
// makes a stem cell an instance (Mount and Resize). It reports medians and the
// 99th percentiles in microseconds.
func BenchChanges(b *testing.B, s Subject, d driver.Driver) {
	took := map[string][]time.Duration{}
	timed := func(what string, do func() error) {
		began := time.Now()
		if err := do(); err != nil {
			b.Fatal(err)
		}
		took[what] = append(took[what], time.Since(began))
	}
	ctx := b.Context()
	b.Cleanup(func() {
		if err := d.Close(); err != nil {
			b.Error(err)
		}
	})
	r := benched(b, s, d)
	ping := func() error { return r.ask("ping", nil, nil) }
	for range 20 {
		if err := ping(); err != nil {
			b.Fatal(err)
		}
	}
	small, large := limits(), limits()
	small.Background = true
	large.Memory, large.CPU = cove.GiB, 2
	for b.Loop() {
		time.Sleep(idleTime)
		timed("idle", ping)
		timed("pause", func() error { return r.Pause(ctx) })
		time.Sleep(idleTime)
		timed("thawed", func() error {
			if err := r.Resume(ctx); err != nil {
				return err
			}
			return ping()
		})
		if err := r.Pause(ctx); err != nil {
			b.Fatal(err)
		}
		timed("resume", func() error { return r.Resume(ctx) })
		timed("grow", func() error { return r.Resize(ctx, large) })
		timed("shrink", func() error { return r.Resize(ctx, small) })
	}
	for range 5 {
		fresh, pkg := benched(b, s, d), b.TempDir()
		time.Sleep(idleTime)
		timed("mount", func() error { return fresh.Mount(ctx, pkg) })
		if err := fresh.Destroy(ctx, "measured"); err != nil {
			b.Fatal(err)
		}
	}
	for name, all := range took {
		slices.Sort(all)
		for _, p := range []int{50, 99} {
			b.ReportMetric(float64(all[(len(all)-1)*p/100].Nanoseconds())/1000, fmt.Sprintf("%s-p%d-us", name, p))
		}
	}
	b.ReportMetric(0, "ns/op")
}

// benched makes a sandbox of the suite's kind for a benchmark.
func benched(b *testing.B, s Subject, d driver.Driver) *running {
	b.Helper()
	spec := s.spec(b)
	r, err := tryCreate(b, d, spec)
	if err != nil {
		b.Fatal(err)
	}
	var hello json.RawMessage
	if err := r.ask("ping", nil, &hello); err != nil {
		b.Fatal(err)
	}
	return r
}
