package shimtest

import (
	"errors"
	"strings"
	"testing"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

func errorRules() []rule {
	return []rule{
		{"an error has its type, its message and the user's own frames, outermost first", source{
			"import json\ndef inner(x):\n    return json.loads(x)\ndef handler(event, context):\n    return inner('{')\n",
			"function inner(x) { return JSON.parse(x); }\nexports.handler = async () => inner('{');\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			f := s.fails(t, "")
			if f.Type != "JSONDecodeError" && f.Type != "SyntaxError" || f.Message == "" {
				t.Errorf("error %+v", f)
			}
			if len(f.Stack) != 2 || !strings.Contains(f.Stack[0], "handler") || !strings.Contains(f.Stack[1], "inner") {
				t.Errorf("stack %q", f.Stack)
			}
			if strings.Contains(strings.Join(f.Stack, ""), "shim") && !strings.Contains(s.proc.CodeDir, "shim") {
				t.Errorf("the stack shows the shim: %q", f.Stack)
			}
			if text := s.complained(t); !strings.Contains(text, "[ERROR] "+f.Type) {
				t.Errorf("the log says %q", text)
			}
		}},
		{"an asynchronous error keeps its frames", source{
			"import asyncio\nasync def inner():\n    await asyncio.sleep(0)\n    raise KeyError('k')\nasync def handler(event, context):\n    await inner()\n",
			"async function inner() { await null; throw new TypeError('k'); }\nexports.handler = async () => { await inner(); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if f := s.fails(t, ""); len(f.Stack) != 2 || !strings.Contains(f.Stack[1], "inner") {
				t.Errorf("error %+v", f)
			}
		}},
		{"what is thrown may be anything", source{
			"class Odd(BaseException):\n    def __str__(self):\n        raise RuntimeError('no')\ndef handler(event, context):\n    raise Odd()\n",
			"exports.handler = async () => { throw {get message() { throw 1; }, toString() { throw 2; }}; };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			for range 2 {
				if f := s.fails(t, ""); f.Type == "" {
					t.Errorf("error %+v", f)
				}
			}
		}},
		{"a message of megabytes and half surrogates is cut", source{
			"def handler(event, context):\n    raise ValueError('\\ud800' * (4 << 20))\n",
			"exports.handler = async () => { throw new Error('\\ud800'.repeat(4 << 20)); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if f := s.fails(t, ""); len(f.Message) > 64<<10 {
				t.Errorf("a message of %d bytes", len(f.Message))
			}
		}},
		{"endless recursion is an error and the instance stays", source{
			"def f(n):\n    return f(n + 1)\ndef handler(event, context):\n    return f(0) if event else 'ok'\n",
			"function f(n) { return f(n + 1) + 1; }\nexports.handler = async (event) => event ? f(0) : 'ok';\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if f := s.fails(t, "1"); f.Type != "RecursionError" && f.Type != "RangeError" {
				t.Errorf("error %+v", f)
			}
			if got := s.direct(t, "0"); got != `"ok"` {
				t.Errorf("answer %q", got)
			}
		}},
		{"a thrown string is its own message", source{javascript: "exports.handler = async () => { throw 'plain'; };\n"}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if f := s.fails(t, ""); f.Type != "string" || f.Message != "plain" {
				t.Errorf("error %+v", f)
			}
		}},
		{"a callback's error is the answer's", source{javascript: "exports.handler = (e, c, done) => done(new RangeError('via callback'));\n"}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if f := s.fails(t, ""); f.Type != "RangeError" {
				t.Errorf("error %+v", f)
			}
		}},
		{"a rejection that nobody handles is the answer and the process's end", source{
			javascript: "exports.handler = () => { Promise.reject(new Error('lost')); return new Promise(() => {}); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if f := s.fails(t, ""); f.Type != "Runtime.UnhandledPromiseRejection" || !strings.Contains(f.Message, "lost") {
				t.Errorf("error %+v", f)
			}
			if code := s.exit(t); code != 1 {
				t.Errorf("exit code %d", code)
			}
		}},
		{"an exception that nobody catches is the answer and the process's end", source{
			javascript: "exports.handler = () => { setTimeout(() => { throw new TypeError('late'); }, 1); return new Promise(() => {}); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if f := s.fails(t, ""); f.Type != "TypeError" {
				t.Errorf("error %+v", f)
			}
			if code := s.exit(t); code != 1 {
				t.Errorf("exit code %d", code)
			}
		}},
	}
}

