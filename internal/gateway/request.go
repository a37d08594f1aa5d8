package gateway

import (
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/covefn/cove"
)

// headerTimeout is the caller's own bound on the whole request.
const headerTimeout = "Cove-Timeout"

// bodyStep is what a body is given to begin with. More follows what has
// arrived, so that a caller cannot claim memory by announcing a length.
const bodyStep = 64 << 10

// drainTimeout bounds the wait for the rest of a body that nobody will read.
const drainTimeout = 2 * time.Second

// maxConnectionHeader bounds the header that names other headers, each of which
// is looked for in it.
const maxConnectionHeader = 1 << 10

func (x *exchange) hasBody() bool {
	return x.r.Body != nil && x.r.Body != http.NoBody && x.r.ContentLength != 0
}

// boundBody begins the time for the body, before anything can wait for it.
func (x *exchange) boundBody() {
	if x.hasBody() {
		x.unread = true
		x.setReadDeadline(x.arrived.Add(x.g.opts.BodyTimeout))
	}
}

// setReadDeadline is best effort: under a ResponseWriter without deadlines (in
// a test) there is nothing to bound.
func (x *exchange) setReadDeadline(t time.Time) {
	if w, ok := x.w.(interface{ SetReadDeadline(time.Time) error }); ok {
		_ = w.SetReadDeadline(t) // A controller would have to be allocated.
		return
	}
	_ = http.NewResponseController(x.w).SetReadDeadline(t)
}

// checkHead refuses what no route should have to think about.
func (x *exchange) checkHead() *cove.Error {
	lines := 0
	for _, values := range x.r.Header {
		lines += len(values)
	}
	if limit := x.g.opts.MaxHeaders; lines > limit {
		return cove.Invalid("headers", "%d header lines; the limit is %d", lines, limit)
	}
	connection := 0
	for _, line := range x.r.Header["Connection"] {
		connection += len(line)
	}
	if connection > maxConnectionHeader {
		return cove.Invalid("headers", "Connection is %d bytes long; the limit is %d", connection, maxConnectionHeader)
	}
	if x.r.Method == http.MethodConnect {
		return cove.Errorf(cove.CodeMethodNotAllowed, "this is no proxy: CONNECT is not answered")
	}
	if p := x.r.URL.Path; p != "" && p[0] != '/' {
		return cove.Invalid("path", "must begin with a slash")
	}
	if hasDotSegment(x.r.URL.Path) {
		return cove.Invalid("path", "has a segment \".\" or \"..\"; resolve it before sending")
	}
	return nil
}

// hasDotSegment looks at the decoded path, so that no spelling of ".." gets
// through to a function that opens files by path.
func hasDotSegment(path string) bool {
	if !strings.Contains(path, "/.") {
		return false
	}
	for s := range strings.SplitSeq(path, "/") {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}

// readTimeout sets x.deadline from Cove-Timeout.
func (x *exchange) readTimeout() *cove.Error {
	values := x.r.Header[headerTimeout]
	if len(values) == 0 {
		return nil
	}
	var d cove.Duration
	if len(values) > 1 {
		return cove.Invalid(headerTimeout, "is there more than once")
	}
	if err := d.UnmarshalText([]byte(values[0])); err != nil {
		return cove.Invalid(headerTimeout, "%v", err)
	}
	if d <= 0 {
		return cove.Invalid(headerTimeout, "%q is not more than nothing", values[0])
	}
	x.deadline = x.arrived.Add(min(d.Std(), 24*time.Hour))
	return nil
}

// readBody reads the body whole, so that no instance ever waits for a caller.
func (x *exchange) readBody() ([]byte, *cove.Error) {
	if !x.unread {
		return nil, nil
	}
	limit := int64(x.version.Config.MaxBody)
	if limit <= 0 {
		limit = int64(DefaultMaxBody)
	}
	if x.r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	if !x.deadline.IsZero() && x.deadline.Before(x.arrived.Add(x.g.opts.BodyTimeout)) {
		x.setReadDeadline(x.deadline)
	}
	size := x.r.ContentLength
	if size < 0 || size > bodyStep {
		size = bodyStep
	}
	if x.r.ContentLength < 0 {
		size = 4 << 10
	}
	// One byte more than expected lets the last read see the end.
	if err := x.reserve(size + 1); err != nil {
		return nil, err
	}
	body := make([]byte, 0, size+1)
	for {
		n, err := x.r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if int64(len(body)) > limit {
			return nil, tooLarge(limit)
		}
		if err == io.EOF {
			x.unread = false
			x.setReadDeadline(time.Time{})
			return body, nil
		}
		if err != nil {
			return nil, x.bodyError(err)
		}
		if len(body) == cap(body) {
			more := min(int64(cap(body)), limit+1-int64(cap(body)))
			if err := x.reserve(more); err != nil {
				return nil, err
			}
			grown := make([]byte, len(body), int64(cap(body))+more)
			copy(grown, body)
			body = grown
		}
	}
}

// reserve takes n bytes of the memory for bodies, until release.
func (x *exchange) reserve(n int64) *cove.Error {
	if x.g.bodies.take(x.version.Function, n) {
		x.reserved += n
		return nil
	}
	return &cove.Error{
		Code: cove.CodeOverloaded, RetryAfter: time.Second,
		Message: "too many bodies are being held; try again",
	}
}

func (x *exchange) release() {
	if x.reserved > 0 {
		x.g.bodies.give(x.version.Function, x.reserved)
	}
}

func (x *exchange) bodyError(err error) *cove.Error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return cove.Errorf(cove.CodeRequestTimeout, "the body did not arrive in time; it was given %s",
			cove.Duration(x.bodyTime()))
	}
	return &cove.Error{
		Code: cove.CodeInvalid, Message: "body: could not be read to its end", Err: err,
		Fields: []cove.FieldError{{Field: "body", Message: "could not be read to its end"}},
	}
}

func (x *exchange) bodyTime() time.Duration {
	d := x.g.opts.BodyTimeout
	if !x.deadline.IsZero() {
		d = min(d, x.deadline.Sub(x.arrived))
	}
	return d
}

func tooLarge(limit int64) *cove.Error {
	return &cove.Error{
		Code: cove.CodeTooLarge, Message: "the body is larger than the function's max_body, " + cove.ByteSize(limit).String(),
		Fields: []cove.FieldError{{Field: "max_body", Message: "the limit is " + cove.ByteSize(limit).String()}},
	}
}

// traceparent is the W3C trace header, if it has the form of one.
func traceparent(h http.Header) string {
	values := h["Traceparent"]
	if len(values) != 1 || len(values[0]) < 55 || len(values[0]) > 128 {
		return ""
	}
	for i := range 55 {
		c := values[0][i]
		dash := i == 2 || i == 35 || i == 52
		if dash != (c == '-') || !dash && !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return ""
		}
	}
	return values[0]
}

// seconds is d in whole seconds, rounded up.
func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }
