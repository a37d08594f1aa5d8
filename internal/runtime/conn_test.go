package runtime_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

const patience = 10 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a Conn and, as a raw unix socket, the peer that plays the shim.
func pair(t testing.TB, o runtime.Options) (*runtime.Conn, *peer) {
	t.Helper()
	here, there := socketPair(t)
	c := runtime.NewConn(here, o)
	return c, &peer{t: t, c: there}
}

// socketPair is the two ends of a unix socket; the test closes both.
func socketPair(t testing.TB) (here, there net.Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "conn")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	must(t, err)
	defer l.Close()
	there, err = net.Dial("unix", l.Addr().String())
	must(t, err)
	here, err = l.Accept()
	must(t, err)
	t.Cleanup(func() { _ = here.Close(); _ = there.Close() })
	return here, there
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type peer struct {
	t testing.TB
	c net.Conn
}

func frame(kind runtime.FrameType, id uint64, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(9+len(body)))
	b = append(b, byte(kind))
	return append(binary.BigEndian.AppendUint64(b, id), body...)
}

// result is the body of a RESULT.
func result(head, payload string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(head)))) + head + payload
}

func readFrame(r io.Reader) (kind runtime.FrameType, id uint64, body []byte, err error) {
	var h [13]byte
	if _, err = io.ReadFull(r, h[:]); err != nil {
		return
	}
	body = make([]byte, binary.BigEndian.Uint32(h[:])-9)
	_, err = io.ReadFull(r, body)
	return runtime.FrameType(h[4]), binary.BigEndian.Uint64(h[5:]), body, err
}

// serve answers every frame with what answer makes of it, until the stream ends.
func (p *peer) serve(answer func(kind runtime.FrameType, id uint64, body []byte) []byte) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			kind, id, body, err := readFrame(p.c)
			if err != nil {
				return
			}
			out := answer(kind, id, body)
			if out == nil {
				_ = p.c.Close()
				return
			}
			if _, err := p.c.Write(out); err != nil {
				return
			}
		}
	}()
	p.t.Cleanup(func() { _ = p.c.Close(); <-ended })
}

func direct(payload string) *runtime.Invoke {
	return &runtime.Invoke{Kind: cove.KindDirect, RequestID: "r", Marker: "\x1ecove 0", Payload: []byte(payload)}
}

func overHTTP() *runtime.Invoke {
	return &runtime.Invoke{Kind: cove.KindHTTP, RequestID: "r", Marker: "m", Event: json.RawMessage(`{"a":1}`)}
}

func soon() time.Time { return time.Now().Add(patience) }

