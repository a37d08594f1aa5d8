package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// Program is what a Fake runs instead of a shim: a function of this process.
// It returns how the sandbox ended, and should when ctx ends: then the sandbox
// was killed, and what it returns does not count.
type Program func(ctx context.Context, in *Inside) driver.Exit

// Inside is what a Program sees of its sandbox.
type Inside struct {
	Spec driver.Spec
	// Conn, Logs (stdout) and Errs (stderr) are the sandbox's ends of the streams.
	Conn net.Conn
	Logs io.Writer
	Errs io.Writer

	s *fakeSandbox
}

// Code is the host's directory that was mounted, "" while there is none.
func (in *Inside) Code() string {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	return in.s.mounted
}

// Limits are those in force now.
func (in *Inside) Limits() driver.Limits {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	return in.s.limits
}

// Burn adds to the processor time that Usage reports.
func (in *Inside) Burn(cpu time.Duration) {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	in.s.cpu += cpu
}

// Gate returns at once while the sandbox runs, waits while it is paused or
// stopped, and says false when it was killed. A Program calls it before
// whatever it does that can be seen from outside.
func (in *Inside) Gate(ctx context.Context) bool { return in.s.gate(ctx) }

// Fake is a driver whose sandboxes are functions of this process: for tests of
// what uses drivers. It passes the conformance suite but for the walls that it
// has none of.
type Fake struct {
	program Program
	// CreateErr, if set before the first Create, is asked before each: an error
	// fails it. It may block, for a creation that takes its time, and should
	// return when ctx ends.
	CreateErr func(ctx context.Context, spec driver.Spec) error

	mu   sync.Mutex
	live map[string]*fakeSandbox
	idle sync.WaitGroup
}

var _ driver.Driver = (*Fake)(nil)

// NewFake is a driver that runs program in every sandbox.
func NewFake(program Program) *Fake {
	return &Fake{program: program, live: map[string]*fakeSandbox{}}
}

// Isolation is "fake".
func (f *Fake) Isolation() string { return "fake" }

// Probe says that everything works.
func (f *Fake) Probe(context.Context) driver.Report {
	return driver.Report{
		Isolation: f.Isolation(), Available: true, Version: "fake", Overhead: cove.MiB,
		Features: []driver.Feature{driver.FeatureMount, driver.FeatureResize, driver.FeaturePause, driver.FeatureEgress},
	}
}

// Live is how many sandboxes exist.
func (f *Fake) Live() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.live)
}

// Close waits for the programs of the sandboxes that were destroyed.
func (f *Fake) Close() error {
	f.idle.Wait()
	return nil
}

// Create implements driver.Driver.
func (f *Fake) Create(ctx context.Context, spec driver.Spec) (driver.Sandbox, error) {
	s, err := f.create(ctx, spec)
	if err != nil {
		return nil, &cove.Error{Code: cove.CodeSandboxStartFailed, Message: "the fake sandbox did not start: " + err.Error(), Err: err}
	}
	return s, nil
}

