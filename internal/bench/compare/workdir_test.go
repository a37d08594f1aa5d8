package compare

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWorkDir(t *testing.T) {
	t.Parallel()
	// old makes a directory as a run does that was killed.
	old := func(t *testing.T, parent string) string {
		t.Helper()
		dir, err := os.MkdirTemp(parent, workPrefix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(dir+"/data", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/data/lock", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		long := time.Now().Add(-time.Hour)
		if err := os.Chtimes(dir, long, long); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	there := func(dir string) bool {
		_, err := os.Stat(dir)
		return err == nil
	}
	t.Run("what a killed run left is removed by the next", func(t *testing.T) {
		t.Parallel()
		parent := t.TempDir()
		left := old(t, parent)
		dir, release, err := workDir(parent)
		if err != nil || !there(dir) || there(left) {
			t.Errorf("%q, %v; of the other: %v", dir, err, there(left))
		}
		if err := release(); err != nil || there(dir) {
			t.Errorf("released: %v, %v", err, there(dir))
		}
	})
	t.Run("what somebody has stays", func(t *testing.T) {
		t.Parallel()
		parent := t.TempDir()
		mine, release, err := workDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		long := time.Now().Add(-time.Hour)
		if err := os.Chtimes(mine, long, long); err != nil {
			t.Fatal(err)
		}
		draining := old(t, parent)
		lock, err := os.Open(draining + "/data/lock")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = lock.Close() }()
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		young := filepath.Join(parent, workPrefix+"young")
		if err := os.Mkdir(young, 0o700); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(parent, workPrefix+"link")
		if err := os.Symlink(t.TempDir(), link); err != nil {
			t.Fatal(err)
		}
		sweep(parent, time.Now().Add(-settled))
		for _, dir := range []string{mine, draining, young, link} {
			if !there(dir) {
				t.Errorf("%s was removed", dir)
			}
		}
		if err := release(); err != nil {
			t.Error(err)
		}
	})
}
