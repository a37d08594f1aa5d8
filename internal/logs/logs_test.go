package logs

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T) (*Book, *Stream) {
	t.Helper()
	b := NewBook()
	return b, b.Stream("hello", 1, "i1")
}

// texts are a function's lines as "request: text".
func texts(b *Book) []string {
	var out []string
	for _, l := range b.Tail("hello", "", 1<<20) {
		who := l.RequestID
		if l.Platform {
			who += "*"
		}
		out = append(out, who+": "+l.Text)
	}
	return out
}

func TestStream(t *testing.T) {
	t.Parallel()

	t.Run("attributes each line to the invocation whose marker follows, wherever the pieces are cut", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		one, two := s.Begin("r1"), s.Begin("r2")
		all := "a\nb" + one.Marker() + "\n" + "c\n" + two.Marker() + "\n" + "late\n"
		for i := range len(all) {
			_, _ = s.Write([]byte(all[i : i+1]))
		}
		want := []string{"r1: a", "r1: b", "r2: c", ": late"}
		if diff := cmp.Diff(want, texts(b)); diff != "" {
			t.Error(diff)
		}
		one.Wait(t.Context())
		two.Wait(t.Context())
	})

	t.Run("does not take another's marker, or a guess, for an end", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		one, two := s.Begin("r1"), s.Begin("r2")
		fmt.Fprintf(s, "%s\n%s%032x\nx\n%s\n", two.Marker(), markerPrefix, 7, one.Marker())
		got := texts(b)
		if len(got) != 3 || got[2] != "r1: x" {
			t.Errorf("got %q", got)
		}
		select {
		case <-two.ended:
			t.Error("the second invocation ended by a marker that came before the first's")
		default:
		}
	})

	t.Run("bounds an invocation's output and says how much was dropped", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		g := s.Begin("r1")
		line := strings.Repeat("x", 1023) + "\n"
		for range 3 * 1024 {
			_, _ = s.Write([]byte(line))
		}
		fmt.Fprintln(s, g.Marker())
		got := texts(b)
		if len(got) != 1024+1 || got[1024] != "r1*: 2097152 bytes of output were dropped: an invocation's log is limited to 1 MiB and 16,384 lines" {
			t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
		}
	})

	t.Run("cuts a line that never ends and loses none of it", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		g := s.Begin("r1")
		for range 300 {
			_, _ = s.Write([]byte(strings.Repeat("y", 1000)))
		}
		fmt.Fprintln(s, g.Marker())
		got, n := texts(b), 0
		for _, l := range got {
			n += len(l) - len("r1: ")
		}
		if n != 300_000 {
			t.Errorf("%d bytes in %d lines", n, len(got))
		}
	})

	t.Run("holds no more for a marker without its newline than for any other line", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		g := s.Begin("r1")
		fmt.Fprint(s, "a", g.Marker())
		for range 1000 {
			_, _ = s.Write([]byte(strings.Repeat("z", 1000)))
		}
		g.Wait(t.Context())
		if got := texts(b)[0]; got != "r1: a" {
			t.Errorf("the first line is %q", got)
		}
		if got := len(s.inputs[0].buf); got > lineLimit {
			t.Errorf("%d bytes are held", got)
		}
	})

	t.Run("forgets invocations whose markers never come", func(t *testing.T) {
		t.Parallel()
		_, s := setup(t)
		first := s.Begin("r1")
		for range 10_000 {
			s.Begin("r2")
		}
		first.Wait(t.Context())
		if got := len(s.pending); got > pendingLimit {
			t.Errorf("%d are held", got)
		}
	})

	t.Run("bounds what is printed between invocations as well", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		for range 64 {
			_, _ = s.Write([]byte(strings.Repeat(strings.Repeat("w", 1023)+"\n", 64)))
		}
		s.Begin("r1")
		fmt.Fprintln(s, "next")
		got := texts(b)
		if n := len(got); n != 1024+2 || got[n-2] != "*: 3145728 bytes of output were dropped: what is printed between two invocations is limited to 1 MiB and 16,384 lines" || got[n-1] != "r1: next" {
			t.Errorf("%d lines, the last %q", n, got[n-2:])
		}
	})

	t.Run("finds the marker behind what it drops, wherever the pieces are cut", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		g := s.Begin("r1")
		_, _ = s.Write([]byte(strings.Repeat(strings.Repeat("w", 1023)+"\n", 1025)))
		for _, c := range []byte("more" + g.Marker() + "\nbehind\n") {
			_, _ = s.Write([]byte{c})
		}
		g.Wait(t.Context())
		got := texts(b)
		if diff := cmp.Diff([]string{"r1*: 1028 bytes of output were dropped: an invocation's log is limited to 1 MiB and 16,384 lines", ": behind"}, got[1024:]); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("looks at each byte of a long line a bounded number of times", func(t *testing.T) {
		t.Parallel()
		_, s := setup(t)
		s.Begin("r1")
		for i := range lineLimit - 1 {
			_, _ = s.Write([]byte("v"))
			if s.inputs[0].clean != i+1 {
				t.Fatalf("after %d bytes the next look begins at byte %d", i+1, s.inputs[0].clean)
			}
		}
	})

	t.Run("goes on with the next invocation where one was withdrawn", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		never := s.Begin("r1")
		never.Withdraw()
		never.Withdraw()
		never.Wait(t.Context())
		next := s.Begin("r2")
		fmt.Fprintf(s, "a\n%s\nb\n", next.Marker())
		next.Wait(t.Context())
		if diff := cmp.Diff([]string{"r2: a", ": b"}, texts(b)); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("ends everything when the sandbox ends, the platform's word last", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		g := s.Begin("r1")
		fmt.Fprint(s, "half")
		g.Last("Task timed out after 1.00 seconds")
		s.Close()
		g.Wait(t.Context())
		s.Begin("r2").Wait(t.Context())
		want := []string{"r1: half", "r1*: Task timed out after 1.00 seconds"}
		if diff := cmp.Diff(want, texts(b)); diff != "" {
			t.Error(diff)
		}
	})
}

