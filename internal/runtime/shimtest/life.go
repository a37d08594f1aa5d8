package shimtest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

func logRules() []rule {
	return []rule{
		{"everything that is printed is in the log of its stream before the marker and never in an answer", source{
			`
import os, subprocess, sys
def handler(event, context):
    print("printed", end="")
    sys.stderr.write("errors ")
    os.write(1, b"raw one\n")
    os.write(2, b"raw two\n")
    subprocess.run(["/bin/sh", "-c", "echo from a child; echo and its errors >&2"])
    sys.stdout.write("no line end")
    return "quiet"
`, `
const {spawnSync} = require('node:child_process');
exports.handler = async () => {
  console.log('printed');
  console.error('errors');
  require('node:fs').writeSync(1, 'raw one\n');
  require('node:fs').writeSync(2, 'raw two\n');
  spawnSync('/bin/sh', ['-c', 'echo from a child; echo and its errors >&2'], {stdio: 'inherit'});
  process.stdout.write('no line end');
  return 'quiet';
};
`}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			for range 2 {
				if got := s.direct(t, ""); got != `"quiet"` {
					t.Errorf("answer %q", got)
				}
				text := s.printed(t)
				for _, want := range []string{"printed", "raw one\n", "from a child\n", "no line end"} {
					if !strings.Contains(text, want) || strings.Contains(text, "errors") {
						t.Errorf("stdout lacks %q, or has more: %q", want, text)
					}
				}
				text = s.complained(t)
				for _, want := range []string{"errors", "raw two\n", "and its errors\n"} {
					if !strings.Contains(text, want) || strings.Contains(text, "printed") {
						t.Errorf("stderr lacks %q, or has more: %q", want, text)
					}
				}
			}
		}},
		{"what is printed on import is in the log before the first call", source{
			"print('loaded')\ndef handler(event, context): pass\n",
			"console.log('loaded');\nexports.handler = async () => {};\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if text, ok := s.logs.until("loaded\n", patience); !ok {
				t.Errorf("log %q", text)
			}
		}},
		{"a shim that is not told to poll waits in its reads", source{
			"def handler(event, context): return event\n",
			"exports.handler = async (event) => event;\n",
		}, func(t *testing.T, s *session) {
			s.init.Poll = false
			s.mustLoad(t)
			for _, event := range []string{"1", `"` + strings.Repeat("2", 1<<20) + `"`} {
				if got := s.direct(t, event); got != event {
					t.Errorf("%d bytes came back of %d", len(got), len(event))
				}
			}
		}},
		{"any character can be printed", source{
			"def handler(event, context): print('ünï 😀 \\ud800 \\x00')\n",
			"exports.handler = async () => console.log('ünï 😀 \\ud800 \\x00');\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			s.direct(t, "")
			if text := s.printed(t); !strings.Contains(text, "ünï 😀 ") {
				t.Errorf("log %q", text)
			}
		}},
		{"logging works without any preparation", source{python: `
import logging
logging.getLogger().setLevel("INFO")
log = logging.getLogger("mine")
log.info("on import")
def handler(event, context):
    log.info("a line")
    logging.debug("not this")
    return len(logging.getLogger().handlers)
`}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if n := s.direct(t, ""); n != "1" {
				t.Errorf("%s handlers", n)
			}
			text := s.complained(t)
			if !strings.Contains(text, "[INFO]") || !strings.Contains(text, "request-1\ta line\n") || strings.Contains(text, "not this") || !strings.Contains(text, "on import") {
				t.Errorf("log %q", text)
			}
		}},
		{"logging.basicConfig has its effect", source{python: `
import logging
logging.basicConfig(level=logging.DEBUG, format="<%(message)s>")
def handler(event, context): logging.debug("a line")
`}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			s.direct(t, "")
			if text := s.complained(t); text != "<a line>\n" {
				t.Errorf("log %q", text)
			}
		}},
		{"a closed stdout does no harm", source{
			"import sys\ndef handler(event, context):\n    sys.stdout.close()\n    sys.stderr = None\n    return 1\n",
			"exports.handler = async () => { process.stdout.end(); process.stderr.destroy(); return 1; };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			for range 2 {
				if a, err := s.invoke(cove.KindDirect, "", ""); err == nil && string(a.Payload) != "1" {
					t.Errorf("answer %q", a.Payload)
				}
			}
			s.printed(t)
		}},
	}
}

