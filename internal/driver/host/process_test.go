package host

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestProcess(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) *exec.Cmd {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	isDone := func(p *Process) bool {
		select {
		case <-p.Done():
			return true
		case <-time.After(5 * time.Second):
			return false
		}
	}

	t.Run("the end of a process is seen before anybody has waited for it", func(t *testing.T) {
		t.Parallel()
		cmd := start(t)
		p, err := WatchProcess(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		if err := p.Signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if !isDone(p) {
			t.Fatal("Done was not closed")
		}
		_ = cmd.Wait()
		if err := p.Signal(unix.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("a signal to what has ended: %v", err)
		}
	})

	t.Run("Close ends the watch without pretending that the process had ended", func(t *testing.T) {
		t.Parallel()
		cmd := start(t)
		p, err := WatchProcess(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := p.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		select {
		case <-p.Done():
			t.Error("Done was closed while the process runs")
		default:
		}
	})

	t.Run("a process that does not exist cannot be watched", func(t *testing.T) {
		t.Parallel()
		cmd := start(t)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if _, err := WatchProcess(cmd.Process.Pid); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("got %v", err)
		}
	})
}
