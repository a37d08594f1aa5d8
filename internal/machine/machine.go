// Package machine looks at the machine that Cove runs on: what of it is used, by
// everything and by the sandboxes.
package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/bench"
)

// Interval is how often a Meter looks, and over which time it tells what
// processors did.
const Interval = 2 * time.Second

// Sandboxes is what the control groups of all sandboxes count: processor time since
// some moment, which may begin again from nothing, and memory now.
type Sandboxes func() (cpu time.Duration, memory cove.ByteSize)

// Meter looks at the machine every Interval. It is safe for concurrent use.
type Meter struct {
	dir       string
	sandboxes Sandboxes
	kernel    string

	mu     sync.Mutex
	before counters
	now    wire.Host
}

// counters are what a rate is the difference of.
type counters struct {
	at              time.Time
	busy, sandboxes time.Duration
}

// New makes a meter that has looked once; the disk is that where dir is. What it
// tells of processors begins with the second look.
func New(dir string, sandboxes Sandboxes) (*Meter, error) {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return nil, fmt.Errorf("look at the machine: %w", err)
	}
	m := &Meter{dir: dir, sandboxes: sandboxes, kernel: strings.TrimSpace(string(release))}
	return m, m.RunOnce()
}

// Run looks every Interval until ctx ends. What cannot be read once is told as it
// was before.
func (m *Meter) Run(ctx context.Context) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = m.RunOnce() // The first look, in New, had no error.
		case <-ctx.Done():
			return
		}
	}
}

// Now is what was seen last.
func (m *Meter) Now() wire.Host {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// RunOnce looks once.
func (m *Meter) RunOnce() error {
	host, err := bench.HostNow()
	if err != nil {
		return fmt.Errorf("look at the machine: %w", err)
	}
	h := wire.Host{CPUs: runtime.NumCPU(), Load1: host.Load, Goroutines: runtime.NumGoroutine(), Kernel: m.kernel}
	c := counters{at: host.At, busy: host.Busy}
	c.sandboxes, h.SandboxUsed = m.sandboxes()
	if err := errors.Join(memory(&h), daemon(&h), m.disk(&h)); err != nil {
		return fmt.Errorf("look at the machine: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if elapsed := c.at.Sub(m.before.at); !m.before.at.IsZero() && elapsed > 0 {
		h.CPU = rate(c.busy-m.before.busy, elapsed)
		h.SandboxCPU = rate(c.sandboxes-m.before.sandboxes, elapsed)
	}
	m.before, m.now = c, h
	return nil
}

// rate is how many processors used used in elapsed. A counter that began again
// tells nothing.
func rate(used, elapsed time.Duration) float64 { return max(0, used.Seconds()/elapsed.Seconds()) }

// memory reads what the machine has, and what of it is not available to programs.
func memory(h *wire.Host) error {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return err
	}
	total, available, err := parseMeminfo(data)
	h.Memory, h.MemoryUsed = total, total-available
	return err
}

func parseMeminfo(data []byte) (total, available cove.ByteSize, err error) {
	for line := range bytes.Lines(data) {
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		var into *cove.ByteSize
		switch fields[0] {
		case "MemTotal:":
			into = &total
		case "MemAvailable:":
			into = &available
		default:
			continue
		}
		n, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil || n < 0 || n > 1<<50 {
			return 0, 0, fmt.Errorf("/proc/meminfo: %q", line)
		}
		*into = cove.ByteSize(n) * cove.KiB
	}
	if total == 0 || available > total {
		return 0, 0, fmt.Errorf("/proc/meminfo has %s in all and %s available", total, available)
	}
	return total, available, nil
}

// daemon reads the memory that this process has in use.
func daemon(h *wire.Host) error {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		return fmt.Errorf("/proc/self/statm: %w", err)
	}
	h.DaemonMem = cove.ByteSize(resident * int64(os.Getpagesize()))
	return nil
}

func (m *Meter) disk(h *wire.Host) error {
	var s unix.Statfs_t
	if err := unix.Statfs(m.dir, &s); err != nil {
		return fmt.Errorf("statfs %s: %w", m.dir, err)
	}
	size := cove.ByteSize(s.Bsize)
	h.DiskFree, h.DiskTotal = cove.ByteSize(s.Bavail)*size, cove.ByteSize(s.Blocks)*size
	return nil
}
