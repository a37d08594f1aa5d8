package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

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

// processes are those that the daemon has caused: its children and theirs, what
// is in its sandboxes' control groups, and containerd's helper of each container.
func (d *daemon) processes() ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	ownerName, err := os.ReadFile(filepath.Join(d.data, "owner"))
	if err != nil {
		return nil, err
	}
	mark := "/cove/" + strings.TrimSpace(string(ownerName)) + "/"
	out, err := command(context.Background(), "docker", "ps", "--quiet", "--no-trunc", "--filter", "label=cove.owner="+strings.TrimSpace(string(ownerName)))
	if err != nil {
		return nil, err
	}
	containers := strings.Fields(out)
	parents, all := map[int]int{}, []int{}
	caused := map[int]bool{}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // It has ended.
		}
		_, after, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
		if fields := strings.Fields(after); len(fields) > 1 {
			parents[pid], _ = strconv.Atoi(fields[1])
		}
		all = append(all, pid)
		groups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		caused[pid] = strings.Contains(string(groups), mark) ||
			slices.ContainsFunc(containers, func(id string) bool { return strings.Contains(string(line), id) })
	}
	var pids []int
	for _, pid := range all {
		for p := pid; p > 1; p = parents[p] {
			if caused[p] || parents[p] == d.cmd.Process.Pid {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids, nil
}