func TestConnStart(t *testing.T) {
	t.Parallel()
	t.Run("HELLO and INIT make an instance", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		_, err := p.c.Write(frame(runtime.FrameHello, 0, `{"protocol":1,"runtime":"x","version":"1"}`))
		must(t, err)
		h, err := c.Hello(t.Context())
		if err != nil || h.Runtime != "x" {
			t.Fatalf("HELLO %+v, %v", h, err)
		}
		got := make(chan runtime.Init, 1)
		p.serve(func(_ runtime.FrameType, _ uint64, body []byte) []byte {
			var init runtime.Init
			must(t, json.Unmarshal(body, &init))
			got <- init
			return frame(runtime.FrameReady, 0, "")
		})
		must(t, c.Init(t.Context(), runtime.Init{Function: "f", Env: map[string]string{"A": "b"}, Entropy: []byte{1, 2}}))
		if init := <-got; init.Function != "f" || init.Env["A"] != "b" || string(init.Entropy) != "\x01\x02" || !c.Usable() {
			t.Errorf("INIT %+v", init)
		}
	})
	t.Run("PREPARED is waited for, by itself or in Init", func(t *testing.T) {
		t.Parallel()
		for _, wait := range []bool{true, false} {
			c, p := pair(t, runtime.Options{})
			_, err := p.c.Write(append(frame(runtime.FrameHello, 0, `{"protocol":1,"prepares":true}`), frame(runtime.FramePrepared, 0, "")...))
			must(t, err)
			_, err = c.Hello(t.Context())
			must(t, err)
			if wait {
				must(t, c.Prepared(t.Context()))
				must(t, c.Prepared(t.Context()))
			}
			p.serve(func(runtime.FrameType, uint64, []byte) []byte { return frame(runtime.FrameReady, 0, "") })
			must(t, c.Init(t.Context(), runtime.Init{}))
			if !c.Usable() {
				t.Error("not usable")
			}
		}
	})
	t.Run("a shim that promises no PREPARED is not waited for", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		_, err := p.c.Write(frame(runtime.FrameHello, 0, `{"protocol":1}`))
		must(t, err)
		_, err = c.Hello(t.Context())
		must(t, err)
		must(t, c.Prepared(t.Context()))
	})
	t.Run("anything else than PREPARED breaks the protocol", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		_, err := p.c.Write(append(frame(runtime.FrameHello, 0, `{"protocol":1,"prepares":true}`), frame(runtime.FrameReady, 0, "")...))
		must(t, err)
		_, err = c.Hello(t.Context())
		must(t, err)
		if err := c.Prepared(t.Context()); !errors.Is(err, runtime.ErrProtocol) || c.Usable() {
			t.Errorf("error %v", err)
		}
	})
	t.Run("an INIT_ERROR is the function's error", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		p.serve(func(runtime.FrameType, uint64, []byte) []byte {
			return frame(runtime.FrameInitError, 0, `{"errorType":"Runtime.ImportError","errorMessage":"no","stackTrace":["a"]}`)
		})
		err := c.Init(t.Context(), runtime.Init{})
		var e *cove.Error
		if !errors.As(err, &e) || e.Code != cove.CodeInitError || e.Function.Type != runtime.TypeImportError || e.Function.Stack[0] != "a" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("another version of the protocol is refused", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		_, err := p.c.Write(frame(runtime.FrameHello, 0, `{"protocol":2}`))
		must(t, err)
		if _, err := c.Hello(t.Context()); !errors.Is(err, runtime.ErrProtocol) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("the context's deadline bounds the wait", func(t *testing.T) {
		t.Parallel()
		c, _ := pair(t, runtime.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := c.Hello(ctx); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a cancelled context ends the wait", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		p.serve(func(runtime.FrameType, uint64, []byte) []byte { cancel(); return []byte{} })
		if err := c.Init(ctx, runtime.Init{}); !errors.Is(err, context.Canceled) || !errors.Is(err, runtime.ErrEnded) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("Close ends the wait", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		p.serve(func(runtime.FrameType, uint64, []byte) []byte { _ = c.Close(); return []byte{} })
		if _, err := c.Invoke(soon(), direct("")); !errors.Is(err, runtime.ErrEnded) {
			t.Errorf("error %v", err)
		}
	})
}

func TestConnInvoke(t *testing.T) {
	t.Parallel()
	t.Run("payloads of every size come back, and each call has another id", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		seen := map[uint64]bool{}
		p.serve(func(_ runtime.FrameType, id uint64, body []byte) []byte {
			if seen[id] || id == 0 {
				t.Errorf("id %d twice", id)
			}
			seen[id] = true
			n := binary.BigEndian.Uint32(body)
			return frame(runtime.FrameResult, id, result("", string(body[4+n:])))
		})
		for _, n := range []int{0, 1, 4096, 32 << 10, 32<<10 + 1, 1 << 20, runtime.MaxPayload} {
			want := strings.Repeat("x", n)
			a, err := c.Invoke(soon(), direct(want))
			if err != nil || string(a.Payload) != want || a.Head != nil || a.Took <= 0 {
				t.Fatalf("%d bytes: %v", n, err)
			}
		}
		if _, err := c.Invoke(soon(), direct(strings.Repeat("x", runtime.MaxPayload+1))); cove.CodeOf(err) != cove.CodeTooLarge || !c.Usable() {
			t.Errorf("one byte more: %v", err)
		}
		inv := overHTTP()
		inv.Event = json.RawMessage(`"` + strings.Repeat("x", runtime.MaxHead) + `"`)
		if _, err := c.Invoke(soon(), inv); cove.CodeOf(err) != cove.CodeTooLarge || !c.Usable() {
			t.Errorf("an event too large: %v", err)
		}
	})
	t.Run("the header says what was asked for, whatever its characters", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		var head map[string]any
		p.serve(func(_ runtime.FrameType, id uint64, body []byte) []byte {
			n := binary.BigEndian.Uint32(body)
			must(t, json.Unmarshal(body[4:4+n], &head))
			return frame(runtime.FrameResult, id, result("", ""))
		})
		_, err := c.Invoke(soon(), &runtime.Invoke{
			Kind: cove.KindHTTP, RequestID: "q\"\\\n€", Marker: "\x1ecove 00", Trace: "t", Event: json.RawMessage(`{"x":[1]}`), TimeoutMS: 1234,
		})
		must(t, err)
		event, _ := head["event"].(map[string]any)
		if head["request_id"] != "q\"\\\n€" || head["marker"] != "\x1ecove 00" || head["trace"] != "t" || head["timeout_ms"] != 1234.0 || event["x"] == nil {
			t.Errorf("header %v", head)
		}
	})
	t.Run("an empty head is a plain JSON answer", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		p.serve(func(_ runtime.FrameType, id uint64, _ []byte) []byte {
			return frame(runtime.FrameResult, id, result("", "1"))
		})
		a, err := c.Invoke(soon(), overHTTP())
		if err != nil || a.Head.Status != 200 || a.Head.Headers["content-type"][0] != "application/json" {
			t.Errorf("answer %+v, %v", a, err)
		}
	})
	t.Run("a deadline that passes breaks the Conn", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		p.serve(func(runtime.FrameType, uint64, []byte) []byte { return []byte{} })
		_, err := c.Invoke(time.Now().Add(10*time.Millisecond), direct(""))
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.Usable() {
			t.Errorf("error %v", err)
		}
		if _, err := c.Invoke(soon(), direct("")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the next call: %v", err)
		}
	})
	t.Run("an ERROR is the function's and leaves the Conn usable", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		types := []string{"ValueError", runtime.TypeAnswerTooLarge, runtime.TypeNotSerializable, runtime.TypeInvalidAnswer, runtime.TypeBadEvent}
		n := 0
		p.serve(func(_ runtime.FrameType, id uint64, _ []byte) []byte {
			n++
			return frame(runtime.FrameError, id, `{"errorType":"`+types[n-1]+`","errorMessage":"m"}`)
		})
		for i, want := range []cove.Code{cove.CodeFunctionError, cove.CodeResponseTooLarge, cove.CodeInvalidResponse, cove.CodeInvalidResponse, cove.CodeInvalid} {
			_, err := c.Invoke(soon(), direct(""))
			var e *cove.Error
			if !errors.As(err, &e) || e.Code != want || e.Function.Type != types[i] || !c.Usable() {
				t.Errorf("%s: %v", types[i], err)
			}
		}
	})
}

