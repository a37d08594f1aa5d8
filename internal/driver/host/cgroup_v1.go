package host

import (
	"bytes"
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
	"github.com/covefn/cove/internal/quiet"
)

// cpuPeriod is the time over which the CPU quota is counted, the kernel's own
// default. A shorter one would throttle more evenly, but also in the middle of
// the short bursts that most functions are: with half a processor, an import
// of 40 ms is done without a stop.
const cpuPeriod = 100 * time.Millisecond

// minQuota is the least that the kernel accepts.
const minQuota = time.Millisecond

// quota is the CPU time per cpuPeriod.
func quota(cpu float64) time.Duration {
	return max(minQuota, time.Duration(cpu*float64(cpuPeriod)))
}

// groupV1 is a group in the hierarchies of version 1.
type groupV1 struct {
	set  *Cgroups
	path string
	// weight is that of processor time.
	weight weight
	// limit is the memory limit that was set last, 0 when none was.
	limit atomic.Int64

	cpu, mem, peak, oom, freezer *os.File
	// oomEvent is an eventfd that counts the out-of-memory events of the group
	// and what is beneath.
	oomEvent *os.File
}

func (g *groupV1) file(controller, name string) string {
	return filepath.Join(g.set.mounts[controller], g.path, name)
}

// stillGroup is an empty group beneath each sandbox's that is frozen from the
// beginning to the end.
//
// The kernel rewrites its own code when the first group of the machine freezes
// and when the last one thaws, and has every processor notice. That makes thawing
// take 80 us. While another is frozen it takes 3 us.
const stillGroup = "still"

func (g *groupV1) begin() error {
	dir := g.file("freezer", stillGroup)
	if err := g.set.mkdir(dir, 0o755); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "freezer.state"), "FROZEN")
}

func (g *groupV1) open(must bool) error {
	var errs []error
	for _, f := range []struct {
		to   **os.File
		name string
		mode int
	}{
		{&g.cpu, g.file("cpuacct", "cpuacct.usage"), os.O_RDONLY},
		{&g.mem, g.file("memory", "memory.usage_in_bytes"), os.O_RDONLY},
		{&g.peak, g.file("memory", "memory.max_usage_in_bytes"), os.O_RDONLY},
		{&g.oom, g.file("memory", "memory.oom_control"), os.O_RDONLY},
		{&g.freezer, g.file("freezer", "freezer.state"), os.O_RDWR},
	} {
		file, err := os.OpenFile(f.name, f.mode, 0)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		*f.to = file
	}
	if g.oom != nil {
		errs = append(errs, g.watchOOM())
	}
	if !must {
		return nil
	}
	return errors.Join(errs...)
}

// watchOOM asks the kernel to count out-of-memory events. The counter in
// memory.oom_control knows only of victims in the very group it belongs to,
// and the runtime's own group, where the victim was, is gone when it matters.
func (g *groupV1) watchOOM() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	g.oomEvent = os.NewFile(uintptr(fd), "oom")
	return writeFile(g.file("memory", "cgroup.event_control"), fmt.Sprintf("%d %d", fd, g.oom.Fd()))
}

