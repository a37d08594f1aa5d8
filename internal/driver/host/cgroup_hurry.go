package host

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// hurryEvery is how often the lock is taken while somebody is in a hurry. The
// kernel's grace period, after which the lock would be slow again, is about
// 10 ms on a machine with little to do, and longer otherwise.
const hurryEvery = 4 * time.Millisecond

// hurry keeps quick what moves processes between groups of version 1.
//
// To move a process, the kernel locks out everything that forks, executes or
// exits. The lock costs those nearly nothing, and whoever moves a process a
// grace period of RCU, which is 10 to 15 ms on an idle machine. But for some
// time after it was taken it is cheap to take again. A runtime that starts a
// sandbox moves processes two times or more, with a pause in between, so that it
// waits each time: 25 of 125 ms of a start of runsc. Taking the lock all the
// while, by moving this process to where it is, lets it wait for nothing.
type hurry struct {
	mu   sync.Mutex
	many int
	stop chan struct{}
}

// Hurry is called by who is about to have a sandbox started, and done when it
// has started. In between, moving processes between groups takes microseconds.
// It changes nothing on the host, and only ever makes things faster: where it is
// not possible, or not needed since version 2 starts processes in their group,
// it does nothing. done may be called once.
func (s *Cgroups) Hurry() (done func()) {
	if s.version != 1 {
		return func() {}
	}
	h := &s.hurry
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.many++; h.many == 1 {
		h.stop = make(chan struct{})
		go s.keepMoving(h.stop)
	}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.many--; h.many == 0 {
			close(h.stop)
		}
	}
}

// keepMoving moves this process into its own group until stop is closed. It
// uses the freezer's hierarchy, in which no manager of services moves processes
// around.
func (s *Cgroups) keepMoving(stop <-chan struct{}) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return
	}
	own, ok := groupOf(string(data), "freezer")
	if !ok || strings.Contains(own, "..") {
		return
	}
	file := filepath.Join(s.mounts["freezer"], own, "cgroup.procs")
	again := time.NewTicker(hurryEvery)
	defer again.Stop()
	for {
		// 0 is whoever writes it. An error means that this does not work here.
		if err := writeFile(file, "0"); err != nil {
			return
		}
		select {
		case <-stop:
			return
		case <-again.C:
		}
	}
}
