package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	goruntime "runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/runtime"
)

// counted is a Doer that tells of every request it gets.
func counted(seen chan<- string) doFunc {
	return func(_ context.Context, r *invoke.Request, sink invoke.Sink) *cove.Error {
		seen <- string(r.Payload)
		return sinkOK(sink)
	}
}

// TestSmuggling sends what proxies and servers are known to understand
// differently. Behind each attack hides "GET /hidden": whatever becomes of the
// first request, the hidden one must never be taken for a request.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	const hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"Content-Length and Transfer-Encoding": {"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, 200},
		"Transfer-Encoding and Content-Length": {"POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n0\r\n\r\n" + hidden, 200},
		"two lengths that differ":              {"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 38\r\n\r\n" + hidden, 400},
		"a list of lengths":                    {"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 38\r\n\r\n" + hidden, 400},
		"a length with a sign":                 {"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: +0\r\n\r\n" + hidden, 400},
		"an unknown transfer encoding":         {"POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n" + hidden, 501},
		"two transfer encodings":               {"POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + hidden, 501},
		"a space before the colon":             {"POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + hidden, 400},
		"a NUL in a header":                    {"GET /f HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n" + hidden, 400},
		"a bare CR in a header":                {"GET /f HTTP/1.1\r\nHost: h\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n" + hidden, 400},
		"a folded first header":                {"GET /f HTTP/1.1\r\n Host: h\r\n\r\n" + hidden, 400},
		"a bare line feed after a chunk size":  {"POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;x=\n\r\nZ\r\n0\r\n\r\n" + hidden, 400},
		"a chunk longer than its size":         {"POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZZZ\r\n0\r\n\r\n" + hidden, 400},
		"a negative chunk":                     {"POST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + hidden, 400},
		"two hosts":                            {"GET /f HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n" + hidden, 400},
		"no host":                              {"GET /f HTTP/1.1\r\n\r\n" + hidden, 400},
		"a refused request with a body":        {"POST /none HTTP/1.1\r\nHost: h\r\nContent-Length: 38\r\n\r\n" + hidden, 404},
		"a body that is too large":             {"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n" + hidden, 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, Options{Invoke: text("ok")}, function("f", "/f"), hiddenFunction())
			r := w.raw()
			r.say(c.request)
			res := r.answer("POST")
			rest := r.closed()
			if res.StatusCode != c.status || strings.Contains(rest, "HTTP/1.1 200") {
				t.Errorf("%s, then %q", res.Status, rest)
			}
		})
	}
}

func hiddenFunction() *cove.Version { return function("hidden", "/hidden") }