func (g *groupV1) close() error {
	var errs []error
	for _, f := range []*os.File{g.cpu, g.mem, g.peak, g.oom, g.freezer, g.oomEvent} {
		if f == nil {
			continue
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (g *groupV1) adopt() error { return nil }

func (g *groupV1) setLimits(l driver.Limits, fresh bool) error {
	if fresh {
		g.weight.now = normalPriority
	}
	if l.Memory > 0 {
		if err := g.setMemory(l.Memory); err != nil {
			return err
		}
	}
	if l.CPU > 0 {
		// The period of a group that is new, or that Docker has made, is cpuPeriod.
		q := strconv.FormatInt(quota(l.CPU).Microseconds(), 10)
		if err := writeFile(g.file("cpu", "cpu.cfs_quota_us"), q); err != nil {
			return err
		}
	}
	if l.PIDs > 0 {
		if err := writeFile(g.file("pids", "pids.max"), strconv.Itoa(l.PIDs)); err != nil {
			return err
		}
	}
	return g.weight.set(l.Background, l.WeightParts)
}

func (g *groupV1) lift() error  { return g.weight.lift() }
func (g *groupV1) lower() error { return g.weight.lower() }

// demote puts the process into the group of the processor's controller alone:
// what freezes, bounds and kills the sandbox does not touch it.
func (g *groupV1) demote(pid int) error {
	err := writeFile(g.file("cpu", "cgroup.procs"), strconv.Itoa(pid))
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// setMemory bounds memory, and memory with swap by the same figure. The kernel
// wants the second never below the first, so the order depends on whether the
// limits grow. Where that is not known one of the two orders works.
func (g *groupV1) setMemory(limit cove.ByteSize) error {
	memory, value := g.file("memory", "memory.limit_in_bytes"), strconv.FormatInt(int64(limit), 10)
	var err error
	if before := g.limit.Load(); before > 0 && int64(limit) > before {
		err = errors.Join(g.setSwap(value), writeFile(memory, value))
	} else if err = writeFile(memory, value); err == nil {
		err = g.setSwap(value)
	} else if swapErr := g.setSwap(value); swapErr != nil {
		err = errors.Join(err, swapErr)
	} else {
		err = writeFile(memory, value)
	}
	if err == nil {
		g.limit.Store(int64(limit))
	}
	return err
}

// setSwap bounds memory with swap. On a kernel without swap accounting nothing
// in here is swapped instead.
func (g *groupV1) setSwap(value string) error {
	err := writeFile(g.file("memory", "memory.memsw.limit_in_bytes"), value)
	if errors.Is(err, fs.ErrNotExist) {
		return writeFile(g.file("memory", "memory.swappiness"), "0")
	}
	return err
}

func (g *groupV1) usage() (driver.Usage, error) {
	cpu, err1 := g.cpuTime()
	mem, err2 := readInt(g.mem)
	peak, err3 := readInt(g.peak)
	if err := errors.Join(err1, err2, err3); err != nil {
		return driver.Usage{}, err
	}
	return driver.Usage{CPU: cpu, Memory: cove.ByteSize(mem), PeakMemory: cove.ByteSize(peak)}, nil
}

func (g *groupV1) cpuTime() (time.Duration, error) {
	n, err := readInt(g.cpu)
	return time.Duration(n), err
}

func (g *groupV1) oomKilled() (bool, error) {
	if g.oom == nil {
		return false, os.ErrClosed
	}
	n, err := readKey(g.oom, "oom_kill")
	if err != nil || n > 0 {
		return n > 0, err
	}
	// poll, not read: the event stays for the next who asks.
	raw, err := g.oomEvent.SyscallConn()
	if err != nil {
		return false, err
	}
	happened := false
	err = raw.Control(func(fd uintptr) { happened = ended(fd) })
	return happened, err
}

func (g *groupV1) setFrozen(frozen bool) error {
	state := "THAWED"
	if frozen {
		state = "FROZEN"
	}
	if g.freezer == nil {
		return fs.ErrNotExist
	}
	_, err := g.freezer.WriteAt([]byte(state), 0)
	return err
}

func (g *groupV1) frozen() (bool, error) {
	buf := make([]byte, 16)
	state, err := readAll(g.freezer, buf)
	return bytes.HasPrefix(state, []byte("FROZEN")), err
}

func (g *groupV1) killAll() error { return errors.ErrUnsupported }

func (g *groupV1) procsDir() string { return filepath.Join(g.set.mounts["freezer"], g.path) }

// isGone says whether err means that the group no longer exists.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, os.ErrClosed)
}

// gone turns an error that means that the group no longer exists into nil:
// nothing runs in what does not exist.
func gone(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}

// readAll reads a short file of the kernel from its beginning into buf, in one
// system call: the kernel gives such a file whole, and usage is in the path of
// every request.
func readAll(f *os.File, buf []byte) ([]byte, error) {
	if f == nil {
		return nil, os.ErrClosed
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	n := 0
	if failed := raw.Control(func(fd uintptr) { n, err = quiet.ReadAt(fd, buf, 0) }); failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: f.Name(), Err: err}
	}
	return buf[:n], nil
}

// readInt reads a file that holds one number.
func readInt(f *os.File) (int64, error) {
	var buf [32]byte
	data, err := readAll(f, buf[:])
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(data)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	return n, nil
}

// readKey reads the number behind key in a file of lines "key number"; 0 when
// there is no such key.
func readKey(f *os.File, key string) (int64, error) {
	var buf [2048]byte
	data, err := readAll(f, buf[:])
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		name, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if ok && string(name) == key {
			return strconv.ParseInt(string(value), 10, 64)
		}
	}
	return 0, nil
}
