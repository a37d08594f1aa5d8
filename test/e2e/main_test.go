// Package e2e drives the built binary as its users would: a daemon with a data
// directory of its own, the command line, the control API and the gateway.
//
// Every test begins with start, which runs a daemon and, when the test ends,
// stops it and looks for anything it left on the host. What a test needs and
// does not find (an image, runsc, Docker) fails it with the command that mends
// that.
package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	s := newSpawner()
	suite.spawn = s.run
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		s.stop()
		if suite.dir != "" {
			_ = os.RemoveAll(suite.dir)
		}
		os.Exit(code)
	}), goleak.IgnoreCurrent())
}

// suite is what all tests share: the binaries, each built once.
var suite struct {
	spawn func(func() error) error

	mu    sync.Mutex
	dir   string
	built map[bool]string
}

// binary is the path of the cove binary under test. With race it has the race
// detector in it, which finds what only happens in real use; without, it is
// what users run.
func binary(t testing.TB, race bool) string {
	t.Helper()
	suite.mu.Lock()
	defer suite.mu.Unlock()
	if path := suite.built[race]; path != "" {
		return path
	}
	path, err := build(race)
	if err != nil {
		t.Fatal(err)
	}
	suite.built[race] = path
	return path
}

func build(race bool) (string, error) {
	if suite.dir == "" {
		dir, err := os.MkdirTemp("", "cove-e2e-bin-")
		if err != nil {
			return "", err
		}
		suite.dir, suite.built = dir, map[bool]string{}
	}
	name, args := "cove", []string{"build"}
	if race {
		name, args = "cove-race", append(args, "-race")
	}
	path := filepath.Join(suite.dir, name)
	cmd := exec.Command("go", append(args, "-o", path, "./cmd/cove")...)
	cmd.Dir = repository()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cove: %w\n%s", err, out)
	}
	return path, nil
}

// repository is the root of the source tree.
func repository() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// spawner starts processes from one thread that lives as long as the tests do.
// The kernel sends a child its death signal when the thread that started it
// ends, so any other thread would end daemons at random; with this one they end
// also when the tests are killed.
type spawner struct {
	work chan func()
	done chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{work: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s
}

func (s *spawner) run(f func() error) error {
	err := errors.New("the process was not started")
	finished := make(chan struct{})
	s.work <- func() { err = f(); close(finished) }
	<-finished
	return err
}

func (s *spawner) stop() {
	close(s.work)
	<-s.done
}
