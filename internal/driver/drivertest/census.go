package drivertest

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
)

// Counts is how many things of each kind there are: "processes", "mounts",
// "cgroups", "entries" (files and directories), "firewall rules", "descriptors",
// "goroutines", "containers". Two of them can be compared with maps.Equal.
type Counts map[string]int

// Census says what to count.
type Census struct {
	// Owner is that of the sandboxes, and DataDir the directory that holds all
	// that belongs to them.
	Owner   string
	DataDir string
	// Docker counts the containers of this machine that carry Owner in a label.
	Docker bool
	// Elsewhere leaves this test process's own descriptors and goroutines out:
	// for a daemon that is another process.
	Elsewhere bool
	// PID is a daemon in another process whose descriptors to count; 0 for none.
	PID int
}

// Take counts. What cannot be counted is an error of the test.
func (c Census) Take(t testing.TB) Counts {
	t.Helper()
	n := Counts{}
	n["processes"] = c.processes()
	n["mounts"] = c.mounts(t)
	n["cgroups"] = c.groups()
	n["entries"] = c.entries()
	n["firewall rules"] = FirewallRules(t, c.Owner)
	if !c.Elsewhere {
		n["descriptors"] = descriptors(t, "self")
		n["goroutines"] = runtime.NumGoroutine()
	}
	if c.PID != 0 {
		n["daemon's descriptors"] = descriptors(t, fmt.Sprint(c.PID))
	}
	if c.Docker {
		out, err := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "label=cove.owner="+c.Owner).Output()
		if err != nil {
			t.Errorf("list the containers: %v", err)
		}
		n["containers"] = len(strings.Fields(string(out)))
	}
	return n
}

// Same fails the test unless everything that before has counted is as it was.
// It gives the kernel a few seconds, since some things (a reaped process, a
// removed network) vanish from lists only after the call that removed them.
func (c Census) Same(t testing.TB, before Counts) {
	t.Helper()
	var now Counts
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		now = c.Take(t)
		// One that was about to end when before was taken is none that is missing.
		if n, ok := now["goroutines"]; ok {
			now["goroutines"] = max(n, before["goroutines"])
		}
		if maps.Equal(before, now) {
			return
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(now)) {
		if before[kind] != now[kind] {
			t.Errorf("%s: %d before, %d now", kind, before[kind], now[kind])
		}
	}
	if now["goroutines"] != before["goroutines"] && !c.Elsewhere {
		buf := make([]byte, 64<<10)
		t.Logf("%s", buf[:runtime.Stack(buf, true)])
	}
	t.Logf("of processes: %q", c.list())
	if before["entries"] != now["entries"] {
		_ = filepath.WalkDir(c.DataDir, func(path string, _ fs.DirEntry, _ error) error {
			t.Logf("there is %s", strings.TrimPrefix(path, c.DataDir))
			return nil
		})
	}
}

// processes counts those that have the data directory in their command line or
// are in a control group of the owner's.
func (c Census) processes() int { return len(c.list()) }

func (c Census) list() []string {
	var found []string
	self := fmt.Sprint(os.Getpid())
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if filepath.Base(dir) == self {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		group, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		if strings.Contains(string(cmdline), c.DataDir) || strings.Contains(string(group), "/cove/"+c.Owner+"/") {
			found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

func (c Census) mounts(t testing.TB) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Error(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], c.DataDir+"/") {
			n++
		}
	}
	return n
}

// groups counts the control groups of the owner's in every hierarchy.
func (c Census) groups() int {
	n := 0
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		for _, at := range []string{"cove", "cove.slice/cove-"} {
			dirs, _ := filepath.Glob(filepath.Join(root, at))
			for _, dir := range dirs {
				n += countTree(filepath.Join(dir, c.Owner), true)
			}
		}
	}
	return n
}

// FirewallRules counts what Cove has in the firewall of this network namespace for
// owner: the chains of its own table, and its rules in those of others.
func FirewallRules(t testing.TB, owner string) int {
	t.Helper()
	conn, err := nftables.New()
	if err != nil {
		t.Errorf("open the firewall: %v", err)
		return 0
	}
	chains, err := conn.ListChains()
	if err != nil {
		t.Errorf("read the firewall: %v", err)
	}
	n := 0
	for _, chain := range chains {
		if chain.Table.Name == "cove_"+owner {
			n++
			continue
		}
		if chain.Name != "DOCKER-USER" && chain.Name != "FORWARD" {
			continue
		}
		rules, err := conn.GetRules(chain.Table, chain)
		if err != nil {
			t.Errorf("read the firewall's chain %s: %v", chain.Name, err)
		}
		for _, r := range rules {
			if text, _ := userdata.GetString(r.UserData, userdata.TypeComment); strings.TrimRight(text, "\x00") == "cove "+owner {
				n++
			}
		}
	}
	return n
}

func (c Census) entries() int { return countTree(c.DataDir, false) }

func countTree(dir string, onlyDirs bool) int {
	n := 0
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && (!onlyDirs || e.IsDir()) {
			n++
		}
		return nil
	})
	return n
}

func descriptors(t testing.TB, pid string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", pid, "fd"))
	if err != nil {
		t.Error(err)
	}
	return len(entries)
}
