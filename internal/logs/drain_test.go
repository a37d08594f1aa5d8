package logs

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a stream that is drained and the end that a sandbox writes to.
func socket(t *testing.T) (*Book, *Stream, net.Conn) {
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
	book := NewBook()
	s := book.Stream("hello", 1, "i")
	var wg sync.WaitGroup
	wg.Go(func() { s.Drain(ends[0]) })
	t.Cleanup(func() {
		ends[1].Close()
		wg.Wait()
		ends[0].Close()
	})
	// Until it drains, invocations get markers.
	for range 1000 {
		s.mu.Lock()
		ready := s.raw != nil
		s.mu.Unlock()
		if ready {
			return book, s, ends[1]
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("it does not drain")
	return nil, nil, nil
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
		done := make(chan struct{})
		go func() { defer close(done); s.Drain(r) }()
		g := s.Begin("r")
		fmt.Fprintf(w, "text\n%s\n", g.Marker())
		g.Wait(t.Context())
		if got := said(book, "r"); got != "text" || g.Marker() == "" {
			t.Errorf("got %q", got)
		}
		w.Close()
		<-done
	})
}
