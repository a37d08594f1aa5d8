package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove/internal/driver"
)

// ErrStopped is what Thaw and Freeze return after Stop: what was stopped never
// runs again.
var ErrStopped = errors.New("the control group was stopped")

// Cgroup is the control group of one sandbox. It outlives the runtime's own
// group beneath it, so that what a sandbox used and how it died can be read
// after its end. It is safe for concurrent use.
type Cgroup struct {
	set   *Cgroups
	path  string
	owned bool
	ops   groupOps

	// mu orders the writes that freeze and thaw. It is never held while waiting,
	// so that Stop need not wait for anybody.
	mu      sync.Mutex
	stopped bool
	killed  bool
}

// groupOps is what differs between the versions.
type groupOps interface {
	// begin makes ready a group that was just made.
	begin() error
	// open opens what is read often. With must it fails when a file is missing.
	open(must bool) error
	close() error
	// adopt prepares a group that was made, and will be removed, by another.
	adopt() error
	setLimits(l driver.Limits, fresh bool) error
	// lift gives the group the normal weight for processor time, also when it is
	// one of the background, and lower undoes that. A process has to run to be
	// frozen or to die, and one in the background may not get to for as long as
	// others are busy.
	lift() error
	lower() error
	// demote makes a process outside step back as the group does.
	demote(pid int) error
	usage() (driver.Usage, error)
	cpuTime() (time.Duration, error)
	oomKilled() (bool, error)
	setFrozen(frozen bool) error
	frozen() (bool, error)
	// killAll kills every process by one call, where the kernel can.
	killAll() error
	// procsDir is the directory whose tree lists the processes.
	procsDir() string
}

// Parent is the group as a runtime wants it: the path from the root of every
// hierarchy, with a leading slash.
func (c *Cgroup) Parent() string { return "/" + c.path }

// SystemdParent is the slice to give as parent to a Docker that uses the
// systemd cgroup driver. systemd makes and removes what is beneath it as it
// likes, so there the limits must also be given to Docker, this group bounds
// and measures nothing, and Cgroups.Adopt of the container's first process is
// the handle to use. The slice itself is systemd's: empty, it stays until systemd
// is told to stop it.
func (c *Cgroup) SystemdParent() string {
	owner, _, _ := strings.Cut(strings.TrimPrefix(c.path, groupRoot+"/"), "/")
	return groupRoot + "-" + owner + ".slice"
}

// Usage is what all processes in the group and beneath used so far. It reads
// three open files. After the end it goes on to work until Remove.
func (c *Cgroup) Usage() (driver.Usage, error) { return c.ops.usage() }

// CPU is the processor time of Usage alone, which is one of the files.
func (c *Cgroup) CPU() (time.Duration, error) { return c.ops.cpuTime() }

// OOMKilled says whether the kernel killed a process in the group for want of
// memory within its limit.
func (c *Cgroup) OOMKilled() (bool, error) { return c.ops.oomKilled() }

// Resize sets memory, CPU, pids and the weight anew; a number that is zero
// stays as it is. A memory limit below what is in use is driver.ErrRefused.
func (c *Cgroup) Resize(l driver.Limits) error {
	err := c.ops.setLimits(l, false)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("change the limits of %s: %w: it holds more than %s: %w", c.path, driver.ErrRefused, l.Memory, err)
	}
	if err != nil {
		return fmt.Errorf("change the limits of %s: %w", c.path, err)
	}
	return nil
}

// Demote makes a process that is not in the group, but works for it, step back
// for other sandboxes as much as a group of the background does, or nearly.
// What it starts from now on does too, until it is put elsewhere. A process
// that has ended is no error.
func (c *Cgroup) Demote(pid int) error {
	if err := c.ops.demote(pid); err != nil {
		return fmt.Errorf("lower the priority of process %d: %w", pid, err)
	}
	return nil
}

// Freeze returns when nothing in the group runs any more, which takes about a
// millisecond, or with an error when ctx ends first; the group may then freeze
// later, and Thaw undoes that.
func (c *Cgroup) Freeze(ctx context.Context) error {
	if err := gone(c.ops.lift()); err != nil {
		return err
	}
	err := c.setFrozen(true, false)
	if err == nil {
		err = c.awaitFrozen(ctx, false)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		err = errors.Join(err, gone(c.ops.lower()))
	}
	return err
}

// Thaw lets everything in the group go on.
func (c *Cgroup) Thaw() error { return c.setFrozen(false, false) }

// freezePatience is how long Stop waits for a group to be frozen. Most are in a
// millisecond or two; a driver's caller waits for 20 ms at most.
const freezePatience = 12 * time.Millisecond

// Stop is Freeze for good: no Thaw undoes it, not one that runs at the same
// time either, and only Kill and Remove make sense afterwards. It waits for no
// other method. What is not frozen within freezePatience, or before ctx ends, is
// killed.
func (c *Cgroup) Stop(ctx context.Context) error {
	err := c.setFrozen(true, true)
	if err == nil {
		err = gone(c.ops.lift())
	}
	if err == nil {
		// A caller waits for the answer that follows. What is not frozen by then
		// is killed: neither lets anything go back to its own code.
		patience, cancel := context.WithTimeout(ctx, freezePatience)
		err = c.awaitFrozen(patience, true)
		cancel()
	}
	if err == nil {
		return nil
	}
	if killErr := c.signalAll(); killErr != nil {
		return errors.Join(fmt.Errorf("stop %s: %w", c.path, err), killErr)
	}
	return nil
}

