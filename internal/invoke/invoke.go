package invoke

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/logs"
	"github.com/covefn/cove/internal/pool"
	"github.com/covefn/cove/internal/runtime"
)

// Options are what a Service is built from.
type Options struct {
	Pool *pool.Pool
	Log  *slog.Logger
	// Record takes the record of every invocation when it has ended. It must not
	// block, and may be nil.
	Record func(*cove.Invocation)
	// Late takes, for each invocation that ran into its deadline, how long after it
	// the caller was told. It must not block, and may be nil.
	Late func(time.Duration)
	// Tracer names the spans of invocations; nil is none.
	Tracer Tracer
}

// Tracer makes a span of each invocation. It is safe for concurrent use.
type Tracer interface {
	// Start is the traceparent that the function is handed, of a new span beneath
	// parent, which is the caller's traceparent or "".
	Start(parent string) (traceparent string)
	// End takes the record of the invocation with that traceparent. It must not
	// block.
	End(parent, traceparent string, record *cove.Invocation)
}

// Service runs requests. It is safe for concurrent use.
type Service struct {
	o    Options
	gate *gate
}

// New returns a service over a pool.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Record == nil {
		o.Record = func(*cove.Invocation) {}
	}
	if o.Late == nil {
		o.Late = func(time.Duration) {}
	}
	return &Service{o: o, gate: newGate()}
}

