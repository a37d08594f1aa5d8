package runtime_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

// shared is a Mux and the peer that plays its shim, frame by frame.
func shared(t testing.TB) (*runtime.Mux, *peer) {
	t.Helper()
	c, p := pair(t, runtime.Options{})
	m := runtime.NewMux(c)
	t.Cleanup(func() { _ = m.Close() })
	return m, p
}

// outcome is how a call ended.
type outcome struct {
	answer *runtime.Answer
	err    error
}

// call makes a call on a goroutine of its own.
func call(m *runtime.Mux, deadline time.Time, inv *runtime.Invoke) (*runtime.Caller, <-chan outcome) {
	c, done := m.Caller(), make(chan outcome, 1)
	go func() {
		a, err := c.Invoke(deadline, inv)
		done <- outcome{a, err}
	}()
	return c, done
}

// expect reads one frame of the host.
func (p *peer) expect(kind runtime.FrameType) (id uint64, body []byte) {
	p.t.Helper()
	must(p.t, p.c.SetReadDeadline(soon()))
	got, id, body, err := readFrame(p.c)
	must(p.t, err)
	if got != kind {
		p.t.Fatalf("frame %#x, want %#x", got, kind)
	}
	return id, body
}

func (p *peer) say(kind runtime.FrameType, id uint64, body string) {
	p.t.Helper()
	_, err := p.c.Write(frame(kind, id, body))
	must(p.t, err)
}

func isDeadline(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

func TestMux(t *testing.T) {
	t.Parallel()
	t.Run("answers find their calls in whatever order they come", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		_, first := call(m, soon(), direct("1"))
		one, _ := p.expect(runtime.FrameInvoke)
		_, second := call(m, soon(), direct("2"))
		two, _ := p.expect(runtime.FrameInvoke)
		p.say(runtime.FrameResult, two, result("", "second"))
		if o := <-second; o.err != nil || string(o.answer.Payload) != "second" {
			t.Errorf("second: %+v", o)
		}
		p.say(runtime.FrameError, one, `{"errorType":"E","errorMessage":"m"}`)
		if o := <-first; cove.CodeOf(o.err) != cove.CodeFunctionError {
			t.Errorf("first: %+v", o)
		}
		if !m.Usable() {
			t.Error("not usable")
		}
	})
	t.Run("many callers at once get their own answers", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		p.serve(func(_ runtime.FrameType, id uint64, body []byte) []byte {
			head := binary.BigEndian.Uint32(body)
			return frame(runtime.FrameResult, id, result("", string(body[4+head:])))
		})
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				c := m.Caller()
				for j := range 50 {
					want := fmt.Sprintf("%d-%d-%s", i, j, strings.Repeat("x", j*100))
					a, err := c.Invoke(soon(), direct(want))
					if err != nil || string(a.Payload) != want || !c.Usable() {
						t.Errorf("answer %+v, %v", a, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
	t.Run("a call that is given up is told to the shim and its late answer is dropped", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		_, other := call(m, soon(), direct("other"))
		id, _ := p.expect(runtime.FrameInvoke)
		late, done := call(m, time.Now().Add(20*time.Millisecond), direct("late"))
		gone, _ := p.expect(runtime.FrameInvoke)
		if o := <-done; !isDeadline(o.err) {
			t.Errorf("error %v", o.err)
		}
		if cancelled, _ := p.expect(runtime.FrameCancel); cancelled != gone {
			t.Errorf("CANCEL of %#x, not of %#x", cancelled, gone)
		}
		if m.Usable() || late.Usable() {
			t.Error("usable while the handler may still run")
		}
		if _, err := m.Caller().Invoke(soon(), direct("new")); !errors.Is(err, runtime.ErrNotAccepted) {
			t.Errorf("a new call: %v", err)
		}
		p.say(runtime.FrameResult, gone, result("", "late"))
		p.say(runtime.FrameResult, id, result("", "in time"))
		if o := <-other; o.err != nil || string(o.answer.Payload) != "in time" {
			t.Errorf("the other call: %+v", o)
		}
		if !m.Usable() {
			t.Error("not usable though the call has ended")
		}
	})
	t.Run("an answer to a call that was never made ends the stream", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		_, done := call(m, soon(), direct(""))
		id, _ := p.expect(runtime.FrameInvoke)
		p.say(runtime.FrameResult, id+2, result("", "forged"))
		if o := <-done; !errors.Is(o.err, runtime.ErrProtocol) {
			t.Errorf("error %v", o.err)
		}
		<-m.Done()
	})
	t.Run("a second answer to a call ends the stream", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		_, done := call(m, soon(), direct(""))
		id, _ := p.expect(runtime.FrameInvoke)
		p.say(runtime.FrameResult, id, result("", "1"))
		p.say(runtime.FrameResult, id, result("", "2"))
		if o := <-done; o.err != nil {
			t.Errorf("error %v", o.err)
		}
		<-m.Done()
		if m.Usable() {
			t.Error("still usable")
		}
	})
	t.Run("the end of the stream is told to all, and idle ones see it too", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		_, a := call(m, soon(), direct(""))
		p.expect(runtime.FrameInvoke)
		_, b := call(m, soon(), direct(""))
		p.expect(runtime.FrameInvoke)
		must(t, p.c.Close())
		for _, o := range []outcome{<-a, <-b} {
			if !errors.Is(o.err, runtime.ErrEnded) {
				t.Errorf("error %v", o.err)
			}
		}
		<-m.Done()
		if _, err := m.Caller().Invoke(soon(), direct("")); !errors.Is(err, runtime.ErrNotAccepted) {
			t.Errorf("a call afterwards: %v", err)
		}
	})
	t.Run("the one INVOKE that was not read was not accepted, the calls before it were", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		_, a := call(m, soon(), direct("read"))
		p.expect(runtime.FrameInvoke)
		_, b := call(m, soon(), direct("unread"))
		var one [1]byte // It is there, but not all of it is read.
		_, err := io.ReadFull(p.c, one[:])
		must(t, err)
		must(t, p.c.Close())
		if o := <-a; !errors.Is(o.err, runtime.ErrEnded) || errors.Is(o.err, runtime.ErrNotAccepted) {
			t.Errorf("the call that was read: %v", o.err)
		}
		if o := <-b; !errors.Is(o.err, runtime.ErrNotAccepted) {
			t.Errorf("the call that was not read: %v", o.err)
		}
	})
	t.Run("a shim that reads nothing costs no caller more than its deadline", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		_, other := call(m, soon(), direct("other"))
		id, _ := p.expect(runtime.FrameInvoke)
		large := direct(strings.Repeat("x", 1<<20))
		for tries := 0; tries < 3 || m.Usable() && tries < 100; tries++ { // Where the machine is busy, the time of one may pass before it writes.
			_, done := call(m, time.Now().Add(30*time.Millisecond), large)
			if o := <-done; !isDeadline(o.err) && !errors.Is(o.err, runtime.ErrNotAccepted) {
				t.Errorf("error %v", o.err)
			}
		}
		if m.Usable() {
			t.Error("usable behind a frame that was cut off")
		}
		p.say(runtime.FrameResult, id, result("", "x"))
		if o := <-other; o.err != nil {
			t.Errorf("the call in flight: %v", o.err)
		}
	})
	t.Run("Close ends the calls in flight", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		_, done := call(m, time.Time{}, direct(""))
		p.expect(runtime.FrameInvoke)
		_ = m.Close()
		if o := <-done; !errors.Is(o.err, runtime.ErrEnded) {
			t.Errorf("error %v", o.err)
		}
	})
	t.Run("SHUTDOWN is the last that is written", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		m.Shutdown()
		p.expect(runtime.FrameShutdown)
		if _, err := m.Caller().Invoke(soon(), direct("")); !errors.Is(err, runtime.ErrNotAccepted) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("what is too large is refused without harm to others", func(t *testing.T) {
		t.Parallel()
		m, _ := shared(t)
		inv := overHTTP()
		inv.Event = []byte(`"` + strings.Repeat("x", runtime.MaxHead) + `"`)
		for _, inv := range []*runtime.Invoke{inv, direct(strings.Repeat("x", runtime.MaxPayload+1))} {
			if _, err := m.Caller().Invoke(soon(), inv); cove.CodeOf(err) != cove.CodeTooLarge || !m.Usable() {
				t.Errorf("error %v", err)
			}
		}
	})
}