func TestRequestsAsTheyCome(t *testing.T) {
	t.Parallel()
	t.Run("a folded header is one value without line breaks", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: echo(t)}, function("f", "/f"))
		r := w.raw()
		r.say("GET /f HTTP/1.1\r\nHost: h\r\nX: a\r\n X-Evil: b\r\n\r\n")
		e := r.answer("GET").event(t)
		if header(e, "x") != "a X-Evil: b" || header(e, "x-evil") != nil {
			t.Errorf("headers %v", e["headers"])
		}
	})
	t.Run("the absolute form is its path on its host", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: echo(t)}, function("f", "/"))
		r := w.raw()
		r.say("GET http://other.example/a HTTP/1.1\r\nHost: h\r\n\r\nGET http://other.example HTTP/1.1\r\nHost: h\r\n\r\n")
		for _, path := range []string{"/a", "/"} {
			if e := r.answer("GET").event(t); e["rawPath"] != path || header(e, "host") != "other.example" {
				t.Errorf("event %v", e)
			}
		}
	})
	t.Run("pipelined requests are answered in order on one connection", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: echo(t)}, function("f", "/{x}"))
		r := w.raw()
		r.say("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\naPOST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n")
		for i, body := range []string{"a", "b"} {
			if e := r.answer("POST").event(t); e["rawPath"] != fmt.Sprint("/", i+1) || e["body"] != body || header(e, "content-length") != "1" {
				t.Errorf("event %v", e)
			}
		}
	})
	t.Run("CONNECT and the asterisk are no paths", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: never(t)}, function("f", "/"))
		for request, status := range map[string]int{"CONNECT h:80": 405, "GET *": 400, "OPTIONS *": 200} {
			r := w.raw()
			r.say(request + " HTTP/1.1\r\nHost: h:80\r\n\r\n")
			if res := r.answer("GET"); res.StatusCode != status {
				t.Errorf("%s: %s", request, res.Status)
			}
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	t.Run("a body of exactly max_body passes, one byte more is 413, announced or not", func(t *testing.T) {
		t.Parallel()
		seen := make(chan string, 2)
		v := function("f", "/f")
		v.Config.MaxBody = 100_000
		w := setup(t, Options{Invoke: counted(seen)}, v)
		both(t, func(t *testing.T, http2 bool) {
			c := w.client(http2)
			body := strings.Repeat("x", 100_000)
			if res := w.send(c, "POST", "/f", body); res.StatusCode != 200 || <-seen != body {
				t.Errorf("%s", res.Status)
			}
			for _, size := range []int64{100_001, -1} {
				r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+w.addr+"/f", io.MultiReader(strings.NewReader(body), strings.NewReader("x")))
				r.ContentLength = size
				res, err := c.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				if res.StatusCode != 413 {
					t.Errorf("%d: %s", size, res.Status)
				}
			}
		})
	})
	t.Run("a refusal comes before 100 Continue", func(t *testing.T) {
		t.Parallel()
		closed := function("closed", "/closed")
		closed.Config.Auth = cove.AuthToken
		w := setup(t, Options{Invoke: text("ok")}, closed, function("f", "/f"))
		for request, status := range map[string]int{"/closed": 403, "/none": 404, "/f": 413} {
			r := w.raw()
			r.say("POST " + request + " HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
			if res := r.answer("POST"); res.StatusCode != status {
				t.Errorf("%s: %s", request, res.Status)
			}
			r.closed()
		}
		r := w.raw()
		r.say("POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
		if res := r.answer("POST"); res.StatusCode != 100 {
			t.Fatalf("no continue: %s", res.Status)
		}
		r.say("ab")
		if res := r.answer("POST"); res.StatusCode != 200 {
			t.Errorf("%s", res.Status)
		}
	})
	t.Run("too many headers, too large a head, too long a Connection", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: never(t)}, function("f", "/f"))
		for headers, status := range map[string]int{
			strings.Repeat("X: 1\r\n", DefaultMaxHeaders+1):           400,
			"X: " + strings.Repeat("x", 100_000) + "\r\n":             431,
			"Connection: " + strings.Repeat("a, ", 400) + "close\r\n": 400,
		} {
			r := w.raw()
			r.say("GET /f HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n")
			if res := r.answer("GET"); res.StatusCode != status {
				t.Errorf("%.20q: %s", headers, res.Status)
			}
		}
	})
	t.Run("all bodies together are bounded, and what was held is given back", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: text("ok"), BodyMemory: 20_000}, function("f", "/f"))
		c := w.client(false)
		for range 3 {
			if res := w.send(c, "POST", "/f", strings.Repeat("x", 9_000)); res.StatusCode != 200 {
				t.Errorf("%s", res.Status)
			}
			if res := w.send(c, "POST", "/f", strings.Repeat("x", 11_000)); res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" {
				t.Errorf("%s", res.Status)
			}
		}
	})
	t.Run("the bodies of one function leave room for those of others", func(t *testing.T) {
		t.Parallel()
		held, let := make(chan struct{}, 2), make(chan struct{})
		hold := doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
			held <- struct{}{}
			<-let
			return cove.AsError(sink.Answer(&runtime.Answer{}))
		})
		w := setup(t, Options{Invoke: hold, BodyMemory: 20_000}, function("f", "/f"), function("g", "/g"))
		c := w.client(false)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer close(let)
		for _, path := range []string{"/f", "/g"} {
			wg.Go(func() {
				if res := w.send(c, "POST", path, strings.Repeat("x", 6_000)); res.StatusCode != 200 {
					t.Errorf("%s: %s", path, res.Status)
				}
			})
			<-held
			if res := w.send(c, "POST", path, strings.Repeat("x", 6_000)); res.StatusCode != 503 {
				t.Errorf("a second one for %s: %s", path, res.Status)
			}
		}
	})
	t.Run("large answers that are not read are bounded too, and small ones go on", func(t *testing.T) {
		t.Parallel()
		sizes := doFunc(func(_ context.Context, r *invoke.Request, sink invoke.Sink) *cove.Error {
			n := 4 << 20
			if len(r.Payload) > 0 {
				n = 10_000
			}
			_ = sink.Answer(&runtime.Answer{Payload: make([]byte, n)})
			return nil
		})
		w := setup(t, Options{Invoke: sizes, BodyMemory: 18 << 20}, function("f", "/f"))
		c := w.client(false)
		for range 2 { // Each keeps its answer, as large as no socket's buffers are.
			r := w.raw()
			_ = r.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			r.say("GET /f HTTP/1.1\r\nHost: h\r\n\r\n")
			if _, err := r.Peek(1); err != nil {
				t.Fatal(err)
			}
		}
		if res := w.send(c, "GET", "/f", ""); res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" {
			t.Errorf("a third large answer: %s", res.Status)
		}
		if res := w.send(c, "POST", "/f", "x"); res.StatusCode != 200 {
			t.Errorf("a small answer: %s", res.Status)
		}
	})
	t.Run("on HTTP/2 small answers that are not read are bounded as well", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: text("ok"), BodyMemory: 10 * streamMemory}, function("f", "/f"))
		for range 5 { // Half of it, which is what one function may have.
			w.unreadStream("/f")
		}
		if res := w.send(w.client(true), "GET", "/f", ""); res.StatusCode != 503 {
			t.Errorf("one more on HTTP/2: %s", res.Status)
		}
		if res := w.send(w.client(false), "GET", "/f", ""); res.StatusCode != 200 {
			t.Errorf("an answer on HTTP/1: %s", res.Status)
		}
	})
}

