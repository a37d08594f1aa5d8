package code

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/covefn/cove"
)

// compiledSetup is a store with one package.
func compiledSetup(t *testing.T, files map[string][]byte) (*Store, cove.Package) {
	t.Helper()
	s := setup(t, small())
	pkg, release, err := s.Add(t.Context(), Source{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return s, pkg
}

// gives is a compiler that makes these files, in order: name, content, ...
func gives(files ...string) func(func(string, []byte) error) error {
	return func(keep func(string, []byte) error) error {
		for i := 0; i < len(files); i += 2 {
			if err := keep(files[i], []byte(files[i+1])); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestKeepCompiled(t *testing.T) {
	t.Parallel()
	source := map[string][]byte{"main.py": []byte("1"), "lib/a.py": []byte("2"), "lib/__pycache__/own.cpython-313.pyc": []byte("theirs"), "lib/own.py": nil}

	t.Run("puts files where the language looks for them, read-only, and remembers by whom", func(t *testing.T) {
		t.Parallel()
		s, pkg := compiledSetup(t, source)
		if s.Compiled(pkg, "python3.13-3.13.5") {
			t.Error("compiled before")
		}
		files := []string{"__pycache__/main.cpython-313.pyc", "m", "lib/__pycache__/a.cpython-313.pyc", "a", ".cove/v8/v26-x64-0/0af3", "v"}
		if err := s.KeepCompiled(pkg, "python3.13-3.13.5", gives(files...)); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(files); i += 2 {
			at := filepath.Join(s.Dir(pkg), files[i])
			if got, err := os.ReadFile(at); err != nil || string(got) != files[i+1] {
				t.Errorf("%s: %q, %v", files[i], got, err)
			}
			info, err := os.Stat(filepath.Dir(at))
			if err != nil || info.Mode().Perm() != dirMode {
				t.Errorf("the directory of %s: %v, %v", files[i], info.Mode(), err)
			}
		}
		if !s.Compiled(pkg, "python3.13-3.13.5") || s.Compiled(pkg, "python3.13-3.13.6") {
			t.Error("it is not remembered who compiled")
		}
		paths, _, err := s.List(pkg, 100)
		if diff := cmp.Diff([]string{"lib/a.py", "lib/own.py", "main.py"}, paths); diff != "" || err != nil {
			t.Errorf("listed: %s %v", diff, err)
		}
	})

	t.Run("leaves alone what the package brought", func(t *testing.T) {
		t.Parallel()
		s, pkg := compiledSetup(t, source)
		if err := s.KeepCompiled(pkg, "x", gives("lib/__pycache__/own.cpython-313.pyc", "ours")); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(s.Dir(pkg), "lib/__pycache__/own.cpython-313.pyc"))
		if err != nil || string(got) != "theirs" {
			t.Errorf("%q, %v", got, err)
		}
	})

	t.Run("refuses any other path and keeps nothing then", func(t *testing.T) {
		t.Parallel()
		s, pkg := compiledSetup(t, source)
		for _, name := range []string{
			"", "main.py", "other.py", "../x", "/etc/x", ".cove/x", ".cove/compiled-y", ".cove/v8/../x", "__pycache__/none.cpython-313.pyc",
			"__pycache__/main.pyc", "lib/main.cpython-313.pyc", "__pycache__/x/main.cpython-313.pyc",
		} {
			if err := s.KeepCompiled(pkg, "x", gives("__pycache__/main.cpython-313.pyc", "m", name, "x")); err == nil {
				t.Errorf("%q was kept", name)
			}
			if _, err := os.Lstat(filepath.Join(s.Dir(pkg), "__pycache__")); !errors.Is(err, fs.ErrNotExist) || s.Compiled(pkg, "x") {
				t.Errorf("%q: something was kept: %v", name, err)
			}
		}
		left, err := fs.Glob(os.DirFS(s.Dir(pkg)), ".cove/*")
		if err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})

	t.Run("is bounded by what a package may hold", func(t *testing.T) {
		t.Parallel()
		s, pkg := compiledSetup(t, source)
		if err := s.KeepCompiled(pkg, "x", gives(".cove/v8/a/1", string(make([]byte, small().Unpacked+1)))); err == nil {
			t.Error("kept")
		}
	})

	t.Run("does not follow a package's own links out of their place", func(t *testing.T) {
		t.Parallel()
		s, pkg := compiledSetup(t, map[string][]byte{"main.py": nil, ".cove": []byte("a file")})
		if err := s.KeepCompiled(pkg, "x", gives(".cove/v8/a/1", "x")); err == nil {
			t.Error("kept")
		}
		if s.Compiled(pkg, "x") {
			t.Error("compiled")
		}
	})

	t.Run("the package can still be removed", func(t *testing.T) {
		t.Parallel()
		s := setup(t, small())
		pkg, release, err := s.Add(t.Context(), Source{Files: source})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.KeepCompiled(pkg, "x", gives("__pycache__/main.cpython-313.pyc", "m")); err != nil {
			t.Fatal(err)
		}
		release()
		if ok, err := s.remove(pkg.SHA256); err != nil || !ok {
			t.Errorf("%v, %v", ok, err)
		}
	})
}