func TestMuxStreams(t *testing.T) {
	t.Parallel()
	// streaming is a call whose answer has begun to stream.
	streaming := func(t *testing.T, m *runtime.Mux, p *peer, deadline time.Time) (*runtime.Caller, uint64) {
		t.Helper()
		c, done := call(m, deadline, overHTTP())
		id, _ := p.expect(runtime.FrameInvoke)
		p.say(runtime.FrameStream, id, `{"status":201}`)
		o := <-done
		if o.err != nil || !o.answer.Stream || o.answer.Head.Status != 201 {
			t.Fatalf("%+v", o)
		}
		return c, id
	}
	t.Run("pieces reach their caller, and a slow one holds up nobody", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		slow, id := streaming(t, m, p, soon())
		piece := strings.Repeat("p", 64<<10)
		for range runtime.Window / len(piece) {
			p.say(runtime.FrameChunk, id, piece)
		}
		_, other := call(m, soon(), direct(""))
		two, _ := p.expect(runtime.FrameInvoke)
		p.say(runtime.FrameResult, two, result("", "x"))
		if o := <-other; o.err != nil {
			t.Errorf("the other call: %v", o.err)
		}
		granted := 0
		for range runtime.Window / len(piece) {
			if got, err := slow.Next(); err != nil || string(got) != piece {
				t.Fatalf("piece of %d bytes, %v", len(got), err)
			}
		}
		p.say(runtime.FrameChunk, id, "more")
		for granted < runtime.Window/2 {
			if _, err := slow.Next(); err != nil {
				t.Fatal(err)
			}
			credited, body := p.expect(runtime.FrameCredit)
			if credited != id {
				t.Errorf("CREDIT of %#x", credited)
			}
			granted += int(binary.BigEndian.Uint32(body))
		}
		p.say(runtime.FrameEnd, id, "")
		if _, err := slow.Next(); !errors.Is(err, io.EOF) || !slow.Usable() {
			t.Errorf("the end: %v", err)
		}
	})
	t.Run("small pieces that nobody reads are joined", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		c, id := streaming(t, m, p, soon())
		for range runtime.Window / 4096 {
			_, err := p.c.Write(bytes.Repeat(frame(runtime.FrameChunk, id, "p"), 4096))
			must(t, err)
		}
		p.say(runtime.FrameEnd, id, "")
		_, other := call(m, soon(), direct(""))
		two, _ := p.expect(runtime.FrameInvoke)
		p.say(runtime.FrameResult, two, result("", "x"))
		<-other // What came before it has been queued.
		pieces, size := 0, 0
		for {
			piece, err := c.Next()
			if err != nil {
				break
			}
			pieces, size = pieces+1, size+len(piece)
		}
		if size != runtime.Window || pieces > 32 {
			t.Errorf("%d bytes in %d pieces", size, pieces)
		}
	})
	t.Run("more than was granted ends the stream", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		c, id := streaming(t, m, p, soon())
		p.say(runtime.FrameChunk, id, strings.Repeat("p", runtime.Window))
		p.say(runtime.FrameChunk, id, "p")
		<-m.Done() // Before what was read is granted anew.
		if _, err := c.Next(); err != nil {
			t.Errorf("what came before: %v", err)
		}
		if _, err := c.Next(); !errors.Is(err, runtime.ErrProtocol) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("the deadline ends a stream, and what comes of it later is dropped", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		c, id := streaming(t, m, p, time.Now().Add(500*time.Millisecond))
		if _, err := c.Next(); !isDeadline(err) {
			t.Errorf("error %v", err)
		}
		if cancelled, _ := p.expect(runtime.FrameCancel); cancelled != id {
			t.Errorf("CANCEL of %#x", cancelled)
		}
		p.say(runtime.FrameChunk, id, "late")
		p.say(runtime.FrameEnd, id, `{"errorType":"E","errorMessage":"m"}`)
		for end := soon(); !m.Usable() && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		_, other := call(m, soon(), direct(""))
		two, _ := p.expect(runtime.FrameInvoke)
		p.say(runtime.FrameResult, two, result("", "x"))
		if o := <-other; o.err != nil {
			t.Errorf("the other call: %v", o.err)
		}
	})
	t.Run("who waits for a piece is woken when the call is abandoned", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		c, _ := streaming(t, m, p, time.Time{})
		go c.Abandon()
		if _, err := c.Next(); !isDeadline(err) || c.Usable() {
			t.Errorf("error %v", err)
		}
		c.Abandon()
	})
	t.Run("a stream that breaks off says why, behind its pieces", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		c, id := streaming(t, m, p, soon())
		p.say(runtime.FrameChunk, id, "a")
		p.say(runtime.FrameEnd, id, `{"errorType":"E","errorMessage":"m"}`)
		if got, err := c.Next(); string(got) != "a" || err != nil {
			t.Errorf("piece %q, %v", got, err)
		}
		if _, err := c.Next(); cove.CodeOf(err) != cove.CodeFunctionError || !c.Usable() {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a direct answer that streams is joined", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		_, done := call(m, soon(), direct(""))
		id, _ := p.expect(runtime.FrameInvoke)
		p.say(runtime.FrameStream, id, "")
		p.say(runtime.FrameChunk, id, "a")
		p.say(runtime.FrameChunk, id, "b")
		p.say(runtime.FrameEnd, id, "")
		if o := <-done; o.err != nil || string(o.answer.Payload) != "ab" {
			t.Errorf("%+v", o)
		}
	})
	t.Run("a head that HTTP cannot carry is the function's fault and the call is given up", func(t *testing.T) {
		t.Parallel()
		m, p := shared(t)
		_, done := call(m, soon(), overHTTP())
		id, _ := p.expect(runtime.FrameInvoke)
		p.say(runtime.FrameStream, id, `{"status":99}`)
		if o := <-done; cove.CodeOf(o.err) != cove.CodeInvalidResponse {
			t.Errorf("%+v", o)
		}
		if cancelled, _ := p.expect(runtime.FrameCancel); cancelled != id {
			t.Errorf("CANCEL of %#x", cancelled)
		}
	})
}

// BenchmarkMux is BenchmarkInvoke's direct call through a Mux.
func BenchmarkMux(b *testing.B) {
	m, p := shared(b)
	p.serve(func(_ runtime.FrameType, id uint64, _ []byte) []byte {
		return frame(runtime.FrameResult, id, result("", "{}"))
	})
	inv := direct("{}")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Caller().Invoke(soon(), inv); err != nil {
			b.Fatal(err)
		}
	}
}
