//go:build cgroup2

package host

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// These tests need a kernel whose control groups are of version 2 alone:
// `make test-cgroup2` boots one.

// delegated makes a group with the named controllers, which stands for the
// root of the tree in a container. It has all processes' end on its own.
func delegated(t *testing.T, controllers ...string) *Cgroups {
	t.Helper()
	needRoot(t)
	real, err := FindCgroups()
	if err != nil {
		t.Fatal(err)
	}
	root := real.mounts[""]
	if err := enableControllers(root, root); err != nil {
		t.Fatal(err)
	}
	outer := filepath.Join(root, "delegated-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	inner := filepath.Join(outer, "container")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := writeFile(filepath.Join(outer, "cgroup.kill"), "1"); err != nil {
			t.Error(err)
		}
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			err := removeGroups([]string{outer})
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	})
	for _, c := range controllers {
		if err := writeFile(filepath.Join(outer, "cgroup.subtree_control"), "+"+c); err != nil {
			t.Fatal(err)
		}
	}
	return CgroupsV2(inner)
}

func TestCgroupKernelV2(t *testing.T) {
	t.Parallel()
	limits := driver.Limits{Memory: 64 * cove.MiB, CPU: 0.5, PIDs: 20}

	t.Run("the control groups here are of version 2", func(t *testing.T) {
		t.Parallel()
		set, err := FindCgroups()
		if err != nil || set.Version() != 2 {
			t.Errorf("found %+v, %v", set, err)
		}
	})

	t.Run("cached files do not keep the memory limit from shrinking", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join("/var/tmp", "cached-"+strconv.Itoa(os.Getpid()))
		t.Cleanup(func() { _ = os.Remove(file) })
		c := newGroup(t, limits)
		runIn(t, c, "head -c 40000000 /dev/zero > "+file+"; sync "+file+"; cat "+file+" > /dev/null; echo; sleep 600")
		if u, err := c.Usage(); err != nil || u.Memory < 30*cove.MiB {
			t.Fatalf("the file is not cached: %+v, %v", u, err)
		}
		if err := c.Resize(driver.Limits{Memory: 16 * cove.MiB}); err != nil {
			t.Error(err)
		}
		if u, err := c.Usage(); err != nil || u.Memory > 16*cove.MiB {
			t.Errorf("usage %+v, %v", u, err)
		}
		if empty, err := c.Empty(); err != nil || empty {
			t.Errorf("the process did not survive: %v, %v", empty, err)
		}
		for name, want := range map[string]string{"memory.max": "16777216", "memory.high": "max"} {
			data, err := os.ReadFile(filepath.Join(c.ops.procsDir(), name))
			if got := strings.TrimSpace(string(data)); err != nil || got != want {
				t.Errorf("%s is %s, %v", name, got, err)
			}
		}
	})

	t.Run("want of memory ends all of a sandbox", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, limits)
		cmd := runIn(t, c, "sleep 600 & echo; tail /dev/zero & wait; sleep 600")
		if err := cmd.Wait(); err == nil {
			t.Error("the first process outlives the one that wanted too much")
		}
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			empty, err := c.Empty()
			if err != nil {
				t.Fatal(err)
			}
			if empty {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("somebody outlives it")
			}
		}
		if oom, err := c.OOMKilled(); err != nil || !oom {
			t.Errorf("OOMKilled: %v, %v", oom, err)
		}
	})

	t.Run("want of memory ends all of a group that was adopted", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, limits)
		cmd := runIn(t, c, "echo; sleep 600")
		a, err := c.set.Adopt(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(a.ops.procsDir(), "memory.oom.group"))
		if got := strings.TrimSpace(string(data)); err != nil || got != "1" {
			t.Errorf("memory.oom.group is %q, %v", got, err)
		}
		if oom, err := a.OOMKilled(); err != nil || oom {
			t.Errorf("before: %v, %v", oom, err)
		}
		hog := exec.Command("sh", "-c", "echo $$ > "+filepath.Join(a.ops.procsDir(), "cgroup.procs")+"; exec tail /dev/zero")
		if err := hog.Run(); err == nil {
			t.Error("nothing was killed")
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the other process was not killed")
		}
		if oom, err := a.OOMKilled(); err != nil || !oom {
			t.Errorf("after: %v, %v", oom, err)
		}
		if err := removeGroups([]string{a.ops.procsDir()}); err != nil {
			t.Fatal(err)
		}
		if oom, err := a.OOMKilled(); err != nil || !oom {
			t.Errorf("after its removal by another: %v, %v", oom, err)
		}
		if err := a.Remove(); err != nil {
			t.Error(err)
		}
	})

	t.Run("the processes in a container's root make room", func(t *testing.T) {
		t.Parallel()
		set := delegated(t, controllersV2...)
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		if err := writeFile(filepath.Join(set.mounts[""], "cgroup.procs"), strconv.Itoa(cmd.Process.Pid)); err != nil {
			t.Fatal(err)
		}
		c, err := set.New("own", "id", limits)
		if err != nil {
			t.Fatal(err)
		}
		pids, err := readPIDs(filepath.Join(set.mounts[""], "cove-init"))
		if err != nil || len(pids) != 1 || pids[0] != cmd.Process.Pid {
			t.Errorf("moved are %v, %v", pids, err)
		}
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
		if err := cmd.Process.Signal(unix.Signal(0)); err != nil {
			t.Errorf("the process that was moved: %v", err)
		}
	})

	t.Run("a controller that was not delegated is named, and nothing is left", func(t *testing.T) {
		t.Parallel()
		set := delegated(t, "cpu", "memory")
		if _, err := set.New("own", "id", limits); err == nil || !strings.Contains(err.Error(), "delegate") {
			t.Errorf("got %v", err)
		}
		if left, err := set.Recover("own"); err != nil || len(left) != 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})

	t.Run("what is dead is gone for every method", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, limits)
		cmd := runIn(t, c, "echo; sleep 600")
		if err := c.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if err := removeGroups(c.set.dirs(c.path)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Usage(); !isGone(err) {
			t.Errorf("Usage: %v", err)
		}
		if err := errors.Join(c.Stop(t.Context()), c.Kill(t.Context())); err != nil {
			t.Error(err)
		}
	})
}
