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
	data, err := os.ReadFile(pidFile(s.driver.options, s.id))
	if err != nil {
		return driver.Exit{Code: -1}, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return driver.Exit{Code: -1}, fmt.Errorf("the runtime left no number of a process: %w", err)
	}
	process, err := host.WatchProcess(pid)
	if errors.Is(err, os.ErrProcessDone) {
		return killed, nil
	}
	if err != nil {
		return driver.Exit{Code: -1}, err
	}
	defer func() { _ = process.Close() }()
	// Only now, while it is watched, is the number known to be still its own.
	if all, err := s.group.Processes(); err != nil || !slices.Contains(all, pid) {
		return killed, err
	}
	exit, err := s.askForEnd()
	<-process.Done()
	return exit, err
}

// killed is the end of what died without saying how.
var killed = driver.Exit{Code: 128 + int(unix.SIGKILL), Signal: int(unix.SIGKILL)}

// maxAnswer bounds what is read from a sandbox's control socket: it is answered
// by what holds the function, and need not be believed at any length.
const maxAnswer = 64 << 10

// askForEnd asks gVisor for the end of the first process inside, and waits for
// it. A sandbox that is killed does not answer.
func (s *sandbox) askForEnd() (driver.Exit, error) {
	conn, err := s.dialControl()
	if err != nil {
		return killed, err
	}
	defer func() { _ = conn.Close() }()
	call := struct {
		Method string `json:"method"`
		Arg    string `json:"arg"`
	}{"containerManager.Wait", s.id}
	if err := json.NewEncoder(conn).Encode(call); err != nil {
		return killed, nil
	}
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