// What a flood costs the host is bounded by lines as well, since an empty one costs
// the function next to nothing, and beyond the bound nothing is read line by line.
func TestFloodOfEmptyLines(t *testing.T) {
	t.Parallel()
	b, s := setup(t)
	g := s.Begin("r1")
	for range 32 {
		_, _ = s.Write(bytes.Repeat([]byte("\n"), 32<<10))
	}
	fmt.Fprintf(s, "%s\n", g.Marker())
	got := texts(b)
	dropped := strconv.Itoa(1<<20 - invocationLines)
	if n := len(got); g.share.lines != invocationLines || !strings.HasPrefix(got[n-1], "r1*: "+dropped+" bytes of output were dropped") {
		t.Errorf("%d lines, the last %q", g.share.lines, got[n-1])
	}
}

func TestFloodThatIsShared(t *testing.T) {
	t.Parallel()
	b := NewBook()
	s := b.Stream("hello", 1, "i")
	s.Share()
	g := s.Begin("r1")
	flood := bytes.Repeat([]byte("\n"), 32<<10)
	for range 2 {
		_, _ = s.Write(flood)
	}
	in := &s.inputs[0]
	if used := in.dropShared(flood, 0); used != len(flood) {
		t.Errorf("%d bytes at once", used)
	}
	_, _ = s.Write([]byte("no end"))
	if used := in.dropShared(in.buf, in.clean); used != 0 || in.clean != len("no end") {
		t.Errorf("%d bytes of a line without an end, of which %d are known", used, in.clean)
	}
	_, _ = s.Write([]byte("\n\nhalf" + g.Marker() + ":hers\n" + g.Marker() + "\n"))
	if got := texts(b); got[len(got)-1] != "r1: hers" {
		t.Errorf("the last is %q", got[len(got)-1])
	}
	select {
	case <-g.ended:
	default:
		t.Error("the invocation has not ended")
	}
}

func TestBook(t *testing.T) {
	t.Parallel()

	t.Run("keeps the latest lines of each function within its limit", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		for i := range 40_000 {
			if i%10_000 == 0 {
				fmt.Fprintf(s, "%s\n", s.Begin("r").Marker()) // Each has lines of its own.
			}
			fmt.Fprintf(s, "%d\n", i)
		}
		got := b.Tail("hello", "", 1<<20)
		if b.total > functionLimit || got[len(got)-1].Text != "39999" {
			t.Errorf("%d bytes, last %q", b.total, got[len(got)-1].Text)
		}
	})

	t.Run("gives the tail of one invocation", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		for i := range 10 {
			g := s.Begin(fmt.Sprint("r", i))
			fmt.Fprintf(s, "one\ntwo\n%s\n", g.Marker())
		}
		got := b.Tail("hello", "r4", 1)
		if len(got) != 1 || got[0].Text != "two" || got[0].RequestID != "r4" {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("tells a follower what is new, until it leaves", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		follower, err := b.Follow(ctx, Query{Function: "hello"})
		if err != nil {
			t.Fatal(err)
		}
		lines := follower.Lines()
		fmt.Fprintln(s, "first")
		if l := <-lines; l.Text != "first" || !follower.Wanted(&l) {
			t.Errorf("got %+v", l)
		}
		cancel()
		for range lines {
			t.Error("a line after the follower left")
		}
	})

	t.Run("forgets a function", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		fmt.Fprintln(s, "x")
		b.Forget("hello")
		if got := texts(b); got != nil || b.total != 0 {
			t.Errorf("got %q, %d bytes", got, b.total)
		}
	})
}

func FuzzStream(f *testing.F) {
	f.Add("a\nb", "c\x1e cove ", 3)
	f.Fuzz(func(t *testing.T, before, after string, cut int) {
		if strings.ContainsRune(before, 0x1e) || strings.ContainsRune(after, 0x1e) {
			t.Skip("the marker is what the shim writes; what a hostile handler writes is covered by other inputs")
		}
		b := NewBook()
		s := b.Stream("hello", 1, "i")
		g := s.Begin("r1")
		all := before + g.Marker() + "\n" + after
		cut = min(max(cut, 0), len(all))
		_, _ = s.Write([]byte(all[:cut]))
		_, _ = s.Write([]byte(all[cut:]))
		select {
		case <-g.ended:
		default:
			t.Fatal("the marker was not found")
		}
		s.Close()
		for _, l := range b.Tail("hello", "r1", 1<<20) {
			if !strings.Contains(strings.ToValidUTF8(before, "\uFFFD"), l.Text) {
				t.Errorf("%q is not of the invocation", l.Text)
			}
		}
	})
}
