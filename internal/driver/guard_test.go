package driver

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plain is a sandbox without any feature. Its functions are set by a test; nil
// ones work at once.
type plain struct {
	stop, destroy, wait func(ctx context.Context) error
	stops, destroys     atomic.Int32
}

func call(f func(ctx context.Context) error, ctx context.Context) error {
	if f == nil {
		return nil
	}
	return f(ctx)
}

func (p *plain) ID() string                           { return "sb" }
func (p *plain) Conn() net.Conn                       { return nil }
func (p *plain) Logs() (stdout, stderr io.Reader)     { return nil, nil }
func (p *plain) Usage(context.Context) (Usage, error) { return Usage{CPU: 1}, nil }
func (p *plain) CPU() (time.Duration, error)          { return 1, nil }
func (p *plain) Wait(ctx context.Context) (Exit, error) {
	return Exit{Code: 3}, call(p.wait, ctx)
}
func (p *plain) Stop(ctx context.Context) error {
	p.stops.Add(1)
	return call(p.stop, ctx)
}
func (p *plain) Destroy(ctx context.Context, _ string) error {
	p.destroys.Add(1)
	return call(p.destroy, ctx)
}

// full has every feature.
type full struct {
	plain
	mount           func(ctx context.Context) error
	pauses, resumes atomic.Int32
	busy, most      atomic.Int32
}

func (f *full) Mount(ctx context.Context, _ string) error {
	f.most.Store(max(f.most.Load(), f.busy.Add(1)))
	defer f.busy.Add(-1)
	return call(f.mount, ctx)
}
func (f *full) Resize(context.Context, Limits) error { return nil }
func (f *full) Pause(context.Context) error          { f.pauses.Add(1); return nil }
func (f *full) Resume(context.Context) error         { f.resumes.Add(1); return nil }

