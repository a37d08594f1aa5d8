// Package drivertest is the conformance suite of drivers, the in-memory driver
// that passes it too, and the census that tells whether a sandbox has left
// anything behind.
package drivertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
)

// Subject is what the suite tests.
type Subject struct {
	// New makes a driver. Each call makes another over the same directories, as
	// a restarted daemon does.
	New func(t testing.TB) driver.Driver
	// Image has Python at /usr/bin/python3, and the directories that every
	// runtime image has.
	Image driver.Image
	// Owner is one that nothing else on this machine uses.
	Owner string
	// DataDir holds all that the driver keeps.
	DataDir string
	// Docker says that its sandboxes are Docker containers.
	Docker bool
	// InMemory says that its sandboxes are no real ones: then only the rules of
	// the contract are tested, and not that the walls hold.
	InMemory bool
}

// suite is a Subject with a driver.
type suite struct {
	Subject
	driver driver.Driver
	report driver.Report
}

// Run runs the conformance suite. Every driver passes all of it: a feature
// that its Probe does not announce is not asked for, everything else is.
func Run(t *testing.T, setup func(t *testing.T) Subject) {
	s := &suite{Subject: setup(t)}
	s.driver = s.New(t)
	t.Cleanup(func() {
		if err := s.driver.Close(); err != nil {
			t.Errorf("close the driver: %v", err)
		}
	})
	s.report = s.driver.Probe(t.Context())
	if !s.report.Available {
		t.Fatalf("%s is not available here: %s; run: %s", s.report.Isolation, s.report.Reason, s.report.Fix)
	}
	groups := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"start", s.testStart}, {"mount", s.testMount}, {"stop", s.testStop}, {"pause", s.testPause}, {"end", s.testEnd},
		{"failure", s.testFailure}, {"recover", s.testRecover},
	}
	if !s.InMemory {
		groups = append(groups, []struct {
			name string
			run  func(t *testing.T)
		}{{"walls", s.testWalls}, {"limits", s.testLimits}}...)
	}
	for _, g := range groups {
		t.Run(g.name, g.run)
	}
	// The last, and alone: it counts everything.
	t.Run("many", s.testMany)
}

// has says whether a feature was announced.
func (s *suite) has(f driver.Feature) bool { return slices.Contains(s.report.Features, f) }

// spec is a specification with the suite's shim, of a sandbox that no other
// test uses.
func (s Subject) spec(t testing.TB) driver.Spec {
	t.Helper()
	return driver.Spec{
		ID: fmt.Sprintf("suite-%x", time.Now().UnixNano()), Owner: s.Owner,
		Image: s.Image, ShimDir: shimDir(t),
		Command: []string{"/usr/bin/python3", "-S", driver.ShimDir + "/suite.py"},
		Env:     []string{"PATH=/usr/bin:/bin", "MARK=set by the suite"},
		Limits:  limits(),
		Network: cove.NetworkNone,
	}
}

// limits are those that a sandbox of the suite has, where nothing else is said.
func limits() driver.Limits {
	return driver.Limits{Memory: 128 * cove.MiB, CPU: 1, PIDs: 64, Tmp: 16 * cove.MiB}
}

func (s *suite) create(t *testing.T) *running {
	t.Helper()
	return create(t, s.driver, s.spec(t))
}

