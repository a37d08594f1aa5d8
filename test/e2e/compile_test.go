package e2e

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A package of some size is translated when it is deployed, in a sandbox and
// without being run, and not by its first request.
func TestCompiledAtDeploy(t *testing.T) {
	h := start(t, options{})
	eachKind(t, func(t *testing.T, language, isolation string) {
		code, suffix := large(language), ".pyc"
		if language == "node" {
			suffix = ""
		}
		cfg := function("large-"+language+"-"+isolation, language, isolation)
		// Of its own, because packages are kept by content.
		for name := range code {
			code[name] += commentOf(language, cfg.Name)
		}
		f := h.deploy(t, cfg, code)
		dir := filepath.Join(h.Data, "code", f.Version.Package.SHA256)
		eventually(t, time.Minute, func() string {
			if n := compiled(t, dir, suffix); n < len(code) {
				return fmt.Sprintf("%d compiled files of %d", n, len(code))
			}
			return ""
		})
	})
}

// compiled counts the compiled files of a package, without those that are still on
// their way in.
func compiled(t *testing.T, dir, suffix string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), "new-") {
			return fs.SkipDir
		}
		place := strings.Contains(path, "/__pycache__/") || strings.Contains(path, "/.cove/v8/")
		if err == nil && place && d.Type().IsRegular() && strings.HasSuffix(path, suffix) {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func commentOf(language, text string) string {
	if language == "node" {
		return "// " + text + "\n"
	}
	return "# " + text + "\n"
}

// large is a package of 20 modules and 40 KiB.
func large(language string) files {
	code := files{}
	var main strings.Builder
	for m := range 20 {
		var b strings.Builder
		for i := range 20 {
			if language == "node" {
				fmt.Fprintf(&b, "exports.f%d = function (a) { return a.map((x) => x * %d + %d).join('-') + 'padding of the source'; };\n", i, i, m)
			} else {
				fmt.Fprintf(&b, "def f%d(a):\n    return '-'.join(str(x * %d + %d) for x in a) + 'padding of the source'\n", i, i, m)
			}
		}
		if language == "node" {
			code[fmt.Sprintf("m%d.js", m)] = b.String()
			fmt.Fprintf(&main, "const m%d = require('./m%d.js');\n", m, m)
		} else {
			code[fmt.Sprintf("m%d.py", m)] = b.String()
			fmt.Fprintf(&main, "import m%d\n", m)
		}
	}
	if language == "node" {
		code["index.js"] = main.String() + "exports.handler = async () => m1.f1([1]);\n"
	} else {
		code["main.py"] = main.String() + "def handler(event, context):\n    return m1.f1([1])\n"
	}
	return code
}
