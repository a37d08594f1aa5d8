package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// groupV2 is a group in the tree of version 2.
type groupV2 struct {
	dir string
	// weight is that of processor time.
	weight weight

	cpu, mem, memEvents, freezer, events *os.File
	// peak is nil on a kernel without memory.peak (before 5.19).
	peak *os.File
	// seen is the most that usage has read, for want of peak.
	seen atomic.Int64
	// above is memory.events of the group above one that was adopted, and
	// killedAbove how many it had killed by then.
	above       *os.File
	killedAbove int64
}

func (g *groupV2) begin() error { return nil }

func (g *groupV2) open(must bool) error {
	var errs []error
	for _, f := range []struct {
		to       **os.File
		name     string
		mode     int
		optional bool
	}{
		{to: &g.cpu, name: "cpu.stat"},
		{to: &g.mem, name: "memory.current"},
		{to: &g.memEvents, name: "memory.events"},
		{to: &g.freezer, name: "cgroup.freeze", mode: os.O_WRONLY},
		{to: &g.events, name: "cgroup.events"},
		{to: &g.peak, name: "memory.peak", optional: true},
	} {
		file, err := os.OpenFile(filepath.Join(g.dir, f.name), f.mode, 0)
		if err == nil {
			*f.to = file
		} else if !f.optional || !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if !must {
		return nil
	}
	return errors.Join(errs...)
}

func (g *groupV2) close() error {
	var errs []error
	for _, f := range []*os.File{g.cpu, g.mem, g.memEvents, g.freezer, g.events, g.peak, g.above} {
		if f == nil {
			continue
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// adopt looks at the group above, which counts what happens beneath and is still
// there when the owner of this one has removed it.
func (g *groupV2) adopt() error {
	above, err := os.Open(filepath.Join(filepath.Dir(g.dir), "memory.events"))
	switch {
	case err == nil:
		g.above = above
		if g.killedAbove, err = readKey(above, "oom_kill"); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist): // the root of the tree has none
		return err
	}
	return g.closeSwap()
}

func (g *groupV2) setLimits(l driver.Limits, fresh bool) error {
	if fresh {
		g.weight.now = normalPriority
		if err := g.closeSwap(); err != nil {
			return err
		}
	}
	if l.Memory > 0 {
		if !fresh {
			if err := g.makeRoom(l.Memory); err != nil {
				return err
			}
		}
		if err := g.write("memory.max", strconv.FormatInt(int64(l.Memory), 10)); err != nil {
			return err
		}
	}
	if l.CPU > 0 {
		value := fmt.Sprintf("%d %d", quota(l.CPU).Microseconds(), cpuPeriod.Microseconds())
		if err := g.write("cpu.max", value); err != nil {
			return err
		}
	}
	if l.PIDs > 0 {
		if err := g.write("pids.max", strconv.Itoa(l.PIDs)); err != nil {
			return err
		}
	}
	return g.weight.set(l.Background, l.WeightParts)
}

func (g *groupV2) lift() error  { return g.weight.lift() }
func (g *groupV2) lower() error { return g.weight.lower() }

// demote cannot put the process into the group, where it would be frozen,
// bounded and killed with the sandbox.
func (g *groupV2) demote(pid int) error { return stepBack(pid) }

// makeRoom sees to it that no more than limit is in use, or says that it cannot
// be: to get below a new memory.max the kernel would kill at once. With
// memory.high it only gives back what can be had again, such as cached files.
func (g *groupV2) makeRoom(limit cove.ByteSize) error {
	now, err := readInt(g.mem)
	if err != nil || now <= int64(limit) {
		return err
	}
	if err := g.write("memory.high", strconv.FormatInt(int64(limit), 10)); err != nil {
		return err
	}
	now, err = readInt(g.mem)
	if err = errors.Join(err, g.write("memory.high", "max")); err != nil {
		return err
	}
	if now > int64(limit) {
		return fmt.Errorf("%s are in use, more than %s: %w", cove.ByteSize(now), limit, unix.EBUSY)
	}
	return nil
}

// closeSwap forbids swap, which a kernel without swap does not know of, and
// lets a shortage of memory end the sandbox as a whole.
func (g *groupV2) closeSwap() error {
	if err := g.write("memory.swap.max", "0"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := g.write("memory.oom.group", "1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (g *groupV2) write(name, value string) error {
	return writeFile(filepath.Join(g.dir, name), value)
}

func (g *groupV2) usage() (driver.Usage, error) {
	cpu, err1 := g.cpuTime()
	mem, err2 := readInt(g.mem)
	if err := errors.Join(err1, err2); err != nil {
		return driver.Usage{}, err
	}
	peak := mem
	if g.peak != nil {
		var err error
		if peak, err = readInt(g.peak); err != nil {
			return driver.Usage{}, err
		}
	} else {
		peak = g.raise(mem)
	}
	return driver.Usage{
		CPU: cpu, Memory: cove.ByteSize(mem), PeakMemory: cove.ByteSize(peak),
	}, nil
}

func (g *groupV2) cpuTime() (time.Duration, error) {
	n, err := readKey(g.cpu, "usage_usec")
	return time.Duration(n) * time.Microsecond, err
}

// raise keeps the highest figure seen: less than the true peak, which nobody
// recorded, and never less than what was shown before.
func (g *groupV2) raise(mem int64) int64 {
	for {
		seen := g.seen.Load()
		if mem <= seen {
			return seen
		}
		if g.seen.CompareAndSwap(seen, mem) {
			return mem
		}
	}
}

func (g *groupV2) oomKilled() (bool, error) {
	n, err := readKey(g.memEvents, "oom_kill")
	if isGone(err) && g.above != nil {
		// It died so fast that nobody could ask. A kill that was counted above
		// since then was most likely its own.
		n, err = readKey(g.above, "oom_kill")
		return n > g.killedAbove, err
	}
	return n > 0, err
}

func (g *groupV2) setFrozen(frozen bool) error {
	value := "0"
	if frozen {
		value = "1"
	}
	if g.freezer == nil {
		return fs.ErrNotExist
	}
	_, err := g.freezer.WriteAt([]byte(value), 0)
	return err
}

func (g *groupV2) frozen() (bool, error) {
	n, err := readKey(g.events, "frozen")
	return n == 1, err
}

// killAll is one write since Linux 5.14. It also reaches what is frozen.
func (g *groupV2) killAll() error {
	err := g.write("cgroup.kill", "1")
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Stat(g.dir); statErr == nil {
			return errors.ErrUnsupported
		}
	}
	return err
}

func (g *groupV2) procsDir() string { return g.dir }
