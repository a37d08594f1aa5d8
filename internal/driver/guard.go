package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// stopPatience bounds a Stop whose caller has set no bound.
const stopPatience = time.Second

// Guarded is a sandbox that is safe whatever its driver does:
//
//   - One state change (Mount, Resize, Pause, Resume) at a time; the next waits
//     its turn for as long as its ctx allows, and gives up unharmed.
//   - A state change that fails leaves nobody knowing what state the sandbox is
//     in, so it is dead from then on. Every later one is ErrDead with the first
//     error in its words. Only Stop, Usage, Wait and Destroy still work. The
//     exception is an error that is ErrRefused, which has changed nothing.
//   - Pausing what is paused and resuming what runs do nothing.
//   - Stop and Destroy wait for nobody. A deadline is worth nothing if it has to
//     queue behind a Mount that hangs, so both overtake a state change that is
//     under way, which then fails or is too late to matter; no state change
//     begins after them. A driver has to stand that: after its Stop has begun,
//     its own Resume must not let anything run (host.Cgroup sees to it), and
//     after its Destroy has begun its Mount must leave nothing.
//   - Stop and Destroy run once for all who call at the same time, and go on
//     when ctx ends. A Stop or Destroy that failed is tried anew by the next
//     call; one that worked is not repeated.
//
// It always has the methods of Mounter, Resizer and Pauser. Features says which
// of them the sandbox within can do; the others return an error that is
// errors.ErrUnsupported and harm nothing.
type Guarded struct {
	inner Sandbox
	// turn holds one token: whoever takes it may change the state.
	turn chan struct{}

	mu     sync.Mutex
	death  error // what it died of; nil while it lives
	paused bool
	reason string // of the first Destroy

	stop, destroy flight
}

// Guard wraps s. Nothing else must use s afterwards.
func Guard(s Sandbox) *Guarded {
	if g, ok := s.(*Guarded); ok {
		return g
	}
	return &Guarded{inner: s, turn: make(chan struct{}, 1)}
}

var (
	_ Sandbox = (*Guarded)(nil)
	_ Mounter = (*Guarded)(nil)
	_ Resizer = (*Guarded)(nil)
	_ Pauser  = (*Guarded)(nil)

	_ ProcessLister = (*Guarded)(nil)
)

// ID is that of the sandbox within.
func (g *Guarded) ID() string { return g.inner.ID() }

// Conn is that of the sandbox within.
func (g *Guarded) Conn() net.Conn { return g.inner.Conn() }

// Logs are those of the sandbox within.
func (g *Guarded) Logs() (stdout, stderr io.Reader) { return g.inner.Logs() }

// Usage is that of the sandbox within. It also works when the sandbox is
// stopped: what an invocation used that ran past its deadline is of interest.
func (g *Guarded) Usage(ctx context.Context) (Usage, error) { return g.inner.Usage(ctx) }

// CPU is that of the sandbox within; see Usage.
func (g *Guarded) CPU() (time.Duration, error) { return g.inner.CPU() }

// Processes is that of the sandbox within; see ProcessLister. It is an error that
// is errors.ErrUnsupported where the sandbox cannot tell.
func (g *Guarded) Processes(ctx context.Context) ([]int, error) {
	l, ok := g.inner.(ProcessLister)
	if !ok {
		return nil, fmt.Errorf("sandbox %s cannot list its processes: %w", g.ID(), errors.ErrUnsupported)
	}
	return l.Processes(ctx)
}

// Wait is that of the sandbox within, with the reason of Destroy filled in.
func (g *Guarded) Wait(ctx context.Context) (Exit, error) {
	e, err := g.inner.Wait(ctx)
	if e.Reason == "" && err == nil {
		g.mu.Lock()
		e.Reason = g.reason
		g.mu.Unlock()
	}
	return e, err
}

// Features lists which of FeatureMount, FeatureResize and FeaturePause the
// sandbox can do.
func (g *Guarded) Features() []Feature {
	var f []Feature
	if _, ok := g.inner.(Mounter); ok {
		f = append(f, FeatureMount)
	}
	if _, ok := g.inner.(Resizer); ok {
		f = append(f, FeatureResize)
	}
	if _, ok := g.inner.(Pauser); ok {
		f = append(f, FeaturePause)
	}
	return f
}

// Native says whether the host's kernel itself serves the system calls inside.
func (g *Guarded) Native() bool {
	n, ok := g.inner.(Native)
	return ok && n.Native()
}

// Mount puts dir into the running sandbox; see Mounter.
func (g *Guarded) Mount(ctx context.Context, dir string) error {
	m, ok := g.inner.(Mounter)
	if !ok {
		return g.unsupported(FeatureMount)
	}
	return g.change(ctx, FeatureMount, func() error { return m.Mount(ctx, dir) })
}

