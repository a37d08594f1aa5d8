package logs

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// invocationLimit is how much of one invocation's output is kept; what is
	// beyond it is counted and dropped.
	invocationLimit = 1 << 20
	// lineLimit is where a line without an end is cut.
	lineLimit = 64 << 10
	// markerPrefix begins every marker; see docs/runtime-protocol.md.
	markerPrefix = "\x1e cove "
	markerLen    = len(markerPrefix) + 32
)

// Stream takes the output of one sandbox, in the order in which it was written,
// and attributes it: what comes before an invocation's marker is that
// invocation's. One goroutine writes to it; Begin may be called by another.
type Stream struct {
	book     *Book
	function string
	version  int
	instance string

	mu      sync.Mutex
	pending []*Segment // began and not yet marked as ended, the oldest first
	buf     []byte     // the beginning of a line that has no end yet
	done    bool
}

// Segment is the output of one invocation.
type Segment struct {
	stream    *Stream
	requestID string
	marker    []byte
	size      int
	dropped   int
	ended     chan struct{}
	last      string // a line of the platform to be added at the end
}

// Stream returns a stream for the output of one instance.
func (b *Book) Stream(function string, version int, instance string) *Stream {
	return &Stream{book: b, function: function, version: version, instance: instance}
}

// Begin says that the next output is that of requestID until the segment's
// marker comes by. It must be called before the handler can run.
func (s *Stream) Begin(requestID string) *Segment {
	var random [16]byte
	rand.Read(random[:]) // Never fails; see crypto/rand.
	g := &Segment{stream: s, requestID: requestID, ended: make(chan struct{})}
	g.marker = hex.AppendEncode(append(make([]byte, 0, markerLen), markerPrefix...), random[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		close(g.ended)
		return g
	}
	s.pending = append(s.pending, g)
	return g
}

// Marker is what the shim writes into the stream when the handler has ended.
func (g *Segment) Marker() string { return string(g.marker) }

// Wait returns when all output of the invocation has been read, or ctx ends.
func (g *Segment) Wait(ctx context.Context) {
	select {
	case <-g.ended:
	case <-ctx.Done():
	}
}

// Last adds a line of the platform behind everything the invocation printed,
// once that has all been read: when the sandbox has ended, say.
func (g *Segment) Last(text string) {
	g.stream.mu.Lock()
	defer g.stream.mu.Unlock()
	select {
	case <-g.ended:
		g.stream.book.add(g.stream.line(g.requestID, text, true))
	default:
		g.last = text
	}
}

// Say adds a line of the platform that belongs to no invocation.
func (s *Stream) Say(text string) { s.book.add(s.line("", text, true)) }

// Write takes output. It never fails and never waits for a reader of the book.
func (s *Stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Line
	s.buf = append(s.buf, p...)
	rest := s.buf
	for {
		used, lines, more := s.take(rest)
		out = append(out, lines...)
		rest = rest[used:]
		if !more {
			break
		}
	}
	s.buf = append(s.buf[:0], rest...)
	s.book.add(out...)
	return len(p), nil
}

// take consumes one line, or one marker, from the front of b; more is false when
// what is left must wait for further output.
func (s *Stream) take(b []byte) (used int, lines []Line, more bool) {
	end := bytes.IndexByte(b, '\n')
	start := -1
	if len(s.pending) > 0 {
		limit := b
		if end >= 0 {
			limit = b[:end]
		}
		start = bytes.Index(limit, s.pending[0].marker)
	}
	switch {
	case start >= 0:
		if end < 0 {
			return 0, nil, false // The marker's own newline is still to come.
		}
		if start > 0 {
			lines = s.keep(b[:start])
		}
		lines = append(lines, s.end(s.pending[0])...)
		// What stands between marker and newline was written by another
		// thread meanwhile.
		if behind := b[start+markerLen : end]; len(behind) > 0 {
			lines = append(lines, s.keep(behind)...)
		}
		return end + 1, lines, true
	case end >= 0:
		return end + 1, s.keep(b[:end]), true
	case len(b) >= lineLimit:
		return lineLimit - markerLen, s.keep(b[:lineLimit-markerLen]), true
	default:
		return 0, nil, false
	}
}

// keep makes a line of text for the invocation that is running, unless that has
// used up its share.
func (s *Stream) keep(text []byte) []Line {
	if len(s.pending) == 0 {
		return []Line{s.line("", string(text), false)}
	}
	g := s.pending[0]
	if g.size+len(text)+1 > invocationLimit {
		g.dropped += len(text) + 1
		return nil
	}
	g.size += len(text) + 1
	return []Line{s.line(g.requestID, string(text), false)}
}

// end closes g, which is the first of the pending ones.
func (s *Stream) end(g *Segment) (lines []Line) {
	s.pending = s.pending[1:]
	if g.dropped > 0 {
		lines = append(lines, s.line(g.requestID, fmt.Sprintf(
			"%d bytes of output were dropped: an invocation's log is limited to 1 MiB", g.dropped), true))
	}
	if g.last != "" {
		lines = append(lines, s.line(g.requestID, g.last, true))
	}
	close(g.ended)
	return lines
}

func (s *Stream) line(requestID, text string, platform bool) Line {
	return Line{
		Time: time.Now(), Function: s.function, Version: s.version, Instance: s.instance,
		RequestID: requestID, Platform: platform, Text: strings.ToValidUTF8(text, "\uFFFD"),
	}
}

// Close says that no more output comes. What has no end yet is ended.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return
	}
	s.done = true
	var out []Line
	if len(s.buf) > 0 {
		out = s.keep(s.buf)
		s.buf = nil
	}
	for len(s.pending) > 0 {
		out = append(out, s.end(s.pending[0])...)
	}
	s.book.add(out...)
}
