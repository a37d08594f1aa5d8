package drivertest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// testResize: new limits hold as if the sandbox had been made with them.
func (s *suite) testResize(t *testing.T) {
	if !s.has(driver.FeatureResize) {
		return
	}
	resized := func(t *testing.T, change func(l *driver.Limits)) *running {
		r, l := s.create(t), limits()
		change(&l)
		if err := r.Resize(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Run("with more memory it may hold more, and below what it holds it is refused and lives on", func(t *testing.T) {
		r, l := s.create(t), limits()
		l.Memory, l.CPU = 512*cove.MiB, 2
		if err := r.Resize(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		r.must("hold", 256<<20, nil)
		l.Memory = 128 * cove.MiB
		if err := r.Resize(t.Context(), l); !errors.Is(err, driver.ErrRefused) {
			t.Errorf("a limit below what is in use: %v", err)
		}
		r.must("ping", nil, nil)
		l.Memory = 1 * cove.GiB
		if err := r.Resize(t.Context(), l); err != nil {
			t.Errorf("after a refusal: %v", err)
		}
	})
	for _, memory := range []cove.ByteSize{64 * cove.MiB, 256 * cove.MiB} {
		t.Run("resized to "+memory.String()+" it is killed past that", func(t *testing.T) {
			r := resized(t, func(l *driver.Limits) { l.Memory = memory })
			r.must("hold", int64(memory)/2, nil)
			if err := r.ask("hold", 2*int64(memory), nil); err == nil {
				t.Error("it got twice its memory")
			}
			e := r.exit()
			if !e.OOM || e.PeakMemory < memory*3/4 || e.PeakMemory > memory+s.report.Overhead+8*cove.MiB {
				t.Errorf("the exit is %+v", e)
			}
		})
	}
	t.Run("with less of the processor it has less", func(t *testing.T) {
		r := resized(t, func(l *driver.Limits) { l.CPU = 0.2 })
		r.must("spin", nil, nil)
		if share := r.share(); share > 0.4 {
			t.Errorf("it had %.2f processors", share)
		}
		// That it gets back what it had shows only beside another.
		other := s.create(t)
		other.must("spin", nil, nil)
		if err := r.Resize(t.Context(), limits()); err != nil {
			t.Fatal(err)
		}
		r.pin()
		other.pin()
		if f, b := used(t, other, r); b < f/3 {
			t.Errorf("given back one, it had %v of a second, the other %v", b, f)
		}
	})
	t.Run("with fewer processes forking fails or ends it", func(t *testing.T) {
		r := resized(t, func(l *driver.Limits) { l.PIDs = 16 })
		var got [2]any
		if err := r.ask("forks", 500, &got); err != nil {
			t.Logf("it ended the sandbox: %+v", r.exit())
		} else if n := got[0].(float64); n > 100 {
			t.Errorf("%v processes were started", n)
		}
	})
	t.Run("with more processes it may have more", func(t *testing.T) {
		r := resized(t, func(l *driver.Limits) { l.PIDs, l.Memory = 256, cove.GiB })
		var got [2]any
		r.must("forks", 120, &got)
		if n := got[0].(float64); n < 120 {
			t.Errorf("%v processes were started: %v", n, got[1])
		}
	})
}

// used is the processor time that two sandboxes use during the next second.
func used(t *testing.T, front, back *running) (f, b time.Duration) {
	t.Helper()
	var u [4]driver.Usage
	for i := range 2 {
		if i > 0 {
			time.Sleep(time.Second)
		}
		for j, r := range []*running{front, back} {
			var err error
			if u[2*i+j], err = r.Usage(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return u[2].CPU - u[0].CPU, u[3].CPU - u[1].CPU
}

// share is how many processors the sandbox uses during the next second.
func (r *running) share() float64 {
	r.t.Helper()
	var used [2]time.Duration
	start := time.Now()
	for i := range used {
		if i > 0 {
			time.Sleep(time.Second)
		}
		u, err := r.Usage(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		used[i] = u.CPU
	}
	return float64(used[1]-used[0]) / float64(time.Since(start))
}

// testBackground: who is in the background makes way for everybody else.
func (s *suite) testBackground(t *testing.T) {
	spec, behind := s.spec(t), s.spec(t)
	processors := runtime.NumCPU()
	spec.Limits.CPU = 2 * float64(processors)
	behind.Limits.CPU, behind.Limits.Background = spec.Limits.CPU, true
	front, back := create(t, s.driver, spec), create(t, s.driver, behind)
	// The one in the background first: once the other spins it is not heard of.
	back.must("spins", processors, nil)
	front.must("spins", processors, nil)
	// On one processor, or what else this machine does decides who is beside whom.
	front.pin()
	back.pin()
	t.Run("in the background it gets next to nothing beside one that is busy", func(t *testing.T) {
		f, b := used(t, front, back)
		t.Logf("in the background %v, in front %v", b, f)
		if b > 100*time.Millisecond || b > f/10 {
			t.Errorf("in a second it had %v, the other %v", b, f)
		}
	})
	t.Run("after a change of limits it gets its share", func(t *testing.T) {
		if err := back.Resize(t.Context(), spec.Limits); err != nil {
			t.Fatal(err)
		}
		if f, b := used(t, front, back); b < f/3 {
			t.Errorf("in a second it had %v, the other %v", b, f)
		}
		back.must("ping", nil, nil)
	})
	t.Run("and can be put back into the background", func(t *testing.T) {
		if err := back.Resize(t.Context(), behind.Limits); err != nil {
			t.Fatal(err)
		}
		f, b := used(t, front, back)
		t.Logf("in the background %v, in front %v", b, f)
		if b > 100*time.Millisecond || b > f/10 {
			t.Errorf("in a second it had %v, the other %v", b, f)
		}
	})
}

// pin has everything in the sandbox run on one processor.
func (r *running) pin() {
	r.t.Helper()
	var first unix.CPUSet
	first.Set(0)
	// What is started meanwhile by what is not pinned yet is found the next time.
	for range 3 {
		pids, err := r.Processes(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		for _, pid := range pids {
			tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
			for _, task := range tasks {
				if tid, err := strconv.Atoi(task.Name()); err == nil {
					_ = unix.SchedSetaffinity(tid, &first) // It may have ended.
				}
			}
		}
	}
}
