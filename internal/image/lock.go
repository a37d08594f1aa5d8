package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a lock that another process holds is tried again.
const lockPoll = 100 * time.Millisecond

// lockImage waits until no other process works on the image and returns the way
// to let the next one. The lock vanishes with the process that holds it.
func (s *Store) lockImage(ctx context.Context, name string, progress Progress) (unlock func(), err error) {
	dir := filepath.Join(s.dir, locksDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for told := false; ; told = true {
		locked, err := tryLock(f, unix.LOCK_EX)
		if locked {
			return func() { _ = release(f) }, nil
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock image %s: %w", name, err)
		}
		if !told {
			progress.Step("waiting for another cove that works on " + name)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
}

// tryLock takes a lock of the kind how on f if that is possible at once.
func tryLock(f *os.File, how int) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		default:
			return false, err
		}
	}
}

// release gives a lock back and closes its file. Closing alone would leave the lock
// with a child that is being forked right now, until it has begun its program.
func release(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

// hold takes a shared lock on the directory, so that no process removes it
// before the returned file is released.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	locked, err := tryLock(f, unix.LOCK_SH)
	if err == nil && !locked {
		err = errBeingRemoved
	}
	if err == nil {
		err = sameFile(f, dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

var errBeingRemoved = errors.New("it is being removed")

// sameFile says whether the open file is still the one at path: between open
// and lock somebody may have removed it.
func sameFile(f *os.File, path string) error {
	have, err := f.Stat()
	if err != nil {
		return err
	}
	want, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(have, want) {
		return errBeingRemoved
	}
	return nil
}

// removeUnheld removes the directory unless somebody holds it, and says whether
// it did. It leaves the name in one step and is taken apart in trash.
func removeUnheld(dir, trash string) (bool, error) {
	f, err := os.Open(dir)
	if err != nil {
		return errors.Is(err, os.ErrNotExist), ignoreNotExist(err)
	}
	defer release(f)
	locked, err := tryLock(f, unix.LOCK_EX)
	if err != nil || !locked {
		return false, err
	}
	if err := os.MkdirAll(trash, 0o755); err != nil {
		return false, err
	}
	gone := filepath.Join(trash, filepath.Base(dir))
	if err := removeTree(gone); err != nil {
		return false, err
	}
	if err := os.Rename(dir, gone); err != nil {
		return false, err
	}
	return true, removeTree(gone)
}

func ignoreNotExist(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// removeTree removes dir and all in it. What is mounted in it, by a build that
// was killed, is unmounted first: it must never be emptied.
func removeTree(dir string) error {
	mounts, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if err := unix.Unmount(m, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmount %s: %w", m, err)
		}
	}
	return os.RemoveAll(dir)
}

// mountsBelow are the mount points in dir, the innermost first.
func mountsBelow(dir string) ([]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []string
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if point := unescape.Replace(fields[4]); strings.HasPrefix(point, dir+"/") {
			found = append(found, point)
		}
	}
	slices.Reverse(found)
	return found, nil
}
