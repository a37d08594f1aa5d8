package shimtest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// listsModules answers the modules that have been loaded from files.
const listsModules = `
import sys
def handler(event, context):
    return sorted({name.partition(".")[0] for name, m in sys.modules.items() if getattr(m, "__file__", None)})
`

// early tries that a file of a package that is called like a module of Python's
// own has the same effect in a stem cell, which has loaded some of these before it
// knew its package, and in a sandbox that is made for a request, which has not.
func early(t *testing.T, starter Starter) {
	load := func(files map[string]string, handler string, stem bool) *session {
		s := start(t, Python, starter, files)
		if stem {
			s.prepared(t)
		}
		s.init.Handler = handler
		s.mustLoad(t)
		return s
	}
	modules := func(stem bool) (names []string) {
		t.Helper()
		check(t, json.Unmarshal([]byte(load(map[string]string{"main.py": listsModules}, "main.handler", stem).direct(t, "")), &names))
		return names
	}
	atOnce := modules(false)
	for range 20 { // On a busy machine INIT may come so late that the shim has taken itself for a stem cell.
		if !slices.Contains(atOnce, "json") {
			break
		}
		atOnce = modules(false)
	}
	ahead := slices.DeleteFunc(modules(true), func(name string) bool { return slices.Contains(atOnce, name) })
	if !slices.Contains(ahead, "json") {
		t.Errorf("a stem cell has only %q ahead of a sandbox that is made for a request", ahead)
	}
	files := map[string]string{"main.py": "import " + strings.Join(ahead, ", ") +
		"\ndef handler(event, context): return [n for n in " + "\"" + strings.Join(ahead, " ") + "\".split() if hasattr(globals()[n], 'mine')]\n"}
	for _, name := range ahead {
		files[name+".py"] = "mine = True\ndef handler(event, context): return 'mine'\n"
	}
	for _, stem := range []bool{false, true} {
		if got := load(files, "main.handler", stem).direct(t, ""); got != "[]" {
			t.Errorf("stem cell: %v: %s come from the package", stem, got)
		}
		for _, name := range ahead {
			if got := load(files, name+".handler", stem).direct(t, ""); got != `"mine"` {
				t.Errorf("stem cell: %v: the handler of %s.py answers %s", stem, name, got)
			}
		}
	}
}
