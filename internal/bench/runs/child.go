package runs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// endTime is how long a child may take to end everything that it started, its own
// daemon with all its sandboxes; then it is killed.
const endTime = 105 * time.Second

// reason is why a child was told to end.
type reason uint8

const (
	byItself reason = iota
	byUser
	byShutdown
)

// child is one `cove bench`.
type child struct {
	run *wire.BenchRun
	cmd *exec.Cmd
	// why is set by the first end, before the process is told. The lock of Runs
	// guards it.
	why  reason
	stop chan struct{}
	// gone is closed when the process has ended and that was noted.
	gone chan struct{}
}

func newChild(run *wire.BenchRun, binary, dir string, args []string) *child {
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		// It has a daemon, and a token, of its own.
		if !strings.HasPrefix(v, "COVE_TOKEN=") && !strings.HasPrefix(v, "COVE_API=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	// What is sent to the daemon's group is not for the child; the daemon's end is.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	return &child{run: run, cmd: cmd, stop: make(chan struct{}), gone: make(chan struct{})}
}

// start starts the process and returns when it runs. told is called for each step
// that it makes, and ended once.
func (c *child) start(told func(Progress), ended func(error)) error {
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		return err
	}
	started := make(chan error)
	go func() {
		// The kernel sends a child its death signal when the thread ends that
		// started it, so this one lives as long as the child does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := c.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		exited := make(chan struct{})
		go c.guard(exited)
		said := follow(stderr, told)
		err := c.cmd.Wait()
		close(exited)
		switch {
		case err != nil && said != "":
			err = errors.New(said)
		case err != nil:
			err = fmt.Errorf("cove bench ended without a word: %w", err)
		}
		ended(err)
		close(c.gone)
	}()
	return <-started
}

// end tells the process to end. Only the first reason counts. The lock of Runs is
// held.
func (c *child) end(why reason) {
	if c.why == byItself {
		c.why = why
		close(c.stop)
	}
}

// guard tells the process to end when it is to, and kills it if it does not.
func (c *child) guard(exited <-chan struct{}) {
	select {
	case <-exited:
		return
	case <-c.stop:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	select {
	case <-exited:
	case <-timer.C:
		_ = c.cmd.Process.Kill()
	}
}

// follow reads what the process says until it has ended: steps, of which told gets
// each, and remarks, of which the last error is returned.
func follow(stderr io.Reader, told func(Progress)) (said string) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		var p Progress
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &p) == nil {
			told(p)
		} else if text, ok := strings.CutPrefix(line, "cove: "); ok {
			said = text
		} else if said == "" && line != "" {
			said = line
		}
	}
	_, _ = io.Copy(io.Discard, stderr) // After a line that was too long.
	const most = 1000
	return strings.ToValidUTF8(said[:min(len(said), most)], "")
}

// namePattern is what a name may be that is put on a command line.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`)

const (
	leastTime = 5 * time.Second
	mostTime  = 2 * time.Hour
)

// arguments are those of o on the command line.
func arguments(o wire.BenchStart) ([]string, error) {
	var args []string
	switch {
	case o.Time != 0 && (o.Time.Std() < leastTime || o.Time.Std() > mostTime):
		return nil, cove.Invalid("time", "is %s; it must be from %s to %s", o.Time, cove.Duration(leastTime), cove.Duration(mostTime))
	case o.Time != 0:
		args = append(args, "--time", o.Time.Std().String())
	case o.Quick:
		args = append(args, "--quick")
	}
	for _, list := range []struct {
		field, flag string
		names       []string
	}{{"isolations", "--isolation", o.Isolations}, {"runtimes", "--runtimes", o.Runtimes}, {"workloads", "--workloads", o.Workloads}} {
		for _, name := range list.names {
			if !namePattern.MatchString(name) {
				return nil, cove.Invalid(list.field, "%.63q is no name", name)
			}
		}
		if len(list.names) > 0 {
			args = append(args, list.flag, strings.Join(list.names, ","))
		}
	}
	return args, nil
}
