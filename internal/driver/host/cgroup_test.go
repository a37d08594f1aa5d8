package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// These tests use this machine's own control groups, of whichever version.

func newGroup(t *testing.T, l driver.Limits) *Cgroup {
	t.Helper()
	needRoot(t)
	set, err := FindCgroups()
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("t%x", time.Now().UnixNano())
	c, err := set.New("hosttest", id, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(c.Kill(ctx), c.Remove()); err != nil {
			t.Errorf("remove the group: %v", err)
		}
		for _, dir := range set.dirs(c.path) {
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is left", dir)
			}
		}
	})
	return c
}

// runIn runs a shell script in a group beneath c, as a runtime would, and
// returns when the script has printed its first line.
func runIn(t *testing.T, c *Cgroup, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", "read go; "+script)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A frozen process does not die of a signal alone.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.Kill(ctx); err != nil {
			t.Errorf("kill what the test started: %v", err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for _, dir := range c.set.dirs(c.path) {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		leaf := filepath.Join(dir, "leaf")
		if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		if err := writeFile(filepath.Join(leaf, "cgroup.procs"), strconv.Itoa(cmd.Process.Pid)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stdin.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 64)); err != nil {
		t.Fatalf("the script did not begin: %v", err)
	}
	return cmd
}

func cpuUsed(t *testing.T, c *Cgroup) time.Duration {
	t.Helper()
	u, err := c.Usage()
	if err != nil {
		t.Fatal(err)
	}
	return u.CPU
}

func TestCgroupLimits(t *testing.T) {
	t.Parallel()
	limits := driver.Limits{Memory: 64 * cove.MiB, CPU: 0.5, PIDs: 20}

	t.Run("usage grows while something runs", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, limits)
		runIn(t, c, "echo; while :; do :; done")
		for deadline := time.Now().Add(10 * time.Second); cpuUsed(t, c) < 20*time.Millisecond; {
			if time.Now().After(deadline) {
				t.Fatal("no processor time was counted")
			}
			time.Sleep(time.Millisecond)
		}
		u, err := c.Usage()
		if err != nil || u.Memory <= 0 || u.PeakMemory < u.Memory {
			t.Errorf("usage %+v, %v", u, err)
		}
	})

	t.Run("want of memory kills, and is known after the runtime's group is gone", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, limits)
		cmd := runIn(t, c, "echo; exec tail /dev/zero")
		if err := cmd.Wait(); err == nil {
			t.Error("the process was not killed")
		}
		for _, dir := range c.set.dirs(c.path) {
			_ = unix.Rmdir(filepath.Join(dir, "leaf"))
		}
		if oom, err := c.OOMKilled(); err != nil || !oom {
			t.Errorf("OOMKilled: %v, %v", oom, err)
		}
		if oom, err := c.OOMKilled(); err != nil || !oom {
			t.Errorf("OOMKilled, asked again: %v, %v", oom, err)
		}
		if u, err := c.Usage(); err != nil || u.PeakMemory < 60*cove.MiB {
			t.Errorf("peak after death: %+v, %v", u, err)
		}
	})

	t.Run("nothing was killed as long as there is memory", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, limits)
		cmd := runIn(t, c, "echo; exit 3")
		_ = cmd.Wait()
		if oom, err := c.OOMKilled(); err != nil || oom {
			t.Errorf("OOMKilled: %v, %v", oom, err)
		}
	})

	t.Run("limits grow and shrink, but not below what is in use", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, limits)
		runIn(t, c, `x=$(head -c 20000000 /dev/zero | tr '\0' x); echo; sleep 60`)
		for _, m := range []cove.ByteSize{256 * cove.MiB, 128 * cove.MiB, 64 * cove.MiB} {
			if err := c.Resize(driver.Limits{Memory: m, CPU: 2, PIDs: 10}); err != nil {
				t.Errorf("%s: %v", m, err)
			}
		}
		if err := c.Resize(driver.Limits{Memory: 4 * cove.MiB}); !errors.Is(err, driver.ErrRefused) {
			t.Errorf("a limit below what is in use: %v", err)
		}
		if empty, err := c.Empty(); err != nil || empty {
			t.Errorf("the process did not survive: %v, %v", empty, err)
		}
	})
}

// settling is the processor time that is counted after a group has been frozen
// or killed: for the last step of a process into the freezer, or out of life.
const settling = 10 * time.Millisecond

