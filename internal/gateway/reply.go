package gateway

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reply is the http.ResponseWriter of a loop. A whole answer leaves in one
// piece, head and body, when the request is over; what is flushed leaves at once.
type reply struct {
	l      *loop
	method string
	header http.Header
	names  []string
	// out is what was written and not sent yet.
	out []byte

	begun bool // the head was written
	// chunked and silent say how the body is sent: in chunks; not at all.
	chunked, silent bool
	// left is how much of the length that was announced is still to be written.
	left int64
	// close says that this is the last answer of its connection.
	close bool
	err   error
}

const (
	// replySize is up to what size head and body are copied together.
	replySize = 16 << 10
	// keptFields is up to how many fields the memory of a head is kept for the next
	// one. A map that has grown never shrinks, and a caller could have each of its
	// idle connections hold one.
	keptFields = 64
)

func (w *reply) reset(r *http.Request) {
	if w.header == nil {
		w.header = http.Header{}
	}
	clear(w.header)
	*w = reply{l: w.l, method: r.Method, header: w.header, names: w.names[:0], out: w.out[:0], close: r.Close}
}

// Header is that of the answer until WriteHeader.
func (w *reply) Header() http.Header { return w.header }

// WriteHeader writes the head, into memory.
func (w *reply) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun = true
	w.l.presence.look()
	w.silent = w.method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	lengths := w.header["Content-Length"]
	w.chunked = !w.silent && len(lengths) == 0
	if len(lengths) > 0 && !w.silent {
		w.left, _ = strconv.ParseInt(lengths[0], 10, 64)
	}
	w.close = w.close || w.l.server.closing.Load() || slices.Contains(w.header["Connection"], "close")
	delete(w.header, "Connection")

	b := append(w.out, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, statusText(status)...)
	b = append(b, "\r\n"...)
	for name := range w.header {
		w.names = append(w.names, name)
	}
	slices.Sort(w.names)
	for _, name := range w.names {
		for _, value := range w.header[name] {
			b = appendField(b, name, value)
		}
	}
	if _, ok := w.header["Date"]; !ok {
		b = append(b, "Date: "...)
		b = append(b, w.l.server.date.now()...)
		b = append(b, "\r\n"...)
	}
	if w.close {
		b = append(b, "Connection: close\r\n"...)
	}
	if w.chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	w.out = append(b, "\r\n"...)
}

func statusText(status int) string {
	if s := http.StatusText(status); s != "" {
		return s
	}
	return "status code " + strconv.Itoa(status)
}

// appendField appends a field. A line break in it would be its end, and is none.
func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	from := len(b)
	b = append(b, value...)
	if strings.ContainsAny(value, "\r\n") {
		for i, c := range b[from:] {
			if c == '\r' || c == '\n' {
				b[from+i] = ' '
			}
		}
	}
	return append(b, "\r\n"...)
}

// Write writes a piece of the body.
func (w *reply) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.err != nil:
		return 0, w.err
	case w.silent:
		return 0, http.ErrBodyNotAllowed
	case len(p) == 0:
		return 0, nil
	case w.chunked:
		w.out = strconv.AppendInt(w.out, int64(len(p)), 16)
		w.out = append(w.out, "\r\n"...)
		w.append(p)
		w.out = append(w.out, "\r\n"...)
		return len(p), w.err
	case int64(len(p)) > w.left:
		return 0, http.ErrContentLength
	}
	w.left -= int64(len(p))
	w.append(p)
	return len(p), w.err
}

// append keeps p to be sent, or sends it where that is too much to be kept.
func (w *reply) append(p []byte) {
	if len(w.out)+len(p) <= replySize {
		w.out = append(w.out, p...)
		return
	}
	w.send()
	if w.err == nil {
		_, w.err = w.l.conn.Write(p)
	}
}

// FlushError sends what was written.
func (w *reply) FlushError() error {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	w.send()
	return w.err
}

func (w *reply) send() {
	if w.err == nil && len(w.out) > 0 {
		w.err = w.l.send(w.out)
	}
	w.out = w.out[:0]
}

// SetReadDeadline is until when the body must have come. It costs nothing where
// the body is there already.
func (w *reply) SetReadDeadline(t time.Time) error {
	w.l.body.deadline = t
	return nil
}

// finish sends the rest of the answer.
func (w *reply) finish() error {
	if !w.begun {
		w.header["Content-Length"] = []string{"0"}
		w.WriteHeader(http.StatusOK)
	}
	if w.chunked {
		w.out = append(w.out, "0\r\n\r\n"...)
	}
	w.send()
	if w.err == nil && w.left > 0 {
		w.err = io.ErrShortWrite // What follows would be taken for the rest.
	}
	if cap(w.out) > 2*replySize {
		w.out = nil
	}
	if cap(w.names) > keptFields {
		w.header, w.names = nil, nil
	}
	return w.err
}
