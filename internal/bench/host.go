package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor time in /proc: USER_HZ is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// Host is the state of the machine's counters at one moment.
type Host struct {
	At time.Time `json:"at"`
	// Busy is the time that all processors together have worked since the machine
	// started, Idle that they had nothing to do (waiting for a disk is part of
	// it), and Steal that a hypervisor gave to others when there was work.
	Busy  time.Duration `json:"busy_ns"`
	Idle  time.Duration `json:"idle_ns"`
	Steal time.Duration `json:"steal_ns"`
	// Load is the load average of the last minute.
	Load float64 `json:"load"`
}

// HostNow reads /proc/stat and /proc/loadavg.
func HostNow() (Host, error) {
	h := Host{At: time.Now()}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return h, err
	}
	if err := h.parseStat(stat); err != nil {
		return h, err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return h, err
	}
	if _, err := fmt.Sscan(string(load), &h.Load); err != nil {
		return h, fmt.Errorf("/proc/loadavg: %w", err)
	}
	return h, nil
}

// parseStat reads the first line of /proc/stat: user, nice, system, idle, iowait,
// irq, softirq, steal, in ticks; what follows is part of user and nice.
func (h *Host) parseStat(stat []byte) error {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 9 || fields[0] != "cpu" {
		return fmt.Errorf("/proc/stat begins with %q", line)
	}
	var ticks [8]time.Duration
	for i := range ticks {
		n, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil {
			return fmt.Errorf("/proc/stat: %w", err)
		}
		ticks[i] = time.Duration(n) * tick
	}
	h.Busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]
	h.Idle, h.Steal = ticks[3]+ticks[4], ticks[7]
	return nil
}

// Since is what the machine did from an earlier moment to h.
func (h Host) Since(earlier Host) HostUse {
	u := HostUse{Elapsed: h.At.Sub(earlier.At), Busy: h.Busy - earlier.Busy, Load: h.Load}
	if all := u.Busy + h.Idle - earlier.Idle + h.Steal - earlier.Steal; all > 0 {
		u.StealPart = float64(h.Steal-earlier.Steal) / float64(all)
	}
	return u
}

// HostUse is what the machine did in a span of time.
type HostUse struct {
	Elapsed time.Duration `json:"elapsed_ns"`
	// Busy is the processor time used by everything on it.
	Busy time.Duration `json:"busy_ns"`
	// StealPart is which part of the processors a hypervisor gave to others.
	StealPart float64 `json:"steal_part"`
	// Load is the load average of the last minute at the end.
	Load float64 `json:"load"`
}

// ProcessCPU is the processor time that a process has used, with the children
// that it has waited for. A process that is gone is an error that is
// fs.ErrNotExist.
func ProcessCPU(pid int) (time.Duration, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold spaces and parentheses.
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, data)
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 15 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, data)
	}
	var sum int64
	// utime, stime, cutime and cstime are the fields 14 to 17; the state, the first
	// after the name, is 3.
	for _, f := range fields[11:15] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

// GroupCPU is the processor time that a control group has used, with everything
// beneath it. dir is its directory, of version 2 or of the cpuacct hierarchy of
// version 1.
func GroupCPU(dir string) (time.Duration, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cpuacct.usage"))
	if err == nil {
		n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		return time.Duration(n), err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if data, err = os.ReadFile(filepath.Join(dir, "cpu.stat")); err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "usage_usec "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return time.Duration(n) * time.Microsecond, err
		}
	}
	return 0, fmt.Errorf("%s/cpu.stat has no usage_usec", dir)
}
