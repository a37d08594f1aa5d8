package logs

import (
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sandbox is the end of a stream that a sandbox writes to. Writing to it is
// writing to stdout.
type sandbox struct {
	net.Conn
	stderr net.Conn
}

// socket is a stream that is drained and the end that a sandbox writes to.
func socket(t testing.TB) (*Book, *Stream, sandbox) {
	t.Helper()
	outer, out := pair(t)
	errs, err := pair(t)
	book := NewBook()
	s := book.Stream("hello", 1, "i")
	var wg sync.WaitGroup
	wg.Go(func() { s.Drain(outer, errs) })
	t.Cleanup(func() {
		out.Close()
		err.Close()
		wg.Wait()
		outer.Close()
		errs.Close()
	})
	// Until it drains, invocations get markers.
	for range 1000 {
		s.mu.Lock()
		ready := s.local
		s.mu.Unlock()
		if ready {
			return book, s, sandbox{out, err}
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("it does not drain")
	return nil, nil, sandbox{}
}

func pair(t testing.TB) (host, sandbox net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "log")
		if ends[i], err = net.FileConn(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return ends[0], ends[1]
}

func said(b *Book, requestID string) string {
	var all []string
	for _, l := range b.Tail("hello", requestID, 10_000) {
		all = append(all, l.Text)
	}
	return strings.Join(all, "|")
}

func TestDrain(t *testing.T) {
	t.Parallel()

	t.Run("what was written before the answer is the invocation's, whole lines or not", func(t *testing.T) {
		t.Parallel()
		book, s, sandbox := socket(t)
		for i := range 100 {
			id := fmt.Sprint("r", i)
			g := s.Begin(id)
			if g.Marker() != "" {
				t.Fatal("there is a marker")
			}
			fmt.Fprintf(sandbox, "one %d\ntwo %d", i, i)
			g.End()
			g.Wait(t.Context())
			if got, want := said(book, id), fmt.Sprintf("one %d|two %d", i, i); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	})

	t.Run("each line has its stream, and the rest of a line is not mixed with the other's", func(t *testing.T) {
		t.Parallel()
		book, s, sandbox := socket(t)
		for i := range 100 {
			id := fmt.Sprint("r", i)
			g := s.Begin(id)
			io.WriteString(sandbox, "out\nou")
			io.WriteString(sandbox.stderr, "err\ner")
			io.WriteString(sandbox, "t2")
			g.End()
			lines := book.Tail("hello", id, 10)
			got := map[string]string{}
			for _, l := range lines {
				got[l.Stream] += l.Text + "|"
			}
			if want := map[string]string{StreamStdout: "out|out2|", StreamStderr: "err|er|"}; !maps.Equal(got, want) {
				t.Fatalf("got %q", got)
			}
		}
	})

	t.Run("a stream that the function closes does not end the other, or an invocation", func(t *testing.T) {
		t.Parallel()
		book, s, sandbox := socket(t)
		g := s.Begin("r")
		io.WriteString(sandbox, "no end")
		sandbox.Close()
		io.WriteString(sandbox.stderr, "still there")
		g.End()
		next := s.Begin("next")
		io.WriteString(sandbox.stderr, "and now")
		next.End()
		if got, more := said(book, "r"), said(book, "next"); len(got) != len("no end|still there") || more != "and now" {
			t.Errorf("got %q and %q", got, more)
		}
	})

	t.Run("what is written after it is not", func(t *testing.T) {
		t.Parallel()
		book, s, sandbox := socket(t)
		g := s.Begin("r")
		g.End()
		io.WriteString(sandbox, "late\n")
		next := s.Begin("next")
		next.End()
		if got := said(book, "r"); got != "" {
			t.Errorf("got %q", got)
		}
		g.End() // Once more does nothing.
	})

	t.Run("as much as is kept of an invocation is read while it runs, and what is beyond is dropped", func(t *testing.T) {
		t.Parallel()
		book, s, sandbox := socket(t)
		g := s.Begin("r")
		line := strings.Repeat("x", 999) + "\n"
		for range 3000 {
			if _, err := io.WriteString(sandbox, line); err != nil {
				t.Fatal(err)
			}
		}
		g.End()
		if got := said(book, "r"); !strings.Contains(got, "bytes of output were dropped") {
			t.Errorf("%d bytes, and nothing of what was dropped", len(got))
		}
	})

	t.Run("an invocation that never answers ends with the stream", func(t *testing.T) {
		t.Parallel()
		book, s, sandbox := socket(t)
		g := s.Begin("r")
		io.WriteString(sandbox, "last words")
		sandbox.Close()
		sandbox.stderr.Close()
		g.Wait(t.Context())
		if got := said(book, "r"); got != "last words" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("a stream that cannot be read without waiting, or is shared, has markers", func(t *testing.T) {
		t.Parallel()
		book := NewBook()
		s := book.Stream("hello", 1, "i")
		r, w := io.Pipe()
		r2, w2 := io.Pipe()
		done := make(chan struct{})
		go func() { defer close(done); s.Drain(r, r2) }()
		for !s.drained() {
			time.Sleep(time.Millisecond)
		}
		g, next := s.Begin("r"), s.Begin("next")
		fmt.Fprintf(w, "text\n%s\nsecond\n", g.Marker())
		select {
		case <-g.ended:
			t.Error("it ended before the marker had come in both streams")
		default:
		}
		fmt.Fprintf(w2, "an error\n%s\n%s\n", g.Marker(), next.Marker())
		g.Wait(t.Context())
		fmt.Fprintf(w, "%s\n", next.Marker())
		next.Wait(t.Context())
		if got, more := said(book, "r"), said(book, "next"); got != "text|an error" || more != "second" {
			t.Errorf("got %q and %q", got, more)
		}
		w.Close()
		w2.Close()
		<-done
	})
}

// drained says whether both streams are read.
func (s *Stream) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inputs[1].open
}

func TestTheEndOfAnInvocationDoesNotWaitForWhatIsPrintedWithoutEnd(t *testing.T) {
	t.Parallel()
	endless, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer endless.Close()
	s := NewBook().Stream("f", 1, "i")
	s.local, s.inputs[1].open = true, true
	s.inputs[0].raw, s.inputs[1].raw = rawConn(endless), rawConn(endless)
	g := s.Begin("r")
	ended := make(chan struct{})
	go func() { defer close(ended); g.End() }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits")
	}
}
