package shimtest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

// returns is a handler that returns what each language's expression makes,
// chosen by the event's rawPath.
func returns(python, javascript string) source {
	return source{
		"import datetime, decimal\ndef handler(event, context):\n    return " + python + "\n",
		"exports.handler = async (event, context) => (" + javascript + ");\n",
	}
}

func answerRules() []rule {
	plain := map[string][]string{"content-type": {"application/json"}}
	whole := func(name string, code source, want runtime.Head, body string) rule {
		return rule{name, code, func(t *testing.T, s *session) {
			s.mustLoad(t)
			a := s.http(t, getEvent, "")
			if diff := cmp.Diff(want, *a.Head); diff != "" {
				t.Errorf("head (-want +got):\n%s", diff)
			}
			if string(a.Payload) != body {
				t.Errorf("body %q, want %q", a.Payload, body)
			}
		}}
	}
	refused := func(name, errorType string, code cove.Code, src source) rule {
		return rule{name, src, func(t *testing.T, s *session) {
			s.mustLoad(t)
			for range 2 { // The instance stays.
				a, err := s.invoke(cove.KindHTTP, getEvent, "")
				if f := functionError(t, a, err); f.Type != errorType || cove.CodeOf(err) != code {
					t.Errorf("error %+v of code %s", f, cove.CodeOf(err))
				}
			}
		}}
	}
	return []rule{
		whole("a value without statusCode is JSON with status 200",
			returns(`{"a": 1, "ü": [None, True, "\u00e9"]}`, `{a: 1, "ü": [null, true, "é"]}`),
			runtime.Head{Status: 200, Headers: plain}, `{"a":1,"ü":[null,true,"é"]}`),
		whole("a string is JSON too", returns(`"hello"`, `"hello"`), runtime.Head{Status: 200, Headers: plain}, `"hello"`),
		whole("nothing is null", returns(`None`, `undefined`), runtime.Head{Status: 200, Headers: plain}, `null`),
		whole("status, headers of every form and cookies are kept",
			returns(`{"statusCode": "201", "headers": {"X-A": "1", "X-B": 2, "X-C": True, "X-D": ["a", 3], "X-E": None}, "multiValueHeaders": {"x-d": ["z"]}, "cookies": ["a=1; Path=/", "b=2"], "body": "ünï"}`,
				`{statusCode: "201", headers: {"X-A": "1", "X-B": 2, "X-C": true, "X-D": ["a", 3], "X-E": null}, multiValueHeaders: {"x-d": ["z"]}, cookies: ["a=1; Path=/", "b=2"], body: "ünï"}`),
			runtime.Head{Status: 201, Headers: map[string][]string{"x-a": {"1"}, "x-b": {"2"}, "x-c": {"true"}, "x-d": {"a", "3", "z"}}, Cookies: []string{"a=1; Path=/", "b=2"}}, "ünï"),
		whole("a body that is absent is empty", returns(`{"statusCode": 204}`, `{statusCode: 204}`), runtime.Head{Status: 204}, ""),
		whole("bytes are the body as they are",
			returns(`{"statusCode": 200, "body": b"\x00\xff\x01"}`, `{statusCode: 200, body: Buffer.from([0, 255, 1])}`),
			runtime.Head{Status: 200}, "\x00\xff\x01"),
		whole("a body in base64 is decoded",
			returns(`{"statusCode": 200, "body": "AP8B", "isBase64Encoded": True}`, `{statusCode: 200, body: "AP8B", isBase64Encoded: true}`),
			runtime.Head{Status: 200}, "\x00\xff\x01"),
		whole("any other body is JSON",
			returns(`{"statusCode": 200, "body": {"a": 1}}`, `{statusCode: 200, body: {a: 1}}`),
			runtime.Head{Status: 200, Headers: plain}, `{"a":1}`),
		whole("half a surrogate pair does no harm",
			returns(`["\ud800"]`, `["\ud800"]`), runtime.Head{Status: 200, Headers: plain}, `["\ud800"]`),
		whole("decimals are numbers", source{python: returns(`[decimal.Decimal("1"), decimal.Decimal("1.5")]`, "").python},
			runtime.Head{Status: 200, Headers: plain}, `[1,1.5]`),
		refused("a status that is none", runtime.TypeInvalidAnswer, cove.CodeInvalidResponse,
			returns(`{"statusCode": 99}`, `{statusCode: 99}`)),
		refused("a status that is no number", runtime.TypeInvalidAnswer, cove.CodeInvalidResponse,
			returns(`{"statusCode": "ok"}`, `{statusCode: "ok"}`)),
		refused("headers that are no object", runtime.TypeInvalidAnswer, cove.CodeInvalidResponse,
			returns(`{"statusCode": 200, "headers": ["a"]}`, `{statusCode: 200, headers: ["a"]}`)),
		refused("a header's value of a wrong type", runtime.TypeInvalidAnswer, cove.CodeInvalidResponse,
			returns(`{"statusCode": 200, "headers": {"a": {}}}`, `{statusCode: 200, headers: {a: {}}}`)),
		refused("cookies that are no list", runtime.TypeInvalidAnswer, cove.CodeInvalidResponse,
			returns(`{"statusCode": 200, "cookies": "a=1"}`, `{statusCode: 200, cookies: "a=1"}`)),
		refused("a value that is not serialisable", runtime.TypeNotSerializable, cove.CodeInvalidResponse,
			returns(`datetime.datetime(2026, 1, 1)`, `1n`)),
		refused("a value that holds itself", runtime.TypeNotSerializable, cove.CodeInvalidResponse, source{
			"def handler(event, context):\n    a = []\n    a.append(a)\n    return a\n",
			"exports.handler = async () => { const a = []; a.push(a); return a; };\n",
		}),
		refused("not-a-number", runtime.TypeNotSerializable, cove.CodeInvalidResponse, source{python: returns(`float("nan")`, "").python}),
		refused("a bytes object", runtime.TypeNotSerializable, cove.CodeInvalidResponse, source{python: returns(`b"x"`, "").python}),
		{"a header with a line end is refused and the instance stays",
			returns(`{"statusCode": 200, "headers": {"x": "a\r\nset-cookie: b"}, "body": "z"}`, `{statusCode: 200, headers: {x: "a\r\nset-cookie: b"}, body: "z"}`),
			func(t *testing.T, s *session) {
				s.mustLoad(t)
				for range 2 {
					_, err := s.invoke(cove.KindHTTP, getEvent, "")
					if cove.CodeOf(err) != cove.CodeInvalidResponse || !s.conn.Usable() {
						t.Errorf("error %v; usable %v", err, s.conn.Usable())
					}
				}
			}},
		{"a handler may be synchronous, asynchronous or take a callback", source{
			"async def handler(event, context):\n    import asyncio\n    await asyncio.sleep(0)\n    return event\n",
			"exports.handler = (event, context, callback) => { setTimeout(() => callback(null, event), 1); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			for range 3 {
				if got := s.direct(t, `"x"`); got != `"x"` {
					t.Errorf("answer %q", got)
				}
			}
		}},
		{"an event loop's objects live from call to call", source{python: `
import asyncio
lock = queue = None
async def handler(event, context):
    global queue
    if queue is None:
        queue = asyncio.Queue()
        asyncio.get_running_loop().call_later(0.01, queue.put_nowait, "late")
        return "first"
    return await queue.get()
`}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if a, b := s.direct(t, ""), s.direct(t, ""); a != `"first"` || b != `"late"` {
				t.Errorf("answers %s, %s", a, b)
			}
		}},
	}
}

