package gateway

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/route"
	"github.com/covefn/cove/internal/runtime"
)

// exchange is one request with its answer. It is the invoke.Sink of its request
// and, like that, for one goroutine.
type exchange struct {
	g       *Gateway
	w       http.ResponseWriter
	r       *http.Request
	arrived time.Time
	id      string

	version  *cove.Version
	route    route.Result
	params   route.Params
	deadline time.Time // of Cove-Timeout
	reserved int64     // bytes of Gateway.bodies, of the version's function
	unread   bool      // there is a body, and it was not read to its end

	trusted bool             // the caller may call every function; see Gateway.Try
	record  *cove.Invocation // of the call, once it has ended

	started bool // the head of an answer was written
	failed  bool // a problem was written, and is whole
	broken  bool // what was sent must be cut off
	silent  bool // the answer has no body on the wire
}

var _ invoke.Sink = (*exchange)(nil)

const (
	// piece is how much of an answer a caller must take within WriteTimeout.
	piece = 32 << 10
	// uncounted is how large an answer may be that takes no part in BodyMemory, where
	// it has a connection for itself.
	uncounted = 64 << 10
	// streamMemory is what an answer on HTTP/2 counts at least: about what a stream
	// holds that its caller does not read.
	streamMemory = 16 << 10
	// maxAnswerHead bounds the head of a function's answer.
	maxAnswerHead = 64 << 10
)

// Answer writes an answer that came whole. An answer that cannot be written as
// HTTP becomes a problem for the caller, and is the *cove.Error returned.
func (x *exchange) Answer(a *runtime.Answer) error {
	head := a.Head
	if head == nil {
		head = &runtime.Head{}
	}
	if n := x.counted(len(a.Payload)); n > 0 {
		if err := x.reserve(n); err != nil {
			x.fail(err)
			return err
		}
	}
	if err := x.begin(head, a.Payload, false); err != nil {
		return err
	}
	if err := x.write(a.Payload); err != nil || x.r.ProtoMajor == 1 {
		return err
	}
	return x.flush() // Until then the stream holds it, and it counts.
}

// counted is how much of BodyMemory an answer of n bytes takes. A caller may take
// hours to read a large answer, and many callers may. What a socket's buffer holds
// anyway is not worth counting: so there are always answers on HTTP/1, whatever is
// held. On HTTP/2 one connection holds up many answers, and a caller decides how
// much of each may be sent.
func (x *exchange) counted(n int) int64 {
	switch {
	case x.r.ProtoMajor > 1:
		return int64(max(n, streamMemory))
	case n > uncounted:
		return int64(n)
	}
	return 0
}

// Begin writes the head of a streamed answer and sends it off.
func (x *exchange) Begin(h *runtime.Head) error {
	if err := x.begin(h, nil, true); err != nil {
		return err
	}
	return x.flush()
}

// Chunk writes a piece of a streamed answer and sends it off.
func (x *exchange) Chunk(p []byte) error {
	if err := x.write(p); err != nil {
		return err
	}
	return x.flush()
}

// End ends a streamed answer. If it broke off, the connection is cut instead
// of closing it as if all had been said.
func (x *exchange) End(err *cove.Error) {
	if err != nil && !x.failed {
		x.broken = true
	}
}

// begin writes the head of an answer: checked whole before any of it is set.
func (x *exchange) begin(h *runtime.Head, body []byte, stream bool) error {
	status := h.Status
	if status == 0 {
		status = http.StatusOK
	}
	if err := checkAnswer(status, h); err != nil {
		x.fail(err)
		return err
	}
	bodiless := status == http.StatusNoContent || status == http.StatusNotModified
	x.silent = bodiless || x.r.Method == http.MethodHead

	header := x.w.Header()
	var length string
	for name, values := range h.Headers {
		name = http.CanonicalHeaderKey(name)
		switch {
		case name == "Content-Length":
			if len(values) == 1 {
				length = values[0]
			}
		case hopByHop(name), name == headerRequestID, x.corsOwns(name):
		default:
			if there, ok := header[name]; ok {
				values = append(there, values...)
			}
			header[name] = slices.Clip(values)
		}
	}
	if len(h.Cookies) > 0 {
		header["Set-Cookie"] = append(header["Set-Cookie"], h.Cookies...)
	}
	keepFromOwnCookie(header)
	switch {
	case bodiless:
	case !stream && (len(body) > 0 || x.r.Method != http.MethodHead):
		header["Content-Length"] = []string{strconv.Itoa(len(body))}
	case x.r.Method == http.MethodHead:
		// What a GET would have; only the function can know.
		if _, err := strconv.ParseUint(length, 10, 63); err == nil {
			header["Content-Length"] = []string{length}
		}
	}
	if len(header["Content-Type"]) == 0 {
		// Never by guessing: a guess would turn text into a page with scripts.
		header["Content-Type"] = defaultType(body, stream || bodiless, bodiless)
	}
	x.writeHead(status)
	return nil
}

func defaultType(body []byte, unknown, bodiless bool) []string {
	switch {
	case bodiless, len(body) == 0 && !unknown:
		return nil
	case unknown, utf8.Valid(body):
		return []string{"text/plain; charset=utf-8"}
	}
	return []string{"application/octet-stream"}
}

