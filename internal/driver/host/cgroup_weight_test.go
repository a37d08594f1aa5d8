package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove/internal/driver"
)

func TestWeight(t *testing.T) {
	t.Parallel()
	behind := driver.Limits{Background: true}

	t.Run("here the background is the least there is, and is left again", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, behind)
		dir, file := filepath.Join(c.set.mounts["cpu"], c.path), "cpu.shares"
		if c.set.version == 2 {
			dir, file = filepath.Join(c.set.mounts[""], c.path), "cpu.weight"
		}
		if got := read(t, dir, "cpu.idle"); got != "1" {
			t.Errorf("cpu.idle is %s", got)
		}
		if err := c.Resize(driver.Limits{}); err != nil {
			t.Fatal(err)
		}
		if got := read(t, dir, file); got != "1024" && got != "100" {
			t.Errorf("%s is %s", file, got)
		}
		if got := read(t, dir, "cpu.idle"); got != "0" {
			t.Errorf("cpu.idle is %s", got)
		}
	})

	t.Run("a kernel without cpu.idle has the lowest weight", func(t *testing.T) {
		t.Parallel()
		set := newTree(t, "cpu.idle")
		c, err := set.New("own", "id", behind)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.ops.close() }()
		if got := content(t, set, "cove/own/id/cpu.weight"); !strings.HasPrefix(got, "1\n") && got != "100" {
			t.Errorf("cpu.weight is %q", got)
		}
		put(t, set, "cove/own/id/cpu.weight", "")
		if err := c.Resize(driver.Limits{}); err != nil {
			t.Fatal(err)
		}
		if got := content(t, set, "cove/own/id/cpu.weight"); got != "100" {
			t.Errorf("cpu.weight is %q", got)
		}
	})

	t.Run("several weigh as much as one, and each again what one weighs", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, driver.Limits{})
		dir, file, whole := filepath.Join(c.set.mounts["cpu"], c.path), "cpu.shares", 1024
		if c.set.version == 2 {
			dir, file, whole = filepath.Join(c.set.mounts[""], c.path), "cpu.weight", 100
		}
		for _, step := range []struct {
			l    driver.Limits
			want int
		}{
			{driver.Limits{WeightParts: 4}, whole / 4},
			{driver.Limits{}, whole / 4},
			{driver.Limits{WeightParts: 1 << 20}, map[int]int{1024: 2, 100: 1}[whole]},
			{driver.Limits{WeightParts: 1}, whole},
			{driver.Limits{WeightParts: 8, Background: true}, 0},
			{driver.Limits{WeightParts: 8}, whole / 8},
		} {
			if err := c.Resize(step.l); err != nil {
				t.Fatal(err)
			}
			if got := read(t, dir, file); step.want != 0 && got != strconv.Itoa(step.want) {
				t.Errorf("after %+v %s is %s", step.l, file, got)
			}
		}
	})

	t.Run("a process that works for the group steps back with it", func(t *testing.T) {
		t.Parallel()
		c := newGroup(t, behind)
		cmd := exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := c.Demote(cmd.Process.Pid); err != nil {
			t.Error(err)
		}
		nice, err := unix.Getpriority(unix.PRIO_PROCESS, cmd.Process.Pid)
		groups, readErr := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "cgroup"))
		if err != nil || readErr != nil || nice != 20-helperNice && !strings.Contains(string(groups), c.path) {
			t.Errorf("its priority is %d (%v), its groups (%v) are:\n%s", 20-nice, err, readErr, groups)
		}
		if empty, err := c.Empty(); err != nil || !empty {
			t.Errorf("it counts as the sandbox's: %v", err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if err := c.Demote(cmd.Process.Pid); err != nil {
			t.Errorf("after its end: %v", err)
		}
	})
}

func read(t *testing.T, dir, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}
