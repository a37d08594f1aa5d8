package logs

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// invocationLimit is how much of one invocation's output is kept, and how
	// much of what is printed between two; what is beyond it is counted and
	// dropped.
	invocationLimit = 1 << 20
	// invocationLines is how many lines that may be. An empty one costs the function a
	// byte and the host a thousand.
	invocationLines = 16 << 10
	// lineLimit is where a line without an end is cut.
	lineLimit = 64 << 10
	// pendingLimit is how many invocations may await their marker. A shim writes
	// each before it answers, so it takes one that is no shim any more to pass it.
	pendingLimit = 256
	// markerPrefix begins every marker; see docs/runtime-protocol.md.
	markerPrefix = "\x1e cove "
	markerLen    = len(markerPrefix) + 32
)

// Stream takes the output of one sandbox, stdout and stderr each in the order in
// which it was written, and attributes it: what comes before an invocation's marker
// is that invocation's. One goroutine writes to each of the two; Begin may be called
// by another. Between the two streams the order is that in which they are read.
//
// The output is hostile: whatever it is, the memory that a stream takes is
// bounded, and each byte is looked at a bounded number of times.
type Stream struct {
	book     *Book
	function string
	version  int
	instance string

	// reading is held while output is read and taken; it comes before mu.
	reading sync.Mutex

	mu      sync.Mutex
	local   bool                // both are read without waiting, and no markers are needed
	shared  map[string]*Segment // by marker, where lines carry one; see Share
	pending []*Segment          // began and not yet marked as ended, the oldest first
	inputs  [2]input            // stdout and stderr
	between share               // of what is printed while nothing is pending
	over    []*Segment          // ended, with lines that are not in the book yet
	done    bool
}

// input is one of the two streams of a sandbox. Its stream's mu guards it.
type input struct {
	stream *Stream
	name   string
	open   bool             // more may come
	raw    syscall.RawConn  // reads without waiting, where both are sockets of this host
	atEnd  func(fd uintptr) // readRestOf, made once as every invocation needs it
	buf    []byte           // the beginning of a line that has no end yet
	clean  int              // so much of buf holds no end of a line and no marker
	// passed is how many of Stream.pending have had their marker here, but not in
	// the other stream yet.
	passed int
}

// share is how much was printed of what may be, in bytes and in lines, and how many
// bytes beyond that.
type share struct{ size, lines, dropped int }

// Segment is the output of one invocation.
type Segment struct {
	stream    *Stream
	requestID string
	marker    []byte
	share     share
	ended     chan struct{}
	last      string // a line of the platform to be added at the end
}

// Stream returns a stream for the output of one instance.
func (b *Book) Stream(function string, version int, instance string) *Stream {
	s := &Stream{book: b, function: function, version: version, instance: instance}
	// stderr is not waited for until it is drained.
	s.inputs = [2]input{{stream: s, name: StreamStdout, open: true}, {stream: s, name: StreamStderr}}
	for i := range s.inputs {
		s.inputs[i].atEnd = s.inputs[i].readRestOf
	}
	return s
}

// Begin says that the next output is that of requestID, until the segment's marker
// comes by or, where it has none, until End. It must be called before the handler
// can run.
func (s *Stream) Begin(requestID string) *Segment {
	g := &Segment{stream: s, requestID: requestID, ended: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.local {
		var random [16]byte
		rand.Read(random[:]) // Never fails; see crypto/rand.
		g.marker = hex.AppendEncode(append(make([]byte, 0, markerLen), markerPrefix...), random[:])
	}
	if s.done {
		close(g.ended)
		return g
	}
	if len(s.pending) == 0 || s.shared != nil {
		s.book.add(s.report("", s.between)...)
		s.between = share{}
	}
	if len(s.pending) == pendingLimit {
		s.publish(s.end(s.pending[0]))
	}
	s.pending = append(s.pending, g)
	if s.shared != nil {
		s.shared[string(g.marker)] = g
	}
	return g
}

// Marker is what the shim writes into the streams when the handler has ended; ""
// if it is not to write anything.
func (g *Segment) Marker() string { return string(g.marker) }

// Withdraw ends the segment of an invocation that never got to the sandbox, so
// that no marker of it will come.
func (g *Segment) Withdraw() {
	s := g.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.remove(g) {
		close(g.ended)
	}
}

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
		g.stream.book.add(g.stream.platform(g.requestID, text, LevelError))
	default:
		g.last = text
	}
}