// What a caller leaves behind on a connection that is idle is small, whatever it
// sent and whatever the function answered.
func TestIdleConnectionsHoldLittle(t *testing.T) {
	const few, many = 20, 1000 // as many fields as a loop takes
	held := func(t *testing.T, request string, answer map[string][]string) int64 {
		t.Helper()
		h := runtime.Head{Headers: answer}
		w := setup(t, Options{Invoke: doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
			return cove.AsError(sink.Answer(&runtime.Answer{Head: &h}))
		})}, function("f", "/f"))
		before := heap()
		for range few {
			r := w.raw()
			r.say(request)
			r.answer("GET")
		}
		return (heap() - before) / few
	}
	var fields strings.Builder
	answer := map[string][]string{}
	for i := range many {
		fmt.Fprintf(&fields, "a%x:\r\n", i)
		answer[fmt.Sprintf("a%x", i)] = []string{""}
	}
	const plain = "GET /f HTTP/1.1\r\nHost: h\r\n\r\n"
	usual := held(t, plain, nil)
	if n := held(t, strings.TrimSuffix(plain, "\r\n")+fields.String()+"\r\n", nil); n > 4*usual {
		t.Errorf("after a request of %d fields a connection holds %d bytes, otherwise %d", many, n, usual)
	}
	if n := held(t, plain, answer); n > 4*usual {
		t.Errorf("after an answer of %d fields a connection holds %d bytes, otherwise %d", many, n, usual)
	}
}