func (s *suite) testStart(t *testing.T) {
	t.Run("the report names the isolation and its version", func(t *testing.T) {
		if s.report.Isolation != s.driver.Isolation() || s.report.Version == "" || s.report.Overhead <= 0 {
			t.Errorf("report %+v", s.report)
		}
	})
	t.Run("the shim answers, has its environment, and its prints arrive as the log, of stdout and stderr each", func(t *testing.T) {
		r := s.create(t)
		var environ map[string]string
		r.must("environ", nil, &environ)
		if environ["MARK"] != "set by the suite" {
			t.Errorf("environment %v", environ)
		}
		for name := range environ {
			if strings.HasPrefix(name, "COVE") || name == "HOME" && environ[name] == "/root" {
				t.Errorf("the daemon's own variable %s came through", name)
			}
		}
		r.must("print", "hello, log", nil)
		r.must("complain", "hello, errors", nil)
		if !eventually(func() bool { return r.logs.String() == "hello, log\n" && r.errs.String() == "hello, errors\n" }) {
			t.Errorf("the log is %q, and %q", r.logs, r.errs)
		}
	})
	t.Run("the last words before the end arrive too", func(t *testing.T) {
		r := s.create(t)
		r.must("print", "last words", nil)
		r.must("complain", "last complaint", nil)
		if err := r.tell("exit", 0); err != nil {
			t.Fatal(err)
		}
		r.exit()
		if err := r.Destroy(t.Context(), "ended"); err != nil {
			t.Error(err)
		}
		<-r.logs.done
		<-r.errs.done
		if r.logs.String() != "last words\n" || r.errs.String() != "last complaint\n" {
			t.Errorf("the log is %q, and %q", r.logs, r.errs)
		}
	})
	t.Run("processor time and memory are counted", func(t *testing.T) {
		r := s.create(t)
		before, err := r.Usage(t.Context())
		if err != nil || before.Memory <= 0 || before.PeakMemory < before.Memory/2 {
			t.Fatalf("usage %+v, %v", before, err)
		}
		r.must("spin", nil, nil)
		if !eventually(func() bool {
			u, err := r.Usage(t.Context())
			return err == nil && u.CPU > before.CPU+50*time.Millisecond
		}) {
			t.Error("processor time does not grow")
		}
		one, err1 := r.Usage(t.Context())
		alone, err2 := r.CPU()
		other, err3 := r.Usage(t.Context())
		if err := errors.Join(err1, err2, err3); err != nil || alone < one.CPU || alone > other.CPU {
			t.Errorf("alone it is %s, and among all that is used %s before and %s after: %v", alone, one.CPU, other.CPU, err)
		}
	})
	t.Run("the processes it causes are listed, helpers included, and end with it", func(t *testing.T) {
		if s.InMemory {
			return
		}
		r := s.create(t)
		pids, err := r.Processes(t.Context())
		if err != nil || len(pids) < 2 {
			t.Fatalf("processes %v, %v", pids, err)
		}
		f, err := host.Measure(pids)
		if err != nil || f.Processes != len(pids) || f.PSS < 4*cove.MiB || f.RSS < f.PSS || f.CPU <= 0 {
			t.Errorf("%+v, %v", f, err)
		}
		t.Logf("%+v", f)
		r.must("daemon", nil, nil)
		if !eventually(func() bool {
			more, err := r.Processes(t.Context())
			return err == nil && len(more) > len(pids)
		}) {
			t.Error("a new process is not listed")
		}
		if err := r.Destroy(t.Context(), "counted"); err != nil {
			t.Error(err)
		}
		if !eventually(func() bool {
			f, err := host.Measure(pids)
			return err == nil && f.Processes == 0
		}) {
			t.Error("a process outlives it")
		}
		if _, err := r.Processes(t.Context()); err == nil {
			t.Error("the processes of what is gone are listed")
		}
	})
}