func TestConnEnd(t *testing.T) {
	t.Parallel()
	t.Run("a peer that is gone has not accepted", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		must(t, p.c.Close())
		if _, err := c.Invoke(soon(), direct("x")); !errors.Is(err, runtime.ErrNotAccepted) || c.Usable() {
			t.Errorf("error %v", err)
		}
	})
	for _, size := range []int{1, 100, 100 << 10, 5 << 20} {
		t.Run("a peer that goes before it read the last byte has not accepted", func(t *testing.T) {
			t.Parallel()
			c, p := pair(t, runtime.Options{})
			read := make(chan error, 1)
			go func() {
				// All of the frame but its last byte.
				var h [4]byte
				_, err := io.ReadFull(p.c, h[:])
				if err == nil {
					_, err = io.CopyN(io.Discard, p.c, int64(binary.BigEndian.Uint32(h[:]))-1)
				}
				_ = p.c.Close()
				read <- err
			}()
			_, err := c.Invoke(soon(), direct(strings.Repeat("x", size)))
			if !errors.Is(err, runtime.ErrNotAccepted) || errors.Is(err, runtime.ErrEnded) {
				t.Errorf("error %v", err)
			}
			must(t, <-read)
		})
	}
	t.Run("a peer that goes after it read everything has accepted", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		p.serve(func(runtime.FrameType, uint64, []byte) []byte { return nil })
		if _, err := c.Invoke(soon(), direct("x")); !errors.Is(err, runtime.ErrEnded) || errors.Is(err, runtime.ErrNotAccepted) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a peer that ends its side in steps is told by what it has read", func(t *testing.T) {
		t.Parallel()
		for i := range 300 {
			c, p := pair(t, runtime.Options{})
			unread := i%2 == 0
			go func() {
				if unread {
					_, _ = p.c.Read(make([]byte, 1)) // It has come, and is not read.
				} else {
					_, _, _, _ = readFrame(p.c)
				}
				s := p.c.(*net.UnixConn)
				_ = s.CloseWrite()
				_ = s.CloseRead()
				_ = s.Close()
			}()
			_, err := c.Invoke(soon(), direct("x"))
			if errors.Is(err, runtime.ErrNotAccepted) != unread || errors.Is(err, runtime.ErrEnded) == unread {
				t.Fatalf("error %v, unread %v", err, unread)
			}
		}
	})
	t.Run("SHUTDOWN is sent and ends the Conn", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		c.Shutdown()
		if kind, _, _, err := readFrame(p.c); kind != runtime.FrameShutdown || err != nil || c.Usable() {
			t.Errorf("frame %#x, %v", kind, err)
		}
	})
}

