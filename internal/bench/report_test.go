package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/covefn/cove"
)

var update = flag.Bool("update", false, "write the files in testdata")

// took are n durations from d on, a percent more each.
func took(n int, d time.Duration) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = d + d*time.Duration(i)/100
	}
	return out
}

// sample is a report in which everything has a row.
func sample() *Report {
	price := DefaultPrices()
	r := &Report{
		Schema: ReportSchema, Cove: "v1", Started: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Took: 2 * time.Minute, Form: "quick", Seed: 7,
		Machine: Machine{OS: "Debian", Kernel: "6.18", Arch: "amd64", CPU: "a processor", CPUs: 2, Memory: 8 * cove.GiB, LoadBefore: 0.1},
		Isolations: []Isolation{
			{Name: "gvisor", Version: "1", Wall: "A wall.", Protects: []string{"this"}, Exposes: []string{"that"}, Links: []string{"https://gvisor.dev/"}},
			{Name: "docker", Version: "2", Wall: "Another wall.", Links: []string{}},
		},
		Subjects: []Subject{{Name: "no-op", Runtime: "python3.13"}},
		Phases: []Phase{{Name: "start classes", Host: HostUse{Elapsed: time.Minute, StealPart: 0.01, Load: 1.5}, Noise: Noise{Ratio: Interval{1, 0.98, 1.03}, Floor: 0.03}, Floors: []Floor{
			{Of: "no-op (python3.13) gvisor cold", Judges: "cold starts of no-op (python3.13)", Noise: Noise{Ratio: Interval{1, 0.98, 1.03}, Floor: 0.03}},
			{Of: "no-op (python3.13) gvisor stem", Judges: "stem starts of no-op (python3.13)"},
		}}},
		Cost: CostReport{
			Prices: price, Traffic: Traffic{PerSecond: []float64{0.5, 2}, KeepAlive: 5 * time.Minute},
			Cheapest: []CheapestRow{{"no-op", "python3.13", []Span{{LeastLoad, 3, "docker"}, {3, MostLoad, "gvisor"}}}},
		},
		Overall: []OverallRow{{"python3.13", "gvisor", Interval{1.5, 1.4, 1.6}, 1}},
		Remarks: []string{"one thing did not go as it should"},
	}
	for n, isolation := range []string{"gvisor", "docker"} {
		d := time.Duration(n+1) * 100 * time.Millisecond
		ratio := Interval{}
		if n > 0 {
			ratio = Ratio(took(40, d), took(40, 100*time.Millisecond), 0.5, 1)
		}
		for _, class := range []cove.StartClass{cove.StartCold, cove.StartStem, cove.StartThawed} {
			r.Starts = append(r.Starts, StartRow{
				Subject: "no-op", Runtime: "python3.13", Isolation: isolation, Class: class, Took: Summarise(took(40, d)), Start: d / 2, Init: d / 10,
				Ratio: ratio, Same: class == cove.StartThawed && n > 0,
			})
		}
		burst := BurstRow{
			Subject: "no-op", Runtime: "python3.13", Isolation: isolation, Calls: 50, First: Summarise(took(3, d)), Last: Summarise(took(3, 4*d)), Instances: 9,
			Counted: Counted{Failed: 1, Error: "it <failed>"},
		}
		if n > 0 {
			burst.FirstRatio, burst.LastRatio = Interval{1.1, 0.9, 1.3}, ratio
		}
		r.Bursts = append(r.Bursts, burst)
		r.Warm = append(r.Warm, WarmRow{Subject: "no-op", Runtime: "python3.13", Isolation: isolation, Took: Summarise(took(1000, d/100)), Ratio: ratio})
		load := Load{Rate: 70, PerSecond: 69, Latency: Summarise(took(100, d/50)), SendLag: Summarise(took(100, 10_000)), Calls: 100}
		r.Throughput = append(r.Throughput, ThroughputRow{Subject: "no-op", Runtime: "python3.13", Isolation: isolation, Peak: Load{PerSecond: 100}, Ratio: ratio, Same: n > 0, Steps: []Step{{Part: 0.7, Load: load, Ratio: ratio}}})
		r.Workloads = append(r.Workloads, WorkloadRow{Subject: "no-op", Runtime: "python3.13", Isolation: isolation, Run: Summarise(took(30, d)), Ratio: Interval{2, 1.9, 2.1}})
		r.Memory = append(r.Memory, MemoryRow{Subject: "no-op", Runtime: "python3.13", Isolation: isolation, PSS: 12 * cove.MiB, Instances: 9, Processes: 2, PerGiB: 85.3,
			Reserved: 176 * cove.MiB, ReservedPerGiB: 5.8, Ratio: 1.5, RatioLow: 1.4, RatioHigh: 1.6})
		r.CPU = append(r.CPU, CPURow{Subject: "no-op", Runtime: "python3.13", Isolation: isolation, StartClass: cove.StartStem, PerStart: 0.12, PerStartLow: 0.1, PerStartHigh: 0.2, PerThousand: 0.3, CallsLow: 0.2, CallsHigh: 0.4, Blocks: 3,
			IdleHour: Waited{PerHour: 1.5, Sandboxes: 1, For: 18 * time.Second}, PausedHour: Waited{Sandboxes: 1, For: 18 * time.Second}})
		u := Usage{CPUPerThousand: float64(n + 1), CPUPerStart: 0.1, Memory: cove.ByteSize(20-10*n) * cove.MiB, Call: time.Millisecond}
		r.Cost.Bills = append(r.Cost.Bills, BillRow{"no-op", "python3.13", isolation, u, Cost(u, r.Cost.Traffic, price)})
	}
	r.Memory = append(r.Memory, MemoryRow{Subject: "no-op", Runtime: "python3.13", Isolation: Bare, PSS: 8 * cove.MiB, Instances: 5, Processes: 1, PerGiB: 128, Ratio: 1})
	r.Workloads = append(r.Workloads, WorkloadRow{Subject: "no-op", Runtime: "python3.13", Isolation: Bare, Run: Summarise(took(30, 50*time.Millisecond))})
	return r
}

