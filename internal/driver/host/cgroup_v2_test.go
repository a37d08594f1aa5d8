package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// A directory of plain files plays the kernel's version 2 tree: what Cove
// writes where can be seen, whatever this machine has mounted.

func fillGroup(t *testing.T, dir string, without ...string) {
	t.Helper()
	for name, content := range map[string]string{
		"cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.subtree_control": "", "cgroup.procs": "",
		"cgroup.events": "populated 0\nfrozen 0\n", "cgroup.freeze": "0", "cgroup.kill": "",
		"cpu.stat": "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n", "cpu.max": "max 100000\n",
		"memory.current": "4096\n", "memory.peak": "8192\n", "memory.max": "max\n", "memory.high": "max\n", "memory.swap.max": "max\n",
		"memory.oom.group": "0\n", "memory.events": "low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n",
		"pids.max": "max\n", "cpu.idle": "0\n", "cpu.weight": "100\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range without {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func newTree(t *testing.T, without ...string) *Cgroups {
	t.Helper()
	set := CgroupsV2(t.TempDir())
	fillGroup(t, set.mounts[""])
	set.mkdir = func(path string, perm fs.FileMode) error {
		if err := os.Mkdir(path, perm); err != nil {
			return err
		}
		fillGroup(t, path, without...)
		return nil
	}
	return set
}

func content(t *testing.T, set *Cgroups, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{set.mounts[""]}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func TestCgroupV2(t *testing.T) {
	t.Parallel()
	limits := driver.Limits{Memory: 64 * cove.MiB, CPU: 1.5, PIDs: 30}

	t.Run("limits are set and controllers handed down on the whole way", func(t *testing.T) {
		t.Parallel()
		set := newTree(t)
		c, err := set.New("own", "id", limits)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.ops.close() }()
		for _, dir := range []string{"", "cove", "cove/own", "cove/own/id"} {
			if got := content(t, set, dir, "cgroup.subtree_control"); got != "+cpu +memory +pids" {
				t.Errorf("subtree_control of %q is %q", dir, got)
			}
		}
		for file, want := range map[string]string{
			"memory.max": "67108864", "memory.swap.max": "0", "memory.oom.group": "1", "cpu.max": "150000 100000", "pids.max": "30",
		} {
			// A plain file keeps the end of a longer value it had before.
			if got := content(t, set, "cove/own/id", file); !strings.HasPrefix(got, want) {
				t.Errorf("%s is %q, want %q", file, got, want)
			}
		}
	})

	t.Run("usage, peak and the kills for want of memory are read", func(t *testing.T) {
		t.Parallel()
		set := newTree(t)
		c, err := set.New("own", "id", limits)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.ops.close() }()
		want := driver.Usage{CPU: 1500 * time.Microsecond, Memory: 4096, PeakMemory: 8192}
		if u, err := c.Usage(); err != nil || u != want {
			t.Errorf("usage %+v, %v", u, err)
		}
		if oom, err := c.OOMKilled(); err != nil || oom {
			t.Errorf("OOMKilled: %v, %v", oom, err)
		}
		put(t, set, "cove/own/id/memory.events", "oom 1\noom_kill 2\n")
		if oom, err := c.OOMKilled(); err != nil || !oom {
			t.Errorf("OOMKilled after a kill: %v, %v", oom, err)
		}
	})

	t.Run("without memory.peak the peak is the most that was seen", func(t *testing.T) {
		t.Parallel()
		set := newTree(t, "memory.peak")
		c, err := set.New("own", "id", limits)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.ops.close() }()
		for _, step := range []struct {
			now  string
			peak cove.ByteSize
		}{{"5000\n", 5000}, {"9000\n", 9000}, {"6000\n", 9000}} {
			put(t, set, "cove/own/id/memory.current", step.now)
			if u, err := c.Usage(); err != nil || u.PeakMemory != step.peak {
				t.Errorf("at %s: %+v, %v", step.now, u, err)
			}
		}
	})

	t.Run("a kernel without swap or oom.group is fine", func(t *testing.T) {
		t.Parallel()
		c, err := newTree(t, "memory.swap.max", "memory.oom.group").New("own", "id", limits)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.ops.close()
	})

	t.Run("memory is not limited below what is in use", func(t *testing.T) {
		t.Parallel()
		set := newTree(t)
		c, err := set.New("own", "id", limits)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.ops.close() }()
		put(t, set, "cove/own/id/memory.current", "50000000\n")
		if err := c.Resize(driver.Limits{Memory: 32 * cove.MiB}); !errors.Is(err, driver.ErrRefused) {
			t.Errorf("got %v", err)
		}
		for file, want := range map[string]string{"memory.max": "67108864", "memory.high": "max"} {
			if got := content(t, set, "cove/own/id", file); !strings.HasPrefix(got, want) {
				t.Errorf("%s is %q, want %q", file, got, want)
			}
		}
	})

	t.Run("freezing writes cgroup.freeze and waits for cgroup.events", func(t *testing.T) {
		t.Parallel()
		set := newTree(t)
		c, err := set.New("own", "id", limits)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.ops.close() }()
		time.AfterFunc(10*time.Millisecond, func() {
			put(t, set, "cove/own/id/cgroup.events", "populated 1\nfrozen 1\n")
		})
		if err := c.Freeze(t.Context()); err != nil {
			t.Error(err)
		}
		if got := content(t, set, "cove/own/id/cgroup.freeze"); got != "1" {
			t.Errorf("cgroup.freeze is %q", got)
		}
		if err := c.Thaw(); err != nil {
			t.Error(err)
		}
		if got := content(t, set, "cove/own/id/cgroup.freeze"); got != "0" {
			t.Errorf("cgroup.freeze is %q", got)
		}
	})

	t.Run("killing is one write", func(t *testing.T) {
		t.Parallel()
		set := newTree(t)
		c, err := set.New("own", "id", limits)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.ops.close() }()
		if err := c.killOnce(t.Context()); err != nil {
			t.Error(err)
		}
		if got := content(t, set, "cove/own/id/cgroup.kill"); got != "1" {
			t.Errorf("cgroup.kill is %q", got)
		}
	})

	t.Run("a controller that was not delegated is named", func(t *testing.T) {
		t.Parallel()
		set := newTree(t, "cpu.max")
		if _, err := set.New("own", "id", limits); err == nil || !strings.Contains(err.Error(), "cpu.max") {
			t.Errorf("got %v", err)
		}
	})
}

// put replaces a file's content at once, as the kernel does.
func put(t *testing.T, set *Cgroups, path, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(set.mounts[""], path), []byte(value), 0o644); err != nil {
		t.Error(err)
	}
}

func TestReadPIDs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("12\n0\n34\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pids, err := readPIDs(dir)
	if err != nil || len(pids) != 2 || pids[0] != 12 || pids[1] != 34 {
		t.Errorf("a process of a foreign namespace must be left out: %v, %v", pids, err)
	}
}