func processRules() []rule {
	forge := string(rawFrame(runtime.FrameResult, 0, []byte("\x00\x00\x00\x00\"forged\"")))
	return []rule{
		{"what a handler writes to every descriptor is no answer to another call", source{
			`
import os
def handler(event, context):
    if event == "forge":
        for fd in range(3, 64):
            try: os.write(fd, ` + pyBytes(forge) + ` * 5)
            except OSError: pass
    return "true one"
`, `
exports.handler = async (event) => {
  if (event === 'forge') for (let fd = 3; fd < 64; fd++) {
    try { require('node:fs').writeSync(fd, Buffer.from('` + hexOf(forge) + `', 'hex')); } catch {}
  }
  return 'true one';
};
`}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			for _, payload := range []string{`"forge"`, `"honest"`} {
				a, err := s.invoke(cove.KindDirect, "", payload)
				if err == nil && string(a.Payload) != `"true one"` {
					t.Fatalf("answer %q", a.Payload)
				}
				if err != nil {
					// Some of the descriptors are the interpreter's own, which may end it.
					if !errors.Is(err, runtime.ErrProtocol) && !errors.Is(err, runtime.ErrEnded) {
						t.Errorf("error %v", err)
					}
					return
				}
			}
			t.Error("the forged frames went unnoticed")
		}},
		{"a handler that closes every descriptor is seen to end", source{
			"import os\ndef handler(event, context):\n    os.closerange(0, 256)\n",
			"exports.handler = async () => { for (let fd = 0; fd < 256; fd++) { try { require('node:fs').closeSync(fd); } catch {} } };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if _, err := s.invoke(cove.KindDirect, "", ""); !errors.Is(err, runtime.ErrEnded) {
				t.Errorf("error %v", err)
			}
		}},
		{"a handler that exits ends the process with its code", source{
			"import sys\ndef handler(event, context):\n    print('bye', end='')\n    sys.exit(event)\n",
			"exports.handler = async (event) => { process.stdout.write('bye'); process.exit(event); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if _, err := s.invoke(cove.KindDirect, "", "7"); !errors.Is(err, runtime.ErrEnded) {
				t.Errorf("error %v", err)
			}
			if code := s.exit(t); code != 7 {
				t.Errorf("exit code %d", code)
			}
			if text, ok := s.logs.until("bye", patience); !ok {
				t.Errorf("log %q", text)
			}
		}},
		{"an import that exits ends the process", source{
			"import sys\nsys.exit(3)\n", "process.exit(3);\n",
		}, func(t *testing.T, s *session) {
			if err := s.load(t); !errors.Is(err, runtime.ErrEnded) {
				t.Errorf("INIT: %v", err)
			}
			if code := s.exit(t); code != 3 {
				t.Errorf("exit code %d", code)
			}
		}},
		{"a call that a dead process did not read is told from one that it did", source{
			"import os\ndef handler(event, context): os._exit(0)\n",
			"exports.handler = async () => process.reallyExit(0);\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if _, err := s.invoke(cove.KindDirect, "", ""); !errors.Is(err, runtime.ErrEnded) {
				t.Errorf("error of a call that was read: %v", err)
			}
			s.exit(t)
			s.conn = runtime.NewConn(s.proc.Conn, runtime.Options{})
			if _, err := s.invoke(cove.KindDirect, "", ""); !errors.Is(err, runtime.ErrNotAccepted) {
				t.Errorf("error of a call to the dead: %v", err)
			}
		}},
		{"a call that a dying process had not read was not accepted", source{
			"import os, time\ndef handler(event, context):\n    print('begun')\n    time.sleep(0.3)\n    os._exit(0)\n",
			"exports.handler = () => { console.log('begun'); const end = Date.now() + 300; while (Date.now() < end); process.reallyExit(0); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			write(t, s.proc.Conn, rawInvoke(1, "1"))
			if text, ok := s.logs.until("begun", patience); !ok {
				t.Fatalf("log %q", text)
			}
			if _, err := s.invoke(cove.KindDirect, "", ""); !errors.Is(err, runtime.ErrNotAccepted) {
				t.Errorf("error %v", err)
			}
		}},
		{"a forked child answers nobody", source{python: `
import os
def handler(event, context):
    pid = os.fork()
    if pid == 0:
        if event == "raise": raise ValueError("in the child")
        return "child"
    os.waitpid(pid, 0)
    return "parent"
`}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			for _, event := range []string{`""`, `"raise"`, `""`} {
				if got := s.direct(t, event); got != `"parent"` {
					t.Errorf("answer %q", got)
				}
			}
		}},
		{"a child that outlives the answer does not hold the stream", source{
			"import os, time\ndef handler(event, context):\n    if os.fork() == 0:\n        time.sleep(60)\n    os._exit(4)\n",
			"exports.handler = async () => { require('node:child_process').spawn('sleep', ['3'], {stdio: 'ignore', detached: true}); process.exit(4); };\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if _, err := s.invoke(cove.KindDirect, "", ""); !errors.Is(err, runtime.ErrEnded) {
				t.Errorf("error %v", err)
			}
		}},
		{"work that outlives the answer goes on", source{
			`
import threading, time
done = []
def handler(event, context):
    if not event: threading.Thread(target=lambda: (time.sleep(0.02), done.append(1))).start()
    else:
        while not done: time.sleep(0.005)
    return len(done)
`, `
const done = [];
exports.handler = async (event) => {
  if (!event) setTimeout(() => done.push(1), 20);
  else while (!done.length) await new Promise((r) => setTimeout(r, 5));
  return done.length;
};
`}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if a, b := s.direct(t, "0"), s.direct(t, "1"); a != "0" || b != "1" {
				t.Errorf("answers %s, %s", a, b)
			}
		}},
		{"SHUTDOWN ends the process with code 0", echo, func(t *testing.T, s *session) {
			s.mustLoad(t)
			s.conn.Shutdown()
			if code := s.exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		}},
		{"what the shim does before INIT leaves no trace", tells, func(t *testing.T, s *session) {
			s.prepared(t)
			if text := s.everything(); text != "" {
				t.Errorf("log %q", text)
			}
			s.mustLoad(t)
			if got := tell(t, s); got.RequestID != "request-1" || len(got.Hidden) != 0 {
				t.Errorf("context %+v", got)
			}
			if text := s.printed(t) + s.complained(t); text != "" {
				t.Errorf("log %q", text)
			}
		}},
		{"a stem cell whose stream ends is gone", echo, func(t *testing.T, s *session) {
			s.prepared(t)
			check(t, s.conn.Close())
			if code := s.exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		}},
		{"an idle instance whose stream ends is gone", echo, func(t *testing.T, s *session) {
			s.mustLoad(t)
			s.direct(t, "")
			check(t, s.conn.Close())
			if code := s.exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		}},
		{"an instance whose stream ends while its handler waits is gone", source{
			"import time\ndef handler(event, context): time.sleep(60)\n",
			"exports.handler = () => new Promise((r) => setTimeout(r, 60000));\n",
		}, endsDuringCall},
		// JavaScript has one thread, which the handler holds: nothing inside the
		// process can end it.
		{"an instance whose stream ends while its handler computes is gone", source{
			python: "def handler(event, context):\n    while True: pass\n",
		}, endsDuringCall},
		{"a deadline that passes is told as such", source{
			"import time\ndef handler(event, context): time.sleep(60)\n",
			"exports.handler = () => new Promise((r) => setTimeout(r, 60000));\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			s.timeout = 50 * time.Millisecond
			if _, err := s.invoke(cove.KindDirect, "", ""); !isTimeout(err) {
				t.Errorf("error %v", err)
			}
		}},
	}
}

