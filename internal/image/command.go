package image

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// killGrace is how long a program may take to clean up after itself when its
// work is broken off.
const killGrace = 5 * time.Second

// tailLines is how many of a program's last lines an error quotes.
const tailLines = 12

// command is a program that is run to its end.
type command struct {
	args   []string
	dir    string
	env    []string
	stdout io.Writer
	// line is called for every line on its stderr.
	line func(string)
}

// run runs the program in a process group of its own. When ctx ends the whole
// group is asked to end and, after killGrace, killed. Nothing of the group is
// left when run returns.
func (c command) run(ctx context.Context) error {
	// The kernel tells a child that its parent died when the thread that made it
	// ends; so that thread must live as long as the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Stdout = c.dir, c.stdout
	cmd.Env = append(os.Environ(), c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	tail := &lineWriter{line: c.line}
	cmd.Stderr = tail
	// A grandchild that keeps the pipes open must not keep us.
	cmd.WaitDelay = killGrace
	if err := cmd.Start(); err != nil {
		return err
	}
	group := -cmd.Process.Pid
	ended := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		syscall.Kill(group, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(killGrace):
			syscall.Kill(group, syscall.SIGKILL)
		}
	}()
	err := cmd.Wait()
	close(ended)
	<-watched
	syscall.Kill(group, syscall.SIGKILL)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w%s", c.args[0], err, tail.quote())
	}
	return nil
}

// have says whether the program is on the PATH.
func have(program string) bool {
	_, err := exec.LookPath(program)
	return !errors.Is(err, exec.ErrNotFound)
}

// lineWriter cuts what is written into lines, passes them on and keeps the last.
type lineWriter struct {
	line func(string)
	rest []byte
	last []string
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		n, text, _ := bufio.ScanLines(w.rest, false)
		if n == 0 {
			break
		}
		w.add(string(bytes.TrimSpace(text)))
		w.rest = w.rest[n:]
	}
	if len(w.rest) > 1<<16 {
		w.add(string(w.rest))
		w.rest = nil
	}
	return len(p), nil
}

func (w *lineWriter) add(text string) {
	if text == "" {
		return
	}
	w.last = append(w.last, text)
	if len(w.last) > tailLines {
		w.last = w.last[1:]
	}
	if w.line != nil {
		w.line(text)
	}
}

func (w *lineWriter) quote() string {
	if len(w.last) == 0 {
		return ""
	}
	return "; it said:\n  " + strings.Join(w.last, "\n  ")
}
