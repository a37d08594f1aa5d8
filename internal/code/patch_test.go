package code

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/covefn/cove"
)

func TestPatch(t *testing.T) {
	t.Parallel()
	// patch edits a package of some files, a link and a program.
	patch := func(t *testing.T, s *Store, edits map[string][]byte) (cove.Package, error) {
		t.Helper()
		base, release, err := s.Add(t.Context(), Source{Archive: bytes.NewReader(tarball(t,
			file("main.py"), file("lib/a.py"), file("lib/__pycache__/a.pyc"), link("b.py", "lib/a.py"), link("dir", "lib"),
			entry{name: "run.sh", kind: tar.TypeReg, body: "#!", mode: 0o755}))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
		pkg, hold, err := s.Patch(t.Context(), base, edits)
		if err == nil {
			t.Cleanup(hold)
		}
		return pkg, err
	}
	t.Run("files are changed, added and removed, and the others stay what they are", func(t *testing.T) {
		t.Parallel()
		s := setup(t, Limits{})
		pkg, err := patch(t, s, map[string][]byte{"lib/a.py": []byte("new"), "more/c.py": {}, "main.py": nil})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Files(t.Context(), pkg)
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]string{}
		for path, content := range got.Contents {
			have[path] = string(content)
		}
		if want := map[string]string{"lib/a.py": "new", "b.py": "new", "run.sh": "#!", "more/c.py": ""}; !maps.Equal(have, want) || !slices.Equal(got.Skipped, []string{"dir"}) {
			t.Errorf("got %v, without %v", have, got.Skipped)
		}
		if to, err := os.Readlink(filepath.Join(s.Dir(pkg), "b.py")); err != nil || to != "lib/a.py" {
			t.Errorf("the link leads to %q: %v", to, err)
		}
		if info, err := os.Stat(filepath.Join(s.Dir(pkg), "run.sh")); err != nil || info.Mode().Perm() != 0o555 {
			t.Errorf("the program is %v: %v", info.Mode(), err)
		}
		if !s.Present(pkg) || pkg.Format != FormatTarGz {
			t.Errorf("got %+v", pkg)
		}
	})
	t.Run("what is the same is the same package", func(t *testing.T) {
		t.Parallel()
		s := setup(t, Limits{})
		a, err := patch(t, s, map[string][]byte{"main.py": []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		b, hold, err := s.Patch(t.Context(), a, map[string][]byte{"main.py": []byte("x")})
		if err != nil || a != b {
			t.Fatalf("got %+v after %+v: %v", b, a, err)
		}
		hold()
	})
	t.Run("what cannot be is refused, and nothing is kept", func(t *testing.T) {
		t.Parallel()
		for path, content := range map[string][]byte{
			"../out": {}, "/abs": {}, "a//b": {}, "nosuch": nil, "lib": {}, "main.py/x": {}, "": {}, "lib/a.py\x00": {}, strings.Repeat("d/", 40) + "x": {},
		} {
			s := setup(t, Limits{})
			if pkg, err := patch(t, s, map[string][]byte{path: content}); cove.CodeOf(err) != cove.CodeInvalid {
				t.Errorf("%.20q: got %+v, %v", path, pkg, err)
			}
			if left, _ := os.ReadDir(filepath.Join(s.dir, "code")); len(left) != 1 {
				t.Errorf("%.20q: %d packages are kept", path, len(left))
			}
		}
	})
	t.Run("the limits are those of every package", func(t *testing.T) {
		t.Parallel()
		edits := map[string][]byte{}
		for n := range 30 {
			edits[fmt.Sprint("f", n)] = []byte("x")
		}
		if _, err := patch(t, setup(t, small()), edits); cove.CodeOf(err) != cove.CodeTooLarge {
			t.Errorf("got %v", err)
		}
	})
}
