package runtime_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/covefn/cove/internal/runtime"
)

func lookup(t testing.TB, name string) runtime.Runtime {
	t.Helper()
	r, ok := runtime.NewCatalogue().Lookup(name)
	if !ok {
		t.Fatalf("no runtime %s", name)
	}
	return r
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	t.Run("an alias is the newest of its language", func(t *testing.T) {
		t.Parallel()
		for alias, name := range map[string]string{"python": "python3.13", "python3.13": "python3.13", "node": "node26", "node26": "node26"} {
			if got := lookup(t, alias).Name; got != name {
				t.Errorf("%s is %s", alias, got)
			}
		}
		if _, ok := runtime.NewCatalogue().Lookup("cobol"); ok {
			t.Error("cobol is there")
		}
	})
	t.Run("what a caller does to a runtime does not reach the catalogue", func(t *testing.T) {
		t.Parallel()
		c := runtime.NewCatalogue()
		c.All()[0].Command[0] = "changed"
		if c.All()[0].Command[0] == "changed" {
			t.Error("it did")
		}
	})
	t.Run("the default handler is in the default file", func(t *testing.T) {
		t.Parallel()
		for _, r := range runtime.NewCatalogue().All() {
			got, err := r.HandlerFile(r.DefaultHandler, func(p string) bool { return p == r.DefaultFile })
			if err != nil || got != r.DefaultFile {
				t.Errorf("%s: %q, %v", r.Name, got, err)
			}
		}
	})
}

func TestHandlerFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ runtime, handler, file string }{
		{"python", "main.handler", "main.py"},
		{"python", "pkg/mod.handler", "pkg/mod.py"},
		{"python", "pkg.mod.handler", "pkg/mod.py"},
		{"python", "pkg.handler", "pkg/__init__.py"},
		{"node", "index.handler", "index.js"},
		{"node", "src/app.run", "src/app.mjs"},
		{"node", "a.b.run", "a.b.cts"},
		{"node", "typed.run", "typed.ts"},
	} {
		got, err := lookup(t, c.runtime).HandlerFile(c.handler, func(p string) bool { return p == c.file })
		if err != nil || got != c.file {
			t.Errorf("%s %s: %q, %v", c.runtime, c.handler, got, err)
		}
	}
	none := func(string) bool { return false }
	all := func(string) bool { return true }
	_, err := lookup(t, "python").HandlerFile("main.handler", none)
	if !errors.Is(err, runtime.ErrNoHandlerFile) || !strings.Contains(err.Error(), "main.py") {
		t.Errorf("a missing file: %v", err)
	}
	for _, handler := range []string{"", "handler", ".handler", "main.", "../x.handler", "/x.handler", "a//b.handler", "a/../b.handler",
		"./a.handler", "a/.b.handler", `a\b.handler`, strings.Repeat("a", 300) + ".b"} {
		for _, r := range runtime.NewCatalogue().All() {
			if got, err := r.HandlerFile(handler, all); err == nil || errors.Is(err, runtime.ErrNoHandlerFile) {
				t.Errorf("%s %q: %q, %v", r.Name, handler, got, err)
			}
		}
	}
}

func FuzzHandlerFile(f *testing.F) {
	f.Add("main.handler")
	f.Add("../x.y")
	f.Fuzz(func(t *testing.T, handler string) {
		for _, r := range runtime.NewCatalogue().All() {
			file, err := r.HandlerFile(handler, func(string) bool { return true })
			if err == nil && !filepath.IsLocal(file) {
				t.Errorf("%s %q is in %q", r.Name, handler, file)
			}
		}
	})
}

func TestWriteShims(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "shims")
	c := runtime.NewCatalogue()
	var all sync.WaitGroup
	for range 8 { // Several daemons may start at once.
		all.Go(func() {
			if err := c.WriteShims(dir); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, r := range c.All() {
		shim := runtime.ShimDir(dir, r)
		info, err := os.Stat(shim)
		must(t, err)
		if info.Mode().Perm() != 0o555 {
			t.Errorf("%s has mode %v", shim, info.Mode())
		}
		file := filepath.Join(shim, filepath.Base(r.Command[len(r.Command)-1]))
		info, err = os.Stat(file)
		must(t, err)
		if info.Mode().Perm() != 0o444 || info.Size() == 0 {
			t.Errorf("%s has mode %v and %d bytes", file, info.Mode(), info.Size())
		}
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != len(c.All()) {
		t.Errorf("left over: %v", entries)
	}
	t.Cleanup(func() { // The directories are read-only.
		for _, r := range c.All() {
			_ = os.Chmod(runtime.ShimDir(dir, r), 0o755)
		}
	})
}
