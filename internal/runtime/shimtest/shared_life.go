package shimtest

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
)

// addLife are the rules of how calls that share a shim begin and end.
func addLife(add adder) {
	waits := forms{
		"import asyncio, os, time\n",
		"async def handler(event, context):\n    try:\n        await asyncio.sleep(event)\n    finally:\n        print('over')\n    return 'slept'\n",
		"def handler(event, context):\n    print('over')\n    time.sleep(event)\n    return 'slept'\n",
		"exports.handler = (event, context) => new Promise((resolve, reject) => { const t = setTimeout(() => resolve('slept'), event * 1000); context.signal.addEventListener('abort', () => { clearTimeout(t); console.log('over'); reject(context.signal.reason); }); });\n",
	}
	add("a call that is given up is cancelled and the others go on", waits, func(t *testing.T, h *shared) {
		other := h.direct("other", "3")
		late := h.begin("late", cove.KindDirect, "60", 2*time.Second) // By when it has begun.
		if <-late.done; !errors.Is(late.err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v", late.err)
		}
		awaits(t, "the end of the call", h.mux.Usable)
		if log := late.log(t, h); !strings.HasPrefix(log, "over\n") {
			t.Errorf("log %q", log)
		}
		if got := other.result(t, h); got != `"slept"` {
			t.Errorf("answer %s", got)
		}
		if got := h.direct("after", "0").result(t, h); got != `"slept"` {
			t.Errorf("answer %s", got)
		}
	})
	add("a handler that holds the thread costs each call no more than its own deadline", forms{
		coroutine:  "import time\nasync def handler(event, context): time.sleep(1)\n",
		javascript: "exports.handler = async () => { const end = Date.now() + 1000; while (Date.now() < end); };\n",
	}, func(t *testing.T, h *shared) {
		for i, f := range []*flight{h.begin("a", cove.KindDirect, "", 50*time.Millisecond), h.begin("b", cove.KindDirect, "", 100*time.Millisecond)} {
			if <-f.done; !errors.Is(f.err, os.ErrDeadlineExceeded) {
				t.Errorf("call %d: %v", i, f.err)
			}
		}
		if h.mux.Usable() {
			t.Error("usable while a handler runs that was given up")
		}
	})
	add("a call that is given up before it could begin has ended, too", forms{
		coroutine:  "import time\nasync def handler(event, context):\n    time.sleep(event)\n    return 'slept'\n",
		javascript: "exports.handler = async (event) => { const end = Date.now() + event * 1000; while (Date.now() < end); return 'slept'; };\n",
	}, func(t *testing.T, h *shared) {
		holds := h.direct("holds", "3")    // For long, however slow the machine is that the test runs on.
		time.Sleep(500 * time.Millisecond) // Until the handler has the thread.
		late := h.begin("late", cove.KindDirect, "0", 100*time.Millisecond)
		if <-late.done; !errors.Is(late.err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v", late.err)
		}
		if got := holds.result(t, h); got != `"slept"` {
			t.Errorf("answer %s", got)
		}
		awaits(t, "the end of the call", h.mux.Usable)
	})
	add("a worker that prints without end holds up nobody", forms{
		plain: "def handler(event, context):\n    while event == 'flood': print('x' * 1000)\n    return event\n",
	}, func(t *testing.T, h *shared) {
		flood := h.begin("flood", cove.KindDirect, `"flood"`, time.Second)
		for i := range 5 {
			if got := h.direct(fmt.Sprint("other", i), `"x"`).result(t, h); got != `"x"` {
				t.Errorf("answer %s", got)
			}
		}
		if <-flood.done; !errors.Is(flood.err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v", flood.err)
		}
		awaits(t, "the end of the call", h.mux.Usable)
	})
	add("the stream's end ends everything", waits, func(t *testing.T, h *shared) {
		f := h.direct("r", "60")
		awaits(t, "the call", func() bool { return h.lines("r") != "" || h.lang == JavaScript || strings.Contains(h.code, "async") })
		_ = h.mux.Close()
		<-f.done
		h.exit(t)
	})
	add("SHUTDOWN ends the process with code 0", waits, func(t *testing.T, h *shared) {
		h.direct("r", "0").result(t, h)
		h.mux.Shutdown()
		if code := h.exit(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
	add("processes of one function draw their own random numbers and share what was imported", forms{
		common: "import gc, os, random, time\nparent = os.getpid()\nseed = random.random()\n" + helpers,
		plain:  "def handler(event, context):\n    begun(event)\n    while count() < 3: time.sleep(0.005)\n    return [os.getpid(), parent, seed, random.random(), gc.get_freeze_count() > 0]\n",
	}, func(t *testing.T, h *shared) {
		seen := map[string]bool{}
		var all []*flight
		for i := range 3 {
			all = append(all, h.direct(fmt.Sprint("r", i), itoa(i)))
		}
		for _, f := range all {
			got := strings.Split(strings.Trim(f.result(t, h), "[]"), ",")
			if got[0] == got[1] || seen[got[0]] || seen[got[3]] || (len(seen) > 0 && !seen[got[2]]) {
				t.Errorf("a worker answers %v; seen %v", got, seen)
			}
			if strings.TrimSpace(got[4]) != "true" {
				t.Error("what was imported is not frozen: a worker's collector would write to all of it")
			}
			seen[got[0]], seen[got[2]], seen[got[3]] = true, true, true
		}
	})
	add("a program with threads is not forked but started anew", forms{
		common: "import os, threading, time\nthreading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\nparent = os.getpid()\n",
		plain:  "def handler(event, context):\n    print('a line')\n    return os.getpid() == parent\n",
	}, func(t *testing.T, h *shared) {
		for _, f := range []*flight{h.direct("a", ""), h.direct("b", ""), h.direct("c", "")} {
			if got := f.result(t, h); got != "true" {
				t.Errorf("the handler was imported elsewhere: %s", got)
			}
			if log := f.log(t, h); log != "a line\n" {
				t.Errorf("log %q", log)
			}
		}
	})
	add("a program without threads is forked, also where processors are short", forms{
		common: `import os, time
parent = os.getpid()
for task in os.listdir("/proc/self/task"):
    try:
        os.sched_setscheduler(int(task), os.SCHED_IDLE if int(task) != parent else os.SCHED_OTHER, os.sched_param(0))
    except OSError:
        pass
for _ in range(2 * os.cpu_count()):
    if os.fork() == 0:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            pass
        os._exit(0)
`,
		plain: "def handler(event, context):\n    return os.getpid() != parent\n",
	}, func(t *testing.T, h *shared) {
		for _, f := range []*flight{h.direct("a", ""), h.direct("b", "")} {
			if got := f.result(t, h); got != "true" {
				t.Errorf("the handler was imported once more: %s", got)
			}
		}
	})
}
