package logs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSharedStream(t *testing.T) {
	t.Parallel()

	t.Run("attributes each line to the invocation whose marker it carries, wherever the pieces are cut", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		s.Share()
		one, two := s.Begin("r1"), s.Begin("r2")
		m1, m2 := one.Marker(), two.Marker()
		all := m1 + ":a\n" + m2 + ":b\nnobody's\n" + m1 + ":\nraw " + m2 + ":c\nmore" + m1 + "\n" + m1 + ":late\n" + m2 + ":d\n" + m2 + "\n"
		for i := range len(all) {
			_, _ = s.Write([]byte(all[i : i+1]))
		}
		want := []string{"r1: a", "r2: b", ": nobody's", "r1: ", ": raw ", "r2: c", ": more", ": " + m1 + ":late", "r2: d"}
		if diff := cmp.Diff(want, texts(b)); diff != "" {
			t.Error(diff)
		}
		one.Wait(t.Context())
		two.Wait(t.Context())
	})

	t.Run("tells the streams of a line apart by what is behind its marker", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		s.Share()
		g := s.Begin("r1")
		fmt.Fprintf(s, "%[1]s:out\n%[1]s!err\n%[1]s:\n%[1]s\n", g.Marker())
		_, _ = s.inputs[1].Write([]byte("nobody's\n"))
		var got []string
		for _, l := range b.Tail("hello", "", 10) {
			got = append(got, l.RequestID+" "+l.Stream+" "+l.Text)
		}
		if diff := cmp.Diff([]string{"r1 stdout out", "r1 stderr err", "r1 stdout ", " stderr nobody's"}, got); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("does not take a guess, or a marker within an invocation's own line, for one", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		s.Share()
		one, two := s.Begin("r1"), s.Begin("r2")
		guess := fmt.Sprintf("%s%032x:x", markerPrefix, 7)
		fmt.Fprintf(s, "%s\n%s:%s:y\n", guess, one.Marker(), two.Marker())
		want := []string{": " + guess, "r1: " + two.Marker() + ":y"}
		if diff := cmp.Diff(want, texts(b)); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("bounds each invocation's output by itself", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		s.Share()
		one, two := s.Begin("r1"), s.Begin("r2")
		line := one.Marker() + ":" + strings.Repeat("x", 1023) + "\n"
		for range 2 * 1024 {
			_, _ = s.Write([]byte(line))
		}
		fmt.Fprintf(s, "%s:fine\n%s\n", two.Marker(), one.Marker())
		got := texts(b)
		if n := len(got); n != 1024+2 || got[n-2] != "r2: fine" || !strings.HasPrefix(got[n-1], "r1*: 1048576 bytes") {
			t.Errorf("%d lines, the last %q", n, got[n-2:])
		}
	})

	t.Run("holds a bounded part of a line that never ends", func(t *testing.T) {
		t.Parallel()
		_, s := setup(t)
		s.Share()
		g := s.Begin("r1")
		fmt.Fprint(s, g.Marker(), ":")
		for range 300 {
			_, _ = s.Write([]byte(strings.Repeat("y", 1000)))
		}
		if len(s.inputs[0].buf) > lineLimit {
			t.Errorf("%d bytes are held", len(s.inputs[0].buf))
		}
		s.Close()
		g.Wait(t.Context())
	})

	t.Run("an invocation that was withdrawn leaves nothing behind", func(t *testing.T) {
		t.Parallel()
		_, s := setup(t)
		s.Share()
		g := s.Begin("r1")
		g.Withdraw()
		g.Wait(t.Context())
		if len(s.shared) != 0 || len(s.pending) != 0 {
			t.Errorf("%d and %d are left", len(s.shared), len(s.pending))
		}
	})

	t.Run("what belongs to no invocation is bounded from one to the next", func(t *testing.T) {
		t.Parallel()
		b, s := setup(t)
		s.Share()
		s.Begin("r1")
		for range 3 * 1024 {
			_, _ = s.Write([]byte(strings.Repeat("x", 1023) + "\n"))
		}
		s.Begin("r2")
		fmt.Fprintln(s, "again")
		got := texts(b)
		if n := len(got); n != 1024+2 || got[n-1] != ": again" {
			t.Errorf("%d lines, the last %q", n, got[n-1])
		}
	})
}

func FuzzShared(f *testing.F) {
	f.Add("a\nb", "mine", "c\x1e cove ", 3)
	f.Fuzz(func(t *testing.T, before, line, after string, cut int) {
		// A shim writes whole lines, of a bounded length.
		line = strings.ReplaceAll(line, "\n", " ")
		line, before = line[:min(len(line), 1000)], before[:min(len(before), lineLimit/2)]
		b := NewBook()
		s := b.Stream("hello", 1, "i")
		s.Share()
		g := s.Begin("r1")
		all := before + g.Marker() + ":" + line + "\n" + after + g.Marker() + "\n"
		cut = min(max(cut, 0), len(all))
		_, _ = s.Write([]byte(all[:cut]))
		_, _ = s.Write([]byte(all[cut:]))
		select {
		case <-g.ended:
		default:
			t.Fatal("the marker was not found")
		}
		want := []string{"r1: " + strings.ToValidUTF8(line, "\uFFFD")}
		var mine []string
		for _, l := range texts(b) {
			if strings.HasPrefix(l, "r1: ") {
				mine = append(mine, l)
			}
		}
		if diff := cmp.Diff(want, mine); diff != "" {
			t.Error(diff)
		}
	})
}
