package pool

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/logs"
	rt "github.com/covefn/cove/internal/runtime"
)

const (
	// destroyTimeout is how long the end of a sandbox may take before it counts
	// as stuck; the attempts go on.
	destroyTimeout = 5 * time.Second
	// pidsLimit is how many processes and threads a sandbox may have.
	pidsLimit = 512
)

// instance is a sandbox that runs one version.
type instance struct {
	id       string
	group    *group
	sandbox  *driver.Guarded
	conn     *rt.Conn
	logs     *logs.Stream
	logsDone chan struct{}
	reserved cove.ByteSize
	release  func() // lets the package go

	startTook, initTook time.Duration
	// idleSince and dying are guarded by the group's lock.
	idleSince time.Time
	dying     bool
	// stuck is set when its end takes too long for anybody to count on what it
	// has reserved. Only its keeper touches it.
	stuck bool
	// cpu is the sandbox's CPU time when the last lease ended. Only the holder
	// of the lease touches it.
	cpu time.Duration

	doomed context.Context
	doom   func(reason string)
}

// start makes one instance and gives it to the group. It runs on a goroutine of
// its own: who waits may meanwhile be served by another instance.
func (g *group) start() {
	in, err := g.make()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending--
	switch {
	case err != nil:
		g.startFailed(err)
	case in == nil: // Nobody wanted it any more.
	case in.dying:
		g.startFailed(cove.Errorf(cove.CodeInitError, "the process ended right after the function was loaded"))
	default:
		g.failure.clear()
		g.setback.clear()
		g.busy[in] = struct{}{}
		g.offer(in, true)
	}
	g.scale(time.Now())
	g.dropIfDone()
}

// startFailed tells who waited. An init that fails will fail for everybody; what
// the platform could not do costs only the one for whom it was tried.
func (g *group) startFailed(err *cove.Error) {
	if err.Code == cove.CodeInitError || err.Code == cove.CodeInitTimeout {
		g.failure.set(err, time.Now())
		g.tell(len(g.waiters), err)
		return
	}
	g.setback.set(err, time.Now())
	g.tell(min(1, len(g.waiters)), err)
}

// make admits, creates and initialises an instance. What it took is given back
// when it fails. It may return neither an instance nor an error: when its turn
// came, nobody wanted one any more.
func (g *group) make() (*instance, *cove.Error) {
	c := &g.version.Config
	size := c.Memory + g.pool.o.Overhead(c.Isolation)
	wait, cancel := context.WithTimeout(g.pool.ending, c.QueueTimeout.Std())
	defer cancel()
	if err := g.pool.ledger.reserve(wait, size, g.pool.evict); err != nil {
		return nil, g.admissionError(err, size)
	}
	in, err := g.makeAdmitted(wait, size)
	if in == nil {
		g.pool.ledger.release(size, false)
	}
	return in, err
}

func (g *group) admissionError(err error, size cove.ByteSize) *cove.Error {
	switch {
	case errors.Is(err, errClosed):
		return errShuttingDown()
	case errors.Is(err, errTooBig):
		return cove.Errorf(cove.CodeUnavailable, "an instance needs %s, more than the %s that all sandboxes together may reserve (setting memory)",
			size, g.pool.o.Memory)
	default:
		return &cove.Error{
			Code: cove.CodeOverloaded, RetryAfter: time.Second,
			Message: fmt.Sprintf("no memory got free for another instance within %s: all sandboxes together may reserve %s", g.version.Config.QueueTimeout, g.pool.o.Memory),
		}
	}
}

// slotPatience is how long loading a version may keep a slot: an import that
// hangs must not keep other functions from being started.
const slotPatience = 2 * time.Second

// makeAdmitted creates the sandbox and loads the version into it. If it returns
// an instance together with an error, the instance's keeper gives the memory
// back.
func (g *group) makeAdmitted(wait context.Context, size cove.ByteSize) (*instance, *cove.Error) {
	leave := sync.OnceFunc(func() { <-g.pool.slots })
	select {
	case g.pool.slots <- struct{}{}:
		defer leave()
	case <-wait.Done():
		return nil, &cove.Error{Code: cove.CodeOverloaded, RetryAfter: time.Second, Message: "too many sandboxes are being started at once"}
	}
	g.mu.Lock()
	if g.closed || !g.wanted() {
		g.mu.Unlock()
		return nil, nil
	}
	g.making++
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.making--
		g.mu.Unlock()
	}()
	in, err := g.create(size)
	if err != nil {
		return in, startError(err, g.version.Config.Isolation)
	}
	defer time.AfterFunc(slotPatience, leave).Stop()
	if err := in.init(); err != nil {
		g.fail(in, "init failed")
		return in, err
	}
	return in, nil
}