// checkAnswer is an error if the head is none that HTTP can carry.
func checkAnswer(status int, h *runtime.Head) *cove.Error {
	if status < 200 || status > 599 {
		return cove.Errorf(cove.CodeInvalidResponse, "the function answered with status %d; it must be 200 to 599", status)
	}
	size := 0
	for name, values := range h.Headers {
		if !validToken(name) {
			return cove.Errorf(cove.CodeInvalidResponse, "the function answered with a header called %.100q, which is no header's name", name)
		}
		for _, v := range values {
			if !validValue(v) {
				return cove.Errorf(cove.CodeInvalidResponse, "the function answered with a control character in the header %.100s", name)
			}
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	for _, c := range h.Cookies {
		if !validValue(c) {
			return cove.Errorf(cove.CodeInvalidResponse, "the function answered with a control character in a cookie")
		}
		size += len("Set-Cookie: \r\n") + len(c)
	}
	if size > maxAnswerHead {
		return cove.Errorf(cove.CodeInvalidResponse, "the function answered with %d bytes of headers; the limit is %d", size, maxAnswerHead)
	}
	return nil
}

// validToken says whether s can be a header's name or a method.
func validToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return s != ""
}

// validValue says whether s can be a header's value: a line break in it would
// be the end of the header, and of the head.
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func (x *exchange) writeHead(status int) {
	x.started = true
	if x.r.ProtoMajor == 1 {
		x.endConnection()
	}
	x.writeDeadline()
	x.w.WriteHeader(status)
}

// endConnection has an HTTP/1 connection closed after this answer where the
// beginning of the next request is not beyond doubt.
func (x *exchange) endConnection() {
	if x.unread {
		// The rest of the body is in the way. Rather than wait for it, end.
		x.setReadDeadline(time.Now().Add(drainTimeout))
	} else if len(x.r.TransferEncoding) == 0 {
		return
	}
	// net/http hides whether a chunked request also had a Content-Length, by
	// which a proxy in front may have seen another end of it (RFC 9112, 6.3).
	x.w.Header().Set("Connection", "close")
}

// write writes p in pieces that each have WriteTimeout.
func (x *exchange) write(p []byte) error {
	if x.silent {
		return nil
	}
	for len(p) > 0 {
		n := min(len(p), piece)
		x.writeDeadline()
		if _, err := x.w.Write(p[:n]); err != nil {
			x.broken = true
			return err
		}
		p = p[n:]
	}
	return nil
}

func (x *exchange) flush() error {
	c := http.NewResponseController(x.w)
	err := c.Flush()
	if x.silent {
		return nil // on HTTP/2 the head alone was all, and flushing again fails
	}
	if err != nil {
		x.broken = true
		return err
	}
	if x.r.ProtoMajor > 1 {
		// On HTTP/2 it would end a stream that merely has nothing to say.
		_ = c.SetWriteDeadline(time.Time{})
	}
	return nil
}

// writeDeadline renews the time for the next piece on HTTP/2, where a caller
// can hold up one stream. On HTTP/1 the connection itself does it (conn.Write).
func (x *exchange) writeDeadline() {
	if x.r.ProtoMajor > 1 {
		_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(x.g.opts.WriteTimeout))
	}
}

// empty writes an answer without a body.
func (x *exchange) empty(status int) {
	if status != http.StatusNoContent {
		x.w.Header()["Content-Length"] = []string{"0"}
	}
	x.writeHead(status)
}

// fail answers with err as a problem document.
func (x *exchange) fail(err *cove.Error) {
	p := err.Problem()
	p.RequestID = x.id
	if s := publicly(err.Code); s != "" {
		p.Detail = s
	}
	if x.version != nil {
		p.Function = x.version.Function
		switch err.Code {
		case cove.CodeTimeout:
			p.Timeout = new(x.version.Config.Timeout)
		case cove.CodeInitTimeout:
			p.Timeout = new(x.version.Config.InitTimeout)
		case cove.CodeOverloaded:
			p.Timeout = new(x.version.Config.QueueTimeout)
		}
	}
	if err.Code == cove.CodeRequestTimeout {
		p.Timeout = new(cove.Duration(x.bodyTime()))
	}
	body, jsonErr := json.Marshal(p)
	if jsonErr != nil {
		body = []byte(`{"status":500}`)
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	if err.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(seconds(err.RetryAfter), 10))
	}
	if err.Code == cove.CodeUnauthenticated {
		h.Set("WWW-Authenticate", "Bearer")
	}
	x.silent, x.failed = x.r.Method == http.MethodHead, true
	x.writeHead(p.Status)
	// The caller may be gone, and there is nothing left to tell it.
	_ = x.write(body)
}

// publicly is what callers are told of an error of the platform, "" for what the
// error says itself. How the host is set up, where its files are and how much
// memory it has is nobody's business who may merely call a function; the log has
// all of it by the request id, and who calls by the control API is told.
func publicly(code cove.Code) string {
	switch code {
	case cove.CodeSandboxStartFailed:
		return "no sandbox could be started for the function; whoever runs this Cove finds the reason in its log, by the request id"
	case cove.CodeUnavailable:
		return "something that the function needs is missing here; whoever runs this Cove finds in its log what it is, by the request id"
	case cove.CodeOverloaded:
		return "the function had no room for the request in time; try again"
	case cove.CodeInternal:
		return "something went wrong inside Cove; its log says what"
	}
	return ""
}

// corsOwns says whether a function's answer may not set a header because the
// function's configuration has the gateway set it.
func (x *exchange) corsOwns(name string) bool {
	return x.version.Config.CORS != nil && strings.HasPrefix(name, "Access-Control-")
}
