package pool

import (
	"context"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/logs"
	rt "github.com/covefn/cove/internal/runtime"
)

// Lease is an instance in the hands of one request. Its methods are called by
// the goroutine that holds it, but for Break, which any may call.
type Lease struct {
	in    *instance
	class cove.StartClass

	mu   sync.Mutex
	over bool
	// breaking lets the second of two who break the lease wait for the first.
	breaking sync.WaitGroup
}

func newLease(in *instance, class cove.StartClass) *Lease { return &Lease{in: in, class: class} }

// Instance is the instance's id.
func (l *Lease) Instance() string { return l.in.id }

// Class says what the request found.
func (l *Lease) Class() cove.StartClass { return l.class }

// StartTook and InitTook are how long making and loading the instance took, zero
// for one that was there already.
func (l *Lease) StartTook() time.Duration {
	if l.class == cove.StartWarm {
		return 0
	}
	return l.in.startTook
}

// InitTook is described at StartTook.
func (l *Lease) InitTook() time.Duration {
	if l.class == cove.StartWarm {
		return 0
	}
	return l.in.initTook
}

// Begin opens the segment of the instance's log that is requestID's.
func (l *Lease) Begin(requestID string) *logs.Segment { return l.in.logs.Begin(requestID) }

// Invoke is Conn.Invoke of the instance.
func (l *Lease) Invoke(deadline time.Time, call *rt.Invoke) (*rt.Answer, error) {
	return l.in.conn.Invoke(deadline, call)
}

// Next is Conn.Next of the instance.
func (l *Lease) Next() ([]byte, error) { return l.in.conn.Next() }

// Usage is what the sandbox used since the lease before this one ended, and the
// most memory it ever held.
func (l *Lease) Usage(ctx context.Context) (cpu time.Duration, peak cove.ByteSize) {
	u, err := l.in.sandbox.Usage(ctx)
	if err != nil {
		return 0, 0
	}
	cpu = u.CPU - l.in.cpu
	l.in.cpu = u.CPU
	return cpu, u.PeakMemory
}

// Ending says how the sandbox ended, after its stream did. It waits for three
// seconds at most and stops a sandbox that lives on without a stream.
func (l *Lease) Ending() driver.Exit { return l.in.ending() }

// Describe says in words how a process ended.
func (l *Lease) Describe(e driver.Exit) string { return describe(e) }

// Release gives the instance back, to be lent again, or ends it if its stream is
// of no further use.
func (l *Lease) Release() {
	l.mu.Lock()
	if l.over { // Another request may have the instance by now.
		l.mu.Unlock()
		return
	}
	usable := l.in.conn.Usable()
	l.over = usable
	l.mu.Unlock()
	if usable {
		l.in.group.release(l.in)
	} else {
		l.Break("its connection is broken")
	}
}

// Break stops everything in the sandbox, within 20 ms, and gives the instance up
// for good: it is destroyed in the background. When Break returns nothing inside
// runs any more, or the log says that it could not be stopped in time. Calling
// it again, or Release after it, does nothing.
func (l *Lease) Break(reason string) {
	l.mu.Lock()
	first := !l.over
	if first {
		l.over = true
		l.breaking.Add(1)
		defer l.breaking.Done()
	}
	l.mu.Unlock()
	if !first {
		l.breaking.Wait()
		return
	}
	l.in.stop()
	l.in.group.fail(l.in, reason)
}
