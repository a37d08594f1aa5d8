package compare

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/covefn/cove/internal/bench"
)

const (
	// tick is the unit of processor time in /proc/PID/stat.
	tick = 10 * time.Millisecond
	// initPID reaps what others leave behind.
	initPID = 1
)

// meter tells the processor time that the daemon and everything it sets to work
// use: that of the whole machine, less that of every process that is none of
// these, this program's among them, and less what is left of both while nothing is
// asked for. So nothing is missed that ends quickly, that somebody else started or
// that the kernel does, and other programs on the machine do little harm.
type meter struct {
	// daemon is its process; mark is in the paths of its sandboxes' control groups.
	daemon int
	mark   string

	host    bench.Host
	foreign map[int]process
	rest    float64
}

// process is one that is foreign.
type process struct {
	// cpu is its own time and that of the children it has waited for.
	cpu    time.Duration
	parent int
}

// newMeter is a meter for a daemon whose data directory is data.
func newMeter(daemon int, data string) (*meter, error) {
	owner, err := os.ReadFile(filepath.Join(data, "owner"))
	if err != nil {
		return nil, err
	}
	return &meter{daemon: daemon, mark: "/" + strings.TrimSpace(string(owner))}, nil
}

// begin watches the machine at rest, and begins to count.
func (m *meter) begin() error {
	if err := m.read(); err != nil {
		return err
	}
	used, elapsed, err := m.lap()
	m.rest = max(0, used.Seconds()/elapsed.Seconds())
	return err
}

// lap lets the machine rest for a moment.
func (m *meter) lap() (used, elapsed time.Duration, err error) {
	time.Sleep(restTime)
	return m.since()
}

// used is what was used since begin, in CPU seconds. The machine is watched once
// more afterwards; what it does at rest is taken as the mean of the two.
func (m *meter) used() (float64, error) {
	used, elapsed, err := m.since()
	if err != nil {
		return 0, err
	}
	after, span, err := m.lap()
	if err != nil {
		return 0, err
	}
	m.rest = (m.rest + max(0, after.Seconds()/span.Seconds())) / 2
	return max(0, used.Seconds()-m.rest*elapsed.Seconds()), nil
}

// since is what was used since the last reading, which this one replaces.
func (m *meter) since() (used, elapsed time.Duration, err error) {
	host, before := m.host, m.foreign
	if err := m.read(); err != nil {
		return 0, 0, err
	}
	u := m.host.Since(host)
	return u.Busy - grown(before, m.foreign, u.Elapsed*time.Duration(runtime.NumCPU())), u.Elapsed, nil
}

// grown is the processor time of foreign processes between two readings, of which
// none can have had more than most. One that has ended is in the time of the one
// that waited for it, with all that it had before the first reading, which is taken
// off there: of the nearest of its ancestors that still lives. Where that one has
// grown by less, somebody else has waited, and nothing is taken off.
func grown(before, after map[int]process, most time.Duration) time.Duration {
	ended := map[int]time.Duration{}
	for pid, p := range before {
		if _, lives := after[pid]; !lives {
			ended[ancestor(p, before, after)] += p.cpu
		}
	}
	var sum time.Duration
	for pid, p := range after {
		own := p.cpu - before[pid].cpu
		if own >= ended[pid] {
			own -= ended[pid]
		}
		sum += min(max(own, 0), most)
	}
	return sum
}

// ancestor is the nearest one of p's that is in after.
func ancestor(p process, before, after map[int]process) int {
	for range len(before) {
		if _, lives := after[p.parent]; lives {
			return p.parent
		}
		up, known := before[p.parent]
		if !known {
			break
		}
		p = up
	}
	return initPID
}

func (m *meter) read() (err error) {
	if m.host, err = bench.HostNow(); err != nil {
		return err
	}
	m.foreign, err = m.strangers()
	return err
}

// helper says whether a program of this name works for isolations, whoever started
// it. Only those count that nobody else waits for: the time of a foreign process's
// children is in its own. The kernel keeps 15 characters of a name.
func helper(name string) bool {
	return name == "dockerd" || name == "containerd" || strings.HasPrefix(name, "containerd-shim")
}

// strangers are all processes that have nothing to do with the daemon.
func (m *meter) strangers() (map[int]process, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	all, ours := map[int]process{}, map[int]bool{m.daemon: true}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		p, name, ok := readProcess(dir)
		if !ok {
			continue // It has ended.
		}
		all[pid] = p
		kernel := p.parent == 0 && pid != initPID
		ours[pid] = ours[pid] || kernel || helper(name) || p.parent == initPID && m.marked(dir)
	}
	out := map[int]process{}
	for pid, p := range all {
		if !descends(pid, all, ours) {
			out[pid] = p
		}
	}
	return out, nil
}

// marked says whether the process of a directory in /proc is in a sandbox of the
// daemon, as one is that its starter has left behind.
func (m *meter) marked(dir string) bool {
	groups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
	return bytes.Contains(groups, []byte(m.mark))
}

// descends says whether pid or one of those it descends from is ours.
func descends(pid int, all map[int]process, ours map[int]bool) bool {
	for range len(all) {
		if ours[pid] {
			return true
		}
		p, ok := all[pid]
		if !ok || p.parent <= initPID {
			return false
		}
		pid = p.parent
	}
	return false
}

// readProcess reads the stat file in a process's directory. Of init it leaves the
// children's time out: init also waits for helpers of the isolations.
func readProcess(dir string) (p process, name string, ok bool) {
	data, err := os.ReadFile(filepath.Join(dir, "stat"))
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if err != nil || open < 0 || end < open {
		return p, "", false
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 15 {
		return p, "", false
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return n
	}
	p.parent = int(number(1))
	ticks := number(11) + number(12)
	if filepath.Base(dir) != strconv.Itoa(initPID) {
		ticks += number(13) + number(14)
	}
	p.cpu = time.Duration(ticks) * tick
	return p, string(data[open+1 : end]), true
}