func endsDuringCall(t *testing.T, s *session) {
	s.mustLoad(t)
	s.timeout = 50 * time.Millisecond
	if _, err := s.invoke(cove.KindDirect, "", ""); !isTimeout(err) {
		t.Errorf("error %v", err)
	}
	check(t, s.conn.Close())
	s.exit(t)
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// told is what the handlers of contextRules answer.
type told struct {
	Env, Lambda map[string]string
	Remaining   int
	RequestID   string `json:"request_id"`
	Name        string
	Version     string
	Memory      string
	Arn         string
	Trace       string
	Cwd         string
	Random      float64
	Hidden      []string
}

var tells = source{
	`
import os, random
def handler(event, context):
    names = ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "LAMBDA_TASK_ROOT", "_HANDLER", "AWS_EXECUTION_ENV"]
    assert context.identity is None and context.client_context is None and context.log_group_name and context.log_stream_name
    return {"env": {n: os.environ[n] for n in ("GREETING", "EMPTY")}, "lambda": {n: os.environ[n] for n in names},
            "remaining": context.get_remaining_time_in_millis(), "request_id": context.aws_request_id,
            "name": context.function_name, "version": context.function_version, "memory": context.memory_limit_in_mb,
            "arn": context.invoked_function_arn, "trace": context.traceparent, "cwd": os.getcwd(), "random": random.random(),
            "hidden": [n for n in os.environ if n.startswith("COVE_")]}
`, `
exports.handler = async (event, context) => {
  const pick = (names) => Object.fromEntries(names.map((n) => [n, process.env[n]]));
  return {env: pick(['GREETING', 'EMPTY']), lambda: pick(['AWS_LAMBDA_FUNCTION_NAME', 'AWS_LAMBDA_FUNCTION_VERSION',
    'AWS_LAMBDA_FUNCTION_MEMORY_SIZE', 'LAMBDA_TASK_ROOT', '_HANDLER', 'AWS_EXECUTION_ENV']),
    remaining: context.getRemainingTimeInMillis(), request_id: context.awsRequestId, name: context.functionName,
    version: context.functionVersion, memory: context.memoryLimitInMB, arn: context.invokedFunctionArn,
    trace: context.traceparent, cwd: process.cwd(), random: Math.random(),
    hidden: Object.keys(process.env).filter((n) => n.startsWith('COVE_'))};
};
`}

func tell(t *testing.T, s *session) told {
	t.Helper()
	var got told
	check(t, json.Unmarshal([]byte(s.direct(t, "")), &got))
	return got
}

func contextRules() []rule {
	return []rule{
		{"context and environment are those of Lambda", tells, func(t *testing.T, s *session) {
			s.mustLoad(t)
			got := tell(t, s)
			if got.RequestID != "request-1" || got.Name != "hello" || got.Version != "3" || got.Memory != "128" ||
				!strings.HasPrefix(got.Arn, "arn:") || !strings.HasPrefix(got.Trace, "00-0af7") || got.Cwd != s.proc.CodeDir {
				t.Errorf("context %+v", got)
			}
			if got.Env["GREETING"] != "hällo" || got.Env["EMPTY"] != "" || len(got.Hidden) != 0 {
				t.Errorf("environment %+v, not to be seen %v", got.Env, got.Hidden)
			}
			l := got.Lambda
			if l["AWS_LAMBDA_FUNCTION_NAME"] != "hello" || l["AWS_LAMBDA_FUNCTION_VERSION"] != "3" || l["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] != "128" ||
				l["LAMBDA_TASK_ROOT"] != s.proc.CodeDir || l["_HANDLER"] != s.init.Handler || !strings.HasPrefix(l["AWS_EXECUTION_ENV"], "AWS_Lambda_") {
				t.Errorf("Lambda's environment %+v", l)
			}
		}},
		{"the variables that say where modules are work, though they come after the start", source{
			"import sys\ndef handler(event, context):\n    return [p for p in sys.path if 'mine' in p]\n",
			"exports.handler = async () => require('node:module').globalPaths.filter((p) => p.includes('mine'));\n",
		}, func(t *testing.T, s *session) {
			for _, name := range []string{"PYTHONPATH", "NODE_PATH"} {
				s.init.Env[name] = "/tmp/mine:/tmp/mine too"
			}
			s.mustLoad(t)
			if got := strings.ReplaceAll(s.direct(t, ""), ", ", ","); got != `["/tmp/mine","/tmp/mine too"]` {
				t.Errorf("modules are looked for in %s", got)
			}
		}},
		{"the time left is counted down from what the host said", tells, func(t *testing.T, s *session) {
			s.mustLoad(t)
			s.timeout = 5 * time.Second
			if got := tell(t, s).Remaining; got <= 0 || got > 5000 {
				t.Errorf("%d ms left of 5000", got)
			}
		}},
		{"random numbers differ from call to call", tells, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if a, b := tell(t, s).Random, tell(t, s).Random; a == b {
				t.Errorf("twice %v", a)
			}
		}},
		{"one instance keeps its globals", source{
			"n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    return n\n",
			"let n = 0;\nexports.handler = async () => ++n;\n",
		}, func(t *testing.T, s *session) {
			s.mustLoad(t)
			if a, b := s.direct(t, ""), s.direct(t, ""); a != "1" || b != "2" {
				t.Errorf("answers %s, %s", a, b)
			}
		}},
	}
}

func pyBytes(s string) string { return `bytes.fromhex("` + hexOf(s) + `")` }

// reseed tries that clones of one parent draw other numbers: what is drawn
// first follows from the entropy of INIT.
func reseed(t *testing.T, starter Starter) {
	draw := func(entropy byte) float64 {
		s := start(t, JavaScript, starter, files(JavaScript, tells.javascript))
		s.init.Entropy[0] = entropy
		s.mustLoad(t)
		return tell(t, s).Random
	}
	if a, b, c := draw(1), draw(1), draw(2); a != b || a == c {
		t.Errorf("drawn with seeds 1, 1, 2: %v, %v, %v", a, b, c)
	}
}
