package code

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/covefn/cove"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	// receive keeps a tar.gz of entries and reads its files.
	receive := func(t *testing.T, s *Store, entries ...entry) (cove.Package, Files) {
		t.Helper()
		pkg, release, err := s.Add(t.Context(), Source{Archive: bytes.NewReader(tarball(t, entries...))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
		files, err := s.Files(t.Context(), pkg)
		if err != nil {
			t.Fatal(err)
		}
		return pkg, files
	}
	body := func(name string, size int) entry {
		return entry{name: name, kind: tar.TypeReg, body: strings.Repeat("a", size)}
	}
	t.Run("files are told by path, also behind a link", func(t *testing.T) {
		t.Parallel()
		_, got := receive(t, setup(t, Limits{}), file("main.py"), body("lib/a.py", 3), link("b.py", "lib/a.py"))
		if len(got.Contents) != 3 || string(got.Contents["lib/a.py"]) != "aaa" || string(got.Contents["b.py"]) != "aaa" || got.Skipped != nil {
			t.Errorf("got %v", got)
		}
	})
	t.Run("links to directories and what was compiled are left out", func(t *testing.T) {
		t.Parallel()
		s := setup(t, Limits{})
		pkg, _ := receive(t, s, file("main.py"), file("lib/__pycache__/a.pyc"), link("other", "lib"))
		if err := os.MkdirAll(filepath.Join(s.Dir(pkg), compiledDir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.Dir(pkg), compiledDir, "x"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := s.Files(t.Context(), pkg)
		if err != nil || len(got.Contents) != 1 || !slices.Equal(got.Skipped, []string{"other"}) {
			t.Errorf("got %v, %v", got, err)
		}
	})
	t.Run("what is too large is named", func(t *testing.T) {
		t.Parallel()
		_, got := receive(t, setup(t, Limits{}), body("exact", int(filesEach)), body("large", int(filesEach)+1), file("small"))
		if len(got.Contents) != 2 || !slices.Equal(got.Skipped, []string{"large"}) {
			t.Errorf("got %d files, without %v", len(got.Contents), got.Skipped)
		}
	})
	t.Run("what is too much in all is named", func(t *testing.T) {
		t.Parallel()
		var entries []entry
		for i := range 18 {
			entries = append(entries, body("f"+string(rune('a'+i)), int(filesEach)))
		}
		_, got := receive(t, setup(t, Limits{}), entries...)
		if len(got.Contents) != 16 || !slices.Equal(got.Skipped, []string{"fq", "fr"}) {
			t.Errorf("got %d files, without %v", len(got.Contents), got.Skipped)
		}
	})
	t.Run("a link that was put there to lead out is not followed", func(t *testing.T) {
		t.Parallel()
		s := setup(t, Limits{})
		pkg, _ := receive(t, s, file("main.py"))
		secret := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(secret, filepath.Join(s.Dir(pkg), "out")); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Files(t.Context(), pkg); err == nil {
			t.Errorf("got %v", got)
		}
	})
	t.Run("what is no digest is no path", func(t *testing.T) {
		t.Parallel()
		if _, err := setup(t, Limits{}).Files(t.Context(), cove.Package{SHA256: "../../etc"}); cove.CodeOf(err) != cove.CodeNoCode {
			t.Errorf("got %v", err)
		}
	})
}
