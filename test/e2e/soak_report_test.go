//go:build soak

package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove/internal/bench"
)

// soakInterval is how often the state is printed.
const soakInterval = 10 * time.Second

// soakReport is what a soak has found so far. It is safe for concurrent use.
type soakReport struct {
	mu      sync.Mutex
	arm     string
	window  []time.Duration            // since the last line
	latency map[string][]time.Duration // of the arms' good answers, from when they were due
	calls   map[string]int             // of the healthy functions, by arm
	refused map[string]int
	chores  map[string]int
	wrong   []error
	refusal error // the first one
	memory  []int // of the daemon, in MiB, one each interval

	done    chan struct{}
	watcher sync.WaitGroup
}

func newSoakReport() *soakReport {
	return &soakReport{
		arm: "before", latency: map[string][]time.Duration{}, calls: map[string]int{}, refused: map[string]int{}, chores: map[string]int{},
		done: make(chan struct{}),
	}
}

func (r *soakReport) call(took time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.window = append(r.window, took)
	case errors.Is(err, errRefused):
		r.refused[r.arm]++
		if r.refusal == nil {
			r.refusal = err
		}
	default:
		r.wrong = append(r.wrong, err)
	}
}

func (r *soakReport) chore(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chores[name]++
	if errors.Is(err, errRefused) {
		r.refused["chores"]++
	} else if err != nil {
		r.wrong = append(r.wrong, fmt.Errorf("%s: %w", name, err))
	}
}

func (r *soakReport) begin(arm string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arm = arm
}

func (r *soakReport) end(arm string, load bench.Load) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latency[arm] = append(r.latency[arm], load.Took...)
	r.calls[arm] += load.Calls
}

// watch prints the state in each interval until stop.
func (r *soakReport) watch(t *testing.T, h *harness) {
	began := time.Now()
	r.watcher.Go(func() {
		tick := time.NewTicker(soakInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.line(t, h, time.Since(began))
			case <-r.done:
				return
			}
		}
	})
}

func (r *soakReport) stop() {
	close(r.done)
	r.watcher.Wait()
}

func (r *soakReport) line(t *testing.T, h *harness, at time.Duration) {
	memory, descriptors := residentMiB(h.pid()), 0
	for _, n := range h.descriptors(t) {
		descriptors += n
	}
	groups := len(h.cgroups(t))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.memory = append(r.memory, memory)
	t.Logf("%5s %-8s %5.0f/s p50 %-8s p99 %-9s refused %d wrong %d | daemon %d MiB, %d descriptors, %d control groups | %s, %s",
		at.Round(time.Second), r.arm, float64(len(r.window))/soakInterval.Seconds(), quantile(r.window, 0.5), quantile(r.window, 0.99),
		r.refused["alone"]+r.refused["troubled"], len(r.wrong), memory, descriptors, groups, loadAverage(), processorTime(h.pid()))
	r.window = r.window[:0]
}

// judge prints the summary and fails the test for what is not as it should be.
func (r *soakReport) judge(t *testing.T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, arm := range []string{"alone", "troubled"} {
		l := r.latency[arm]
		t.Logf("%-10s %8d requests, %8d answered, %4d refused, p50 %-9s p90 %-9s p99 %-9s p99.9 %s", arm, r.calls[arm], len(l), r.refused[arm],
			quantile(l, 0.5), quantile(l, 0.9), quantile(l, 0.99), quantile(l, 0.999))
		if r.refused[arm] > int(soakRefused*float64(r.calls[arm])) {
			t.Errorf("%d of %d requests were refused; the first: %v", r.refused[arm], r.calls[arm], r.refusal)
		}
	}
	chores := 0
	for _, name := range slices.Sorted(maps.Keys(r.chores)) {
		t.Logf("%-22s %6d", name, r.chores[name])
		chores += r.chores[name]
	}
	if n := r.refused["chores"]; n > int(soakRefused*float64(chores)) {
		t.Errorf("%d of %d chores were refused", n, chores)
	}
	t.Logf("the daemon's memory in MiB, each %s: %v", soakInterval, r.memory)
	for _, err := range r.wrong[:min(len(r.wrong), 20)] {
		t.Errorf("wrong: %v", err)
	}
	if n := len(r.wrong); n > 0 {
		t.Errorf("%d answers were wrong", n)
	}
	alone, troubled := quantile(r.latency["alone"], 0.99), quantile(r.latency["troubled"], 0.99)
	if troubled > soakSlower*alone {
		t.Errorf("the p99 of the healthy functions is %s, and %s while nothing else happens", troubled, alone)
	}
	if n := len(r.memory); n >= 8 {
		early, late := slices.Max(r.memory[n/4:n/2]), slices.Max(r.memory[3*n/4:])
		if late > early*5/4+8 {
			t.Errorf("the daemon's memory grows: at most %d MiB in the second quarter, %d in the last", early, late)
		}
	}
}

// residentMiB is the memory of a process that is not shared with files.
func residentMiB(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			return kib >> 10
		}
	}
	return 0
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return "load " + strings.Join(strings.Fields(string(text))[:2], " ")
}

// processorTime is what a process has used so far.
func processorTime(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return err.Error()
	}
	// The name, which may hold anything, ends with the last parenthesis; the
	// times are in hundredths of a second (USER_HZ).
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return fmt.Sprintf("daemon %d s", (user+system)/100)
}
