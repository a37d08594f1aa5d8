package logs

import "bytes"

// What stands behind a marker that begins a line, by the stream that the line was
// written to; see docs/runtime-protocol.md.
const (
	tagStdout = ':'
	tagStderr = '!'
)

// Share says that the instance serves several invocations at once, so that what
// is printed belongs to the invocation whose marker the line begins with: the
// marker and a colon begin a line of its stdout, the marker and an exclamation mark
// one of its stderr, the marker alone is the end of the invocation. What carries no
// marker belongs to the instance. Share must be called before anything else.
func (s *Stream) Share() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared = map[string]*Segment{}
}

// takeShared is take for a stream whose lines carry markers. A shim writes each
// of its lines at once, but behind what others wrote without an end of a line, so
// a marker may come anywhere in one.
func (in *input) takeShared(b []byte) (used int, lines []Line, more bool) {
	clean := in.clean
	in.clean = 0
	if used := in.dropShared(b, clean); used > 0 {
		return used, nil, true
	}
	end := bytes.IndexByte(b[clean:], '\n')
	if end < 0 {
		if len(b) < lineLimit {
			in.clean = len(b)
			return 0, nil, false
		}
		end = lineLimit
	} else {
		end += clean
		used = 1 // The end of the line itself.
	}
	used += end
	g, start := in.stream.findShared(b[:end], used > end)
	switch {
	case g == nil:
		return used, in.keep(b[:end]), true
	case start > 0:
		return start, in.keep(b[:start]), true
	case end == markerLen:
		return used, in.stream.end(g), true
	}
	name := StreamStdout
	if b[markerLen] == tagStderr {
		name = StreamStderr
	}
	return used, in.stream.keepFor(&g.share, g.requestID, name, b[markerLen+1:end]), true
}

// dropShared consumes lines without a marker that nobody will read, up to the line
// in which one may begin: as drop, without looking at each of them. No line ends in
// the first clean bytes, and while none ends behind them nothing is looked at again.
func (in *input) dropShared(b []byte, clean int) (used int) {
	if in.stream.between.dropped == 0 {
		return 0
	}
	last := bytes.LastIndexByte(b[clean:], '\n')
	if last < 0 {
		return 0
	}
	known := b[:clean+last+1]
	if at := bytes.Index(known, []byte(markerPrefix)); at >= 0 {
		known = b[:at]
	}
	used = bytes.LastIndexByte(known, '\n') + 1
	in.stream.between.dropped += used
	return used
}

// findShared is the first invocation whose marker is in line, and where. whole
// says that line has its end: a marker may stand there.
func (s *Stream) findShared(line []byte, whole bool) (*Segment, int) {
	for from := 0; ; {
		at := bytes.Index(line[from:], []byte(markerPrefix))
		if at < 0 {
			return nil, 0
		}
		at += from
		rest := line[at:]
		tagged := len(rest) > markerLen && (rest[markerLen] == tagStdout || rest[markerLen] == tagStderr)
		if tagged || whole && len(rest) == markerLen {
			if g := s.shared[string(rest[:markerLen])]; g != nil {
				return g, at
			}
		}
		from = at + len(markerPrefix)
	}
}
