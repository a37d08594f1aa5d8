// Package invoke is the use case of one request to a function: admit it, lease
// an instance, hold it to its deadlines, call, and record what happened. The
// gateway and the control API both come through here.
package invoke

import (
	"context"
	"encoding/json"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

// Request is one call of one version.
type Request struct {
	// ID is the request id, as the caller and the handler see it.
	ID string
	// Version is what to run. It is never changed.
	Version *cove.Version
	Kind    cove.Kind
	// Event is the HTTP event without its body (KindHTTP only).
	Event json.RawMessage
	// Payload is the request's body, or the event of a direct invocation.
	Payload []byte
	// Method and Path are those of the HTTP request, for the record (KindHTTP only).
	Method, Path string
	// Trace is the W3C traceparent, if any.
	Trace string
	// Arrived is when the request's head was read.
	Arrived time.Time
	// AwaitLog has Do wait a moment for what the handler printed last to be in the
	// log, for who is shown it with the answer; as it does for KindDirect.
	AwaitLog bool
	// Deadline is the caller's own overall bound (Cove-Timeout); zero for none.
	// It can only shorten.
	Deadline time.Time
}

// Sink receives the answer of one request. Its methods are called by the
// goroutine that called Do, and never after Do has returned.
type Sink interface {
	// Answer is called once, for an answer that came whole; the instance has
	// been given back by then. A *cove.Error says that it cannot be sent and that
	// the sink has told the caller; any other error, that the caller has gone.
	Answer(a *runtime.Answer) error
	// Begin, Chunk and End are called instead for a streamed answer. An error
	// of Begin or Chunk says that the caller has gone; the rest of the stream is
	// then read and dropped; a *cove.Error says that the answer itself cannot be
	// sent, and that the sink has told the caller. p is valid during the call only. End's err says
	// that the stream broke off: what was sent must be recognisable as cut.
	Begin(h *runtime.Head) error
	Chunk(p []byte) error
	End(err *cove.Error)
}

// Doer runs requests; *Service is the one there is.
type Doer interface {
	// Do runs r and hands the answer to sink. If it returns an error, nothing
	// was handed to sink and the error is what to tell the caller. The record
	// is complete in both cases but for what the caller's side adds. When Do has
	// returned it holds neither r.Event nor sink any more.
	//
	// ctx ends when the caller leaves: a queued request is then withdrawn, one
	// that was dispatched runs to its end.
	Do(ctx context.Context, r *Request, sink Sink) (*cove.Invocation, *cove.Error)
}