// Resize sets new limits; see Resizer.
func (g *Guarded) Resize(ctx context.Context, l Limits) error {
	r, ok := g.inner.(Resizer)
	if !ok {
		return g.unsupported(FeatureResize)
	}
	return g.change(ctx, FeatureResize, func() error { return r.Resize(ctx, l) })
}

// Pause freezes everything inside; see Pauser.
func (g *Guarded) Pause(ctx context.Context) error { return g.setPaused(ctx, true) }

// Resume lets it go on; see Pauser.
func (g *Guarded) Resume(ctx context.Context) error { return g.setPaused(ctx, false) }

func (g *Guarded) setPaused(ctx context.Context, paused bool) error {
	p, ok := g.inner.(Pauser)
	if !ok {
		return g.unsupported(FeaturePause)
	}
	return g.change(ctx, FeaturePause, func() error {
		// Only who has the turn writes paused.
		if g.paused == paused {
			return nil
		}
		do := p.Resume
		if paused {
			do = p.Pause
		}
		if err := do(ctx); err != nil {
			return err
		}
		g.paused = paused
		return nil
	})
}

func (g *Guarded) unsupported(f Feature) error {
	return fmt.Errorf("sandbox %s cannot %s: %w", g.ID(), f, errors.ErrUnsupported)
}

// change runs one state change in its turn.
func (g *Guarded) change(ctx context.Context, what Feature, do func() error) error {
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%s sandbox %s: waiting for another change: %w", what, g.ID(), context.Cause(ctx))
	}
	if err := g.alive(); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	err := do()
	if err == nil {
		// It may have been stopped while the change was made; then the change
		// is worth nothing to the caller.
		return g.alive()
	}
	err = fmt.Errorf("%s sandbox %s: %w", what, g.ID(), err)
	if errors.Is(err, ErrRefused) {
		return err
	}
	if exit, gone := g.exited(); gone {
		err = fmt.Errorf("%w (%s)", err, exit)
	}
	g.die(err)
	return err
}

// exited says how the sandbox ended, if it already has.
func (g *Guarded) exited() (string, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	e, err := g.inner.Wait(ctx)
	if err != nil {
		return "", false
	}
	return e.String(), true
}

// die notes what the sandbox died of; the first cause counts.
func (g *Guarded) die(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.death == nil {
		g.death = cause
	}
}

func (g *Guarded) alive() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.death != nil {
		return fmt.Errorf("%w: %w", ErrDead, g.death)
	}
	return nil
}

var errStopped = errors.New("it was stopped")

// Stop returns when nothing inside runs any more, or with ctx's error when ctx
// ends first, at the latest after a second; the stopping then goes on. From its
// beginning the sandbox is dead for every state change.
func (g *Guarded) Stop(ctx context.Context) error {
	g.die(errStopped)
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	return g.stop.do(ctx, func() error {
		// Bounded for the driver too, and kept alive for those who join later.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
		defer cancel()
		return g.inner.Stop(ctx)
	})
}

// Destroy removes the sandbox; see Sandbox. When ctx ends first it returns
// ctx's error and the removal goes on. The reason of the first call counts.
func (g *Guarded) Destroy(ctx context.Context, reason string) error {
	g.die(fmt.Errorf("it was destroyed: %s", reason))
	g.mu.Lock()
	if g.reason == "" {
		g.reason = reason
	}
	reason = g.reason
	g.mu.Unlock()
	return g.destroy.do(ctx, func() error { return g.inner.Destroy(context.WithoutCancel(ctx), reason) })
}

// flight runs something once for all who ask at the same time.
type flight struct {
	mu   sync.Mutex
	done chan struct{} // nil before the first run
	err  error         // of the run that closed done
}

// do runs f in a goroutine, or joins the run that is under way, or returns at
// once when a run has worked. When ctx ends first it returns ctx's error.
func (f *flight) do(ctx context.Context, run func() error) error {
	f.mu.Lock()
	if f.done == nil || f.finished() && f.err != nil {
		done := make(chan struct{})
		f.done, f.err = done, nil
		go func() {
			err := run()
			f.mu.Lock()
			f.err = err
			close(done)
			f.mu.Unlock()
		}()
	}
	done := f.done
	f.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *flight) finished() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// String says how the sandbox ended, in words: "it ran out of memory", "it was
// killed by signal 9", "it exited with code 3".
func (e Exit) String() string {
	switch {
	case e.OOM:
		return "it ran out of memory"
	case e.Signal != 0:
		return fmt.Sprintf("it was killed by signal %d", e.Signal)
	case e.Code < 0:
		return "it ended"
	default:
		return fmt.Sprintf("it exited with code %d", e.Code)
	}
}
