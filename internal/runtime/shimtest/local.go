package shimtest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/runtime"
)

// Local starts shims as plain processes of this machine, without any isolation.
type Local struct {
	// Runtime is what is started, and Interpreter the program that stands for
	// the first word of its command.
	Runtime     runtime.Runtime
	Interpreter string
	// ShimDir is the directory with the shim's files.
	ShimDir string
}

// Command is the command that starts the shim outside a sandbox.
func (l Local) Command() []string {
	command := []string{l.Interpreter}
	for _, arg := range l.Runtime.Command[1:] {
		command = append(command, strings.Replace(arg, driver.ShimDir, l.ShimDir, 1))
	}
	return command
}

// Start is the method of Starter.
func (l Local) Start(t testing.TB, files map[string]string, env ...string) *Process {
	t.Helper()
	// Paths of unix sockets are short, so not t.TempDir.
	dir, err := os.MkdirTemp("", "shim")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	code := filepath.Join(dir, "code")
	for name, text := range files {
		file := filepath.Join(code, filepath.FromSlash(name))
		check(t, os.MkdirAll(filepath.Dir(file), 0o755))
		check(t, os.WriteFile(file, []byte(text), 0o644))
	}
	check(t, os.MkdirAll(code, 0o755))
	connAt, logAt := filepath.Join(dir, "conn.sock"), filepath.Join(dir, "log.sock")
	connSocket, logSocket := listen(t, connAt), listen(t, logAt)

	command := l.Command()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(append(append([]string{}, l.Runtime.Env...), "COVE_CONN="+connAt, "COVE_LOG="+logAt, "TMPDIR="+dir), env...)
	// A file, in which one can seek, unlike in the stream that takes its place: a
	// shim must not rest on what it was started with.
	early, err := os.Create(filepath.Join(dir, "early.log"))
	check(t, err)
	defer early.Close()
	cmd.Stdout, cmd.Stderr = early, early
	cmd.Dir = dir
	check(t, cmd.Start())
	ended, code0 := make(chan struct{}), 0
	go func() {
		_ = cmd.Wait()
		code0 = cmd.ProcessState.ExitCode()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	t.Cleanup(func() {
		if text, _ := os.ReadFile(early.Name()); len(text) > 0 {
			t.Logf("written before the log stream was there: %s", text)
		}
	})
	stdout := accept(t, logSocket)
	stderr := accept(t, logSocket)
	conn := accept(t, connSocket)
	_, _ = logSocket.Close(), connSocket.Close()
	return &Process{Conn: conn, Stdout: stdout, Stderr: stderr, CodeDir: code, Wait: func(ctx context.Context) (int, error) {
		select {
		case <-ended:
			return code0, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}}
}

func listen(t testing.TB, path string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	check(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// accept takes one of the connections that a socket is for.
func accept(t testing.TB, l *net.UnixListener) net.Conn {
	t.Helper()
	check(t, l.SetDeadline(time.Now().Add(patience)))
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("the shim did not connect: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