// Drain refuses new requests with CodeShuttingDown and waits for those that run,
// or for ctx.
func (s *Service) Drain(ctx context.Context) error {
	select {
	case <-s.gate.close():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Do is described at Doer.
func (s *Service) Do(ctx context.Context, r *Request, sink Sink) (*cove.Invocation, *cove.Error) {
	if s.o.Tracer == nil {
		return s.do(ctx, r, sink)
	}
	parent := r.Trace
	r.Trace = s.o.Tracer.Start(parent)
	record, err := s.do(ctx, r, sink)
	s.o.Tracer.End(parent, r.Trace, record)
	return record, err
}

func (s *Service) do(ctx context.Context, r *Request, sink Sink) (*cove.Invocation, *cove.Error) {
	v := r.Version
	record := newRecord(r)
	if !s.gate.enter() {
		return s.end(ctx, record, cove.Errorf(cove.CodeShuttingDown, "Cove is shutting down; try again in a moment"))
	}
	defer s.gate.leave()
	if v.Disabled {
		return s.end(ctx, record, cove.Errorf(cove.CodeDisabled, "the function %s is disabled", v.Function))
	}
	if v.Package.SHA256 == "" {
		return s.end(ctx, record, cove.Errorf(cove.CodeNoCode, "function %s has no code yet: upload it with `cove deploy`", v.Function))
	}
	wait := ctx
	if !r.Deadline.IsZero() {
		var cancel context.CancelFunc
		wait, cancel = context.WithDeadline(ctx, r.Deadline)
		defer cancel()
	}
	// A sandbox that died before its shim had read the whole request ran none of
	// it, so another may; that is tried once.
	for attempt := 0; ; attempt++ {
		lease, err := s.acquire(wait, v, record)
		if err != nil {
			return s.end(ctx, record, err)
		}
		c := &call{service: s, r: r, record: record, lease: lease, sink: sink, last: attempt > 0}
		err, retry := c.run(ctx)
		if retry {
			continue
		}
		if r.Kind == cove.KindDirect || r.AwaitLog {
			c.awaitLog() // Who calls directly is shown it.
		}
		c.late(err)
		return s.end(ctx, record, err)
	}
}

// acquire leases an instance and notes how long each phase of it took.
func (s *Service) acquire(ctx context.Context, v *cove.Version, record *cove.Invocation) (*pool.Lease, *cove.Error) {
	began := time.Now()
	lease, err := s.o.Pool.Acquire(ctx, v)
	waited := time.Since(began)
	if err != nil {
		record.Timings.Queue += waited
		return nil, err
	}
	record.Start, record.Instance = lease.Class(), lease.Instance()
	record.Timings.Start, record.Timings.Init = lease.StartTook(), lease.InitTook()
	record.Timings.Queue += max(0, waited-lease.StartTook()-lease.InitTook())
	return lease, nil
}

// end completes the record, hands it on, and logs it.
func (s *Service) end(ctx context.Context, record *cove.Invocation, err *cove.Error) (*cove.Invocation, *cove.Error) {
	record.Timings.Total = time.Since(record.Time)
	record.Billed = billed(&record.Timings)
	if err != nil {
		fail(record, err)
		record.Status = err.Code.Status()
	} else if record.Outcome == cove.OutcomeOK && ctx.Err() != nil {
		record.Outcome, record.Fault = outcomeCallerGone, cove.FaultCaller
	}
	s.o.Record(record)
	s.log(ctx, record, err)
	return record, err
}

// outcomeCallerGone is the outcome of a request that ran to its end for a caller
// who had left.
const outcomeCallerGone = "caller_gone"

func (s *Service) log(ctx context.Context, r *cove.Invocation, err *cove.Error) {
	level := slog.LevelDebug
	if r.Fault == cove.FaultPlatform && r.Outcome != string(cove.CodeShuttingDown) && r.Outcome != string(cove.CodeQueueFull) {
		level = slog.LevelWarn
	}
	if !s.o.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", r.ID), slog.String("function", r.Function), slog.Int("version", r.Version),
		slog.String("isolation", r.Isolation), slog.String("instance", r.Instance), slog.String("start", string(r.Start)),
		slog.String("outcome", r.Outcome), slog.Duration("queue", r.Timings.Queue), slog.Duration("run", r.Timings.Run),
		slog.Duration("total", r.Timings.Total), slog.Duration("cpu", r.CPU), slog.Int64("in", r.BytesIn), slog.Int64("out", r.BytesOut),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	s.o.Log.LogAttrs(context.WithoutCancel(ctx), level, "invocation", attrs...)
}

// call is one attempt to run a request on one instance.
type call struct {
	service *Service
	r       *Request
	record  *cove.Invocation
	lease   *pool.Lease
	segment *logs.Segment
	sink    Sink
	timeout time.Duration
	// began is when the handler was called, and deadline when it must have answered.
	began, deadline time.Time
	// last says that this attempt is not followed by another.
	last bool
	// message is what the sandbox is sent.
	message runtime.Invoke
}

// run calls the handler and gives the instance back, whatever happens. retry is
// set when the handler certainly did not run and another attempt may follow.
func (c *call) run(ctx context.Context) (_ *cove.Error, retry bool) {
	defer c.lease.Release()
	c.began = time.Now()
	c.timeout = c.r.Version.Config.Timeout.Std()
	if left := time.Until(c.r.Deadline); !c.r.Deadline.IsZero() && left < c.timeout {
		c.timeout = left
	}
	c.deadline = c.began.Add(c.timeout)
	c.segment = c.lease.Begin(c.r.ID)
	if c.timeout <= 0 {
		c.segment.Withdraw() // Nothing was sent, and the instance is as good as before.
		return cove.Errorf(cove.CodeTimeout, "the caller's own time (Cove-Timeout) was over before the function was called"), false
	}
	c.message = runtime.Invoke{
		Kind: c.r.Kind, RequestID: c.r.ID, TimeoutMS: c.timeout.Milliseconds(), Marker: c.segment.Marker(),
		Trace: c.r.Trace, Event: c.r.Event, Payload: c.r.Payload,
	}
	answer, err := c.lease.Invoke(c.deadline, &c.message)
	if err == nil && answer.Stream {
		err = c.stream(c.deadline, answer)
		c.record.Timings.Run = time.Since(c.began)
		c.measure()
		if err != nil {
			told, _ := c.failed(err)
			c.note(told)
			c.sink.End(told)
			c.late(told)
		} else {
			c.sink.End(nil)
		}
		return nil, false
	}
	c.record.Timings.Run = time.Since(c.began)
	c.measure()
	if err != nil {
		return c.failed(err)
	}
	c.lease.Release()
	c.record.BytesOut = int64(len(answer.Payload))
	if answer.Head != nil {
		c.record.Status = answer.Head.Status
	}
	if err := c.sink.Answer(answer); err != nil {
		if told := asTold(err); told != nil {
			return told, false
		}
		c.record.Outcome, c.record.Fault = outcomeCallerGone, cove.FaultCaller
	}
	return nil, false
}

// measure adds what the sandbox used for this call since it was measured last.
func (c *call) measure() {
	used, peak := c.lease.Usage(context.Background())
	c.record.CPU += used
	c.record.PeakMemory = max(c.record.PeakMemory, peak)
}

// note puts a failure into the record that is not returned: the answer's head
// was out already.
func (c *call) note(err *cove.Error) {
	fail(c.record, err)
}

// late tells how long after the deadline the caller of a timed out call was told.
func (c *call) late(err *cove.Error) {
	if err != nil && err.Code == cove.CodeTimeout {
		c.service.o.Late(time.Since(c.deadline))
	}
}

// stream passes a streamed answer on, piece by piece. The pieces go out on this
// goroutine, and a caller that reads slowly may hold it; so the deadline has a
// timer of its own here, which stops the sandbox all the same.
func (c *call) stream(deadline time.Time, answer *runtime.Answer) error {
	timer := time.AfterFunc(time.Until(deadline), func() { c.lease.Abandon("timeout") })
	defer timer.Stop()
	head := answer.Head
	if head == nil {
		head = &runtime.Head{}
	}
	c.record.Status = head.Status
	err := c.sink.Begin(head)
	gone := err != nil
	if told := asTold(err); told != nil {
		c.note(told)
		c.record.Status = told.Code.Status()
	} else if gone {
		c.record.Outcome, c.record.Fault = outcomeCallerGone, cove.FaultCaller
	}
	for {
		piece, err := c.lease.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && asTold(err) == nil && !time.Now().Before(deadline):
			// The timer may have ended the sandbox before the read saw its
			// deadline: it is the deadline all the same.
			return os.ErrDeadlineExceeded
		case err != nil:
			return err
		}
		c.record.BytesOut += int64(len(piece))
		if !gone && c.sink.Chunk(piece) != nil {
			gone = true
			c.record.Outcome, c.record.Fault = outcomeCallerGone, cove.FaultCaller
		}
	}
}

var _ Doer = (*Service)(nil)

// logPatience bounds how long an answer waits for the invocation's last output.
const logPatience = 100 * time.Millisecond

// awaitLog waits until what the invocation printed is in its log.
func (c *call) awaitLog() {
	ctx, cancel := context.WithTimeout(context.Background(), logPatience)
	defer cancel()
	c.segment.Wait(ctx)
}

// lastLine adds the platform's line to the invocation's log.
func (c *call) lastLine(text string) { c.segment.Last(text) }

// exited says what to tell about a process that ended in a call.
func (c *call) exited(e driver.Exit) *cove.Error {
	limit := c.r.Version.Config.Memory
	if e.OOM {
		c.lastLine("Out of memory: the limit is " + limit.String() + ", the peak was " + e.PeakMemory.InMiB().String())
		return cove.Errorf(cove.CodeOutOfMemory, "the function needed more memory than its limit of %s (peak %s); raise memory", limit, e.PeakMemory.InMiB())
	}
	what := c.lease.Describe(e)
	c.lastLine("Runtime exited: " + what)
	return cove.Errorf(cove.CodeRuntimeExited, "the function's process ended before it answered: %s", what)
}
