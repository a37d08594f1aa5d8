// Package bench measures Cove beside raw baselines on the machine it runs on.
// Absolute figures say little about another machine; the ratios between the arms
// of one run do. Arms take turns, call by call, so that what else the machine
// does hits all of them alike, and one arm is there twice: the difference
// between the two is the noise, and no smaller difference means anything.
//
// The results are printed as a table and written to bench/results as JSON.
package bench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := report.write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// result is what one arm took.
type result struct {
	Benchmark string        `json:"benchmark"`
	Arm       string        `json:"arm"`
	Calls     int           `json:"calls"`
	P50       time.Duration `json:"p50_ns"`
	P90       time.Duration `json:"p90_ns"`
	P99       time.Duration `json:"p99_ns"`
	// Ratio is P50 as a multiple of the first arm's.
	Ratio float64 `json:"ratio"`
}

// results are those of one run.
type results struct {
	mu   sync.Mutex
	list []result
}

// report collects what the benchmarks of this process find.
var report results

// add keeps the result of a benchmark, in place of an earlier and shorter one:
// the testing package runs a benchmark several times until it takes long enough.
func (r *results) add(name string, arms []*arm) []result {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, func(x result) bool { return x.Benchmark == name })
	var own []result
	for _, a := range arms {
		slices.Sort(a.took)
		at := func(p float64) time.Duration { return a.took[int(p*float64(len(a.took)-1))] }
		x := result{Benchmark: name, Arm: a.name, Calls: len(a.took), P50: at(0.5), P90: at(0.9), P99: at(0.99), Ratio: 1}
		if len(own) > 0 && own[0].P50 > 0 {
			x.Ratio = float64(x.P50) / float64(own[0].P50)
		}
		own = append(own, x)
	}
	r.list = append(r.list, own...)
	return own
}

// write prints the table and writes the file.
func (r *results) write() error {
	if len(r.list) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nbenchmark\tarm\tcalls\tp50\tp90\tp99\tratio\t")
	for _, x := range r.list {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%.2f\t\n", x.Benchmark, x.Arm, x.Calls, short(x.P50), short(x.P90), short(x.P99), x.Ratio)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	now := time.Now().UTC()
	data, err := json.MarshalIndent(map[string]any{
		"time": now, "go": runtime.Version(), "cpus": runtime.NumCPU(), "results": r.list,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll("results", 0o755); err != nil {
		return err
	}
	file := filepath.Join("results", now.Format("20060102T150405Z")+".json")
	fmt.Println("\nwritten to", filepath.Join("bench", file))
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

func short(d time.Duration) string {
	if d < 10*time.Microsecond {
		return d.String()
	}
	return d.Round(100 * time.Nanosecond).String()
}

// arm is one of several ways that are compared. call does the thing once and
// checks the answer.
type arm struct {
	name string
	call func() error
	took []time.Duration
}

// compare lets the arms take turns until b has enough, and reports their
// medians. The order is another one in each round: who comes after whom finds
// other caches.
func compare(b *testing.B, arms ...*arm) {
	b.Helper()
	for range 50 {
		for _, a := range arms {
			if err := a.call(); err != nil {
				b.Fatalf("%s: %v", a.name, err)
			}
		}
	}
	for _, a := range arms {
		a.took = a.took[:0]
	}
	order := slices.Clone(arms)
	for b.Loop() {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, a := range order {
			began := time.Now()
			err := a.call()
			took := time.Since(began)
			if err != nil {
				b.Fatalf("%s: %v", a.name, err)
			}
			a.took = append(a.took, took)
		}
	}
	b.ReportMetric(0, "ns/op") // The sum over all arms says nothing.
	for _, x := range report.add(b.Name(), arms) {
		b.ReportMetric(float64(x.P50.Nanoseconds())/1000, x.Arm+"-µs")
	}
}
