package invoke

import (
	"sync"
	"sync/atomic"
)

// gate counts the requests that run, and is shut when no more may begin. All
// functions pass it, so passing takes no lock: it is one atomic operation each way.
// It is safe for concurrent use.
type gate struct {
	// state is shut, or not, and inside for each request that runs.
	state atomic.Int64
	once  sync.Once
	empty chan struct{}
}

const (
	shut   = 1
	inside = 2
)

func newGate() *gate { return &gate{empty: make(chan struct{})} }

// enter lets a request in unless the gate is shut. One that was let in must leave.
func (g *gate) enter() bool {
	if g.state.Load()&shut != 0 {
		// The count is left alone: many that are refused could keep it from 0.
		return false
	}
	if g.state.Add(inside)&shut != 0 {
		g.leave() // It was shut just now.
		return false
	}
	return true
}

// leave says that a request has ended.
func (g *gate) leave() {
	if g.state.Add(-inside) == shut {
		g.emptied()
	}
}

// close lets nobody in any more. What it returns is closed when everybody has left.
// It may be called again.
func (g *gate) close() <-chan struct{} {
	if g.state.Or(shut)|shut == shut {
		g.emptied()
	}
	return g.empty
}

// emptied tells who waits. It is found out more than once where requests that are
// refused come and go while the last one leaves.
func (g *gate) emptied() { g.once.Do(func() { close(g.empty) }) }
