package runtime_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

// idHere stands in the fuzzed bytes for the id of the running call.
var idHere = []byte("\xee\xee\xee\xee\xee\xee\xee\xee")

// script is a stream whose peer says what it was made with, once it was asked.
type script struct {
	say   []byte
	heard bool
	rest  *bytes.Reader
}

func (s *script) Write(p []byte) (int, error) {
	if !s.heard {
		s.heard = true
		s.rest = bytes.NewReader(bytes.ReplaceAll(s.say, idHere, p[5:13]))
	}
	return len(p), nil
}

func (s *script) Read(p []byte) (int, error) {
	if s.rest == nil {
		return 0, io.EOF
	}
	return s.rest.Read(p)
}

func (*script) Close() error                     { return nil }
func (*script) LocalAddr() net.Addr              { return &net.UnixAddr{Net: "unix"} }
func (*script) RemoteAddr() net.Addr             { return &net.UnixAddr{Net: "unix"} }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// FuzzConn lets a shim answer anything: a call ends in an answer or in one of
// the errors that callers can tell apart, and never takes more memory than the
// protocol's limits.
func FuzzConn(f *testing.F) {
	id := binary.BigEndian.Uint64(idHere)
	many := frame(runtime.FrameStream, id, `{"status":200}`)
	for range 3 {
		many = append(many, frame(runtime.FrameChunk, id, "piece")...)
	}
	for _, seed := range [][]byte{
		nil, {0}, frame(runtime.FrameResult, id, result("", "1")),
		frame(runtime.FrameResult, id, result(`{"status":200,"headers":{"a":["b"]},"cookies":["c"]}`, "body")),
		frame(runtime.FrameError, id, `{"errorType":"E","errorMessage":"m","stackTrace":["s"]}`),
		append(bytes.Clone(many), frame(runtime.FrameEnd, id, "")...),
		append(bytes.Clone(many), frame(runtime.FrameEnd, id, `{"errorType":"E"}`)...),
		frame(runtime.FrameReady, 0, ""), frame(runtime.FrameInitError, 0, `{}`), {0xff, 0xff, 0xff, 0xff, 0x84},
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, say []byte, http bool) {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		c := runtime.NewConn(&script{say: say}, runtime.Options{})
		inv := direct("")
		if http {
			inv = overHTTP()
		}
		a, err := c.Invoke(time.Time{}, inv)
		if err == nil && a.Stream {
			for err == nil {
				_, err = c.Next()
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
		}
		var e *cove.Error
		if err != nil && !errors.As(err, &e) && !errors.Is(err, runtime.ErrEnded) && !errors.Is(err, runtime.ErrProtocol) {
			t.Errorf("an error that nobody can tell: %v", err)
		}
		if err != nil && e == nil && c.Usable() {
			t.Errorf("usable after %v", err)
		}
		goruntime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > runtime.MaxFrame+uint64(40*len(say))+1<<20 {
			t.Errorf("%d bytes were allocated for %d received", grown, len(say))
		}
	})
}

// FuzzInit is FuzzConn for the answer to INIT and for HELLO.
func FuzzInit(f *testing.F) {
	f.Add(frame(runtime.FrameReady, 0, ""))
	f.Add(frame(runtime.FrameInitError, 0, `{"errorType":"E","errorMessage":"m"}`))
	f.Add(frame(runtime.FrameHello, 0, `{"protocol":1}`))
	f.Fuzz(func(t *testing.T, say []byte) {
		_ = runtime.NewConn(&script{say: say}, runtime.Options{}).Init(t.Context(), runtime.Init{})
		_, _ = runtime.NewConn(&script{rest: bytes.NewReader(say)}, runtime.Options{}).Hello(t.Context())
	})
}

// replay answers every call alike.
type replay struct {
	script
	answer string
	out    []byte
}

func (r *replay) Write(p []byte) (int, error) {
	r.out = append(r.out[:0], frame(runtime.FrameResult, binary.BigEndian.Uint64(p[5:13]), r.answer)...)
	return len(p), nil
}

func (r *replay) Read(p []byte) (int, error) {
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}
