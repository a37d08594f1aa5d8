package shimtest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	booklog "github.com/covefn/cove/internal/logs"
	"github.com/covefn/cove/internal/runtime"
)

// shared is a shim that serves several calls at once.
type shared struct {
	*session
	mux    *runtime.Mux
	book   *booklog.Book
	stream *booklog.Stream
}

// sharing is how many calls at once the suite asks for.
const sharing = 4

// share loads the function for several calls at once.
func (s *session) share(t *testing.T) *shared {
	t.Helper()
	s.init.Concurrency = sharing
	s.mustLoad(t)
	h := &shared{session: s, mux: runtime.NewMux(s.conn), book: booklog.NewBook()}
	h.stream = h.book.Stream("hello", 3, "i")
	h.stream.Share()
	s.logs.to(h.stream)
	s.errs.to(h.stream.Stderr())
	t.Cleanup(func() { _ = h.mux.Close() })
	return h
}

// flight is one call in flight.
type flight struct {
	id      string
	caller  *runtime.Caller
	segment *booklog.Segment
	done    chan struct{}
	answer  *runtime.Answer
	err     error
}

// begin begins a call without waiting for its answer.
func (h *shared) begin(id string, kind cove.Kind, payload string, timeout time.Duration) *flight {
	f := &flight{id: id, caller: h.mux.Caller(), segment: h.stream.Begin(id), done: make(chan struct{})}
	inv := &runtime.Invoke{Kind: kind, RequestID: id, Marker: f.segment.Marker(), Payload: []byte(payload)}
	if kind == cove.KindHTTP {
		inv.Event = []byte(getEvent)
	}
	go func() {
		defer close(f.done)
		f.answer, f.err = f.caller.Invoke(time.Now().Add(timeout), inv)
	}()
	return f
}

func (h *shared) direct(id, payload string) *flight {
	return h.begin(id, cove.KindDirect, payload, patience)
}

// result is the answer, which must not be an error.
func (f *flight) result(t *testing.T, h *shared) string {
	t.Helper()
	<-f.done
	if f.err != nil {
		t.Fatalf("call %s: %v; log: %s", f.id, f.err, h.everything())
	}
	return string(f.answer.Payload)
}

// log is what the call printed, once its end was seen in the log.
func (f *flight) log(t *testing.T, h *shared) string {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.segment.Wait(t.Context())
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("the end of call %s is not in the log: %q", f.id, h.everything())
	}
	return h.lines(f.id)
}

// lines is what is in the book for a call, or for the instance if id is empty.
func (h *shared) lines(id string) string {
	var all strings.Builder
	for _, l := range h.book.Tail("hello", "", 1<<20) {
		if l.RequestID == id {
			all.WriteString(l.Text + "\n")
		}
	}
	return all.String()
}

// awaits waits until ok.
func awaits(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come to be", what)
		}
	}
}

// forms is a handler in Python as a coroutine and as a plain function, with what
// both begin with, and in JavaScript.
type forms struct{ common, coroutine, plain, javascript string }

