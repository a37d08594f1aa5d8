package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// halves splits the processors into those of the servers and those of the client.
// Under load the two must not share: what a generator takes from one server it
// does not take from another that is slower. A machine of one processor has no
// halves.
func halves() (servers, client unix.CPUSet, each int, err error) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return servers, client, 0, err
	}
	n := all.Count()
	if n < 2 {
		return servers, client, 0, errors.New("this machine has one processor: client and servers need one each")
	}
	for cpu := 0; servers.Count()+client.Count() < n; cpu++ {
		switch {
		case !all.IsSet(cpu):
		case client.Count() < n/2:
			client.Set(cpu)
		default:
			servers.Set(cpu)
		}
	}
	return servers, client, n - n/2, nil
}

// confined is a load's division of the processors.
type confined struct {
	servers unix.CPUSet
	// each is how many processors the servers have.
	each int
}

// confine gives this process the client's processors until the lab is released.
func (l *lab) confine() (*confined, error) {
	servers, client, each, err := halves()
	if err != nil {
		return nil, err
	}
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	threads := runtime.GOMAXPROCS(client.Count())
	l.later(func() error {
		runtime.GOMAXPROCS(threads)
		return pin(os.Getpid(), &before)
	})
	return &confined{servers, each}, pin(os.Getpid(), &client)
}

// start starts c on the servers' processors, where its children will be too.
func (f *confined) start(c *exec.Cmd) error {
	// What a thread starts has its processors.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var own unix.CPUSet
	if err := unix.SchedGetaffinity(0, &own); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &f.servers); err != nil {
		return err
	}
	return errors.Join(c.Start(), unix.SchedSetaffinity(0, &own))
}

// pin gives all threads of a process the processors of set.
func pin(pid int, set *unix.CPUSet) error {
	// Threads that are made meanwhile have the processors of their maker; the
	// second time finds those of one that had not been moved yet.
	for range 2 {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		if err != nil {
			return err
		}
		for _, task := range tasks {
			tid, err := strconv.Atoi(filepath.Base(task))
			if err != nil {
				return err
			}
			if err := unix.SchedSetaffinity(tid, set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("move thread %d of process %d: %w", tid, pid, err)
			}
		}
	}
	return nil
}
