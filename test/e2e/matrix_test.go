package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
)

// The deadline matrix of docs/timeouts.md: every way in which a function, or its
// caller, can behave badly, on every isolation in every language. Each row must
// end with the right answer at the right time, the function's next request must
// work, and a neighbour must not notice. That nothing is left behind is checked
// when the daemon of the row's group ends.

const (
	matrixTimeout = time.Second
	// lateness is how late an answer may be on a machine with other work. What
	// is reached is measured, not asserted: `make bench` tells it.
	lateness = 1500 * time.Millisecond
)

// row is one way to behave.
type row struct {
	do string
	// want are the codes that the answer may have, "" for an answer that is ok.
	want []cove.Code
	// config changes the function's, for this row alone.
	config func(*cove.Config)
	// cut says that the answer begins and breaks off at the deadline.
	cut bool
	// check looks at the answer.
	check func(t *testing.T, h *harness, a answer)
}

var (
	ok       = []cove.Code{""}
	timeout  = []cove.Code{cove.CodeTimeout}
	exited   = []cove.Code{cove.CodeRuntimeExited}
	noMemory = []cove.Code{cove.CodeOutOfMemory}
)

var matrix = []row{
	{do: "sleep", want: timeout, check: saysTimeout},
	{do: "report", want: timeout, check: reportsNothingAfterTheAnswer},
	{do: "spin", want: timeout},
	{do: "spin_in_c", want: timeout},
	{do: "big_number", want: timeout},
	{do: "ignore_signals", want: timeout},
	{do: "fork", want: ok},
	{do: "fork_and_sleep", want: timeout},
	{do: "daemon", want: ok},
	{do: "thread", want: ok},
	{do: "stream_for_ever", cut: true},
	{do: "stream_then_silence", cut: true, check: hasFirstPiece},
	{do: "stop_itself", want: timeout},
	{do: "exit", want: exited, check: contains("exit code 0")},
	{do: "exit_hard", want: exited, check: contains("exit code 7")},
	{do: "crash", want: exited},
	// The kernel protects the first process of a namespace from its own signals.
	{do: "kill_first_process", want: []cove.Code{"", cove.CodeRuntimeExited}},
	// Python's shim has a thread that waits for the end of the stream; the kernel
	// keeps the socket open for it, so there the deadline ends it.
	{do: "close_all", want: []cove.Code{cove.CodeRuntimeExited, cove.CodeTimeout}},
	{do: "memory_fast", want: noMemory, config: longer, check: contains("128MiB")},
	{do: "memory_slowly", want: noMemory, config: longer},
	// Which limit is hit first, processes or memory, is not the point.
	{do: "processes", want: []cove.Code{"", cove.CodeOutOfMemory, cove.CodeTimeout, cove.CodeRuntimeExited, cove.CodeFunctionError}, config: longer},
	{do: "disk", want: ok, config: longer, check: contains(`"error"`)},
	{do: "flood", want: ok, config: longer, check: floodIsCut},
}

func longer(c *cove.Config) { c.Timeout = cove.Duration(20 * time.Second) }

func TestDeadlineMatrix(t *testing.T) {
	for _, isolation := range isolations {
		h := start(t, options{Args: []string{"--body-timeout", "2s", "--write-timeout", "2s"}})
		h.deploy(t, matrixConfig("neighbour", "python", isolation), matrixCode(t, "python"))
		for _, language := range []string{"python", "node"} {
			t.Run(isolation+"/"+language, func(t *testing.T) {
				code := matrixCode(t, language)
				cfg := matrixConfig("m-"+language, language, isolation)
				h.deploy(t, cfg, code)
				for _, r := range matrix {
					t.Run(r.do, func(t *testing.T) { h.runRow(t, r, cfg, code) })
				}
				h.remove(t, cfg.Name)
			})
		}
		t.Run(isolation+"/sizes", func(t *testing.T) { testSizes(t, h, isolation) })
		t.Run(isolation+"/init", func(t *testing.T) { testInit(t, h, isolation) })
		t.Run(isolation+"/callers", func(t *testing.T) { testCallers(t, h, isolation) })
		t.Run(isolation+"/fifty timeouts at once", func(t *testing.T) { testFiftyTimeouts(t, h, isolation) })
		t.Run(isolation+"/answers at the deadline", func(t *testing.T) { testAnswersAtTheDeadline(t, h, isolation) })
		t.Run(isolation+"/wall clock stepped", func(t *testing.T) { testWallClock(t, h, isolation) })
		h.stop(t)
	}
}

