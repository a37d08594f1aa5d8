// Package runtime is the host's side of the runtime protocol, by which Cove
// talks to the shim inside a sandbox, and the catalogue of the languages that
// have one.
package runtime

import (
	"encoding/json"
	"time"

	"github.com/covefn/cove"
)

// ProtocolVersion is the one this host speaks.
const ProtocolVersion = 1

// Hello is the body of HELLO: what the shim says of itself when it connects.
type Hello struct {
	Protocol int    `json:"protocol"`
	Runtime  string `json:"runtime"` // "python"
	Version  string `json:"version"` // "3.13.5"
	// Prepares says that a PREPARED follows once the shim has done all that it can
	// do before INIT.
	Prepares bool `json:"prepares"`
}

// Init is the body of INIT: it turns a stem cell into an instance.
type Init struct {
	Function string `json:"function"`
	Version  int    `json:"version"`
	// Handler is "file.function"; CodeDir where the package is inside.
	Handler string `json:"handler"`
	CodeDir string `json:"code_dir"`
	// Env is the function's environment; it is added to that of the process.
	Env map[string]string `json:"env"`
	// Memory in MiB and Timeout are what the handler's context tells.
	MemoryMiB int   `json:"memory_mib"`
	TimeoutMS int64 `json:"timeout_ms"`
	// MaxAnswer is the largest answer in bytes; a larger one must not be sent.
	MaxAnswer int64 `json:"max_answer"`
	// Concurrency is how many calls the instance is given at once. Above 1 the
	// host must use a Mux; 0 means 1.
	Concurrency int `json:"concurrency,omitempty"`
	// Poll says that a shim which waits for frames had better do so by poll(2) than
	// by a read that blocks: where system calls are the host's own, that saves
	// wake-ups.
	Poll bool `json:"poll,omitempty"`
	// Entropy is 32 fresh random bytes in base64, and Now the wall clock in
	// nanoseconds since 1970: the shim reseeds its random sources with them.
	Entropy []byte `json:"entropy"`
	Now     int64  `json:"now"`
}

// Invoke is one call of the handler.
type Invoke struct {
	Kind      cove.Kind `json:"kind"`
	RequestID string    `json:"request_id"`
	// TimeoutMS is the time left until the deadline when the frame was written.
	TimeoutMS int64 `json:"timeout_ms"`
	// Marker is echoed on a line of its own into the log stream when the
	// handler has ended.
	Marker string `json:"marker"`
	// Trace is the W3C traceparent, if any.
	Trace string `json:"trace,omitempty"`
	// Event is the Lambda HTTP event without its body, for KindHTTP. The body
	// is the payload; the shim puts it into the event, in base64 if
	// isBase64Encoded is true.
	Event json.RawMessage `json:"event,omitempty"`
	// Payload is the body of the request (KindHTTP) or the event itself in
	// JSON (KindDirect). It travels raw behind the header.
	Payload []byte `json:"-"`
}

// Head is the head of an answer to a KindHTTP call.
type Head struct {
	Status  int                 `json:"status,omitempty"`
	Headers map[string][]string `json:"headers,omitempty"`
	Cookies []string            `json:"cookies,omitempty"`
}

// Answer is what a handler answered.
type Answer struct {
	// Head is what an HTTP answer says before its body; nil for KindDirect.
	Head *Head
	// Payload is the answer's body, or for KindDirect its JSON. Nil if Stream.
	Payload []byte
	// Stream says that the body comes in pieces, to be read with Conn.Next.
	Stream bool
	// Took is the time from the call written to the result, or the stream's
	// head, read.
	Took time.Duration
}
