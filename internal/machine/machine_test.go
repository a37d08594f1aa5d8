package machine

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMeter(t *testing.T) {
	t.Parallel()
	t.Run("the machine is described", func(t *testing.T) {
		t.Parallel()
		m, err := New(t.TempDir(), func() (time.Duration, cove.ByteSize) { return 0, 300 * cove.MiB })
		if err != nil {
			t.Fatal(err)
		}
		h := m.Now()
		if h.CPUs < 1 || h.Memory < 100*cove.MiB || h.MemoryUsed <= 0 || h.MemoryUsed > h.Memory || h.DiskTotal <= 0 || h.DiskFree > h.DiskTotal ||
			h.DaemonMem < cove.MiB || h.Goroutines < 1 || h.Kernel == "" || h.SandboxUsed != 300*cove.MiB {
			t.Errorf("got %+v", h)
		}
	})
	t.Run("processors are those used between two looks", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			used := time.Hour
			m, err := New(t.TempDir(), func() (time.Duration, cove.ByteSize) { return used, 0 })
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(Interval)
			used += 3 * time.Second
			if err := m.RunOnce(); err != nil {
				t.Fatal(err)
			}
			if got := m.Now().SandboxCPU; got != 1.5 {
				t.Errorf("3 s of processor time in %s are %g", Interval, got)
			}
		})
	})
	t.Run("a counter that began again counts nothing", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			used := time.Hour
			m, err := New(t.TempDir(), func() (time.Duration, cove.ByteSize) { return used, 0 })
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(Interval)
			used = time.Second
			if err := m.RunOnce(); err != nil {
				t.Fatal(err)
			}
			if got := m.Now().SandboxCPU; got != 0 {
				t.Errorf("got %g", got)
			}
		})
	})
	t.Run("a directory that is not there is told", func(t *testing.T) {
		t.Parallel()
		if _, err := New(t.TempDir()+"/none", func() (time.Duration, cove.ByteSize) { return 0, 0 }); err == nil {
			t.Error("no error")
		}
	})
}

func TestMeminfoThatIsNotWholeIsTold(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "MemTotal: x kB\n", "MemTotal: 10 kB\nMemAvailable: 20 kB\n", "MemTotal: -1 kB\n"} {
		if _, _, err := parseMeminfo([]byte(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}