// sharedRules tries what holds for calls that run at once, for each form of a
// handler that a language has.
func sharedRules(lang Language) []rule {
	var rules []rule
	add := func(name string, f forms, run func(t *testing.T, h *shared)) {
		variants := map[string]string{" (coroutine)": f.coroutine, " (plain function)": f.plain}
		if lang == JavaScript {
			variants, f.common = map[string]string{"": f.javascript}, ""
		}
		for variant, code := range variants {
			if code == "" {
				continue
			}
			code = f.common + code
			rules = append(rules, rule{"at once: " + name + variant, source{code, code}, func(t *testing.T, s *session) { run(t, s.share(t)) }})
		}
	}
	// meets is a handler whose calls end only when they have all begun.
	meets := forms{
		"import asyncio, os, time\n" + helpers,
		"async def handler(event, context):\n    begun(event)\n    while count() < 3: await asyncio.sleep(0.005)\n    return event\n",
		"def handler(event, context):\n    begun(event)\n    while count() < 3: time.sleep(0.005)\n    return event\n",
		jsHelpers + "exports.handler = async (event) => { begun(event); while (count() < 3) await sleep(5); return event; };\n",
	}
	add("calls run at the same time and get their own answers", meets, func(t *testing.T, h *shared) {
		var flights []*flight
		for i := range 3 {
			flights = append(flights, h.direct(fmt.Sprint("r", i), itoa(i)))
		}
		for i, f := range flights {
			if got := f.result(t, h); got != itoa(i) {
				t.Errorf("call %d: answer %s", i, got)
			}
		}
	})
	add("one instance serves many calls one after the other", forms{"", "async def handler(e, c): return e\n", "def handler(e, c): return e\n", "exports.handler = async (e) => e;\n"},
		func(t *testing.T, h *shared) {
			var wg sync.WaitGroup
			for i := range sharing {
				wg.Go(func() {
					for j := range 25 {
						want := fmt.Sprintf(`"%d-%d-%s"`, i, j, strings.Repeat("x", j*1000))
						f := h.direct(fmt.Sprint(i, "-", j), want)
						if <-f.done; f.err != nil || string(f.answer.Payload) != want {
							t.Errorf("call %d-%d: %v", i, j, f.err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	addErrors(add)
	addLogs(add)
	addStreams(add)
	addLife(add)
	return rules
}

// helpers are for plain functions that run in processes of their own too: what
// they tell one another goes over the file system.
const helpers = `
DIR = os.environ["TMPDIR"] + "/at-once-%d" % os.getpid()
os.makedirs(DIR, exist_ok=True)
def begun(n): open("%s/%s" % (DIR, n), "w").close()
def count(): return len(os.listdir(DIR))
`

const jsHelpers = `
let n = 0;
const begun = () => { n++; };
const count = () => n;
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
`

type adder func(name string, f forms, run func(t *testing.T, h *shared))

func addErrors(add adder) {
	add("an error is that of its own call", forms{
		"import asyncio, time\n",
		"async def handler(event, context):\n    await asyncio.sleep(0.05)\n    if event == 'raise': raise ValueError('mine')\n    return event\n",
		"def handler(event, context):\n    time.sleep(0.05)\n    if event == 'raise': raise ValueError('mine')\n    return event\n",
		"exports.handler = async (event) => { await new Promise((r) => setTimeout(r, 50)); if (event === 'raise') throw new RangeError('mine'); return event; };\n",
	}, func(t *testing.T, h *shared) {
		bad, good := h.direct("bad", `"raise"`), h.direct("good", `"x"`)
		<-bad.done
		if f := functionError(t, bad.answer, bad.err); f.Message != "mine" || len(f.Stack) == 0 {
			t.Errorf("error %+v", f)
		}
		if got := good.result(t, h); got != `"x"` {
			t.Errorf("answer %s", got)
		}
		if log := bad.log(t, h); !strings.Contains(log, "Error: mine") {
			t.Errorf("log %q", log)
		}
		if log := good.log(t, h); log != "" {
			t.Errorf("log of the other: %q", log)
		}
	})
	add("a worker that ends fails its own call only and is replaced", forms{
		common: "import os, time\n",
		plain:  "def handler(event, context):\n    print('seen')\n    if event == 'exit': os._exit(7)\n    if event == 'kill': os.kill(os.getpid(), 9)\n    if event == 'close': os.closerange(0, 256)\n    time.sleep(0.1)\n    return event\n",
	}, func(t *testing.T, h *shared) {
		for _, how := range []string{"exit", "kill", "close"} {
			bad, good := h.direct("bad "+how, `"`+how+`"`), h.direct("good "+how, `"x"`)
			<-bad.done
			if f := functionError(t, bad.answer, bad.err); f.Type != runtime.TypeExitError || cove.CodeOf(bad.err) != cove.CodeRuntimeExited {
				t.Errorf("%s: error %+v", how, f)
			}
			if got := good.result(t, h); got != `"x"` {
				t.Errorf("answer %s", got)
			}
			if log := bad.log(t, h); !strings.Contains(log, "seen\n") || !strings.Contains(log, "[ERROR] Runtime.ExitError") {
				t.Errorf("log %q", log)
			}
		}
		var all []*flight
		for i := range sharing {
			all = append(all, h.direct(fmt.Sprint("after", i), `"y"`))
		}
		for _, f := range all {
			f.result(t, h)
		}
	})
	add("an exception that nobody catches is its own call's error, and the end", forms{
		javascript: "exports.handler = async (event) => { if (event === 'throw') setTimeout(() => { throw new RangeError('nobody'); }, 20); return new Promise(() => {}); };\n",
	}, func(t *testing.T, h *shared) {
		other := h.direct("other", `"x"`)
		bad := h.direct("bad", `"throw"`)
		<-bad.done
		<-other.done
		if f := functionError(t, bad.answer, bad.err); f.Message != "nobody" {
			t.Errorf("error %+v", f)
		}
		if !errors.Is(other.err, runtime.ErrEnded) {
			t.Errorf("the other call: %v", other.err)
		}
	})
}

func addLogs(add adder) {
	add("every line belongs to the call that printed it", forms{
		"import asyncio, sys, time\n",
		"async def handler(event, context):\n    for i in range(20):\n        print(event, end=' ')\n        await asyncio.sleep(0.001)\n        print(i, file=sys.stderr if i % 2 else sys.stdout)\n        print('-' * i * 300)\n    sys.stdout.write('end of ' + event)\n",
		"def handler(event, context):\n    for i in range(20):\n        print(event, end=' ')\n        time.sleep(0.001)\n        print(i, file=sys.stderr if i % 2 else sys.stdout)\n        print('-' * i * 300)\n    sys.stdout.write('end of ' + event)\n",
		"exports.handler = async (event) => { for (let i = 0; i < 20; i++) { process.stdout.write(event + ' '); await new Promise((r) => setTimeout(r, 1)); process.stdout.write(i + '\\n'); console.error('-'.repeat(i * 300)); } process.stdout.write('end of ' + event); };\n",
	}, func(t *testing.T, h *shared) {
		var all []*flight
		for i := range sharing {
			all = append(all, h.direct(fmt.Sprint("r", i), fmt.Sprintf(`"call%d"`, i)))
		}
		for i, f := range all {
			f.result(t, h)
			log := f.log(t, h)
			for j := range sharing {
				if (strings.Count(log, fmt.Sprint("call", j)) == 0) == (i == j) {
					t.Errorf("log of call %d: %q", i, log)
				}
			}
			if !strings.HasSuffix(log, fmt.Sprintf("end of call%d\n", i)) || strings.Count(log, "\n") != 41 {
				t.Errorf("%d lines, the end %q", strings.Count(log, "\n"), log[max(0, len(log)-40):])
			}
		}
		if got := h.lines(""); strings.Contains(got, "call") {
			t.Errorf("of no call: %q", got)
		}
	})
	add("each line has its stream, and is in order with those of the other", forms{
		"import sys\n",
		"async def handler(event, context):\n    for i in range(9): print('line', i, file=(sys.stdout, sys.stderr)[i % 2])\n",
		"",
		"exports.handler = async () => { for (let i = 0; i < 9; i++) (i % 2 ? console.error : console.log)('line ' + i); };\n",
	}, func(t *testing.T, h *shared) {
		f := h.direct("r", "1")
		f.result(t, h)
		f.log(t, h)
		lines := h.book.Tail("hello", "r", 100)
		for i, l := range lines {
			if want := []string{booklog.StreamStdout, booklog.StreamStderr}[i%2]; l.Text != fmt.Sprint("line ", i) || l.Stream != want {
				t.Errorf("line %d is %q of %s", i, l.Text, l.Stream)
			}
		}
		if len(lines) != 9 {
			t.Errorf("%d lines", len(lines))
		}
	})
	add("a worker's streams stay apart", forms{
		common: "import os, sys\n",
		plain:  "def handler(event, context):\n    print('out', end='')\n    sys.stderr.write('err')\n    os.write(1, b' raw\\n')\n    os.write(2, b' raw\\n')\n",
	}, func(t *testing.T, h *shared) {
		f := h.direct("r", "1")
		f.result(t, h)
		f.log(t, h)
		got := map[string]string{}
		for _, l := range h.book.Tail("hello", "r", 100) {
			got[l.Stream] += l.Text + "|"
		}
		if len(got) != 2 || strings.Contains(got[booklog.StreamStdout], "err") || !strings.Contains(got[booklog.StreamStderr], "err") {
			t.Errorf("got %q", got)
		}
	})
	add("what cannot be attributed belongs to the instance", forms{
		"import os, threading\nprint('loaded')\n",
		"async def handler(event, context):\n    t = threading.Thread(target=lambda: print('from a thread'))\n    t.start(); t.join()\n    os.write(1, b'raw\\n')\n    print('mine')\n",
		"",
		"console.log('loaded');\nexports.handler = async () => { require('node:fs').writeSync(1, 'raw\\n'); console.log('mine'); };\n",
	}, func(t *testing.T, h *shared) {
		f := h.direct("r", "1")
		f.result(t, h)
		if log := f.log(t, h); log != "mine\n" {
			t.Errorf("log of the call: %q", log)
		}
		if got := h.lines(""); !strings.Contains(got, "raw\n") || !strings.Contains(got, "loaded\n") {
			t.Errorf("of no call: %q", got)
		}
	})
	add("all that a worker's processes write belongs to its call", forms{
		common: "import os, subprocess\n",
		plain:  "def handler(event, context):\n    os.write(1, b'raw ')\n    subprocess.run(['/bin/sh', '-c', 'echo from a child'])\n    print('x' * 50000)\n    os.write(2, b'no end')\n",
	}, func(t *testing.T, h *shared) {
		f, g := h.direct("f", "1"), h.direct("g", "1")
		for _, f := range []*flight{f, g, h.direct("h", "1")} {
			f.result(t, h)
			if log := strings.ReplaceAll(f.log(t, h), "x\nx", "xx"); log != "raw from a child\n"+strings.Repeat("x", 50000)+"\nno end\n" {
				t.Errorf("log of %d bytes: %.100q", len(log), log)
			}
		}
	})
	add("a logger names its own call", forms{
		"import asyncio, logging\nlogging.getLogger().setLevel('INFO')\n",
		"async def handler(event, context):\n    await asyncio.sleep(0.02)\n    logging.info('a line')\n",
		"def handler(event, context):\n    logging.info('a line')\n",
		"",
	}, func(t *testing.T, h *shared) {
		for _, f := range []*flight{h.direct("one", "1"), h.direct("two", "2")} {
			f.result(t, h)
			if log := f.log(t, h); !strings.Contains(log, f.id+"\ta line\n") || strings.Count(log, "\n") != 1 {
				t.Errorf("log %q", log)
			}
		}
	})
}

func addStreams(add adder) {
	stream := forms{
		"",
		"async def handler(event, context):\n    for i in range(20): yield 'x' * 100000\n",
		"def handler(event, context):\n    for i in range(20): yield 'x' * 100000\n",
		"exports.handler = async function* () { for (let i = 0; i < 20; i++) yield 'x'.repeat(100000); };\n",
	}
	add("a reader who is slow holds up his own answer only", stream, func(t *testing.T, h *shared) {
		slow := h.begin("slow", cove.KindHTTP, "", patience)
		<-slow.done
		if slow.err != nil || !slow.answer.Stream {
			t.Fatalf("%+v, %v", slow.answer, slow.err)
		}
		for range 3 {
			if got := h.direct("other", "1").result(t, h); len(got) != 2_000_000 {
				t.Errorf("a direct answer of %d bytes", len(got))
			}
		}
		total := 0
		for {
			piece, err := slow.caller.Next()
			if err != nil {
				if total != 2_000_000 || err.Error() != "EOF" {
					t.Errorf("%d bytes, %v", total, err)
				}
				return
			}
			total += len(piece)
		}
	})
	add("a stream that is given up ends", stream, func(t *testing.T, h *shared) {
		f := h.begin("r", cove.KindHTTP, "", patience)
		<-f.done
		if f.err != nil {
			t.Fatal(f.err)
		}
		f.caller.Abandon()
		awaits(t, "the end of the call", h.mux.Usable)
		f.log(t, h)
	})
}
