package host

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// weight is how a group's processor time weighs against that of its
// neighbours: the same as theirs, or as little as the kernel knows.
//
// Where there is cpu.idle (Linux 5.15) it is used: what is in a group of it
// also makes way at once for whatever else wakes up, instead of at the end of
// its slice. Elsewhere the weight is the lowest that can be written.
type weight struct {
	// dir is the group's directory, and file the one with its weight:
	// "cpu.shares" in version 1, "cpu.weight" in version 2.
	dir, file string
	// lowest and normal are values of file. The normal one is what the kernel
	// gives a group that is new.
	lowest, normal int

	mu sync.Mutex
	// parts is what the normal weight is divided by; 0 is 1.
	parts int
	// now is what was set last, and lifted says that lift has overruled it.
	now    priority
	lifted bool
}

// priority is what a weight can be.
type priority int

const (
	// asFound is that of a group which somebody else has made.
	asFound priority = iota
	normalPriority
	backgroundPriority
)

// set makes the group one of the background, or like any other, of which its
// weight is one of so many parts; 0 leaves them as they are. Setting what is set
// costs nothing.
func (w *weight) set(background bool, parts int) error {
	want := normalPriority
	if background {
		want = backgroundPriority
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if parts == 0 {
		parts = w.parts
	}
	if w.now == want && !w.lifted && w.parts == parts {
		return nil
	}
	before := w.parts
	w.parts = parts
	if err := w.write(want); err != nil {
		w.parts = before
		return err
	}
	w.now, w.lifted = want, false
	return nil
}

// lift makes a group of the background like any other until lower or set.
func (w *weight) lift() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now != backgroundPriority || w.lifted {
		return nil
	}
	err := w.write(normalPriority)
	w.lifted = err == nil
	return err
}

// lower undoes lift.
func (w *weight) lower() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.lifted {
		return nil
	}
	err := w.write(backgroundPriority)
	w.lifted = err != nil
	return err
}

func (w *weight) write(want priority) error {
	idle, value := "0", max(w.lowest, w.normal/max(1, w.parts))
	if want == backgroundPriority {
		idle, value = "1", w.lowest
	}
	if w.now != want || w.lifted || want == backgroundPriority {
		err := writeFile(filepath.Join(w.dir, "cpu.idle"), idle)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// An old kernel: there is only the weight.
		case err != nil:
			return err
		case want == backgroundPriority || w.now == backgroundPriority && w.parts <= 1:
			// The kernel has set the weight that goes with it.
			return nil
		}
	}
	return writeFile(filepath.Join(w.dir, w.file), strconv.Itoa(value))
}

// helperNice is how much a helper of a background sandbox steps back where it
// cannot be put into the sandbox's group: to a tenth of the usual weight.
const helperNice = 10

// stepBack lowers the priority of a process that is in none of Cove's groups,
// and of what it starts from now on.
func stepBack(pid int) error {
	err := unix.Setpriority(unix.PRIO_PROCESS, pid, helperNice)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