func (c *Cgroup) setFrozen(frozen, forGood bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped && !forGood {
		return ErrStopped
	}
	c.stopped = c.stopped || forGood
	if c.killed {
		return nil
	}
	return gone(c.ops.setFrozen(frozen))
}

// awaitFrozen polls, at first in steps of the time it takes on an idle host.
func (c *Cgroup) awaitFrozen(ctx context.Context, forGood bool) error {
	for wait := 20 * time.Microsecond; ; wait = min(2*wait, 2*time.Millisecond) {
		frozen, err := c.ops.frozen()
		if isGone(err) {
			return nil
		}
		c.mu.Lock()
		frozen = frozen || c.killed
		c.mu.Unlock()
		if err != nil || frozen {
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return fmt.Errorf("freeze %s: %w", c.path, err)
		}
		if wait >= 2*time.Millisecond {
			// Version 1 can miss a process that was just being made; asking again
			// asks every process again.
			if err := c.setFrozen(true, forGood); err != nil {
				return err
			}
		}
	}
}

// freezeBeforeKill bounds the freeze that Kill begins with. What does not
// freeze hangs in the kernel, and cannot fork while it does.
const freezeBeforeKill = 50 * time.Millisecond

// Kill ends everything in the group and beneath, whatever state it is in, and
// returns when no process is left in it, or with ctx's error. It is free of the
// race with a process that forks faster than one can kill: nothing runs while
// the signals are sent.
func (c *Cgroup) Kill(ctx context.Context) error {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	if err := gone(c.ops.lift()); err != nil {
		return err
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		if empty, err := c.Empty(); err != nil || empty {
			return err
		}
		if err := c.killOnce(ctx); err != nil {
			return fmt.Errorf("kill everything in %s: %w", c.path, err)
		}
		if empty, err := c.Empty(); err != nil || empty {
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return fmt.Errorf("wait for the end of what is in %s: %w", c.path, err)
		}
	}
}

func (c *Cgroup) killOnce(ctx context.Context) error {
	if err := c.ops.killAll(); err == nil || !errors.Is(err, errors.ErrUnsupported) {
		return gone(err)
	}
	if err := gone(c.ops.setFrozen(true)); err != nil {
		return err
	}
	frozen, cancel := context.WithTimeout(ctx, freezeBeforeKill)
	// Frozen or not, the signals are sent; Kill comes again for what escaped.
	_ = c.awaitFrozen(frozen, true)
	cancel()
	return c.signalAll()
}

// signalAll sends SIGKILL to everything in the group and thaws it, upon which
// it dies without having run.
func (c *Cgroup) signalAll() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := gone(c.ops.killAll()); !errors.Is(err, errors.ErrUnsupported) {
		c.killed = c.killed || err == nil
		return err
	}
	tree, err := groupTree(c.ops.procsDir())
	errs := []error{err}
	for _, dir := range tree {
		pids, err := readPIDs(dir)
		errs = append(errs, err)
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				errs = append(errs, fmt.Errorf("kill process %d: %w", pid, err))
			}
		}
	}
	c.killed = true
	return errors.Join(append(errs, gone(c.ops.setFrozen(false)))...)
}

// Empty says whether no process is left in the group or beneath.
func (c *Cgroup) Empty() (bool, error) {
	tree, err := groupTree(c.ops.procsDir())
	if err != nil {
		return false, err
	}
	for _, dir := range tree {
		if pids, err := readPIDs(dir); err != nil || len(pids) > 0 {
			return false, err
		}
	}
	return true, nil
}

// Processes lists the processes in the group and beneath.
func (c *Cgroup) Processes() ([]int, error) {
	tree, err := groupTree(c.ops.procsDir())
	if err != nil {
		return nil, err
	}
	var all []int
	for _, dir := range tree {
		pids, err := readPIDs(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, pids...)
	}
	return all, nil
}

// Close gives back what the handle holds open and leaves the group as it is.
func (c *Cgroup) Close() error { return c.ops.close() }

// removePatience is how long Remove waits for the kernel, which takes its time
// to let go of what has just died.
const removePatience = 2 * time.Second

// Remove closes the group and removes it with all beneath, in every hierarchy.
// What is in it must have been killed. It may be called again. A group that was
// adopted is only closed.
func (c *Cgroup) Remove() error {
	closeErr := c.ops.close()
	if !c.owned {
		return closeErr
	}
	dirs := c.set.dirs(c.path)
	deadline := time.Now().Add(removePatience)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := removeGroups(dirs)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return errors.Join(err, closeErr)
		}
		time.Sleep(wait)
	}
	c.set.removeParents(c.path)
	return closeErr
}

// sleep waits for d, or returns the reason why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
