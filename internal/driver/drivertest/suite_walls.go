package drivertest

import (
	"fmt"
	"os"
	"strings"
	"testing"

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
	t.Run("it is native just when the kernel inside is that of the host", func(t *testing.T) {
		host, err := os.ReadFile("/proc/version")
		if err != nil {
			t.Fatal(err)
		}
		inside := strings.TrimSpace(r.text("read", "/proc/version"))
		if same := inside == strings.TrimSpace(string(host)); same != r.Native() {
			t.Errorf("native is %v, and the kernel inside says %q", r.Native(), inside)
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
		if share := r.share(); share > 0.4 {
			t.Errorf("it had %.2f processors", share)
		}
	})
	s.testResize(t)
	s.testBackground(t)
}
