package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove/internal/bench"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func series(name string, n int, took time.Duration) bench.Series {
	s := bench.Series{Arm: name}
	for range n {
		s.Samples = append(s.Samples, bench.Sample{Took: took})
	}
	return s
}

func TestRow(t *testing.T) {
	t.Parallel()

	t.Run("a ratio that is small enough reaches the aim, one between the bounds the least, any other falls short", func(t *testing.T) {
		t.Parallel()
		for ratio, want := range map[float64]string{0.9: "aim", 1: "aim", 1.2: "at least", 1.31: "short"} {
			r := row{Ratio: bench.Interval{Value: ratio}, Least: 1.3, Aim: 1}
			if got := r.verdict(); got != want {
				t.Errorf("%v of at least 1.3 and an aim of 1 is %q, not %q", ratio, got, want)
			}
		}
	})

	t.Run("where more is better the bounds are read the other way", func(t *testing.T) {
		t.Parallel()
		for ratio, want := range map[float64]string{2.1: "aim", 1.5: "at least", 0.9: "short"} {
			r := row{Ratio: bench.Interval{Value: ratio}, Least: 1, Aim: 2, More: true}
			if got := r.verdict(); got != want {
				t.Errorf("%v is %q, not %q", ratio, got, want)
			}
		}
	})

	t.Run("a p99 of fewer than 1,000 samples is not told", func(t *testing.T) {
		t.Parallel()
		c := comparison{"a": series("a", 999, time.Millisecond), "b": series("b", 2000, time.Second)}
		if r := c.row(want{name: "x", baseline: "b", cove: "a", q: 0.99, least: 1, aim: 1}); r.verdict() != "not measured" || r.Cove != "" {
			t.Errorf("the row is %+v", r)
		}
		c["a"] = series("a", 1000, time.Millisecond)
		if r := c.row(want{name: "x", baseline: "b", cove: "a", q: 0.99, least: 1, aim: 1}); r.verdict() != "aim" {
			t.Errorf("the row is %+v", r)
		}
	})

	t.Run("an arm without a sample says why, and the other one's figure stays", func(t *testing.T) {
		t.Parallel()
		c := comparison{"a": {Arm: "a", Failed: 5, Error: "no stem cell"}, "b": series("b", 10, time.Second)}
		r := c.row(want{name: "x", baseline: "b", cove: "a", q: 0.5, least: 1, aim: 1})
		if r.verdict() != "not measured" || r.Baseline != "1 s" || !strings.Contains(r.remark(), "no stem cell") {
			t.Errorf("the row is %+v", r)
		}
	})
}

func TestResultsReplaceThoseInADocument(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(file, []byte("before\n"+resultsBegin+"\nold\n"+resultsEnd+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &results{Command: "make bench", Rows: []row{{Name: "a | b", Ratio: bench.Interval{Value: 0.01, Low: 0.01, High: 0.01}}}}
	for range 2 {
		if err := insert(file, r); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := string(data)
	for _, part := range []string{"before\n", `a \| b`, "1/100", "\nafter\n"} {
		if strings.Count(got, part) != 1 {
			t.Errorf("%q is not there once:\n%s", part, got)
		}
	}
	if strings.Contains(got, "old") {
		t.Errorf("what was there is there still:\n%s", got)
	}
	if err := os.WriteFile(file, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if insert(file, r) == nil {
		t.Error("a document without a place for the results was changed")
	}
}

func TestRunsCompleteEachOther(t *testing.T) {
	t.Parallel()
	short := &results{Rows: []row{{Name: "p50"}, {Name: "p99", Missing: "too few"}, {Name: "trace", Missing: "elsewhere"}}}
	long := &results{Rows: []row{{Name: "p99"}, {Name: "trace", Missing: "elsewhere"}}}
	complete([]*results{short, long})
	names := func(r *results) (names []string) {
		for _, row := range r.Rows {
			names = append(names, row.Name)
		}
		return names
	}
	if got := names(short); !slices.Equal(got, []string{"p50", "trace"}) {
		t.Errorf("the first has %q", got)
	}
	if got := names(long); !slices.Equal(got, []string{"p99", "trace"}) {
		t.Errorf("the second has %q", got)
	}
}