func (s *suite) testMount(t *testing.T) {
	if !s.has(driver.FeatureMount) {
		return
	}
	t.Run("a package appears in a running sandbox, read-only, and outlives it", func(t *testing.T) {
		r, pkg := s.create(t), t.TempDir()
		file := filepath.Join(pkg, "main.txt")
		if err := os.WriteFile(file, []byte("the code"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(pkg, 0o777); err != nil {
			t.Fatal(err)
		}
		if got := r.text("read", driver.CodeDir+"/main.txt"); !strings.HasPrefix(got, "error") {
			t.Errorf("before the mount there is %q", got)
		}
		if err := r.Mount(t.Context(), pkg); err != nil {
			t.Fatal(err)
		}
		if got := r.text("read", driver.CodeDir+"/main.txt"); got != "the code" {
			t.Errorf("read %q", got)
		}
		for _, name := range []string{"/new", "/main.txt"} {
			if got := r.text("write", driver.CodeDir+name); !strings.HasPrefix(got, "error") {
				t.Errorf("writing %s: %s", name, got)
			}
		}
		if err := r.Destroy(t.Context(), "done"); err != nil {
			t.Error(err)
		}
		if data, err := os.ReadFile(file); err != nil || string(data) != "the code" {
			t.Errorf("the package was harmed: %q, %v", data, err)
		}
	})
	t.Run("mounting what does not exist is an error", func(t *testing.T) {
		if err := s.create(t).Mount(t.Context(), filepath.Join(t.TempDir(), "absent")); err == nil {
			t.Error("no error")
		}
	})
}

func (s *suite) testFailure(t *testing.T) {
	census := Census{Owner: s.Owner, DataDir: s.DataDir, Docker: s.Docker}
	// What a driver makes once and keeps is made by now.
	_ = s.create(t).Destroy(t.Context(), "warm")
	for name, change := range map[string]func(spec *driver.Spec){
		"a command that does not exist": func(spec *driver.Spec) { spec.Command = []string{"/no/such/program"} },
		"a shim that exits at once": func(spec *driver.Spec) {
			spec.Command = []string{"/usr/bin/python3", "-S", "-c", "raise SystemExit(3)"}
		},
		"an image that does not exist": func(spec *driver.Spec) {
			spec.Image = driver.Image{Ref: "cove/none:0", Root: filepath.Join(t.TempDir(), "none")}
		},
	} {
		t.Run(name+" is an error in words, and nothing is left", func(t *testing.T) {
			spec := s.spec(t)
			change(&spec)
			before := census.Take(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := s.driver.Create(ctx, spec)
			if cove.CodeOf(err) != cove.CodeSandboxStartFailed || ctx.Err() != nil {
				t.Errorf("the error is %v", err)
			}
			t.Logf("it says: %v", err)
			census.Same(t, before)
		})
	}
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 30 * time.Millisecond, 80 * time.Millisecond, 150 * time.Millisecond} {
		t.Run(fmt.Sprintf("a creation given up after %v leaves nothing", after), func(t *testing.T) {
			spec := s.spec(t)
			// It never connects.
			spec.Command = []string{"/usr/bin/python3", "-S", "-c", "import time; time.sleep(600)"}
			before := census.Take(t)
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			if _, err := s.driver.Create(ctx, spec); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the error is %v", err)
			}
			census.Same(t, before)
		})
	}
	t.Run("an id that is in use is refused and its sandbox unharmed", func(t *testing.T) {
		spec := s.spec(t)
		r := create(t, s.driver, spec)
		if _, err := s.driver.Create(t.Context(), spec); err == nil {
			t.Error("no error")
		}
		r.must("ping", nil, nil)
	})
}

func (s *suite) testRecover(t *testing.T) {
	t.Run("what an earlier driver left, paused or not, is found by another and removed", func(t *testing.T) {
		_ = s.create(t).Destroy(t.Context(), "warm")
		// Without the descriptors of this process: those of a dead one are gone.
		census := Census{Owner: s.Owner, DataDir: s.DataDir, Docker: s.Docker, Elsewhere: true}
		before := census.Take(t)
		first := s.New(t)
		first.Probe(t.Context()) // A driver may have to look before it freezes anything.
		var left []string
		for i := range 2 {
			r := create(t, first, s.spec(t))
			left = append(left, r.ID())
			if i == 0 && s.has(driver.FeaturePause) {
				if err := r.Pause(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if s.has(driver.FeatureMount) {
				if err := r.Mount(t.Context(), t.TempDir()); err != nil {
					t.Fatal(err)
				}
			}
		}
		again := s.New(t)
		found, err := again.Recover(t.Context(), s.Owner)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, f := range found {
			ids = append(ids, f.ID())
			if err := f.Destroy(t.Context(), "left behind"); err != nil {
				t.Errorf("destroy %s: %v", f.ID(), err)
			}
		}
		slices.Sort(ids)
		slices.Sort(left)
		if !slices.Equal(ids, left) {
			t.Errorf("found %q, left were %q", ids, left)
		}
		census.Same(t, before)
		if found, err := again.Recover(t.Context(), s.Owner); err != nil || len(found) > 0 {
			t.Errorf("a second time it found %v, %v", found, err)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("another owner's are left alone", func(t *testing.T) {
		if s.InMemory || !s.Docker {
			// Their directories belong to one owner by construction.
			return
		}
		r := s.create(t)
		if found, err := s.driver.Recover(t.Context(), "somebodyelse"); err != nil || len(found) > 0 {
			t.Errorf("found %v, %v", found, err)
		}
		r.must("ping", nil, nil)
	})
}
