package image

import (
	"archive/tar"
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup is an empty store that is closed when the test ends.
func setup(t *testing.T) *Store {
	t.Helper()
	return open(t, t.TempDir())
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := New(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// layerOf is a layer with the entries, in their order; content is that of
// regular files.
func layerOf(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range entries {
		content := []byte("content of " + h.Name)
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func regular(name string) tar.Header { return tar.Header{Name: name} }

func directory(name string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}
}

func symlink(name, target string) tar.Header {
	return tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink, Mode: 0o777}
}

func hardlink(name, target string) tar.Header {
	return tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeLink}
}

// importRoot imports a root file system of the entries.
func importRoot(t *testing.T, s *Store, name string, entries ...tar.Header) Image {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.tar")
	if err := os.WriteFile(file, layerOf(t, entries...), 0o644); err != nil {
		t.Fatal(err)
	}
	img, err := s.Import(t.Context(), name, file, Quiet{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func wantCode(t *testing.T, err error, code cove.Code) {
	t.Helper()
	if cove.CodeOf(err) != code {
		t.Fatalf("the error is %v, want code %s", err, code)
	}
}

// wantNothingHalfDone fails if the store holds anything but whole images.
func wantNothingHalfDone(t *testing.T, s *Store) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(s.dir, tmpDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("these are left: %v", left)
	}
	mounts, err := mountsBelow(s.dir)
	if err != nil || len(mounts) > 0 {
		t.Errorf("these are mounted: %v, %v", mounts, err)
	}
}
