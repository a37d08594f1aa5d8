package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
)

// benchTime bounds one short run of cove bench.
const benchTime = 3 * time.Minute

// runBench runs `cove bench` with args and a report in the directory out, on a
// machine that may be busy with other tests: what it finds is not judged.
func runBench(t *testing.T, out string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	needDependencies(t)
	ctx, cancel := context.WithTimeout(t.Context(), benchTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t, false), append([]string{"bench", "--out", out, "--images", imagesDir(), "--runsc", runscPath()}, args...)...)
	// It ends its daemon before it ends.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.Dir = t.TempDir()
	cmd.Env = append((&harness{home: cmd.Dir}).environment(), "TMPDIR="+cmd.Dir)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

func TestBench(t *testing.T) {
	t.Run("a short run has every part of the report, and leaves nothing", func(t *testing.T) {
		out := t.TempDir()
		stdout, stderr, err := runBench(t, out, "--time", "5s", "--isolation", isolations[0]+","+isolations[1],
			"--workloads", "no-op", "--runtimes", "python", "--seed", "1", "--traffic", "0.5,2", "-o", "json")
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		var r bench.Report
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatal(err)
		}
		checkReport(t, &r)
		saved, err := os.ReadFile(filepath.Join(out, "report.json"))
		if err != nil || !json.Valid(saved) {
			t.Errorf("report.json: %v", err)
		}
		page, err := os.ReadFile(filepath.Join(out, "report.html"))
		if err != nil || !strings.Contains(string(page), `<section id="starts">`) || !strings.Contains(string(page), "<svg") {
			t.Errorf("report.html: %v, %.300s", err, page)
		}
		checkNothingLeft(t)
	})
	t.Run("a function of one's own is measured with its own event", func(t *testing.T) {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"cove.yaml": "name: own\nruntime: python\n",
			"main.py":   "def handler(event, context):\n    return {'next': event['n'] + 1}\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		stdout, stderr, err := runBench(t, t.TempDir(), "--time", "5s", "--isolation", isolations[0], "-o", "json", dir, "-d", `{"n": 1}`)
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		var r bench.Report
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatal(err)
		}
		classes := map[cove.StartClass]bool{}
		for _, x := range r.Starts {
			classes[x.Class] = x.Subject == "own" && x.Took.N > 0 && x.Failed == 0
		}
		if !classes[cove.StartCold] || !classes[cove.StartStem] || !classes[cove.StartThawed] {
			t.Errorf("starts: %+v", r.Starts)
		}
		if len(r.Warm) != 1 || r.Warm[0].Subject != "own" || r.Warm[0].Took.N == 0 || r.Warm[0].Failed != 0 || len(r.Cost.Bills) != 1 {
			t.Errorf("warm calls: %+v, bills: %+v", r.Warm, r.Cost.Bills)
		}
		checkNothingLeft(t)
	})
	t.Run("what is not there is refused with what there is", func(t *testing.T) {
		_, stderr, err := runBench(t, t.TempDir(), "--time", "5s", "--isolation", "nosuch")
		if err == nil || !strings.Contains(stderr, `no isolation "nosuch"`) || !strings.Contains(stderr, "gvisor") {
			t.Errorf("%v\n%s", err, stderr)
		}
	})
}

// checkReport looks for what every run has, and for failures.
func checkReport(t *testing.T, r *bench.Report) {
	t.Helper()
	if r.Schema != bench.ReportSchema || r.Form != "5s" || r.Seed != 1 || r.Broken != "" || len(r.Phases) != 6 || r.Machine.CPUs == 0 {
		t.Errorf("the head of the report: %+v", r)
	}
	have := map[string]bool{}
	for _, x := range r.Starts {
		have[fmt.Sprint("start ", x.Isolation, " ", x.Class)] = x.Took.N > 0 && x.Took.P50 > 0
	}
	for _, x := range r.Bursts {
		have["burst "+x.Isolation] = x.Last.N > 0 && x.Last.P50 >= x.First.P50 && x.Calls == 50
	}
	for _, x := range r.Warm {
		have["warm "+x.Isolation] = x.Took.N > 0
	}
	for _, x := range r.Throughput {
		have["throughput "+x.Isolation] = x.Peak.PerSecond > 0 && len(x.Steps) == 3 && x.Steps[2].Part == 0.9
	}
	for _, x := range r.Workloads {
		have["workload "+x.Isolation] = x.Run.N > 0
	}
	for _, x := range r.Memory {
		have["memory "+x.Isolation] = x.PSS > cove.MiB && x.Ratio > 0
	}
	for _, x := range r.CPU {
		have["cpu "+x.Isolation] = x.Blocks > 0
	}
	for _, x := range r.Cost.Bills {
		have["bill "+x.Isolation] = x.Bill.PerMonth > 0 && x.Bill.CallsPerMonth > 0
	}
	for _, x := range r.Isolations {
		have["wall "+x.Name] = x.Wall != "" && len(x.Links) > 0
	}
	for _, isolation := range isolations {
		for _, part := range []string{"start % cold", "start % stem", "start % thawed", "burst %", "warm %", "throughput %", "workload %", "memory %", "cpu %", "bill %", "wall %"} {
			if name := strings.Replace(part, "%", isolation, 1); !have[name] {
				t.Errorf("the report has no %s, or it is not whole: %v", name, r.Remarks)
			}
		}
	}
	if !have["workload "+bench.Bare] || !have["memory "+bench.Bare] {
		t.Error("the bare process is not in the report")
	}
	if len(r.Cost.Cheapest) != 1 {
		t.Errorf("the cheapest: %+v", r.Cost.Cheapest)
	}
}

// checkNothingLeft looks for the private daemon, its directory and its mounts.
func checkNothingLeft(t *testing.T) {
	t.Helper()
	for _, what := range benchLeft(t) {
		t.Errorf("left behind: %s", what)
	}
}

// benchLeft is what a run of cove bench has not given back.
func benchLeft(t *testing.T) (found []string) {
	t.Helper()
	const mark = "/tmp/cove-compare-"
	dirs, _ := filepath.Glob(mark + "[0-9]*")
	for _, dir := range dirs {
		found = append(found, "the directory "+dir)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), mark) {
		found = append(found, "a mount in "+mark)
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), mark) {
			found = append(found, fmt.Sprintf("%s: %q", file, line))
		}
	}
	return found
}
