package shimtest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/covefn/cove/internal/runtime"
)

// compiles tries that a package is compiled without being run, and that what
// came of it is used.
func compiles(t *testing.T, lang Language, starter Starter) {
	code := map[string]string{
		"main.py": "print('run')\nfrom lib import answer\ndef handler(event, context): return answer.it()\n",
		// Broken ones are left out.
		"lib/answer.py": "print('run')\ndef it(): return 'compiled'\n", "lib/broken.py": "def (\n", "lib/nul.py": "\x00",
	}
	if lang == JavaScript {
		code = map[string]string{
			"index.js":     "console.log('run');\nconst {it} = require('./lib/answer.js');\nexports.handler = async () => it() + (await import('./lib/more.mjs')).more + require('./typed.ts').typed;\n",
			"lib/more.mjs": "console.log('run');\nimport * as url from 'node:url';\nexport const more = url ? ' more' : '';\n",
			"typed.ts":     "console.log('run');\nconst typed: string = ' typed';\nmodule.exports = { typed };\n",
			// Broken ones are left out.
			"lib/answer.js": "console.log('run');\nexports.it = () => 'compiled';\n", "lib/broken.js": "function (", "lib/broken.mjs": "import {",
		}
	}
	s := start(t, lang, starter, code)
	s.prepared(t)
	compiled := map[string]string{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := s.conn.Compile(ctx, runtime.CompileRequest{CodeDir: s.proc.CodeDir}, func(name string, data []byte) error {
		compiled[name] = string(data)
		return nil
	})
	if err != nil {
		t.Fatalf("COMPILE: %v; log: %s", err, s.everything())
	}
	if s.conn.Usable() {
		t.Error("the sandbox is still of use")
	}
	if strings.Contains(s.everything(), "run") {
		t.Errorf("the package was run: %q", s.everything())
	}
	want, files := `"compiled"`, 2
	if lang == JavaScript {
		want, files = `"compiled more typed"`, 4
	}
	if len(compiled) < files {
		t.Errorf("%d files of %d: %v", len(compiled), files, slices.Sorted(maps.Keys(compiled)))
	}
	if lang == Python {
		// The bytecode is taken as it is, which is how it can be seen that it is taken.
		code["lib/answer.py"] = "def it(): return 'from the source'\n"
	}
	maps.Copy(code, compiled)
	s = start(t, lang, starter, code)
	s.mustLoad(t)
	if got := s.direct(t, ""); got != want {
		t.Errorf("answer %s; log: %s", got, s.everything())
	}
}
