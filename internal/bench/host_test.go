package bench

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestHost(t *testing.T) {
	t.Parallel()
	t.Run("the first line of /proc/stat", func(t *testing.T) {
		t.Parallel()
		var h Host
		if err := h.parseStat([]byte("cpu  100 20 30 4000 50 6 7 80 5 0\ncpu0 1\n")); err != nil {
			t.Fatal(err)
		}
		if h.Busy != 1630*time.Millisecond || h.Idle != 40500*time.Millisecond || h.Steal != 800*time.Millisecond {
			t.Errorf("%+v", h)
		}
		later := Host{At: h.At.Add(time.Second), Busy: h.Busy + 500*time.Millisecond, Idle: h.Idle + time.Second, Steal: h.Steal + 500*time.Millisecond}
		if u := later.Since(h); u.StealPart != 0.25 || u.Busy != 500*time.Millisecond || u.Elapsed != time.Second {
			t.Errorf("%+v", u)
		}
	})
	t.Run("anything else is an error", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "cpu 1 2", "cpu a b c d e f g h"} {
			if err := new(Host).parseStat([]byte(text)); err == nil {
				t.Errorf("%q is read", text)
			}
		}
	})
	t.Run("this machine", func(t *testing.T) {
		t.Parallel()
		if h, err := HostNow(); err != nil || h.Busy <= 0 || h.Idle <= 0 {
			t.Errorf("%+v, %v", h, err)
		}
		if _, err := ProcessCPU(os.Getpid()); err != nil {
			t.Error(err)
		}
		if _, err := ProcessCPU(1 << 30); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	t.Run("control groups of both versions", func(t *testing.T) {
		t.Parallel()
		one, two := t.TempDir(), t.TempDir()
		write := func(path, text string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(filepath.Join(one, "cpuacct.usage"), "1500\n")
		write(filepath.Join(two, "cpu.stat"), "usage_usec 3\nuser_usec 2\n")
		if d, err := GroupCPU(one); err != nil || d != 1500 {
			t.Error(d, err)
		}
		if d, err := GroupCPU(two); err != nil || d != 3*time.Microsecond {
			t.Error(d, err)
		}
		if _, err := GroupCPU(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
}