// create makes the sandbox, connects to its shim and puts the package into it.
// If it returns an instance together with an error, that is being destroyed.
func (g *group) create(size cove.ByteSize) (_ *instance, err error) {
	began := time.Now()
	v, o := g.version, &g.pool.o
	ctx, cancel := context.WithTimeout(g.pool.ending, o.StartTimeout)
	defer cancel()
	if err := g.pool.recovered(ctx, v.Config.Isolation); err != nil {
		return nil, err
	}
	dir, release, err := o.Code(v.Package.SHA256)
	if err != nil {
		return nil, err
	}
	spec, err := g.spec(ctx)
	if err != nil {
		release()
		return nil, err
	}
	created, err := o.Drivers[v.Config.Isolation].Create(ctx, spec)
	if err != nil {
		release()
		return nil, err
	}
	sandbox := driver.Guard(created)
	in := &instance{
		id: spec.ID, group: g, sandbox: sandbox, reserved: size, release: release,
		conn:     rt.NewConn(sandbox.Conn(), rt.Options{MaxAnswer: o.MaxAnswer}),
		logs:     o.Logs.Stream(v.Function, v.Number, spec.ID),
		logsDone: make(chan struct{}),
	}
	doomed, doom := context.WithCancelCause(context.Background())
	in.doomed, in.doom = doomed, func(reason string) { doom(errors.New(reason)) }
	// From here on its keeper sees to its end, and to all that it holds.
	g.pool.live.Go(in.drain)
	g.pool.live.Go(in.keep)
	if err := in.connect(ctx, dir); err != nil {
		o.Log.Warn("a sandbox did not come up", "sandbox", spec.ID, "error", err)
		g.fail(in, "start failed")
		return in, err
	}
	in.startTook = time.Since(began)
	return in, nil
}

// connect waits for the shim's greeting and mounts the package.
func (in *instance) connect(ctx context.Context, dir string) error {
	if _, err := in.conn.Hello(ctx); err != nil {
		return fmt.Errorf("the shim did not say hello: %w", err)
	}
	return in.sandbox.Mount(ctx, dir)
}

// spec is what the driver needs to know for this version.
func (g *group) spec(ctx context.Context) (driver.Spec, error) {
	o, c := &g.pool.o, &g.version.Config
	r, ok := o.Runtime(c.Runtime)
	if !ok {
		return driver.Spec{}, cove.Errorf(cove.CodeUnavailable, "there is no runtime %s any more", c.Runtime)
	}
	image, err := o.Image(ctx, r.Image)
	if err != nil {
		return driver.Spec{}, err
	}
	plain := map[string]string{}
	for name, v := range c.Env {
		if !v.Secret {
			plain[name] = v.Value
		}
	}
	return driver.Spec{
		ID: newID(g.version.Function), Owner: o.Owner, Image: image, ShimDir: o.ShimDir(r),
		Command: r.Command, Env: append(append([]string(nil), r.Env...), rt.EarlyEnv(plain)...),
		Limits:  driver.Limits{Memory: c.Memory, CPU: c.CPU, PIDs: pidsLimit, Tmp: c.Tmp},
		Network: c.Network,
	}, nil
}

// newID is a name for a sandbox that people recognise and nobody has twice.
func newID(function string) string {
	var random [6]byte
	rand.Read(random[:]) // Never fails; see crypto/rand.
	return strings.TrimRight(function[:min(len(function), 24)], "-") + "-" + hex.EncodeToString(random[:])
}

// init loads the handler, within the function's init timeout.
func (in *instance) init() *cove.Error {
	began := time.Now()
	v := in.group.version
	env := make(map[string]string, len(v.Config.Env))
	for name, value := range v.Config.Env {
		env[name] = value.Value
	}
	entropy := make([]byte, 32)
	rand.Read(entropy) // Never fails; see crypto/rand.
	ctx, cancel := context.WithTimeout(in.group.pool.ending, v.Config.InitTimeout.Std())
	defer cancel()
	err := in.conn.Init(ctx, rt.Init{
		Function: v.Function, Version: v.Number, Handler: v.Config.Handler, CodeDir: driver.CodeDir,
		Env: env, MemoryMiB: int(v.Config.Memory / cove.MiB), TimeoutMS: v.Config.Timeout.Std().Milliseconds(),
		MaxAnswer: in.group.pool.o.MaxAnswer, Entropy: entropy, Now: began.UnixNano(),
	})
	in.initTook = time.Since(began)
	if err != nil {
		return in.initError(err)
	}
	return nil
}