func TestConnStream(t *testing.T) {
	t.Parallel()
	stream := func(id uint64, end string, pieces ...string) []byte {
		b := frame(runtime.FrameStream, id, `{"status":201}`)
		for _, piece := range pieces {
			b = append(b, frame(runtime.FrameChunk, id, piece)...)
		}
		return append(b, frame(runtime.FrameEnd, id, end)...)
	}
	t.Run("the pieces come one by one and io.EOF at the end", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		large := strings.Repeat("y", runtime.MaxChunk)
		p.serve(func(_ runtime.FrameType, id uint64, _ []byte) []byte { return stream(id, "", "a", large, "b") })
		for range 3 {
			a, err := c.Invoke(soon(), overHTTP())
			if err != nil || !a.Stream || a.Head.Status != 201 || c.Usable() {
				t.Fatalf("answer %+v, %v", a, err)
			}
			if _, err := c.Invoke(soon(), overHTTP()); err == nil {
				t.Error("a call within the stream was made")
			}
			for _, want := range []string{"a", large, "b"} {
				if got, err := c.Next(); string(got) != want || err != nil {
					t.Fatalf("piece of %d bytes, %v", len(got), err)
				}
			}
			for range 2 {
				if _, err := c.Next(); err != io.EOF || !c.Usable() {
					t.Fatalf("at the end: %v, usable %v", err, c.Usable())
				}
			}
		}
	})
	t.Run("a broken END is the function's error", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		p.serve(func(_ runtime.FrameType, id uint64, _ []byte) []byte {
			return stream(id, `{"errorType":"E","errorMessage":"m"}`, "a")
		})
		_, err := c.Invoke(soon(), overHTTP())
		must(t, err)
		_, err = c.Next()
		must(t, err)
		if _, err := c.Next(); cove.CodeOf(err) != cove.CodeFunctionError || !c.Usable() {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a direct one is joined", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{MaxAnswer: 4})
		pieces := []string{"ab", "cd"}
		p.serve(func(_ runtime.FrameType, id uint64, _ []byte) []byte { return stream(id, "", pieces...) })
		a, err := c.Invoke(soon(), direct(""))
		if err != nil || string(a.Payload) != "abcd" || a.Stream || !c.Usable() {
			t.Fatalf("answer %+v, %v", a, err)
		}
		pieces = append(pieces, "e")
		if _, err := c.Invoke(soon(), direct("")); cove.CodeOf(err) != cove.CodeResponseTooLarge || c.Usable() {
			t.Errorf("past the limit: %v", err)
		}
	})
}