func streamRules() []rule {
	read := func(t *testing.T, s *session, a *runtime.Answer) (string, error) {
		t.Helper()
		if !a.Stream {
			t.Fatalf("the answer is no stream: %q", a.Payload)
		}
		var all strings.Builder
		for {
			p, err := s.conn.Next()
			if err != nil {
				return all.String(), err
			}
			all.Write(p)
		}
	}
	streamed := func(name string, code source, want runtime.Head, body string) rule {
		return rule{name, code, func(t *testing.T, s *session) {
			s.mustLoad(t)
			for range 2 {
				a := s.http(t, getEvent, "")
				if diff := cmp.Diff(want, *a.Head); diff != "" {
					t.Errorf("head (-want +got):\n%s", diff)
				}
				got, err := read(t, s, a)
				if got != body || err.Error() != "EOF" {
					t.Errorf("stream of %d bytes, %v", len(got), err)
				}
			}
		}}
	}
	octets := map[string][]string{"content-type": {"application/octet-stream"}}
	return []rule{
		streamed("a generator as the answer is a stream", source{
			"def handler(event, context):\n    yield 'a'\n    yield b'b'\n    yield {'c': 1}\n",
			"exports.handler = async function* () { yield 'a'; yield Buffer.from('b'); yield {c: 1}; };\n",
		}, runtime.Head{Status: 200, Headers: octets}, `ab{"c":1}`),
		streamed("a generator as the body is a stream", source{
			"def body():\n    for i in range(3):\n        yield str(i)\ndef handler(event, context):\n    return {'statusCode': 202, 'headers': {'Content-Type': 'text/event-stream'}, 'body': body()}\n",
			"exports.handler = async () => ({statusCode: 202, headers: {'Content-Type': 'text/event-stream'}, body: (function* () { for (let i = 0; i < 3; i++) yield String(i); })()});\n",
		}, runtime.Head{Status: 202, Headers: map[string][]string{"content-type": {"text/event-stream"}}}, "012"),
		streamed("an asynchronous generator is a stream", source{
			"import asyncio\nasync def handler(event, context):\n    for i in range(3):\n        await asyncio.sleep(0)\n        yield str(i)\n",
			"exports.handler = async () => new ReadableStream({start(c) { c.enqueue('0'); c.enqueue('12'); c.close(); }});\n",
		}, runtime.Head{Status: 200, Headers: octets}, "012"),
		streamed("large pieces are cut", source{
			"def handler(event, context):\n    yield 'x' * (5 << 20)\n",
			"exports.handler = async function* () { yield 'x'.repeat(5 << 20); };\n",
		}, runtime.Head{Status: 200, Headers: octets}, strings.Repeat("x", 5<<20)),
		streamed("a stream without pieces is empty", source{
			"def handler(event, context):\n    return iter(())\n",
			"exports.handler = async function* () {};\n",
		}, runtime.Head{Status: 200, Headers: octets}, ""),
		streamed("Lambda's streaming handlers work", source{javascript: `
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  stream = awslambda.HttpResponseStream.from(stream, {statusCode: 203, headers: {'X-A': 'b'}, cookies: ['c=d']});
  stream.write('one ');
  await new Promise((r) => setTimeout(r, 2));
  stream.write(Buffer.from('two'));
  stream.end();
});
`}, runtime.Head{Status: 203, Headers: map[string][]string{"x-a": {"b"}}, Cookies: []string{"c=d"}}, "one two"),
		{"pieces leave when they are made", source{
			"import time\ndef handler(event, context):\n    yield 'first'\n    time.sleep(60)\n",
			"exports.handler = async function* () { yield 'first'; await new Promise((r) => setTimeout(r, 60000)); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			a := s.http(t, getEvent, "")
			if p, err := s.conn.Next(); err != nil || string(p) != "first" || !a.Stream {
				t.Errorf("first piece %q, %v", p, err)
			}
		}},
		{"a direct answer that streams is joined", source{
			"def handler(event, context):\n    yield '[1,'\n    yield '2]'\n",
			"exports.handler = async function* () { yield '[1,'; yield '2]'; };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if got := s.direct(t, ""); got != "[1,2]" {
				t.Errorf("answer %q", got)
			}
		}},
		{"a direct stream past the limit is refused and the instance stays", source{
			"def handler(event, context):\n    for i in range(event):\n        yield 'x' * (1 << 20)\n",
			"exports.handler = async function* (n) { for (let i = 0; i < n; i++) yield 'x'.repeat(1 << 20); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			_, err := s.invoke(cove.KindDirect, "", "7")
			if cove.CodeOf(err) != cove.CodeResponseTooLarge {
				t.Errorf("error %v", err)
			}
			if got := s.direct(t, "1"); len(got) != 1<<20 {
				t.Errorf("answer of %d bytes after the refusal", len(got))
			}
		}},
		{"a stream that breaks off says why", source{
			"def handler(event, context):\n    yield 'some'\n    raise ValueError('enough')\n",
			"exports.handler = async function* () { yield 'some'; throw new RangeError('enough'); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			for range 2 {
				got, err := read(t, s, s.http(t, getEvent, ""))
				if f := functionError(t, nil, err); got != "some" || f.Message != "enough" || len(f.Stack) == 0 {
					t.Errorf("stream %q, error %+v", got, f)
				}
			}
		}},
		{"a stream that fails before its first piece is an error", source{
			"def handler(event, context):\n    raise ValueError('at once')\n    yield 1\n",
			"exports.handler = async function* () { throw new RangeError('at once'); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			a, err := s.invoke(cove.KindHTTP, getEvent, "")
			if f := functionError(t, a, err); f.Message != "at once" {
				t.Errorf("error %+v", f)
			}
		}},
	}
}
