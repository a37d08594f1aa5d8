package app

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestADirectoryIsLockedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(dir); err == nil || !strings.Contains(err.Error(), "another cove serve") {
		t.Errorf("a second lock: %v", err)
	}
	// What a child has of it that is being forked right now does not keep it.
	child, err := duplicate(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer child.Close()
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}

// duplicate gives another descriptor of the file that this process has open at path.
func duplicate(path string) (*os.File, error) {
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		return nil, err
	}
	for _, link := range fds {
		if at, err := os.Readlink(link); err != nil || at != path {
			continue
		}
		number, err := strconv.Atoi(filepath.Base(link))
		if err != nil {
			return nil, err
		}
		fd, err := unix.FcntlInt(uintptr(number), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), path), nil
	}
	return nil, errors.New("this process does not have it open")
}