// heap is how much memory is in use.
func heap() int64 {
	var m goruntime.MemStats
	for range 2 { // What is pooled lives through one collection.
		goruntime.GC()
	}
	goruntime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestSlowCallers(t *testing.T) {
	t.Parallel()
	t.Run("a head that does not come to its end is answered 408 and closed", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: text("ok"), HeadTimeout: 500 * time.Millisecond}, function("f", "/f"))
		for _, first := range []string{"", "GET /f HTTP/1.1\r\nHost: h\r\n\r\n"} {
			r := w.raw()
			if first != "" {
				r.say(first)
				if res := r.answer("GET"); res.StatusCode != 200 {
					t.Fatal(res.Status)
				}
			}
			r.say("POST /f HTTP/1.1\r\nHost: h\r\nX-Half")
			res := r.answer("POST")
			if res.StatusCode != 408 || res.Header.Get("Content-Type") != "application/problem+json" || !res.Close {
				t.Errorf("%s %v", res.Status, res.Header)
			}
			if rest := r.closed(); rest != "" {
				t.Errorf("then %q", rest)
			}
		}
	})
	t.Run("a connection on which nothing came is closed without a word", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: text("ok"), HeadTimeout: 100 * time.Millisecond}, function("f", "/f"))
		if got := w.raw().closed(); got != "" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a body that does not come to its end is answered 408 and closed, and no function hears of it", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: never(t), BodyTimeout: 200 * time.Millisecond}, function("f", "/f"))
		r := w.raw()
		r.say("POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
		res := r.answer("POST")
		if p := res.problem(t); p.Code != cove.CodeRequestTimeout || p.Timeout.String() != "200ms" || !res.Close {
			t.Errorf("%s %s", res.Status, res.text)
		}
		r.closed()
	})
	t.Run("the same on HTTP/2", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: never(t), BodyTimeout: 200 * time.Millisecond}, function("f", "/f"))
		pr, pw := io.Pipe()
		defer func() { _ = pw.Close() }()
		r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+w.addr+"/f", pr)
		res, err := w.client(true).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != 408 {
			t.Errorf("%s", res.Status)
		}
	})
	t.Run("Cove-Timeout shortens the time for the body", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: never(t)}, function("f", "/f"))
		r := w.raw()
		r.say("POST /f HTTP/1.1\r\nHost: h\r\nCove-Timeout: 150ms\r\nContent-Length: 10\r\n\r\nhalf")
		if p := r.answer("POST").problem(t); p.Timeout.String() != "150ms" {
			t.Errorf("%+v", p)
		}
	})
	t.Run("a refused request whose body never comes does not hold its connection", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: never(t)}, function("f", "/f"))
		r := w.raw()
		r.say("POST /none HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
		if res := r.answer("POST"); res.StatusCode != 404 || !res.Close {
			t.Errorf("%s %v", res.Status, res.Close)
		}
		r.closed()
	})
	t.Run("a handler may take longer than every timeout of the gateway", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, http2 bool) {
			w := setup(t, Options{HeadTimeout: 500 * time.Millisecond, BodyTimeout: 500 * time.Millisecond, WriteTimeout: 500 * time.Millisecond,
				Invoke: doFunc(func(ctx context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
					select {
					case <-ctx.Done():
						t.Error("the context ended though the caller is there")
					case <-time.After(time.Second):
					}
					return sinkOK(sink)
				})}, function("f", "/f"))
			c := w.client(http2)
			for range 2 {
				if res := w.send(c, "POST", "/f", "body"); res.StatusCode != 200 {
					t.Errorf("%s", res.Status)
				}
			}
		})
	})
}

func TestShutdownAnswersWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	inside, goOn := make(chan struct{}), make(chan struct{})
	w := setup(t, Options{Invoke: doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
		close(inside)
		<-goOn
		return sinkOK(sink)
	})}, function("f", "/f"))
	r := w.raw()
	r.say("GET /f HTTP/1.1\r\nHost: h\r\n\r\n")
	<-inside
	down := make(chan error)
	go func() { down <- w.server.Shutdown(t.Context()) }()
	close(goOn)
	if res := r.answer("GET"); res.StatusCode != 200 {
		t.Errorf("%s", res.Status)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

func TestShutdownWaitsForWhatWasAcceptedLast(t *testing.T) {
	t.Parallel()
	for i := range 20 {
		var served atomic.Int64
		w := setup(t, Options{Invoke: doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
			served.Add(1)
			defer served.Add(-1)
			return sinkOK(sink)
		})}, function("f", "/f"))
		address := w.addr
		begun := make(chan struct{})
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				<-begun
				c, err := net.Dial("tcp", address)
				if err != nil {
					return // It came too late.
				}
				defer func() { _ = c.Close() }()
				_, _ = io.WriteString(c, "GET /f HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
				_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
				_, _ = io.Copy(io.Discard, c)
			})
		}
		close(begun)
		time.Sleep(time.Duration(i) * 50 * time.Microsecond)
		if err := w.server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := served.Load(); n != 0 {
			t.Errorf("%d requests are being served after Shutdown", n)
		}
		callers.Wait()
	}
}