// loadErrors tries what INIT_ERROR says of functions that cannot be loaded.
func loadErrors(t *testing.T, lang Language, starter Starter) {
	for _, c := range []struct {
		name, errorType, handler string
		code                     source
		// stack is what the stack must mention.
		stack string
	}{
		{"no such file", runtime.TypeNoSuchFile, "missing.handler", source{"", ""}, ""},
		{"no such function", runtime.TypeNoSuchHandler, "", source{"x = 1\n", "exports.x = 1;\n"}, ""},
		{"a syntax error", runtime.TypeSyntaxError, "", source{"x = 1\ndef handler(:\n", "let x = 1;\nfunction (;\n"}, ":2 2"},
		{"an import that fails", runtime.TypeImportError, "", source{"import nowhere_to_be_found\n", "require('nowhere-to-be-found');\n"}, "1"},
		{"an import that raises", runtime.TypeImportError, "", source{"def f():\n    raise ValueError('no')\nf()\n", "function f() { throw new RangeError('no'); }\nf();\n"}, "f"},
		{"what is no function", runtime.TypeNotCallable, "", source{"handler = 3\n", "exports.handler = 3;\n"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code := c.code.python
			if lang == JavaScript {
				code = c.code.javascript
			}
			s := start(t, lang, starter, files(lang, code))
			if c.handler != "" {
				s.init.Handler = c.handler
			}
			err := s.load(t)
			var e *cove.Error
			if !errors.As(err, &e) || e.Code != cove.CodeInitError || e.Function == nil {
				t.Fatalf("INIT: %v", err)
			}
			f := e.Function
			if f.Type != c.errorType || f.Message == "" || strings.Contains(f.Message, "undefined") {
				t.Errorf("error %+v", f)
			}
			stack := strings.Join(f.Stack, "")
			if c.stack != "" && !strings.Contains(stack, c.stack[:1]) && !strings.Contains(stack, c.stack[len(c.stack)-1:]) {
				t.Errorf("stack %q does not mention %q", f.Stack, c.stack)
			}
			if c.stack == "" && len(f.Stack) != 0 {
				t.Errorf("stack %q", f.Stack)
			}
		})
	}
}

// loadForms tries where a handler's file may be and of which form.
func loadForms(t *testing.T, lang Language, starter Starter) {
	forms := []struct {
		name, handler string
		files         map[string]string
	}{
		{"a directory with slashes", "pkg/mod.handler", map[string]string{"pkg/mod.py": "def handler(e, c): return 'ok'\n"}},
		{"a directory with dots", "pkg.mod.handler", map[string]string{"pkg/mod.py": "from .other import handler\n", "pkg/other.py": "def handler(e, c): return 'ok'\n"}},
		{"a package", "pkg.handler", map[string]string{"pkg/__init__.py": "def handler(e, c): return 'ok'\n"}},
		{"a name of the standard library", "json.handler", map[string]string{"json.py": "def handler(e, c): return 'ok'\n"}},
		{"libraries in the package's root and in python/", "main.handler", map[string]string{
			"main.py": "import near, far\ndef handler(e, c): return near.x + far.y\n", "near.py": "x = 'o'\n", "python/far.py": "y = 'k'\n"}},
		{"another name", "app.run", map[string]string{"app.py": "class Run:\n    def __call__(self, e, c): return 'ok'\nrun = Run()\n"}},
	}
	if lang == JavaScript {
		forms = []struct {
			name, handler string
			files         map[string]string
		}{
			{"CommonJS", "index.handler", map[string]string{"index.js": "exports.handler = async () => 'ok';\n"}},
			{"CommonJS that exports an object", "index.handler", map[string]string{"index.cjs": "module.exports = {handler() { return 'ok'; }};\n"}},
			{"an ES module by package.json", "index.handler", map[string]string{"package.json": `{"type":"module"}`, "index.js": "import fs from 'node:fs'; export const handler = async () => fs ? 'ok' : '';\n"}},
			{"an ES module by its name", "src/app.run", map[string]string{"src/app.mjs": "export function run() { return 'ok'; }\n"}},
			{"an ES module that awaits at its top", "index.handler", map[string]string{"index.mjs": "const x = await Promise.resolve('ok'); export const handler = () => x;\n"}},
			{"an ES module that awaits, by its syntax", "index.handler", map[string]string{"index.js": "const x = await Promise.resolve('ok'); export const handler = () => x;\n"}},
			{"a default export", "index.handler", map[string]string{"index.mjs": "export default {handler: () => 'ok'};\n"}},
			{"TypeScript", "index.handler", map[string]string{"index.ts": "interface E { a?: number }\nexport const handler = async (e: E): Promise<string> => 'ok';\n"}},
			{"TypeScript of CommonJS", "index.handler", map[string]string{"index.cts": "exports.handler = (e: unknown): string => 'ok';\n"}},
			{"a library in node_modules", "index.handler", map[string]string{"index.js": "const lib = require('lib'); exports.handler = () => lib;\n", "node_modules/lib/index.js": "module.exports = 'ok';\n"}},
		}
	}
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, lang, starter, f.files)
			s.init.Handler = f.handler
			s.mustLoad(t)
			if got := s.direct(t, ""); got != `"ok"` {
				t.Errorf("answer %s", got)
			}
			if got := s.everything(); strings.Contains(got, "Warning") {
				t.Errorf("the log has %q", got)
			}
		})
	}
}
