package compare

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// workPrefix begins the name of every run's directory.
	workPrefix = "cove-compare-"
	// settled is how old a directory must be to be looked at: a younger one may be
	// of a run that has not locked it yet.
	settled = time.Minute
)

// workDir makes the directory of a run in parent, and removes those that runs left
// which were killed. Release removes it.
func workDir(parent string) (dir string, release func() error, err error) {
	sweep(parent, time.Now().Add(-settled))
	if dir, err = os.MkdirTemp(parent, workPrefix); err != nil {
		return "", nil, err
	}
	// The lock is this process's, and goes with it.
	lock, err := os.Open(dir)
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	release = func() error { return errors.Join(os.RemoveAll(dir), lock.Close()) }
	if err != nil {
		return "", nil, errors.Join(err, release())
	}
	return dir, release, nil
}

// sweep removes directories of runs that were made before a time and that nobody
// has any more: neither a run nor its daemon. What cannot be removed stays for the
// next one.
func sweep(parent string, before time.Time) {
	dirs, _ := filepath.Glob(filepath.Join(parent, workPrefix+"*"))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return
	}
	for _, dir := range dirs {
		// In what is mounted there is more than the run's own.
		if !strings.Contains(string(mounts), " "+dir) && abandoned(dir, before) {
			_ = os.RemoveAll(dir)
		}
	}
}

// abandoned says whether dir is a directory of this user's, made before a time,
// that no process has locked, and whose daemon has not locked its data.
func abandoned(dir string, before time.Time) bool {
	var s unix.Stat_t
	if unix.Lstat(dir, &s) != nil || s.Mode&unix.S_IFMT != unix.S_IFDIR || int(s.Uid) != os.Geteuid() || time.Unix(s.Mtim.Unix()).After(before) {
		return false
	}
	return free(dir) && free(filepath.Join(dir, "data", "lock"))
}

// free says whether nobody has a lock on a file. One that is not there is free.
func free(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return os.IsNotExist(err)
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
