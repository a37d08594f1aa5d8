package code

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/covefn/cove"
)

func TestBrokenUpload(t *testing.T) {
	t.Parallel()
	good := tarball(t, file("a"))

	t.Run("a connection that breaks is not taken for a broken archive", func(t *testing.T) {
		t.Parallel()
		broken := io.MultiReader(bytes.NewReader(good[:20]), errReader{})
		wantRefused(t, setup(t, small()), Source{Archive: broken}, cove.CodeInvalid, "broke off")
	})

	t.Run("a cancelled upload keeps nothing", func(t *testing.T) {
		t.Parallel()
		s := setup(t, small())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := s.Add(ctx, Source{Archive: bytes.NewReader(good)}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		wantNothing(t, s)
	})

	t.Run("what an earlier start left is removed", func(t *testing.T) {
		t.Parallel()
		s := setup(t, small())
		left := filepath.Join(s.dir, "tmp", "add-1", "tree", "d")
		if err := os.MkdirAll(left, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(left, 0o555); err != nil {
			t.Fatal(err)
		}
		if _, err := New(s.dir, small(), s.log); err != nil {
			t.Fatal(err)
		}
		wantNothing(t, s)
	})
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestSweep(t *testing.T) {
	t.Parallel()
	keep := func(shas ...string) func(context.Context) (map[string]bool, error) {
		return func(context.Context) (map[string]bool, error) {
			m := map[string]bool{}
			for _, sha := range shas {
				m[sha] = true
			}
			return m, nil
		}
	}

	t.Run("what is neither kept nor held is removed", func(t *testing.T) {
		t.Parallel()
		s := setup(t, small())
		a, b, c := add(t, s, zipfile(t, file("a")), ""), add(t, s, zipfile(t, file("b")), ""), add(t, s, tarball(t, file("c")), "")
		release := s.Hold(b.SHA256)
		if n, err := s.Sweep(t.Context(), keep(a.SHA256)); n != 1 || err != nil {
			t.Errorf("removed %d, %v, want 1", n, err)
		}
		if !s.Present(a) || !s.Present(b) || s.Present(c) {
			t.Errorf("present: %v %v %v", s.Present(a), s.Present(b), s.Present(c))
		}
		release()
		release()
		if n, err := s.Sweep(t.Context(), keep()); n != 2 || err != nil {
			t.Errorf("removed %d, %v, want 2", n, err)
		}
		wantNothing(t, s)
	})

	t.Run("what was added and written down while it looked is spared", func(t *testing.T) {
		t.Parallel()
		s := setup(t, small())
		var pkg cove.Package
		n, err := s.Sweep(t.Context(), func(context.Context) (map[string]bool, error) {
			pkg = add(t, s, zipfile(t, file("a")), "") // Held and released: the store has it by now.
			return map[string]bool{}, nil
		})
		if n != 0 || err != nil || !s.Present(pkg) {
			t.Errorf("removed %d, %v", n, err)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	s := setup(t, Limits{})
	archive := tarball(t, entry{name: "big", kind: tar.TypeReg, body: noise(30 << 20)})
	for _, format := range []string{FormatTarGz, FormatZip} {
		if format == FormatZip {
			archive = zipfile(t, entry{name: "big", kind: tar.TypeReg, body: noise(30 << 20)})
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		add(t, s, archive, format)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
			t.Errorf("%s of 30 MiB: %d KiB were allocated", format, got>>10)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, files := range []int{1, 1000} {
		b.Run(fmt.Sprint(files, "files"), func(b *testing.B) {
			s := setup(b, Limits{})
			i := 0
			for b.Loop() {
				in := map[string][]byte{}
				for f := range files {
					in[fmt.Sprintf("d%d/f%d", f%10, f)] = fmt.Appendf(nil, "%d", i)
				}
				i++
				_, release, err := s.Add(b.Context(), Source{Files: in})
				if err != nil {
					b.Fatal(err)
				}
				release()
			}
		})
	}
}
