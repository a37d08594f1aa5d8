package drivertest

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// testWalls: what the function cannot do, as seen from inside.
func (s *suite) testWalls(t *testing.T) {
	r := s.create(t)
	t.Run("it runs as a user without a name, without capabilities, unable to get any", func(t *testing.T) {
		var ids [3]any
		r.must("ids", nil, &ids)
		if got := fmt.Sprint(ids[0], ids[1]); got != fmt.Sprint(driver.UID, driver.GID) {
			t.Errorf("user and group are %s", got)
		}
		for _, group := range ids[2].([]any) {
			if group != float64(driver.GID) {
				t.Errorf("it is in group %v", group)
			}
		}
		status := r.text("read", "/proc/self/status")
		for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd"} {
			if !strings.Contains(status, set+":\t0000000000000000\n") {
				t.Errorf("%s is not empty:\n%s", set, status)
			}
		}
		if strings.Contains(status, "NoNewPrivs:") && !strings.Contains(status, "NoNewPrivs:\t1\n") {
			t.Errorf("it can get new privileges:\n%s", status)
		}
		if strings.Contains(status, "Seccomp:") && strings.Contains(status, "Seccomp:\t0\n") && s.report.Isolation != "gvisor" {
			t.Errorf("its system calls are not filtered:\n%s", status)
		}
	})
	t.Run("nothing can be written but /tmp", func(t *testing.T) {
		for _, path := range []string{"/x", "/etc/x", "/usr/x", driver.ShimDir + "/x", driver.ShimDir + "/suite.py", driver.BoxDir + "/x", driver.CodeDir + "/x", "/proc/sys/kernel/hostname", "/sys/x", "/root/x"} {
			if got := r.text("write", path); !strings.HasPrefix(got, "error") {
				t.Errorf("%s: %s", path, got)
			}
		}
		if got := r.text("write", "/tmp/x"); got != "written" {
			t.Errorf("/tmp: %s", got)
		}
	})
	t.Run("/tmp is as large as it was ordered", func(t *testing.T) {
		var got [2]any
		r.must("fill", []any{"/tmp/full", 64 << 20}, &got)
		if n := got[0].(float64); n < 8<<20 || n > 17<<20 || got[1] == "" {
			t.Errorf("%v bytes were written: %v", n, got[1])
		}
	})
	t.Run("there is no network but its own loopback", func(t *testing.T) {
		var names []string
		r.must("interfaces", nil, &names)
		if len(names) > 1 || len(names) == 1 && names[0] != "lo" {
			t.Errorf("interfaces %q", names)
		}
		for _, address := range []string{"1.1.1.1", "169.254.169.254", "127.0.0.1"} {
			if got := r.text("connect", []any{address, 22}); !strings.HasPrefix(got, "error") {
				t.Errorf("%s: %s", address, got)
			}
		}
	})
	t.Run("the sockets it came by are gone, and the host's are not to be seen", func(t *testing.T) {
		for _, path := range []string{driver.ConnSocket, driver.LogSocket, "/var/run/docker.sock", "/run/docker.sock"} {
			if got := r.text("dial", path); !strings.HasPrefix(got, "error") {
				t.Errorf("%s: %s", path, got)
			}
		}
		if mounts := r.text("read", "/proc/self/mounts"); strings.Contains(mounts, "docker.sock") {
			t.Errorf("mounts:\n%s", mounts)
		}
	})
	t.Run("two sandboxes do not see each other's files", func(t *testing.T) {
		r.must("write", "/tmp/mine", nil)
		if got := s.create(t).text("read", "/tmp/mine"); !strings.HasPrefix(got, "error") {
			t.Errorf("read %q", got)
		}
	})
}

// testLimits: what it cannot have more of.
func (s *suite) testLimits(t *testing.T) {
	t.Run("past its memory it is killed, and that is what the exit says", func(t *testing.T) {
		r := s.create(t)
		if err := r.ask("hold", 512<<20, nil); err == nil {
			t.Error("it got four times its memory")
		}
		e := r.exit()
		if !e.OOM || e.PeakMemory < 100*cove.MiB {
			t.Errorf("the exit is %+v", e)
		}
		if err := r.Destroy(t.Context(), "too large"); err != nil {
			t.Error(err)
		}
		if e := r.exit(); !e.OOM {
			t.Errorf("after Destroy it is %+v", e)
		}
	})
	t.Run("within its memory it works", func(t *testing.T) {
		r := s.create(t)
		r.must("hold", 64<<20, nil)
	})
	t.Run("past its number of processes forking fails or ends it, and nobody else notices", func(t *testing.T) {
		r, other := s.create(t), s.create(t)
		var got [2]any
		if err := r.ask("forks", 2000, &got); err != nil {
			if e := r.exit(); e == (driver.Exit{}) {
				t.Errorf("the exit is %+v", e)
			}
			t.Logf("it ended the sandbox: %+v", r.exit())
		} else if n := got[0].(float64); n > 300 {
			t.Errorf("%v processes were started", n)
		}
		other.must("ping", nil, nil)
		if err := r.Destroy(t.Context(), "a bomb"); err != nil {
			t.Error(err)
		}
	})
	t.Run("it has no more of the processor than ordered", func(t *testing.T) {
		spec := s.spec(t)
		spec.Limits.CPU = 0.2
		r := create(t, s.driver, spec)
		r.must("spin", nil, nil)
		before, err := r.Usage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		time.Sleep(time.Second)
		after, err := r.Usage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if share := float64(after.CPU-before.CPU) / float64(time.Since(start)); share > 0.4 {
			t.Errorf("it had %.2f processors", share)
		}
	})
	if !s.has(driver.FeatureResize) {
		return
	}
	t.Run("with new limits it may have more memory than it was made with", func(t *testing.T) {
		spec := s.spec(t)
		r := create(t, s.driver, spec)
		l := spec.Limits
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
	s.testBackground(t)
}

// testBackground: who is in the background makes way for everybody else.
func (s *suite) testBackground(t *testing.T) {
	spec, behind := s.spec(t), s.spec(t)
	processors := runtime.NumCPU()
	spec.Limits.CPU = 2 * float64(processors)
	behind.Limits.CPU, behind.Limits.Background = spec.Limits.CPU, true
	front, back := create(t, s.driver, spec), create(t, s.driver, behind)
	// used is the processor time of both in the next second.
	used := func() (f, b time.Duration) {
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
	// The one in the background first: once the other spins it is not heard of.
	back.must("spins", processors, nil)
	front.must("spins", processors, nil)
	t.Run("in the background it gets next to nothing beside one that is busy", func(t *testing.T) {
		if f, b := used(); b > 100*time.Millisecond || b > f/10 {
			t.Errorf("in a second it had %v, the other %v", b, f)
		}
	})
	t.Run("after a change of limits it gets its share", func(t *testing.T) {
		if err := back.Resize(t.Context(), spec.Limits); err != nil {
			t.Fatal(err)
		}
		if f, b := used(); b < f/3 {
			t.Errorf("in a second it had %v, the other %v", b, f)
		}
		back.must("ping", nil, nil)
	})
	t.Run("and can be put back into the background", func(t *testing.T) {
		if err := back.Resize(t.Context(), behind.Limits); err != nil {
			t.Fatal(err)
		}
		if f, b := used(); b > 100*time.Millisecond || b > f/10 {
			t.Errorf("in a second it had %v, the other %v", b, f)
		}
	})
}
