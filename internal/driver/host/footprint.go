package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
)

// Footprint is what some processes cost the host together.
type Footprint struct {
	// Processes is how many of them there were.
	Processes int
	// PSS is their memory, with what several processes of the machine share (the
	// text of a program, a cached file, memory handed from one to the other)
	// divided by how many they are. It is what counts when the same is started
	// many times. Files in a tmpfs and other memory that is mapped by nobody is not
	// in it; that is in the Usage of a control group.
	PSS cove.ByteSize
	// RSS counts what is shared in full for each.
	RSS cove.ByteSize
	// CPU is the processor time that they used, and that of their children which
	// have ended and were waited for. It is counted in whole ticks of the kernel,
	// 10 ms, for each process.
	CPU time.Duration
}

// Measure adds up what the processes cost now. Those that share their memory as
// threads do (gVisor has such) are counted once. One that has ended counts
// nothing. It takes about a tenth of a millisecond for each process, and needs
// to be root.
func Measure(pids []int) (Footprint, error) {
	var total Footprint
	// seen are the processes whose memory was counted.
	var seen []int
	for _, pid := range pids {
		stat, err := readStat(pid)
		if hasEnded(err) {
			continue
		}
		if err != nil {
			return Footprint{}, err
		}
		total.Processes++
		total.CPU += stat.cpu
		shared, err := sharesMemory(pid, seen)
		if err != nil {
			return Footprint{}, err
		}
		if shared {
			continue
		}
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if hasEnded(err) {
			continue
		}
		if err != nil {
			return Footprint{}, fmt.Errorf("measure the memory of process %d: %w", pid, err)
		}
		pss, rss := parseRollup(data)
		total.PSS += pss
		total.RSS += rss
		seen = append(seen, pid)
	}
	return total, nil
}

// hasEnded says whether err means that the process is gone.
func hasEnded(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }

// kcmpVM asks whether two processes have the same address space; see kcmp(2).
const kcmpVM = 1

// sharesMemory says whether pid has the address space of one of the others.
func sharesMemory(pid int, others []int) (bool, error) {
	for _, other := range others {
		order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(pid), uintptr(other), kcmpVM, 0, 0, 0)
		switch {
		case errno == 0 && order == 0:
			return true, nil
		case errno == 0 || errno == unix.ESRCH:
		case errno == unix.ENOSYS:
			return false, errors.New("this kernel does not tell which processes share their memory (CONFIG_KCMP)")
		default:
			return false, fmt.Errorf("compare the memory of processes %d and %d: %w", pid, other, errno)
		}
	}
	return false, nil
}

// parseRollup reads the sums in the form of /proc/<pid>/smaps_rollup; a process
// without memory of its own, a zombie, has none.
func parseRollup(data []byte) (pss, rss cove.ByteSize) {
	for line := range bytes.Lines(data) {
		fields := bytes.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, err := strconv.ParseInt(string(fields[1]), 10, 64)
		if err != nil {
			continue
		}
		switch string(fields[0]) {
		case "Pss:":
			pss = cove.ByteSize(n) * cove.KiB
		case "Rss:":
			rss = cove.ByteSize(n) * cove.KiB
		}
	}
	return pss, rss
}

// tick is the unit of times in /proc/<pid>/stat: USER_HZ is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// processStat is what this package needs of /proc/<pid>/stat.
type processStat struct {
	name   string
	parent int
	cpu    time.Duration
}

func readStat(pid int) (processStat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processStat{}, err
	}
	stat, ok := parseStat(string(data))
	if !ok {
		return processStat{}, fmt.Errorf("process %d has a status in an unknown form", pid)
	}
	return stat, nil
}

// parseStat reads the form of proc_pid_stat(5). The name is whatever the
// process calls itself, with blanks and brackets.
func parseStat(data string) (processStat, bool) {
	begin, end := strings.IndexByte(data, '('), strings.LastIndexByte(data, ')')
	if begin < 0 || end < begin {
		return processStat{}, false
	}
	// From here on the first is field 3 of the manual.
	fields := strings.Fields(data[end+1:])
	if len(fields) < 15 {
		return processStat{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	stat := processStat{name: data[begin+1 : end], parent: parent}
	// utime, stime, cutime, cstime.
	for _, field := range fields[11:15] {
		n, parseErr := strconv.ParseInt(field, 10, 64)
		err = errors.Join(err, parseErr)
		stat.cpu += time.Duration(n) * tick
	}
	return stat, err == nil
}

// ParentOf is the process that started pid, or that took it over, and its name.
func ParentOf(pid int) (parent int, name string, err error) {
	stat, err := readStat(pid)
	if err != nil {
		return 0, "", err
	}
	above, err := readStat(stat.parent)
	return stat.parent, above.name, err
}