func (f *Fake) create(ctx context.Context, spec driver.Spec) (*fakeSandbox, error) {
	if f.CreateErr != nil {
		if err := f.CreateErr(ctx, spec); err != nil {
			return nil, err
		}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	conn, shimConn := net.Pipe()
	logs, shimLogs := io.Pipe()
	errs, shimErrs := io.Pipe()
	run, kill := context.WithCancel(context.Background())
	s := &fakeSandbox{
		fake: f, spec: spec, limits: spec.Limits, conn: conn, logs: logs, errs: errs, kill: kill,
		ended: make(chan struct{}), changed: make(chan struct{}),
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.live[spec.ID] != nil {
		kill()
		return nil, fmt.Errorf("there is a sandbox %s already", spec.ID)
	}
	f.live[spec.ID] = s
	f.idle.Go(func() {
		exit := f.program(run, &Inside{Spec: spec, Conn: shimConn, Logs: shimLogs, Errs: shimErrs, s: s})
		if run.Err() != nil {
			exit = driver.Exit{Code: 137, Signal: 9}
		}
		kill()
		_, _, _ = shimConn.Close(), shimLogs.Close(), shimErrs.Close()
		s.mu.Lock()
		exit.PeakMemory = cove.MiB
		s.exit = exit
		s.mu.Unlock()
		close(s.ended)
	})
	return s, nil
}

// Recover implements driver.Driver: whatever exists under owner.
func (f *Fake) Recover(_ context.Context, owner string) ([]driver.Sandbox, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []driver.Sandbox
	for _, s := range f.live {
		if s.spec.Owner == owner {
			found = append(found, s)
		}
	}
	return found, nil
}

type fakeSandbox struct {
	fake *Fake
	spec driver.Spec
	conn net.Conn
	logs *io.PipeReader // stdout
	errs *io.PipeReader // stderr
	kill context.CancelFunc

	ended chan struct{}

	mu              sync.Mutex
	changed         chan struct{} // closed and replaced when paused or stopped change
	paused, stopped bool
	mounted         string
	limits          driver.Limits
	cpu             time.Duration
	exit            driver.Exit
	reason          string
}

func (s *fakeSandbox) gate(ctx context.Context) bool {
	for {
		s.mu.Lock()
		held, changed := s.paused || s.stopped, s.changed
		s.mu.Unlock()
		if ctx.Err() != nil || !held {
			return ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// hold sets whether the program has to wait at its gate.
func (s *fakeSandbox) hold(paused bool) error {
	if err := s.dead(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = paused
	s.wake()
	return nil
}

func (s *fakeSandbox) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *fakeSandbox) dead() error {
	select {
	case <-s.ended:
		return fmt.Errorf("%w: %s", driver.ErrDead, s.exit)
	default:
		return nil
	}
}

func (s *fakeSandbox) ID() string                       { return s.spec.ID }
func (s *fakeSandbox) Conn() net.Conn                   { return s.conn }
func (s *fakeSandbox) Logs() (stdout, stderr io.Reader) { return s.logs, s.errs }

func (s *fakeSandbox) Usage(context.Context) (driver.Usage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return driver.Usage{CPU: s.cpu, Memory: cove.MiB, PeakMemory: cove.MiB}, nil
}

func (s *fakeSandbox) CPU() (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cpu, nil
}

func (s *fakeSandbox) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-s.ended:
		s.mu.Lock()
		defer s.mu.Unlock()
		e := s.exit
		e.Reason = s.reason
		return e, nil
	case <-ctx.Done():
		return driver.Exit{}, context.Cause(ctx)
	}
}

func (s *fakeSandbox) Stop(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.wake()
	return nil
}

func (s *fakeSandbox) Pause(context.Context) error  { return s.hold(true) }
func (s *fakeSandbox) Resume(context.Context) error { return s.hold(false) }

func (s *fakeSandbox) Resize(_ context.Context, l driver.Limits) error {
	if err := s.dead(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.Tmp = s.limits.Tmp
	s.limits = l
	return nil
}

func (s *fakeSandbox) Mount(_ context.Context, dir string) error {
	if err := s.dead(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Clean(dir)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mounted != "" {
		return errors.New("the sandbox has its package already")
	}
	s.mounted = dir
	return nil
}

func (s *fakeSandbox) Destroy(ctx context.Context, reason string) error {
	s.mu.Lock()
	if s.reason == "" {
		s.reason = reason
	}
	s.mu.Unlock()
	s.kill()
	_ = s.conn.Close()
	// Whoever reads the log has its end, and who writes it is not held up.
	defer func() { _, _ = s.logs.Close(), s.errs.Close() }()
	s.fake.mu.Lock()
	if s.fake.live[s.spec.ID] == s {
		delete(s.fake.live, s.spec.ID)
	}
	s.fake.mu.Unlock()
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