// initError finds out why the handler could not be loaded.
func (in *instance) initError(err error) *cove.Error {
	c := &in.group.version.Config
	var function *cove.Error
	switch {
	case errors.As(err, &function):
		return function
	case in.group.pool.ending.Err() != nil:
		return errShuttingDown()
	case errors.Is(err, os.ErrDeadlineExceeded):
		in.stop()
		in.logs.Say(fmt.Sprintf("Init timed out after %.2f seconds", c.InitTimeout.Std().Seconds()))
		return cove.Errorf(cove.CodeInitTimeout, "loading %s took longer than %s (init_timeout)", c.Handler, c.InitTimeout)
	default:
		exit := in.ending()
		if exit.OOM {
			return cove.Errorf(cove.CodeInitError, "loading %s ran out of memory: the limit is %s, the peak was %s", c.Handler, c.Memory, exit.PeakMemory.InMiB())
		}
		return cove.Errorf(cove.CodeInitError, "loading %s ended the process: %s", c.Handler, describe(exit))
	}
}

// startError says what to tell a caller when no sandbox could be made.
func startError(err error, isolation string) *cove.Error {
	var e *cove.Error
	if errors.As(err, &e) {
		return e
	}
	return &cove.Error{
		Code: cove.CodeSandboxStartFailed, RetryAfter: time.Second, Err: err,
		Message: "no " + isolation + " sandbox could be started: " + err.Error() + "; `cove doctor` says more",
	}
}

// drain reads what the sandbox prints, for as long as it lives.
func (in *instance) drain() {
	defer close(in.logsDone)
	defer in.logs.Close()
	_, _ = io.Copy(in.logs, in.sandbox.Logs())
}

// keep waits for the end of the instance, by itself or by doom, and removes it.
func (in *instance) keep() {
	_, err := in.sandbox.Wait(in.doomed)
	reason := "ended by itself"
	if err != nil && in.doomed.Err() != nil {
		reason = context.Cause(in.doomed).Error()
	}
	in.group.fail(in, reason) // Nobody may be given it any more.
	in.destroy(reason)
	<-in.logsDone
	in.release()
	in.group.gone(in)
}

// destroy does not return before the sandbox was seen dead.
func (in *instance) destroy(reason string) {
	log := in.group.pool.o.Log
	for attempt := 0; ; attempt++ {
		ctx, cancel := context.WithTimeout(context.Background(), destroyTimeout)
		err := in.sandbox.Destroy(ctx, reason)
		if err == nil {
			cancel()
			if attempt > 0 {
				in.group.pool.stuck.Add(-1)
				log.Info("a stuck sandbox has ended", "sandbox", in.id)
			}
			return
		}
		if attempt == 0 {
			in.group.pool.stuck.Add(1)
			in.group.pool.ledger.unpromise(in.reserved)
			in.stuck = true
		}
		log.Error("a sandbox does not end; its memory stays reserved", "sandbox", in.id, "attempt", attempt+1, "error", err)
		<-ctx.Done() // One that fails at once is not tried again at once.
		cancel()
	}
}

// stopTimeout bounds Stop: the answer to a caller waits for it.
const stopTimeout = 20 * time.Millisecond

// stop makes everything inside stand still.
func (in *instance) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := in.sandbox.Stop(ctx); err != nil && !errors.Is(err, driver.ErrDead) {
		in.group.pool.o.Log.Error("a sandbox did not stop in time", "sandbox", in.id, "error", err)
	}
}

// endingTimeout is how long a sandbox whose stream has ended may take to end.
const endingTimeout = 3 * time.Second

// ending says how a sandbox whose stream has ended did end. One that closed its
// stream and lives on is stopped.
func (in *instance) ending() driver.Exit {
	ctx, cancel := context.WithTimeout(context.Background(), endingTimeout)
	defer cancel()
	exit, err := in.sandbox.Wait(ctx)
	if err != nil {
		in.stop()
		return driver.Exit{Code: -1}
	}
	return exit
}

// describe says in words how a process ended.
func describe(e driver.Exit) string {
	switch {
	case e.Signal != 0:
		return fmt.Sprintf("signal %d", e.Signal)
	case e.Code < 0:
		return "it closed its connection to the platform"
	default:
		return fmt.Sprintf("exit code %d", e.Code)
	}
}

// evict ends idle instances of any function, the longest idle first, until
// what is missing will be given back or there are none. One at a time: two would
// end twice as many as are needed.
func (p *Pool) evict() {
	p.evicting.Lock()
	defer p.evicting.Unlock()
	for p.ledger.missing() > 0 {
		var oldest *instance
		var since time.Time
		for _, g := range p.allGroups() {
			if in, t := g.evictable(); in != nil && (oldest == nil || t.Before(since)) {
				oldest, since = in, t
			}
		}
		if oldest == nil {
			return
		}
		oldest.group.evict(oldest)
	}
}
