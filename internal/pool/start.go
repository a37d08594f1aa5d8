package pool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	rt "github.com/covefn/cove/internal/runtime"
)

// begin starts one instance, of a stem cell if there is one. The lock is held.
func (g *group) begin() {
	var c *cell
	if key, ok := g.stemKey(); ok {
		c = g.pool.stems.take(key, g.version.Function, g.hasAny())
	}
	g.pending++
	if c != nil {
		g.pendingStems++
	}
	g.pool.live.Go(func() { g.start(c) })
}

// start makes one instance, of c if that is not nil, and gives it to the group. It
// runs on a goroutine of its own: who waits may meanwhile be served by another
// instance.
func (g *group) start(c *cell) {
	in, err := g.make(c)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pending--
	if c != nil {
		g.pendingStems--
	}
	switch {
	case err != nil:
		g.startFailed(err)
	case in == nil: // It was not made; whether it is still wanted is seen below.
	case in.dying:
		g.startFailed(cove.Errorf(cove.CodeInitError, "the process ended right after the function was loaded"))
	default:
		g.failure.clear()
		g.setback.clear()
		g.learn(in)
		g.occupy(in)
		g.offer(in, in.class)
	}
	g.scale(time.Now())
	g.tellChange()
	g.dropIfDone()
}

// learn notes what starting in has taken. Loading is told apart from making: a
// function that always gets stem cells would otherwise be one of which nothing is
// known, however long it imports. The lock is held.
func (g *group) learn(in *instance) {
	var made time.Duration
	if in.class == cove.StartCold {
		made = in.startTook
		g.made.add(made)
	}
	g.loaded.add(in.initTook)
	g.pool.facts.started(g.version.Config.Isolation, made, in.initTook)
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

// errUnfit says that a stem cell could not be used, which is not the function's
// doing: a sandbox of its own is tried.
var errUnfit = errors.New("the stem cell could not be used")

// make makes an instance, of a stem cell if c is one. It may return neither an
// instance nor an error: its turn did not come, or nobody wanted one any more.
func (g *group) make(c *cell) (*instance, *cove.Error) {
	wait, cancel := context.WithTimeout(g.pool.ending, g.version.Config.QueueTimeout.Std())
	defer cancel()
	if c != nil {
		in, err := g.makeOfStem(wait, c)
		if !errors.Is(err, errUnfit) {
			return in, g.told(err)
		}
		g.pool.o.Log.Warn("a stem cell could not be used; a new sandbox is made", "sandbox", c.id, "error", err)
	}
	size := g.size()
	g.count(&g.awaitMemory, 1)
	err := g.pool.ledger.reserve(wait, g.version.Function, size, g.pool.evict)
	g.count(&g.awaitMemory, -1)
	if err != nil {
		return nil, g.admissionError(err, size)
	}
	return g.makeCold(wait, size)
}

// told is err as its caller is told, nil for nil.
func (g *group) told(err error) *cove.Error {
	if err == nil {
		return nil
	}
	return startError(err, g.version.Config.Isolation)
}

// size is what an instance reserves.
func (g *group) size() cove.ByteSize {
	return g.version.Config.Memory + g.pool.o.Overhead(g.version.Config.Isolation)
}

// makeOfStem turns a stem cell into an instance.
func (g *group) makeOfStem(wait context.Context, c *cell) (*instance, error) {
	g.count(&g.awaitMemory, 1)
	err := g.fund(wait, c)
	g.count(&g.awaitMemory, -1)
	if err != nil {
		g.pool.discard(c, evicted)
		return nil, err
	}
	g.count(&g.making, 1)
	defer g.count(&g.making, -1)
	return g.develop(c, cove.StartStem)
}

// fund has a stem cell reserve what an instance does. What it has reserved itself
// counts towards that.
func (g *group) fund(wait context.Context, c *cell) error {
	size, function := g.size(), g.version.Function
	if more := size - c.reserved; more > 0 {
		if err := g.pool.ledger.reserve(wait, function, more, g.pool.evict); err != nil {
			return g.admissionError(err, size)
		}
	} else {
		g.pool.ledger.release(function, -more, false)
	}
	c.reserved = size
	return nil
}

// count changes one of the group's counts of starts that are in a certain state.
func (g *group) count(of *int, by int) {
	g.mu.Lock()
	*of += by
	g.mu.Unlock()
}

func (g *group) admissionError(err error, size cove.ByteSize) *cove.Error {
	switch {
	case errors.Is(err, errClosed):
		return errShuttingDown()
	case errors.Is(err, errTooBig):
		return cove.Errorf(cove.CodeUnavailable, "an instance needs %s, more than the %s that all sandboxes together may reserve (setting memory), less what is kept for other functions (scaling.reserved)",
			size, g.pool.o.Memory)
	default:
		return &cove.Error{
			Code: cove.CodeOverloaded, RetryAfter: time.Second,
			Message: fmt.Sprintf("no memory got free for another instance within %s: all sandboxes together may reserve %s", g.version.Config.QueueTimeout, g.pool.o.Memory),
		}
	}
}

// slotPatience is how long loading a version may keep a turn: an import that
// hangs must not keep other functions from being started.
const slotPatience = 2 * time.Second

// makeCold makes a sandbox, for which size is reserved, and loads the version
// into it.
func (g *group) makeCold(wait context.Context, size cove.ByteSize) (*instance, *cove.Error) {
	p, v := g.pool, g.version
	if key, ok := g.stemKey(); ok {
		p.stems.miss(key) // Also where nobody wants the instance any more when its turn comes.
	}
	another := g.serves()
	g.count(&g.awaitTurn, 1)
	err := p.turns.take(wait, v.Function, another)
	g.count(&g.awaitTurn, -1)
	if err != nil {
		p.ledger.release(v.Function, size, false)
		if p.ending.Err() != nil {
			return nil, errShuttingDown()
		}
		// That is no failure. Who waits is told when their own time is over, and what is
		// wanted without anybody waiting, as by scaling.min or Warm, queues again at once.
		return nil, nil
	}
	leave := sync.OnceFunc(func() { p.turns.leave(v.Function, another) })
	defer leave()
	g.mu.Lock()
	wanted := g.wanted(time.Now())
	g.mu.Unlock()
	if !wanted {
		p.ledger.release(v.Function, size, false)
		return nil, nil
	}
	g.count(&g.making, 1)
	defer g.count(&g.making, -1)
	ctx, cancel := context.WithTimeout(p.ending, p.o.StartTimeout)
	defer cancel()
	c, err := p.newCell(ctx, v.Function, size, g.plan())
	if err != nil {
		if p.ending.Err() != nil {
			return nil, errShuttingDown()
		}
		return nil, startError(err, v.Config.Isolation)
	}
	defer time.AfterFunc(slotPatience, leave).Stop()
	in, err := g.develop(c, cove.StartCold)
	if err != nil {
		return nil, startError(err, v.Config.Isolation)
	}
	return in, nil
}

// serves says whether there is an instance already.
func (g *group) serves() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.busy)+len(g.idle) > 0
}

