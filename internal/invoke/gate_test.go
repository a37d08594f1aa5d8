package invoke

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func TestGate(t *testing.T) {
	t.Parallel()

	t.Run("is empty at once where nobody is inside", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		<-g.close()
		<-g.close() // Again.
		if g.enter() {
			t.Error("somebody was let in")
		}
	})

	t.Run("waits for the last one, and is not kept waiting by those it refuses", func(t *testing.T) {
		t.Parallel()
		g := newGate()
		g.enter()
		g.enter()
		empty := g.close()
		for range 2 {
			if g.enter() {
				t.Error("somebody was let in")
			}
			select {
			case <-empty:
				t.Fatal("it is empty already")
			default:
			}
			g.leave()
		}
		<-empty
	})

	t.Run("lets nobody in once it is shut, whatever the moment, and wakes all who wait once", func(t *testing.T) {
		t.Parallel()
		for range 300 {
			crowd(t)
		}
	})
}

// crowd has many come and go while the gate is closed, and come on until they are
// refused.
func crowd(t *testing.T) {
	t.Helper()
	g := newGate()
	var running, closed atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for after := closed.Load() > 0; g.enter(); after = closed.Load() > 0 {
				if after {
					t.Error("somebody came in after it was shut")
				}
				running.Add(1)
				runtime.Gosched()
				running.Add(-1)
				g.leave()
			}
			for range 100 {
				if g.enter() {
					t.Error("somebody came in after another was refused")
				}
			}
		})
	}
	for range 3 {
		all.Go(func() {
			for range 20 {
				runtime.Gosched()
			}
			empty := g.close()
			closed.Store(1)
			<-empty // A second close of the channel would panic.
			if n := running.Load(); n != 0 {
				t.Errorf("%d run", n)
			}
		})
	}
	all.Wait()
	if n := g.state.Load(); n != shut {
		t.Errorf("the count is off: %d", n)
	}
}

// BenchmarkGate is what admitting a request costs, all functions together.
func BenchmarkGate(b *testing.B) {
	g := newGate()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if g.enter() {
				g.leave()
			}
		}
	})
}