func TestReport(t *testing.T) {
	t.Parallel()
	t.Run("the tables and the page are as they were", func(t *testing.T) {
		t.Parallel()
		for name, write := range map[string]func(*Report, io.Writer) error{"report.txt": (*Report).WriteText, "report.html": (*Report).WriteHTML} {
			var got bytes.Buffer
			if err := write(sample(), &got); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if diff := cmp.Diff(string(want), got.String()); err != nil || diff != "" {
				t.Errorf("%s (%v); run: go test ./internal/bench -update\n%s", path, err, diff)
			}
		}
	})
	t.Run("the JSON form is the whole report", func(t *testing.T) {
		t.Parallel()
		data, err := json.Marshal(sample())
		if err != nil {
			t.Fatal(err)
		}
		var again Report
		if err := json.Unmarshal(data, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sample(), &again); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the page loads nothing and runs nothing", func(t *testing.T) {
		t.Parallel()
		page := pageOf(t, sample())
		if m := regexp.MustCompile(`(?i)<script|src=|@import|url\(|<link|<img|<iframe| on[a-z]+=`).FindString(page); m != "" {
			t.Errorf("the page has %q", m)
		}
		for _, id := range []string{"starts", "bursts", "warm", "throughput", "workloads", "overall", "memory", "cpu", "cost", "cheapest", "machine", "noise", "walls", "remarks"} {
			if !strings.Contains(page, `id="`+id+`"`) {
				t.Errorf("the page has no section %s", id)
			}
		}
	})
	t.Run("its charts are well-formed", func(t *testing.T) {
		t.Parallel()
		charts := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(pageOf(t, sample()), -1)
		if len(charts) != 8 {
			t.Errorf("there are %d charts", len(charts))
		}
		for _, c := range charts {
			if m := regexp.MustCompile(`NaN|Inf|"-[0-9]`).FindString(c); m != "" {
				t.Errorf("a chart has %q: %.300s", m, c)
			}
			d := xml.NewDecoder(strings.NewReader(c))
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%v in %.300s", err, c)
				}
			}
		}
	})
	t.Run("where there is no p99 it is told which time gives one, in every table that has the column", func(t *testing.T) {
		t.Parallel()
		r := sample()
		notes := map[string]string{}
		for _, table := range r.tables() {
			notes[table.ID] = table.Note
		}
		// 40 samples of 1,000 in 2 minutes, and 100 of them.
		for id, want := range map[string]string{"starts": "--time 55m ", "throughput": "--time 22m "} {
			if !strings.Contains(notes[id], "1,000 samples") || !strings.Contains(notes[id], want) {
				t.Errorf("%s: %s", id, notes[id])
			}
		}
		if strings.Contains(notes["warm"], "1,000") {
			t.Errorf("there is a p99 of warm calls, and the note is: %s", notes["warm"])
		}
		hours, none := &fewest{}, &fewest{}
		for _, n := range []int{400, 7, 0, 2000} {
			hours.add(Summary{N: n})
		}
		if got := hours.words(10 * time.Minute); !strings.Contains(got, "--time 27h ") {
			t.Errorf("of 7 samples in 10 minutes: %q", got)
		}
		if none.words(time.Minute) != "" || strings.Contains(hours.words(0), "--time") {
			t.Errorf("%q, %q", none.words(time.Minute), hours.words(0))
		}
	})
	t.Run("it says how many instances fit by what is reserved, beside what was measured", func(t *testing.T) {
		t.Parallel()
		table := sample().memoryTable()
		if got, want := table.Rows[0][3:], []string{"9", "176 MiB", "5.8", "12.0 MiB", "85.3", "2.0", "1.50x [1.40, 1.60]"}; !slices.Equal(got, want) {
			t.Errorf("%q, not %q", got, want)
		}
		if bare := table.Rows[len(table.Rows)-1]; bare[4] != "-" || bare[5] != "-" || bare[9] != "-" {
			t.Errorf("the bare process has %q", bare)
		}
		if !strings.Contains(table.Note, "bounds how many") {
			t.Error(table.Note)
		}
	})
	t.Run("a report of an earlier version is read as before", func(t *testing.T) {
		t.Parallel()
		var r Report
		err := json.Unmarshal([]byte(`{"schema": 1, "memory": [{"isolation": "docker", "pss": "12MiB", "per_gib": 85.3, "ratio": 1.5}],
			"phases": [{"name": "start classes", "noise": {"ratio": {"value": 1, "low": 0.9, "high": 1.2}, "floor": 0.2}}],
			"cost": {"bills": [{"usage": {"cpu_s_per_idle_hour": 0}}]}}`), &r)
		if err != nil || r.Memory[0].Ratio != 1.5 || r.Phases[0].Noise.Floor != 0.2 {
			t.Errorf("%+v: %v", r, err)
		}
	})
	t.Run("names are text, whatever they hold", func(t *testing.T) {
		t.Parallel()
		r := sample()
		const hostile = `<script>alert("x")</script>`
		r.Subjects[0].Name = hostile
		for i := range r.Starts {
			r.Starts[i].Subject, r.Starts[i].Isolation = hostile, hostile
		}
		r.Remarks = []string{hostile}
		if page := pageOf(t, r); strings.Contains(page, "<script") {
			t.Error("a name became a part of the page")
		}
	})
	t.Run("a report of nothing can be told", func(t *testing.T) {
		t.Parallel()
		r := &Report{Broken: "in the phase start classes"}
		if page := pageOf(t, r); !strings.Contains(page, "Broken off in the phase") {
			t.Error("the page does not say that the run was broken off")
		}
		if err := r.WriteText(io.Discard); err != nil {
			t.Error(err)
		}
	})
}

func pageOf(t *testing.T, r *Report) string {
	t.Helper()
	var page strings.Builder
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	return page.String()
}