// plan is that of a sandbox of this version's own.
func (g *group) plan() plan {
	c := &g.version.Config
	r, _ := g.pool.o.Runtime(c.Runtime) // Whether there is one is seen when the sandbox is made.
	return plan{
		name: g.version.Function, isolation: c.Isolation, runtime: c.Runtime, early: r.EarlyEnv(c.Env),
		limits: g.limits(), network: c.Network,
	}
}

func (g *group) limits() driver.Limits {
	c := &g.version.Config
	return driver.Limits{Memory: c.Memory, CPU: c.CPU, PIDs: pidsLimit, Tmp: c.Tmp}
}

// develop puts the version into a cell and loads it. From here on the instance's
// keeper sees to the cell's end, also if this fails.
func (g *group) develop(c *cell, class cove.StartClass) (*instance, error) {
	began := time.Now()
	in := newInstance(g, c, class)
	if err := in.fit(); err != nil {
		g.fail(in, "start failed")
		if class == cove.StartStem && g.pool.ending.Err() == nil {
			return nil, fmt.Errorf("%w: %w", errUnfit, err)
		}
		return nil, err
	}
	in.startTook = time.Since(began)
	if class == cove.StartCold {
		in.startTook += c.tookToStart
	}
	if err := in.init(); err != nil {
		g.fail(in, "init failed")
		return nil, err
	}
	if u, err := in.sandbox.Usage(g.pool.ending); err == nil {
		in.loaded = u.CPU
	}
	return in, nil
}

// fit gives the cell the version's limits and its package.
func (in *instance) fit() error {
	ctx, cancel := context.WithTimeout(in.group.pool.ending, in.group.pool.o.StartTimeout)
	defer cancel()
	if in.class == cove.StartStem {
		if err := in.sandbox.Resize(ctx, in.group.limits()); err != nil {
			return err
		}
		// What the cell has used as one is not the first request's doing.
		if u, err := in.sandbox.Usage(ctx); err == nil {
			in.cpu.Store(int64(u.CPU))
		}
	}
	return in.sandbox.Mount(ctx, in.group.code)
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
		MaxAnswer: in.group.pool.o.MaxAnswer, Concurrency: in.group.concurrency, Poll: in.sandbox.Native(), Entropy: entropy, Now: time.Now().UnixNano(),
	})
	in.initTook = time.Since(began)
	if err != nil {
		return in.initError(began, err)
	}
	if in.group.concurrency > 1 {
		mux := rt.NewMux(in.conn)
		in.group.mu.Lock() // The keeper may have seen its end already.
		in.mux = mux
		in.group.mu.Unlock()
	}
	return nil
}

// initError says why the handler, whose loading began then, could not be loaded, and
// stops what hangs.
func (in *instance) initError(began time.Time, err error) *cove.Error {
	c := &in.group.version.Config
	var function *cove.Error
	switch {
	case errors.As(err, &function):
		return function
	case in.group.pool.ending.Err() != nil:
		return errShuttingDown()
	case errors.Is(err, os.ErrDeadlineExceeded):
		in.group.pool.stop(in.cell)
		return in.initTimeout()
	default:
		exit, late := in.ending(began.Add(c.InitTimeout.Std()))
		if late {
			return in.initTimeout()
		}
		if exit.OOM {
			return cove.Errorf(cove.CodeInitError, "loading %s ran out of memory: the limit is %s, the peak was %s", c.Handler, c.Memory, exit.PeakMemory.InMiB())
		}
		return cove.Errorf(cove.CodeInitError, "loading %s ended the process: %s", c.Handler, describe(exit))
	}
}

// initTimeout says, also in the log, that the handler was not loaded in time.
func (in *instance) initTimeout() *cove.Error {
	c := &in.group.version.Config
	in.logs.Say(fmt.Sprintf("Init timed out after %.2f seconds", c.InitTimeout.Std().Seconds()))
	return cove.Errorf(cove.CodeInitTimeout, "loading %s took longer than %s (init_timeout)", c.Handler, c.InitTimeout)
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