func slow(ctx context.Context) error {
	select {
	case <-time.After(time.Minute):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()

	t.Run("what was refused has changed nothing, and it lives on", func(t *testing.T) {
		t.Parallel()
		f := &full{mount: func(context.Context) error { return ErrRefused }}
		g := Guard(f)
		if err := g.Mount(t.Context(), "a"); !errors.Is(err, ErrRefused) || errors.Is(err, ErrDead) {
			t.Errorf("the error is %v", err)
		}
		if err := g.Pause(t.Context()); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})

	t.Run("only one state change runs at a time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			inner := &full{mount: slow}
			g := Guard(inner)
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					if err := g.Mount(t.Context(), "/d"); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if n := inner.most.Load(); n != 1 {
				t.Errorf("%d ran at once", n)
			}
		})
	})

	t.Run("whoever gives up waiting for its turn has harmed nothing", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := Guard(&full{mount: slow})
			var first sync.WaitGroup
			first.Go(func() {
				if err := g.Mount(t.Context(), "/d"); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := g.Pause(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			first.Wait()
			if err := g.Pause(t.Context()); err != nil {
				t.Errorf("the sandbox was harmed: %v", err)
			}
		})
	})

	t.Run("a failed state change is its death, with the cause told by all that follow", func(t *testing.T) {
		t.Parallel()
		cause := errors.New("the disk is on fire")
		g := Guard(&full{mount: func(context.Context) error { return cause }})
		if err := g.Mount(t.Context(), "/d"); !errors.Is(err, cause) || !strings.Contains(err.Error(), "exited with code 3") {
			t.Errorf("the first error: %v", err)
		}
		for name, do := range map[string]func() error{
			"mount":  func() error { return g.Mount(t.Context(), "/d") },
			"resize": func() error { return g.Resize(t.Context(), Limits{}) },
			"pause":  func() error { return g.Pause(t.Context()) },
			"resume": func() error { return g.Resume(t.Context()) },
		} {
			if err := do(); !errors.Is(err, ErrDead) || !errors.Is(err, cause) {
				t.Errorf("%s of a dead sandbox: %v", name, err)
			}
		}
		if err := errors.Join(g.Stop(t.Context()), g.Destroy(t.Context(), "dead")); err != nil {
			t.Errorf("a dead sandbox cannot be removed: %v", err)
		}
	})

	t.Run("pausing and resuming twice do nothing the second time", func(t *testing.T) {
		t.Parallel()
		inner := &full{}
		g := Guard(inner)
		for _, do := range []func(context.Context) error{g.Resume, g.Pause, g.Pause, g.Resume, g.Resume} {
			if err := do(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if inner.pauses.Load() != 1 || inner.resumes.Load() != 1 {
			t.Errorf("%d pauses, %d resumes", inner.pauses.Load(), inner.resumes.Load())
		}
	})

	t.Run("Stop does not wait for a change under way, and none begins after it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := Guard(&full{mount: slow})
			var mount sync.WaitGroup
			mount.Go(func() {
				if err := g.Mount(t.Context(), "/d"); !errors.Is(err, ErrDead) {
					t.Errorf("the overtaken mount: %v", err)
				}
			})
			synctest.Wait()
			start := time.Now()
			if err := g.Stop(t.Context()); err != nil || time.Since(start) > 0 {
				t.Errorf("Stop took %v: %v", time.Since(start), err)
			}
			mount.Wait()
			if err := g.Resume(t.Context()); !errors.Is(err, ErrDead) {
				t.Errorf("a resume after Stop: %v", err)
			}
			if _, err := g.Usage(t.Context()); err != nil {
				t.Errorf("usage after Stop: %v", err)
			}
		})
	})

	t.Run("a Stop that hangs is bounded, and tried anew by the next call", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			inner := &full{plain: plain{stop: slow}}
			g := Guard(inner)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			start := time.Now()
			if err := g.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 20*time.Millisecond {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
			start = time.Now()
			if err := g.Stop(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Second {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
			synctest.Wait()
			if n := inner.stops.Load(); n != 1 {
				t.Errorf("%d Stops for two callers at once", n)
			}
			inner.stop = nil
			if err := g.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	})

	t.Run("Destroy is done once for all who ask, and goes on when their ctx ends", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			inner := &full{plain: plain{destroy: slow}}
			g := Guard(inner)
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if err := g.Destroy(ended, "first"); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					if err := g.Destroy(t.Context(), "later"); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if err := g.Destroy(t.Context(), "again"); err != nil {
				t.Error(err)
			}
			if n := inner.destroys.Load(); n != 1 {
				t.Errorf("destroyed %d times", n)
			}
			if e, err := g.Wait(t.Context()); err != nil || e.Reason != "first" {
				t.Errorf("exit %+v, %v", e, err)
			}
		})
	})

	t.Run("a Destroy that failed is tried anew", func(t *testing.T) {
		t.Parallel()
		inner := &full{plain: plain{destroy: func(context.Context) error { return errors.New("busy") }}}
		g := Guard(inner)
		if err := g.Destroy(t.Context(), "x"); err == nil {
			t.Error("the failure was hidden")
		}
		inner.destroy = nil
		if err := g.Destroy(t.Context(), "x"); err != nil {
			t.Error(err)
		}
	})

	t.Run("a feature that is missing is said so and harms nothing", func(t *testing.T) {
		t.Parallel()
		g := Guard(&plain{})
		if f := g.Features(); len(f) != 0 {
			t.Errorf("features %v", f)
		}
		for _, err := range []error{
			g.Mount(t.Context(), "/d"), g.Resize(t.Context(), Limits{}), g.Pause(t.Context()), g.Resume(t.Context()),
		} {
			if !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, ErrDead) {
				t.Errorf("got %v", err)
			}
		}
		if f := Guard(&full{}).Features(); len(f) != 3 {
			t.Errorf("features %v", f)
		}
	})

	t.Run("guarding twice is guarding once", func(t *testing.T) {
		t.Parallel()
		g := Guard(&plain{})
		if Guard(g) != g {
			t.Error("wrapped again")
		}
	})
}
