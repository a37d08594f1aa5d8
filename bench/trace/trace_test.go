package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestData(t *testing.T) {
	t.Parallel()
	rows, err := read("")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("the sample has 100 functions and a day", func(t *testing.T) {
		t.Parallel()
		if len(rows) != 100 || len(rows[0].minutes) != 1440 || rows[0].total == 0 {
			t.Errorf("%d functions, %d minutes, %d calls", len(rows), len(rows[0].minutes), rows[0].total)
		}
	})
	t.Run("a sample of a sample can be read again", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		if err := writeSample(&out, rows, 10); err != nil {
			t.Fatal(err)
		}
		unzipped, err := gzip.NewReader(&out)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseCSV(unzipped)
		if err != nil || len(again) != 10 || again[9].total < again[0].total {
			t.Errorf("%d functions, %v", len(again), err)
		}
	})
	t.Run("what is not such a file is refused", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "a,b,c,d\n", "a,b,c,d\n1,2,3,x\n", "a,b,c,d\n1,2,3,-1\n", "a,b,c,d\n1,2,3\n"} {
			if _, err := parseCSV(strings.NewReader(text)); err == nil {
				t.Errorf("%q was read", text)
			}
		}
	})
	t.Run("run times and memory are distributed as the paper says", func(t *testing.T) {
		t.Parallel()
		var logs, memory []float64
		for seed := range uint64(20) {
			for _, f := range modelled(rows, seed) {
				logs = append(logs, math.Log(f.Run.Seconds()))
				memory = append(memory, f.Memory)
			}
		}
		if m := mean(logs); math.Abs(m-runMean) > 0.3 {
			t.Errorf("the mean logarithm of the run times is %.2f", m)
		}
		// The median of the distribution, from its inverse.
		if q := quantiles(memory)["p50"]; q < 120 || q > 160 {
			t.Errorf("the median of the memory is %.0f MB", q)
		}
	})
}

func FuzzParseCSV(f *testing.F) {
	f.Add("a,b,c,minute_1,minute_2\nf,a,o,0,7\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := parseCSV(strings.NewReader(text))
		if err == nil && (len(rows) == 0 || len(rows[0].minutes) == 0) {
			t.Error("no functions and no error")
		}
	})
}

func TestPlan(t *testing.T) {
	t.Parallel()
	rows, err := read("")
	if err != nil {
		t.Fatal(err)
	}
	o := liveOptions{functions: 20, length: 2 * time.Minute, span: 2 * time.Hour, clip: time.Second, rate: 40, seed: 1}
	picked, calls := plan(o, rows)
	if len(picked) != 20 || len(calls) < 100 || float64(len(calls)) > 1.2*o.rate*o.length.Seconds() {
		t.Errorf("%d functions, %d calls", len(picked), len(calls))
	}
	for i, c := range calls {
		if c.at < 0 || c.at >= o.length || c.sleep > o.clip || c.sleep < time.Millisecond || i > 0 && c.at < calls[i-1].at {
			t.Fatalf("call %d: %+v", i, c)
		}
	}
}

func TestAssess(t *testing.T) {
	t.Parallel()
	ms := func(a, b int) [2]time.Duration {
		return [2]time.Duration{time.Duration(a) * time.Millisecond, time.Duration(b) * time.Millisecond}
	}
	calls := []arrival{{function: 0}, {function: 0}, {function: 1}, {function: 1}}
	r := assess(2, calls, []outcome{{took: ms(10, 10)}, {took: ms(40, 10)}, {took: ms(20, 10)}, {took: ms(1, 1), err: [2]error{io.EOF, nil}}})
	if math.Abs(r.Slowdown-2) > 1e-9 || math.Abs(r.OfFunctions-2) > 1e-9 || r.Failed["cove"] != 1 || r.Failed["bare"] != 0 {
		t.Errorf("got %+v", r)
	}
}

// The bound is what the sample gives with room to spare; the figures for all
// functions are in docs/performance.md.
func TestTheAdaptivePolicyMakesFewerColdStartsAtEqualIdleTime(t *testing.T) {
	t.Parallel()
	rows, err := read("")
	if err != nil {
		t.Fatal(err)
	}
	var small []function // A busy function tells little here and takes long.
	for _, row := range rows {
		if row.total < 3000 {
			small = append(small, row)
		}
	}
	l := lab(modelled(small, 1), 1)
	base := l.Try(false, 10*time.Minute)
	same := l.AtIdle(true, base.IdleHours)
	if same.IdleHours > base.IdleHours || same.Near75 > 0.75*base.Near75 || same.Cold > base.Cold {
		t.Errorf("got %+v beside %+v", same, base)
	}
}