// Say adds a line of the platform about a failure that belongs to no invocation.
func (s *Stream) Say(text string) { s.book.add(s.platform("", text, LevelError)) }

// Write takes what was written to stdout. It never fails and never waits for a
// reader of the book.
func (s *Stream) Write(p []byte) (int, error) { return s.inputs[0].Write(p) }

// Stderr is what takes what was written to stderr, as Write does for stdout.
func (s *Stream) Stderr() io.Writer { return writerOnly{&s.inputs[1]} }

// Write takes output.
func (in *input) Write(p []byte) (int, error) {
	s := in.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Line
	in.buf = append(in.buf, p...)
	rest := in.buf
	for {
		used, lines, more := in.take(rest)
		out = append(out, lines...)
		rest = rest[used:]
		if !more {
			break
		}
	}
	in.buf = append(in.buf[:0], rest...)
	s.publish(out)
	return len(p), nil
}

// take consumes one line, or one marker, from the front of b; more is false when
// what is left must wait for further output.
func (in *input) take(b []byte) (used int, lines []Line, more bool) {
	if in.stream.shared != nil {
		return in.takeShared(b)
	}
	clean := in.clean
	in.clean = 0
	if in.share().dropped > 0 {
		return in.drop(b)
	}
	end := bytes.IndexByte(b[clean:], '\n')
	before := b
	if end >= 0 {
		end += clean
		before = b[:end]
	}
	// The beginning of a marker may be in what was looked at already.
	if start := in.findMarker(before, max(0, clean-markerLen)); start >= 0 {
		used := behindMarker(b, start)
		if used == 0 {
			return 0, nil, false
		}
		if start > 0 {
			lines = in.keep(b[:start])
		}
		return used, append(lines, in.pass()...), true
	}
	switch {
	case end >= 0:
		return end + 1, in.keep(b[:end]), true
	case len(b) >= lineLimit:
		return lineLimit - markerLen, in.keep(b[:lineLimit-markerLen]), true
	default:
		in.clean = len(b)
		return 0, nil, false
	}
}

// drop consumes what nobody will read, up to the marker, without looking for
// lines: a flood of them would cost the host far more than the function.
func (in *input) drop(b []byte) (used int, lines []Line, more bool) {
	share := in.share()
	if in.current() == nil {
		share.dropped += len(b)
		return len(b), nil, false
	}
	start := in.findMarker(b, 0)
	if start < 0 {
		used = max(0, len(b)-markerLen) // The last may be the beginning of one.
		share.dropped += used
		return used, nil, false
	}
	if used = behindMarker(b, start); used == 0 {
		return 0, nil, false
	}
	share.dropped += start
	return used, in.pass(), true
}

// current is the invocation that what comes next belongs to, nil if none runs.
func (in *input) current() *Segment {
	if in.passed < len(in.stream.pending) {
		return in.stream.pending[in.passed]
	}
	return nil
}

// pass notes that the marker of the current invocation has come here.
func (in *input) pass() []Line {
	in.passed++
	return in.stream.settle()
}

// settle ends the invocations whose end was seen in every stream that is open.
func (s *Stream) settle() (lines []Line) {
	for len(s.pending) > 0 {
		for i := range s.inputs {
			if s.inputs[i].open && s.inputs[i].passed == 0 {
				return lines
			}
		}
		lines = append(lines, s.end(s.pending[0])...)
	}
	return lines
}

// findMarker is where the marker of the invocation that runs begins in b, -1 if
// it is not there. It looks from the byte from on.
func (in *input) findMarker(b []byte, from int) int {
	g := in.current()
	if g == nil || len(g.marker) == 0 {
		return -1
	}
	start := bytes.Index(b[from:], g.marker)
	if start >= 0 {
		start += from
	}
	return start
}