func TestConnHostileShim(t *testing.T) {
	t.Parallel()
	huge := func(kind runtime.FrameType, id uint64, n uint32) []byte {
		b := frame(kind, id, "")
		binary.BigEndian.PutUint32(b, n)
		return b
	}
	for name, answer := range map[string]func(id uint64) []byte{
		"another id":                   func(id uint64) []byte { return frame(runtime.FrameResult, id^1, result("", "1")) },
		"id 0":                         func(uint64) []byte { return frame(runtime.FrameResult, 0, result("", "1")) },
		"a type of the host's":         func(id uint64) []byte { return frame(runtime.FrameInvoke, id, "") },
		"an unknown type":              func(id uint64) []byte { return frame(0x99, id, "") },
		"a piece without a stream":     func(id uint64) []byte { return frame(runtime.FrameChunk, id, "x") },
		"a frame too short":            func(id uint64) []byte { return huge(runtime.FrameResult, id, 8) },
		"a frame too long":             func(id uint64) []byte { return huge(runtime.FrameResult, id, runtime.MaxFrame+1) },
		"the longest length":           func(id uint64) []byte { return huge(runtime.FrameResult, id, 1<<32-1) },
		"a result without its head":    func(id uint64) []byte { return frame(runtime.FrameResult, id, "\x00\x00") },
		"a head longer than the frame": func(id uint64) []byte { return frame(runtime.FrameResult, id, "\x00\x00\x01\x00{}") },
		"an error that is no JSON":     func(id uint64) []byte { return frame(runtime.FrameError, id, "{") },
		"an error too long":            func(id uint64) []byte { return huge(runtime.FrameError, id, runtime.MaxError+10) },
		"a stream's head too long":     func(id uint64) []byte { return huge(runtime.FrameStream, id, runtime.MaxHead+10) },
		"an empty piece": func(id uint64) []byte {
			return append(frame(runtime.FrameStream, id, ""), frame(runtime.FrameChunk, id, "")...)
		},
		"a piece too long": func(id uint64) []byte {
			return append(frame(runtime.FrameStream, id, ""), huge(runtime.FrameChunk, id, runtime.MaxChunk+10)...)
		},
		"a result within a stream": func(id uint64) []byte {
			return append(frame(runtime.FrameStream, id, ""), frame(runtime.FrameResult, id, result("", ""))...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := pair(t, runtime.Options{})
			p.serve(func(_ runtime.FrameType, id uint64, _ []byte) []byte { return answer(id) })
			if a, err := c.Invoke(soon(), direct("")); !errors.Is(err, runtime.ErrProtocol) || c.Usable() {
				t.Errorf("answer %+v, error %v", a, err)
			}
		})
	}
	t.Run("an answer past MaxAnswer is not read and ends the Conn", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{MaxAnswer: 10})
		p.serve(func(_ runtime.FrameType, id uint64, _ []byte) []byte {
			return frame(runtime.FrameResult, id, result("", "12345678901"))
		})
		if _, err := c.Invoke(soon(), direct("")); cove.CodeOf(err) != cove.CodeResponseTooLarge || c.Usable() {
			t.Errorf("error %v", err)
		}
	})
	t.Run("what comes behind an answer ends the Conn and is nobody's answer", func(t *testing.T) {
		t.Parallel()
		c, p := pair(t, runtime.Options{})
		p.serve(func(_ runtime.FrameType, id uint64, _ []byte) []byte {
			return append(frame(runtime.FrameResult, id, result("", "1")), frame(runtime.FrameResult, id+2, result("", "2"))...)
		})
		a, err := c.Invoke(soon(), direct(""))
		if err != nil || string(a.Payload) != "1" || c.Usable() {
			t.Fatalf("answer %+v, %v; usable %v", a, err, c.Usable())
		}
		if _, err := c.Invoke(soon(), direct("")); !errors.Is(err, runtime.ErrProtocol) {
			t.Errorf("the next call: %v", err)
		}
	})
	for name, head := range map[string]string{
		"a status that is none":      `{"status":99}`,
		"an informational status":    `{"status":101}`,
		"a line end in a value":      `{"status":200,"headers":{"a":["b\r\nc: d"]}}`,
		"a line end in a name":       `{"status":200,"headers":{"a\r\nb":["c"]}}`,
		"no name":                    `{"status":200,"headers":{"":["c"]}}`,
		"a line end in a cookie":     `{"status":200,"cookies":["a\nb"]}`,
		"a head that is not its own": `[1]`,
		"too many values":            `{"status":200,"headers":{"a":["b"` + strings.Repeat(`,"b"`, 256) + `]}}`,
		"too many names":             manyNames(257),
	} {
		t.Run("an HTTP head with "+name+" is an invalid answer and the Conn stays", func(t *testing.T) {
			t.Parallel()
			c, p := pair(t, runtime.Options{})
			p.serve(func(_ runtime.FrameType, id uint64, _ []byte) []byte {
				return frame(runtime.FrameResult, id, result(head, "body"))
			})
			for range 2 {
				if _, err := c.Invoke(soon(), overHTTP()); cove.CodeOf(err) != cove.CodeInvalidResponse || !c.Usable() {
					t.Errorf("error %v; usable %v", err, c.Usable())
				}
			}
		})
	}
}

// manyNames is an HTTP head with n headers that have no value.
func manyNames(n int) string {
	headers := map[string][]string{}
	for i := range n {
		headers[fmt.Sprintf("x-%d", i)] = []string{}
	}
	head, _ := json.Marshal(map[string]any{"status": 200, "headers": headers}) // Strings always marshal.
	return string(head)
}
