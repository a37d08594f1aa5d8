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

// caller is the runtime protocol as one request sees it: a whole connection, or
// its part of a shared one.
type caller interface {
	Invoke(deadline time.Time, call *rt.Invoke) (*rt.Answer, error)
	Next() ([]byte, error)
	Usable() bool
}

// Lease is an instance, or a share of one, in the hands of one request. Its
// methods are called by the goroutine that holds it, but for Break, which any may
// call.
type Lease struct {
	in     *instance
	class  cove.StartClass
	began  time.Time
	caller caller
	// shared is the caller where others use the instance too.
	shared *rt.Caller
	// segment is where what the request prints goes.
	segment *logs.Segment
	// called says that a call was made: how long the lease was held tells how long
	// calls take.
	called bool

	mu   sync.Mutex
	over bool
	// breaking lets the second of two who break the lease wait for the first.
	breaking sync.WaitGroup
}

func newLease(in *instance, class cove.StartClass, now time.Time) *Lease {
	l := &Lease{in: in, class: class, began: now, caller: in.conn}
	if in.mux != nil {
		l.shared = in.mux.Caller()
		l.caller = l.shared
	}
	return l
}

// Instance is the instance's id.
func (l *Lease) Instance() string { return l.in.id }

// Class says what the request found.
func (l *Lease) Class() cove.StartClass { return l.class }

// StartTook and InitTook are how long making and loading the instance took, zero
// for one that was there already.
func (l *Lease) StartTook() time.Duration {
	if !l.fresh() {
		return 0
	}
	return l.in.startTook
}

// InitTook is described at StartTook.
func (l *Lease) InitTook() time.Duration {
	if !l.fresh() {
		return 0
	}
	return l.in.initTook
}

func (l *Lease) fresh() bool { return l.class == cove.StartCold || l.class == cove.StartStem }

// Begin opens the segment of the instance's log that is requestID's. Release ends
// it.
func (l *Lease) Begin(requestID string) *logs.Segment {
	l.segment = l.in.logs.Begin(requestID)
	return l.segment
}

// Invoke is Conn.Invoke of the instance.
func (l *Lease) Invoke(deadline time.Time, call *rt.Invoke) (*rt.Answer, error) {
	l.called = true
	return l.caller.Invoke(deadline, call)
}

// Next is Conn.Next of the instance.
func (l *Lease) Next() ([]byte, error) { return l.caller.Next() }

// measureInterval is how often an instance's memory is looked at most, and how
// often one that serves several requests at once is measured at all: what is read
// is files of the kernel's.
const measureInterval = time.Millisecond

// Usage is what the sandbox used since it was measured last, and the most memory
// it ever held, as it was a millisecond ago at most. Where an instance serves
// several requests at once, what they used meanwhile is told to the one that
// measures first: the sum is right. The others are told no processor time.
func (l *Lease) Usage(ctx context.Context) (cpu time.Duration, peak cove.ByteSize) {
	in := l.in
	now, last := time.Now().UnixNano(), in.measured.Load()
	recent := now-last < int64(measureInterval) || !in.measured.CompareAndSwap(last, now)
	if recent && l.shared != nil {
		return 0, cove.ByteSize(in.peak.Load())
	}
	if recent {
		used, err := in.sandbox.CPU()
		if err != nil {
			return 0, 0
		}
		cpu = used
	} else {
		u, err := in.sandbox.Usage(ctx)
		if err != nil {
			return 0, 0
		}
		cpu = u.CPU
		in.peak.Store(int64(u.PeakMemory))
	}
	before := time.Duration(in.cpu.Swap(int64(cpu)))
	if !l.fresh() {
		before = max(before, in.loaded) // Nobody waited for its start.
	}
	return max(0, cpu-before), cove.ByteSize(in.peak.Load())
}

// Ending says how the sandbox ended, after its stream did. It waits until the
// deadline, three seconds at most, and stops a sandbox that lives on without a
// stream; late says that the deadline has passed for it.
func (l *Lease) Ending(deadline time.Time) (exit driver.Exit, late bool) {
	return l.in.ending(deadline)
}

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
	usable := l.caller.Usable()
	l.over = usable
	l.mu.Unlock()
	if usable {
		if l.segment != nil {
			l.segment.End()
		}
		l.in.group.release(l.in, time.Since(l.began), l.called)
	} else {
		// Others may still get their answers, where a call that was given up has
		// not ended yet.
		l.end("its connection is of no further use", l.shared != nil)
	}
}

// Break gives the instance up for good. Everything in the sandbox is stopped,
// within 20 ms, and it is destroyed in the background. When Break returns nothing
// inside runs any more, or the log says that it could not be stopped in time.
// Calling it again, or Release after it, does nothing.
func (l *Lease) Break(reason string) { l.end(reason, false) }

// Abandon is Break for a call that ran past its deadline. An instance that serves
// others at the same time is not stopped under them: it is given no new request,
// the call is cancelled as far as its language can do that, and the last of the
// others ends the instance.
func (l *Lease) Abandon(reason string) { l.end(reason, true) }

func (l *Lease) end(reason string, patient bool) {
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
	if l.shared != nil {
		l.shared.Abandon()
	}
	if l.in.group.giveUp(l.in, reason, patient) {
		return
	}
	l.in.group.pool.stop(l.in.cell)
	l.in.group.fail(l.in, reason)
}