// behindMarker is where what follows the marker at start and its newline
// begins, 0 if that is not known yet. Another thread may have written between
// the two, so anything else than a newline is simply the next output: a marker
// never waits for its newline while more comes in.
func behindMarker(b []byte, start int) int {
	end := start + markerLen
	switch {
	case end == len(b):
		return 0
	case b[end] == '\n':
		return end + 1
	default:
		return end
	}
}

// share is that of the invocation that runs, or of what is printed between two.
func (in *input) share() *share {
	if g := in.current(); g != nil {
		return &g.share
	}
	return &in.stream.between
}

// keep makes a line of text for the invocation that is running, unless the share
// is used up.
func (in *input) keep(text []byte) []Line {
	g := in.current()
	if g == nil || in.stream.shared != nil {
		return in.stream.keepFor(&in.stream.between, "", in.name, text)
	}
	return in.stream.keepFor(&g.share, g.requestID, in.name, text)
}

// rest makes a line of what has no end, and never will have one.
func (in *input) rest() (lines []Line) {
	if len(in.buf) > 0 {
		lines = in.keep(in.buf)
		in.buf, in.clean = in.buf[:0], 0
	}
	return lines
}

func (s *Stream) keepFor(share *share, requestID, stream string, text []byte) []Line {
	if share.size+len(text)+1 > invocationLimit || share.lines == invocationLines {
		share.dropped += len(text) + 1
		return nil
	}
	share.size += len(text) + 1
	share.lines++
	l := s.line(requestID, string(text))
	l.Stream = stream
	return []Line{l}
}

// report is the platform's line about what was dropped, if anything was.
func (s *Stream) report(requestID string, of share) []Line {
	switch {
	case of.dropped == 0:
		return nil
	case requestID == "":
		return []Line{s.platform("", fmt.Sprintf("%d bytes of output were dropped: what is printed between two invocations is limited to 1 MiB and 16,384 lines", of.dropped), LevelWarn)}
	default:
		return []Line{s.platform(requestID, fmt.Sprintf("%d bytes of output were dropped: an invocation's log is limited to 1 MiB and 16,384 lines", of.dropped), LevelWarn)}
	}
}

// index is where g is among the pending ones, -1 if it is over.
func (s *Stream) index(g *Segment) int { return slices.Index(s.pending, g) }

// remove takes g out of the pending ones and says whether it was one.
func (s *Stream) remove(g *Segment) bool {
	i := s.index(g)
	if i < 0 {
		return false
	}
	s.pending = slices.Delete(s.pending, i, i+1)
	for k := range s.inputs {
		if i < s.inputs[k].passed {
			s.inputs[k].passed--
		}
	}
	if s.shared != nil {
		delete(s.shared, string(g.marker))
	}
	return true
}

// end closes g, which is one of the pending ones. The lines must be published.
func (s *Stream) end(g *Segment) (lines []Line) {
	s.remove(g)
	lines = s.report(g.requestID, g.share)
	if g.last != "" {
		lines = append(lines, s.platform(g.requestID, g.last, LevelError))
	}
	s.over = append(s.over, g)
	return lines
}

// publish puts lines into the book, and only then tells who waits for the end of
// an invocation that there is no more.
func (s *Stream) publish(lines []Line) {
	s.book.add(lines...)
	for i, g := range s.over {
		close(g.ended)
		s.over[i] = nil
	}
	s.over = s.over[:0]
}

func (s *Stream) line(requestID, text string) Line {
	return Line{
		Time: time.Now(), Function: s.function, Version: s.version, Instance: s.instance,
		RequestID: requestID, Text: strings.ToValidUTF8(text, "\uFFFD"),
	}
}

// platform is a line that Cove itself writes.
func (s *Stream) platform(requestID, text, level string) Line {
	l := s.line(requestID, text)
	l.Platform, l.Level = true, level
	return l
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
	for i := range s.inputs {
		s.inputs[i].open = false
		out = append(out, s.inputs[i].rest()...)
	}
	for len(s.pending) > 0 {
		out = append(out, s.end(s.pending[0])...)
	}
	s.publish(out)
}