func TestCgroupStop(t *testing.T) {
	t.Parallel()

	t.Run("frozen uses no processor, thawed goes on", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, driver.Limits{})
		runIn(t, c, "echo; while :; do :; done")
		if err := c.Freeze(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := cpuUsed(t, c)
		time.Sleep(5 * settling)
		if after := cpuUsed(t, c); after-before > settling {
			t.Errorf("%v were used while frozen", after-before)
		}
		if err := c.Thaw(); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); cpuUsed(t, c) == before; {
			if time.Now().After(deadline) {
				t.Fatal("it did not go on")
			}
			time.Sleep(time.Millisecond)
		}
	})

	t.Run("what was stopped is never thawed again", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, driver.Limits{})
		runIn(t, c, "echo; while :; do :; done")
		if err := c.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Thaw(); !errors.Is(err, ErrStopped) {
			t.Errorf("Thaw: %v", err)
		}
		before := cpuUsed(t, c)
		time.Sleep(5 * settling)
		if after := cpuUsed(t, c); after-before > settling {
			t.Errorf("%v were used after Stop", after-before)
		}
	})

	t.Run("what would not freeze in time is killed", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, driver.Limits{})
		cmd := runIn(t, c, "echo; while :; do :; done")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		if frozen, _ := c.ops.frozen(); frozen {
			return // it was frozen at the first look
		}
		_ = cmd.Wait()
	})

	for name, script := range map[string]string{
		"a busy loop":               "echo; while :; do :; done",
		"a forker":                  "echo; while :; do sh -c 'sh -c : & sh -c :' & done",
		"what ignores signals":      "trap '' TERM INT HUP; echo; while :; do sleep 1; done",
		"what stopped itself":       "echo; kill -STOP $$; sleep 60",
		"a daemon of a dead parent": "(setsid sh -c 'while :; do sleep 1; done' &) ; echo; exit 0",
	} {
		for _, state := range []string{"running", "frozen", "stopped"} {
			t.Run(name+" is killed when "+state, func(t *testing.T) {
				t.Parallel()
				c := newGroup(t, driver.Limits{PIDs: 50})
				cmd := runIn(t, c, script)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				switch state {
				case "frozen":
					if err := c.Freeze(ctx); err != nil {
						t.Fatal(err)
					}
				case "stopped":
					if err := c.Stop(ctx); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.Kill(ctx); err != nil {
					t.Fatal(err)
				}
				if empty, err := c.Empty(); err != nil || !empty {
					t.Errorf("Empty: %v, %v", empty, err)
				}
				_ = cmd.Wait()
			})
		}
	}
}

func TestCgroupsRecover(t *testing.T) {
	t.Parallel()
	needRoot(t)
	set, err := FindCgroups()
	if err != nil {
		t.Fatal(err)
	}
	const owner = "recovertest"
	left, err := set.New(owner, "left-behind", driver.Limits{PIDs: 10})
	if err != nil {
		t.Fatal(err)
	}
	cmd := runIn(t, left, "echo; sleep 60")
	if _, err := set.New(owner, "left-behind", driver.Limits{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a group was made twice: %v", err)
	}
	if empty, err := left.Empty(); err != nil || empty {
		t.Fatalf("the second attempt harmed the first: %v, %v", empty, err)
	}
	_ = left.ops.close() // as the death of the daemon does

	found, err := set.Recover(owner)
	if err != nil || len(found) != 1 || found[0].Parent() != "/cove/recovertest/left-behind" {
		t.Fatalf("found %v, %v", found, err)
	}
	if err := errors.Join(found[0].Kill(t.Context()), found[0].Remove(), found[0].Remove()); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if found, err := set.Recover(owner); err != nil || len(found) != 0 {
		t.Errorf("left: %v, %v", found, err)
	}
}

func TestCgroupsAdopt(t *testing.T) {
	t.Parallel()
	c := newGroup(t, driver.Limits{})
	cmd := runIn(t, c, "echo; sleep 60")
	a, err := c.set.Adopt(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if want := c.Parent() + "/leaf"; a.Parent() != want {
		t.Errorf("adopted %s, want %s", a.Parent(), want)
	}
	if err := a.Kill(t.Context()); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if err := a.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(c.ops.procsDir()); err != nil {
		t.Errorf("what was adopted was removed: %v", err)
	}
	if got := c.SystemdParent(); got != "cove-hosttest.slice" {
		t.Errorf("SystemdParent is %q", got)
	}
}

// Where version 1 has an empty version 2 tree beside it, runc makes groups in
// that tree too, and removes only its own.
func TestCgroupRemoveAlsoFromTheEmptyUnifiedTree(t *testing.T) {
	t.Parallel()
	needRoot(t)
	set, err := FindCgroups()
	if err != nil {
		t.Fatal(err)
	}
	if set.Version() == 2 || set.mounts[""] == "" {
		return // Nothing of that kind is here.
	}
	c, err := set.New("hosttest", fmt.Sprintf("u%x", time.Now().UnixNano()), driver.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(set.mounts[""], c.path)
	if err := os.MkdirAll(filepath.Join(left, "container"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left", left)
	}
}

func TestCgroupsOf(t *testing.T) {
	t.Parallel()
	v1 := func(controllers ...string) []mountEntry {
		var entries []mountEntry
		for _, c := range controllers {
			entries = append(entries, mountEntry{point: "/cg/" + c, fstype: "cgroup", super: "rw," + c})
		}
		return entries
	}
	unified := mountEntry{point: "/cg/unified", fstype: "cgroup2", super: "rw"}
	all := []string{"memory", "cpu,cpuacct", "pids", "freezer", "name=systemd"}
	for name, c := range map[string]struct {
		mounts  []mountEntry
		version int
		err     string
	}{
		"version 1":                        {v1(all...), 1, ""},
		"version 1 with an empty unified":  {append(v1(all...), unified), 1, ""},
		"version 2":                        {[]mountEntry{unified}, 2, ""},
		"version 2 with a named hierarchy": {append(v1("name=systemd"), unified), 2, ""},
		"none":                             {nil, 0, "no control groups"},
		"a controller is missing":          {v1("memory", "cpu", "cpuacct", "pids"), 0, "freezer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := cgroupsOf(c.mounts)
			if got := fmt.Sprint(err); (err != nil) != (c.err != "") || !strings.Contains(got, c.err) {
				t.Fatalf("got %v, want %q", err, c.err)
			}
			if set != nil && set.Version() != c.version {
				t.Errorf("version %d, want %d", set.Version(), c.version)
			}
		})
	}
}