func matrixCode(t *testing.T, language string) files {
	t.Helper()
	name := map[string]string{"python": "main.py", "node": "index.js"}[language]
	text, err := os.ReadFile("testdata/matrix/" + language + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return files{name: string(text)}
}

func matrixConfig(name, language, isolation string) cove.Config {
	return cove.Config{
		Name: name, Runtime: language, Isolation: isolation, Route: "/" + name + "/{do}",
		Timeout: cove.Duration(matrixTimeout), QueueTimeout: cove.Duration(60 * time.Second),
		Memory: 128 * cove.MiB, Tmp: 16 * cove.MiB,
	}
}

// runRow sends the row's request and checks everything that a row must hold to.
func (h *harness) runRow(t *testing.T, r row, cfg cove.Config, code files) {
	if r.config != nil {
		r.config(&cfg)
		cfg.Name += "-" + strings.ReplaceAll(r.do, "_", "-")
		cfg.Route = "/" + cfg.Name + "/{do}"
		h.deploy(t, cfg, code)
		defer h.remove(t, cfg.Name)
	}
	h.want(t, http.StatusOK, request{Path: "/" + cfg.Name + "/ok"})
	undisturbed := h.watchNeighbour(t)
	a, err := h.try(t.Context(), request{Path: "/" + cfg.Name + "/" + r.do})
	undisturbed()
	switch {
	case r.cut && err == nil:
		t.Errorf("the stream was not cut: %d %.100q", a.Status, a.Body)
	case !r.cut && err != nil:
		t.Fatal(err)
	case !r.cut:
		checkOutcome(t, r, a)
	}
	if (r.cut || slices.Equal(r.want, timeout)) && (a.Took < matrixTimeout || a.Took > matrixTimeout+lateness) {
		t.Errorf("the answer came after %s", a.Took)
	}
	if r.check != nil {
		r.check(t, h, a)
	}
	h.want(t, http.StatusOK, request{Path: "/" + cfg.Name + "/ok"})
	h.settled(t, cfg.Name)
}

func checkOutcome(t *testing.T, r row, a answer) {
	t.Helper()
	got := cove.Code("")
	if a.Status != http.StatusOK {
		p := a.problem(t)
		got = p.Code
		if p.Status != a.Status || p.Function == "" || p.RequestID == "" || p.Fault != got.Fault() {
			t.Errorf("the problem is not complete: %s", a.Body)
		}
	}
	if !slices.Contains(r.want, got) {
		t.Errorf("the outcome is %q, want one of %q: %.500s", got, r.want, a.Body)
	}
}

// settled waits until every sandbox that was given up is gone.
func (h *harness) settled(t *testing.T, name string) {
	t.Helper()
	eventually(t, 10*time.Second, func() string {
		f, err := h.Client.Function(t.Context(), name)
		if err != nil {
			return err.Error()
		}
		if f.Instances.Stopping > 0 {
			return fmt.Sprintf("%d sandboxes are still ending", f.Instances.Stopping)
		}
		return ""
	})
}

// watchNeighbour calls another function all the time until the returned function
// is called, which fails the test if one of those calls failed or took long.
func (h *harness) watchNeighbour(t *testing.T) (done func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			a, err := h.try(t.Context(), request{Path: "/neighbour/ok"})
			if err != nil || a.Status != http.StatusOK || a.Took > lateness {
				t.Errorf("the neighbour was disturbed: %d after %s: %v %.200s", a.Status, a.Took, err, a.Body)
				return
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

func contains(part string) func(*testing.T, *harness, answer) {
	return func(t *testing.T, _ *harness, a answer) {
		t.Helper()
		if !strings.Contains(a.Body, part) {
			t.Errorf("the answer does not say %q: %.300s", part, a.Body)
		}
	}
}

// saysTimeout checks the form of a timeout: the answer and the log's last line.
func saysTimeout(t *testing.T, h *harness, a answer) {
	t.Helper()
	p := a.problem(t)
	if a.Status != http.StatusGatewayTimeout || p.Timeout == nil || p.Timeout.Std() != matrixTimeout || p.Fault != cove.FaultFunction {
		t.Errorf("got %s", a.Body)
	}
	if ct := a.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("content type %q", ct)
	}
	eventually(t, 5*time.Second, func() string {
		lines := h.invocationLog(t, p.Function, p.RequestID)
		if len(lines) == 0 || lines[len(lines)-1] != "Task timed out after 1.00 seconds" {
			return fmt.Sprintf("the log says %q", lines)
		}
		return ""
	})
}

func (h *harness) invocationLog(t *testing.T, function, id string) []string {
	t.Helper()
	list, err := h.Client.Logs(t.Context(), function, client.LogQuery{RequestID: id, Tail: 2000})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, l := range list {
		lines = append(lines, l.Text)
	}
	return lines
}

// reportsNothingAfterTheAnswer reads what the handler wrote every 10 ms: the time
// at which it did. Clocks in a sandbox are read without a system call and may
// differ by a little.
func reportsNothingAfterTheAnswer(t *testing.T, h *harness, a answer) {
	t.Helper()
	answered := time.Now()
	time.Sleep(300 * time.Millisecond)
	p := a.problem(t)
	last := int64(0)
	for _, line := range h.invocationLog(t, p.Function, p.RequestID) {
		if n, err := strconv.ParseInt(line, 10, 64); err == nil {
			last = max(last, n)
		}
	}
	if last == 0 {
		t.Error("the handler reported nothing")
	}
	if late := time.Duration(last - answered.UnixNano()); late > 20*time.Millisecond {
		t.Errorf("the handler still ran %s after the answer", late)
	}
}

func hasFirstPiece(t *testing.T, _ *harness, a answer) {
	t.Helper()
	if a.Status != http.StatusOK || a.Body != "first" {
		t.Errorf("got %d %q", a.Status, a.Body)
	}
}

func floodIsCut(t *testing.T, h *harness, a answer) {
	t.Helper()
	id := a.Header.Get("X-Request-Id")
	name := "m-python-flood"
	if _, err := h.Client.Function(t.Context(), name); err != nil {
		name = "m-node-flood"
	}
	eventually(t, 5*time.Second, func() string {
		lines := h.invocationLog(t, name, id)
		if len(lines) == 0 || !strings.Contains(lines[len(lines)-1], "were dropped") {
			return fmt.Sprintf("%d lines, none says that output was dropped", len(lines))
		}
		return ""
	})
}

// testSizes sends and answers 6 MiB, and one byte more.
func testSizes(t *testing.T, h *harness, isolation string) {
	const limit = 6 << 20
	for _, language := range []string{"python", "node"} {
		cfg := matrixConfig("size-"+language, language, isolation)
		longer(&cfg)
		cfg.Memory = 256 * cove.MiB
		h.deploy(t, cfg, matrixCode(t, language))
		path := "/" + cfg.Name
		a := h.want(t, http.StatusOK, request{Method: http.MethodPost, Path: path + "/size_in", Body: strings.Repeat("x", limit)})
		contains(strconv.Itoa(limit))(t, h, a)
		a = h.want(t, http.StatusRequestEntityTooLarge, request{Method: http.MethodPost, Path: path + "/size_in", Body: strings.Repeat("x", limit+1)})
		contains("too_large")(t, h, a)
		a = h.want(t, http.StatusOK, request{Path: fmt.Sprintf("%s/size_out?n=%d", path, limit)})
		if len(a.Body) != limit {
			t.Errorf("%d bytes came back", len(a.Body))
		}
		a = h.want(t, http.StatusBadGateway, request{Path: fmt.Sprintf("%s/size_out?n=%d", path, limit+1)})
		contains("response_too_large")(t, h, a)
		h.want(t, http.StatusOK, request{Path: path + "/ok"})
		h.remove(t, cfg.Name)
	}
}

// testInit deploys handlers whose import does not end well. A new version that
// is right serves at once.
func testInit(t *testing.T, h *harness, isolation string) {
	for _, c := range []struct {
		name, language, text string
		want                 cove.Code
	}{
		{"hangs", "python", "import time\ntime.sleep(3600)\n", cove.CodeInitTimeout},
		{"spins", "python", "while True: pass\n", cove.CodeInitTimeout},
		{"exits", "python", "import os\nos._exit(3)\n", cove.CodeInitError},
		{"hangs", "node", "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)\n", cove.CodeInitTimeout},
		{"spins", "node", "for (;;);\n", cove.CodeInitTimeout},
		{"exits", "node", "process.exit(3)\n", cove.CodeInitError},
	} {
		t.Run(c.language+" "+c.name, func(t *testing.T) {
			cfg := matrixConfig("init-"+c.language+"-"+c.name, c.language, isolation)
			cfg.InitTimeout = cove.Duration(time.Second)
			file := map[string]string{"python": "main.py", "node": "index.js"}[c.language]
			if _, err := h.upload(t.Context(), cfg, files{file: c.text}); err != nil {
				t.Fatal(err)
			}
			a := h.do(t, request{Path: "/" + cfg.Name + "/ok"})
			if p := a.problem(t); p.Code != c.want {
				t.Errorf("got %s", a.Body)
			}
			again := h.do(t, request{Path: "/" + cfg.Name + "/ok"})
			if p := again.problem(t); p.Code != c.want {
				t.Errorf("the next caller got %s", again.Body)
			}
			cfg.InitTimeout = 0
			h.deploy(t, cfg, matrixCode(t, c.language))
			h.want(t, http.StatusOK, request{Path: "/" + cfg.Name + "/ok"})
			h.remove(t, cfg.Name)
		})
	}
}

// testCallers are callers that behave badly.
func testCallers(t *testing.T, h *harness, isolation string) {
	cfg := matrixConfig("callers", "python", isolation)
	cfg.Timeout = cove.Duration(3 * time.Second)
	cfg.Scaling.Max, cfg.Scaling.Queue = 1, 1
	h.deploy(t, cfg, matrixCode(t, "python"))
	defer h.remove(t, cfg.Name)

	t.Run("one that sends a byte a second gets 408", func(t *testing.T) {
		conn := h.raw(t)
		fmt.Fprintf(conn, "POST /callers/size_in HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
		go func() {
			for range 10 {
				if _, err := conn.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusRequestTimeout {
			t.Errorf("status %d", res.StatusCode)
		}
	})

	t.Run("one that does not read holds no instance and is cut off", func(t *testing.T) {
		conn := h.raw(t)
		if tcp, is := conn.(*net.TCPConn); is {
			_ = tcp.SetReadBuffer(4096)
		}
		fmt.Fprintf(conn, "GET /callers/size_out?n=6000000 HTTP/1.1\r\nHost: x\r\nX-Request-Id: never-reads-%s\r\n\r\n", isolation)
		h.want(t, http.StatusOK, request{Path: "/callers/ok"})
		eventually(t, 15*time.Second, func() string {
			for line := range strings.Lines(h.log.String()) {
				if strings.Contains(line, "id=never-reads-"+isolation) && strings.Contains(line, "outcome=caller_gone") {
					return ""
				}
			}
			return "the gateway still waits for the caller to read"
		})
	})

	t.Run("one that leaves in the middle of a stream disturbs nobody", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		res, err := h.open(ctx, request{Path: "/callers/stream_for_ever"})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(res.Body, make([]byte, 1000))
		cancel()
		_ = res.Body.Close()
		// The handler runs to its end, which is its deadline, and the next waits.
		h.want(t, http.StatusOK, request{Path: "/callers/ok"})
		h.settled(t, cfg.Name)
	})

	t.Run("one too many for the queue gets 429 at once", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { h.want(t, http.StatusOK, request{Path: "/callers/clock"}) })
			time.Sleep(100 * time.Millisecond)
		}
		a := h.want(t, http.StatusTooManyRequests, request{Path: "/callers/ok"})
		if a.Header.Get("Retry-After") == "" || a.problem(t).Code != cove.CodeQueueFull {
			t.Errorf("got %v %s", a.Header, a.Body)
		}
		wg.Wait()
	})

	t.Run("one that sets a bound of its own gets 504 by it", func(t *testing.T) {
		a := h.want(t, http.StatusGatewayTimeout, request{Path: "/callers/sleep", Header: http.Header{"Cove-Timeout": {"300ms"}}})
		if a.Took > 300*time.Millisecond+lateness {
			t.Errorf("after %s", a.Took)
		}
		h.want(t, http.StatusOK, request{Path: "/callers/ok"})
	})
}

// raw is a plain connection to the gateway.
func (h *harness) raw(t *testing.T) net.Conn {
	t.Helper()
	conn, err := h.dial(t.Context(), "tcp", strings.TrimPrefix(h.Gateway, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

func testFiftyTimeouts(t *testing.T, h *harness, isolation string) {
	cfg := matrixConfig("fifty", "python", isolation)
	cfg.Scaling.Max, cfg.Scaling.Queue, cfg.Memory = 50, 100, 64*cove.MiB
	cfg.QueueTimeout = cove.Duration(2 * time.Minute)
	h.deploy(t, cfg, matrixCode(t, "python"))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			a := h.do(t, request{Path: "/fifty/sleep"})
			if a.Status != http.StatusGatewayTimeout || a.problem(t).Code != cove.CodeTimeout {
				t.Errorf("got %d %.300s", a.Status, a.Body)
			}
		})
	}
	wg.Wait()
	h.want(t, http.StatusOK, request{Path: "/fifty/ok"})
	h.settled(t, cfg.Name)
	h.remove(t, cfg.Name)
}

// testAnswersAtTheDeadline lets handlers answer at their deadline to the
// millisecond. Each caller gets one outcome, answer or timeout, and it is the
// one that is recorded.
func testAnswersAtTheDeadline(t *testing.T, h *harness, isolation string) {
	const each, callers = 252, 4 // 1,000 over the two isolations and languages
	for _, language := range []string{"python", "node"} {
		cfg := matrixConfig("nap-"+language, language, isolation)
		cfg.Timeout, cfg.Scaling.Max = cove.Duration(100*time.Millisecond), callers
		h.deploy(t, cfg, matrixCode(t, language))
		var mu sync.Mutex
		count := map[cove.Code]int{}
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				// What an answer takes besides the nap differs by machine and moment: the
				// lead follows it, so that three of four answers are just in time, and the
				// fourth is not.
				lead := 2.0 // ms
				for range each / callers {
					a := h.do(t, request{Path: fmt.Sprintf("/%s/nap?lead=%.3f", cfg.Name, lead)})
					code := cove.Code("")
					if lead *= 0.87; a.Status != http.StatusOK {
						code, lead = a.problem(t).Code, max(lead, 0.25)*1.75
					}
					mu.Lock()
					count[code]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		t.Logf("%s: %v", language, count)
		if count[""] == 0 || count[cove.CodeTimeout] == 0 || count[""]+count[cove.CodeTimeout] != each/callers*callers {
			t.Errorf("outcomes: %v", count)
		}
		h.want(t, http.StatusOK, request{Path: "/" + cfg.Name + "/ok"})
		h.remove(t, cfg.Name)
	}
}

// testWallClock steps the host's clock back by an hour and forward again while a
// handler runs. It needs the right to set the clock, which root has.
func testWallClock(t *testing.T, h *harness, isolation string) {
	for _, language := range []string{"python", "node"} {
		cfg := matrixConfig("clock-"+language, language, isolation)
		h.deploy(t, cfg, matrixCode(t, language))
		var wg sync.WaitGroup
		wg.Go(func() { h.want(t, http.StatusOK, request{Path: "/" + cfg.Name + "/clock"}) })
		wg.Go(func() {
			a := h.want(t, http.StatusGatewayTimeout, request{Path: "/" + cfg.Name + "/sleep"})
			if a.Took < matrixTimeout || a.Took > matrixTimeout+lateness {
				t.Errorf("the timeout came after %s", a.Took)
			}
		})
		time.Sleep(200 * time.Millisecond)
		forward := stepClock(t, -time.Hour)
		time.Sleep(200 * time.Millisecond)
		forward()
		wg.Wait()
		h.remove(t, cfg.Name)
	}
}

// stepClock moves the wall clock and returns how to move it back.
func stepClock(t *testing.T, by time.Duration) (back func()) {
	t.Helper()
	set := func(d time.Duration) error {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
			return err
		}
		later := unix.NsecToTimespec(now.Nano() + int64(d))
		return unix.ClockSettime(unix.CLOCK_REALTIME, &later)
	}
	if err := set(by); err != nil {
		t.Fatalf("set the clock: %v", err)
	}
	return sync.OnceFunc(func() {
		if err := set(-by); err != nil {
			t.Errorf("set the clock back: %v", err)
		}
	})
}
