package runtime_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

// FuzzMux lets a shim answer anything to a call of a Mux: it ends in an answer or
// in one of the errors that callers can tell apart, and so does the Mux.
func FuzzMux(f *testing.F) {
	id := binary.BigEndian.Uint64(idHere)
	stream := append(frame(runtime.FrameStream, id, `{"status":200}`), frame(runtime.FrameChunk, id, "piece")...)
	for _, seed := range [][]byte{
		frame(runtime.FrameResult, id, result("", "{}")),
		frame(runtime.FrameError, id, `{"errorType":"E","errorMessage":"m"}`),
		append(bytes.Clone(stream), frame(runtime.FrameEnd, id, "")...),
		append(bytes.Clone(stream), frame(runtime.FrameResult, id, result("", "{}"))...),
		append(bytes.Clone(stream), frame(runtime.FrameStream, id, `{"status":99}`)...),
		frame(runtime.FrameChunk, id, "early"), frame(runtime.FrameEnd, id, ""), frame(runtime.FrameReady, 0, ""),
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, say []byte, http bool) {
		here, there := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, id, _, err := readFrame(there)
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, there) }()
			_, _ = there.Write(bytes.ReplaceAll(say, idHere, binary.BigEndian.AppendUint64(nil, id)))
			_ = there.Close()
		}()
		m := runtime.NewMux(runtime.NewConn(here, runtime.Options{}))
		inv := direct("")
		if http {
			inv = overHTTP()
		}
		c := m.Caller()
		a, err := c.Invoke(soon(), inv)
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
		<-m.Done()
		if m.Usable() {
			t.Error("usable behind the end of the stream")
		}
		_ = m.Close()
		<-ended
	})
}
