package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
)

// A runtime that can is not kept while its sandbox runs. runsc in the
// foreground is a process that waits, and holds 4 MiB for each idle instance.
// It is told to detach, and what it would have waited for is asked of the
// sandbox itself, by the call that runsc makes for that (containerManager.Wait on
// its control socket). The sandbox's processes are then children of the first
// process of the host, which reaps them; where Cove itself is the first, in a
// container without an init, nobody would, and the runtime stays.

// detachable says whether sandboxes can go on without their runtime here.
func (f flavour) detachable() bool { return f.detach && os.Getpid() != 1 }

// pidFile is where a runtime that detaches leaves the number of the sandbox's
// process.
func pidFile(o Options, id string) string { return filepath.Join(bundleOf(o, id), "pid") }

// follow waits for the end of a sandbox whose runtime has detached from it.
func (s *sandbox) follow() (driver.Exit, error) {
	process, err := s.watch()
	if err != nil {
		return driver.Exit{Code: -1}, err
	}
	if process == nil && !s.question.asked() {
		return killed, nil
	}
	exit, err := s.askForEnd()
	if process != nil {
		<-process.Done()
		_ = process.Close()
	}
	return exit, err
}

// watch is the sandbox's process, nil if it has ended.
func (s *sandbox) watch() (*host.Process, error) {
	data, err := os.ReadFile(pidFile(s.driver.options, s.id))
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, fmt.Errorf("the runtime left no number of a process: %w", err)
	}
	process, err := host.WatchProcess(pid)
	if errors.Is(err, os.ErrProcessDone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// Only now, while it is watched, is the number known to be still its own.
	if all, err := s.group.Processes(); err != nil || !slices.Contains(all, pid) {
		return nil, errors.Join(err, process.Close())
	}
	return process, nil
}

// killed is the end of what died without saying how.
var killed = driver.Exit{Code: 128 + int(unix.SIGKILL), Signal: int(unix.SIGKILL)}

// maxAnswer bounds what is read from a sandbox's control socket: it is answered
// by what holds the function, and need not be believed at any length.
const maxAnswer = 64 << 10

// question is a connection that is made once, and not after close.
type question struct {
	mu   sync.Mutex
	conn net.Conn
	over bool
}

func (q *question) asked() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.conn != nil
}

func (q *question) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	if q.conn != nil {
		_ = q.conn.Close()
	}
}

// ask asks gVisor for the end of the first process inside, if nobody has yet. The
// answer is what comes on the connection, when there is one.
func (s *sandbox) ask() (net.Conn, error) {
	q := &s.question
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.conn != nil {
		return q.conn, nil
	}
	if q.over {
		return nil, net.ErrClosed
	}
	conn, err := s.dialControl()
	if err != nil {
		return nil, err
	}
	call := struct {
		Method string `json:"method"`
		Arg    string `json:"arg"`
	}{"containerManager.Wait", s.id}
	// To what cannot be sent there is no answer, and that is told where it is read.
	_ = json.NewEncoder(conn).Encode(call)
	q.conn = conn
	return conn, nil
}

// askForEnd asks, and waits for the answer. A sandbox that is killed does not
// answer.
func (s *sandbox) askForEnd() (driver.Exit, error) {
	conn, err := s.ask()
	if err != nil {
		return killed, err
	}
	defer func() { _ = conn.Close() }() // Its process waits for that.
	var answer struct {
		Success bool   `json:"success"`
		Err     string `json:"err"`
		Result  uint32 `json:"result"`
	}
	err = json.NewDecoder(io.LimitReader(conn, maxAnswer)).Decode(&answer)
	if _, failed := errors.AsType[*net.OpError](err); failed || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		// Its end has cut the connection.
		return killed, nil
	}
	if err != nil || !answer.Success {
		return driver.Exit{Code: -1}, fmt.Errorf("ask the sandbox how it ended: %w", errors.Join(err, errors.New(answer.Err)))
	}
	status := syscall.WaitStatus(answer.Result)
	if status.Signaled() {
		// As a runtime in the foreground would end.
		return driver.Exit{Code: 128 + int(status.Signal()), Signal: int(status.Signal())}, nil
	}
	return exitOf(status), nil
}

// dialControl connects to gVisor's control socket, which is in the state
// directory unless that has too long a path.
func (s *sandbox) dialControl() (net.Conn, error) {
	var errs []error
	for _, dir := range controlDirs(s.driver.options) {
		conn, err := dialIn(dir, controlSocket(s.id))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// dialIn connects to the socket name in dir, whose path may be longer than the
// address of a socket can be.
func dialIn(dir, name string) (net.Conn, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }()
	return net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name))
}

// controlSocket is the name of gVisor's control socket, and controlDirs are
// where it may be.
func controlSocket(id string) string { return "runsc-" + id + ".sock" }

func controlDirs(o Options) []string { return []string{o.StateDir, "/var/run", "/run", "/tmp"} }
