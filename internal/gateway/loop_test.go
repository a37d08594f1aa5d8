package gateway

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/runtime"
)

// FuzzHead holds that what the loop reads is what net/http would have read, and
// that nothing which net/http refuses is read at all.
func FuzzHead(f *testing.F) {
	for _, s := range requests {
		f.Add([]byte(s))
	}
	f.Add([]byte("GET /%2e/a?b=c&d#e HTTP/1.1\r\nhost: h\r\nX-A: 1\r\nx-a:2 \r\nCookie: a=b; c=d\r\n\r\nrest"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 007\r\nConnection: close\r\n\r\n1234567GET"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h head
		got := &http.Request{}
		n := h.read(data, got)
		if n == 0 {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", data, err)
		}
		if want.Close != got.Close || want.ContentLength != got.ContentLength || len(want.TransferEncoding) > 0 ||
			want.Method != got.Method || want.Host != got.Host || want.RequestURI != got.RequestURI || want.Proto != got.Proto ||
			!reflect.DeepEqual(want.URL, got.URL) {
			t.Errorf("%q\nwant %+v\ngot  %+v", data, want, got)
		}
		if !maps.EqualFunc(want.Header, got.Header, slices.Equal) {
			t.Errorf("%q\nwant %q\ngot  %q", data, want.Header, got.Header)
		}
		if n > len(data) || !bytes.HasSuffix(data[:n], headEnd) {
			t.Errorf("a head of %d bytes in %q", n, data)
		}
	})
}

// requests are what callers send on one connection, in usual ways and others.
var requests = []string{
	"GET /f HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /f HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
	"GET /f HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\nGET /f?a=b HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /f HTTP/1.1\r\nHost: h\r\nConnection: close, te\r\n\r\nGET /f HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /f HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
	"GET /f HTTP/1.0\r\n\r\n",
	"HEAD /f HTTP/1.1\r\nHost: h\r\n\r\nGET /f HTTP/1.1\r\nHost: h\r\n\r\n",
	"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloPOST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
	"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloPOST /f HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n",
	"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
	"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 5,5\r\n\r\nhello",
	"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
	"POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhalf",
	"POST /none HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
	"OPTIONS /f HTTP/1.1\r\nHost: h\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
	"DELETE /f/ HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /sub HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /stream HTTP/1.1\r\nHost: h\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: h\r\n\r\nGET /f HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /empty HTTP/1.1\r\nHost: h\r\n\r\nGET /f HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /large HTTP/1.1\r\nHost: h\r\n\r\nGET /f HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /broken HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET http://i/f HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET //f HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /f#x HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /f\x7f HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET  /f HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /f  HTTP/1.1\r\nHost: h\r\n\r\n",
	"get /f HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /f HTTP/1.1\r\nHost:\r\n\r\n",
	"GET /f HTTP/1.1\r\nHost: h i\r\n\r\n",
	"GET /f HTTP/1.1\nHost: h\n\n",
	"GET /f HTTP/1.1\r\nHost: h\r\nX: a\nY: b\r\n\r\n",
	"GET /f HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n",
	"GET /f HTTP/1.1\r\nHost: h\r\nX\r\n\r\n",
	"GET /f HTTP/1.1\r\nHost: h\r\nX: \x80\xff\r\n\r\n",
	"GET /f HTTP/1.1\r\nHost: h\r\nPragma: no-cache\r\n\r\n",
	"GET /f HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", loopBuffer) + "\r\n\r\n",
	"\r\nGET /f HTTP/1.1\r\nHost: h\r\n\r\n",
	"nonsense\r\n\r\n",
	"GET /f HTTP/1.1\r\n",
}

// TestLoopAnswersAsNetHTTP sends the same to the server and to net/http alone.
func TestLoopAnswersAsNetHTTP(t *testing.T) {
	t.Parallel()
	o := Options{Invoke: several(t), HeadTimeout: time.Second, BodyTimeout: time.Second, IdleTimeout: time.Second, NewID: func() string { return "one" }}
	functions := []*cove.Version{
		function("f", "/f"), function("sub", "/sub/"), function("stream", "/stream"), function("empty", "/empty"),
		function("large", "/large"), function("broken", "/broken"),
	}
	ours := setup(t, o, functions...)
	o.Routes = ours.routes
	plain := New(o).Server().http
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = plain.Serve(plainListener{l}) })
	t.Cleanup(func() {
		_ = plain.Close()
		wg.Wait()
	})
	var asked sync.WaitGroup
	for _, request := range requests {
		for _, cut := range []int{0, 1, len(request) / 2, len(request) - 1} {
			// Not as parallel tests, of which few run at once: nearly all of it is
			// waiting for connections to be closed.
			asked.Go(func() {
				var want []string
				var both sync.WaitGroup
				both.Go(func() { want = exchanged(l.Addr().String(), request, cut) })
				got := exchanged(ours.addr, request, cut)
				both.Wait()
				if !slices.Equal(got, want) {
					t.Errorf("%.60q cut at %d: net/http says\n%q\nand the gateway\n%q", request, cut, want, got)
				}
			})
		}
	}
	asked.Wait()
}

// plainListener has connections with the deadlines of the gateway's alone.
type plainListener struct{ net.Listener }

func (l plainListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, timeout: DefaultWriteTimeout, all: newConnections(1, nil)}, nil
}

// exchanged sends a request in two pieces and tells every answer, without its
// date, until the connection is closed, by either side.
func exchanged(address, request string, cut int) (answers []string) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return []string{err.Error()}
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, request[:cut])
	if cut > 0 {
		time.Sleep(20 * time.Millisecond)
	}
	// What has refused the first piece may be gone.
	_, _ = io.WriteString(c, request[cut:])
	r := bufio.NewReader(c)
	for {
		method, _, _ := strings.Cut(request, " ")
		if len(answers) > 0 {
			method = http.MethodGet // The second one of a HEAD, and the second of a stream.
			if strings.Contains(request, "HEAD /stream") && len(answers) == 1 {
				method = http.MethodHead
			}
		}
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return append(answers, "end")
		}
		body, err := io.ReadAll(res.Body)
		res.Header.Del("Date")
		var b strings.Builder
		_ = res.Header.Write(&b)
		answers = append(answers, res.Status+" "+b.String()+string(body[:min(len(body), 100)]), res.Proto)
		if res.StatusCode == http.StatusBadRequest {
			// What was sent behind it may reset the connection or come too late for
			// that.
			return append(answers, "end")
		}
		if err != nil {
			return append(answers, err.Error())
		}
		if res.Close {
			answers = append(answers, "close")
		}
	}
}

// several is a Doer that answers by the function's name.
func several(t *testing.T) doFunc {
	return func(ctx context.Context, r *invoke.Request, sink invoke.Sink) *cove.Error {
		switch r.Version.Function {
		case "stream", "broken":
			_ = sink.Begin(&runtime.Head{Headers: map[string][]string{"content-type": {"text/x"}}})
			_ = sink.Chunk([]byte("one"))
			_ = sink.Chunk([]byte("two"))
			if r.Version.Function == "broken" {
				sink.End(cove.Errorf(cove.CodeFunctionError, "broken"))
				return nil
			}
			sink.End(nil)
		case "empty":
			_ = sink.Answer(&runtime.Answer{Head: &runtime.Head{Status: 204}})
		case "large":
			_ = sink.Answer(&runtime.Answer{Payload: bytes.Repeat([]byte("x"), 3*replySize)})
		default:
			e := event(t, r)
			delete(e["requestContext"].(map[string]any), "time")
			delete(e["requestContext"].(map[string]any), "timeEpoch")
			return answerJSON(sink, e["rawPath"], e["rawQueryString"], string(r.Payload))
		}
		return nil
	}
}

func answerJSON(sink invoke.Sink, parts ...any) *cove.Error {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.(string) + "|")
	}
	_ = sink.Answer(&runtime.Answer{Head: &runtime.Head{Status: 201, Headers: map[string][]string{"x-one": {"1", "2"}}}, Payload: []byte(b.String())})
	return nil
}

func TestCallersThatLeave(t *testing.T) {
	t.Parallel()
	t.Run("who waits for a caller's leaving is told", func(t *testing.T) {
		t.Parallel()
		told, inside := make(chan error, 1), make(chan struct{})
		w := setup(t, Options{Invoke: doFunc(func(ctx context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
			close(inside)
			select {
			case <-ctx.Done():
			case <-time.After(patience):
			}
			told <- ctx.Err()
			return sinkOK(sink)
		})}, function("f", "/f"))
		r := w.raw()
		r.say("POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab")
		<-inside
		_ = r.Close()
		if err := <-told; err != context.Canceled {
			t.Errorf("told %v", err)
		}
	})
	t.Run("who asks after a while, when the answer is written, is told too", func(t *testing.T) {
		t.Parallel()
		told, inside, gone := make(chan error, 1), make(chan struct{}), make(chan struct{})
		w := setup(t, Options{Invoke: doFunc(func(ctx context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
			close(inside)
			<-gone
			time.Sleep(50 * time.Millisecond)
			err := sinkOK(sink)
			told <- ctx.Err()
			return err
		})}, function("f", "/f"))
		r := w.raw()
		r.say("GET /f HTTP/1.1\r\nHost: h\r\n\r\n")
		<-inside
		_ = r.Close()
		close(gone)
		if err := <-told; err != context.Canceled {
			t.Errorf("told %v", err)
		}
	})
	t.Run("a caller that sends its next request has not left, and is answered twice", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: doFunc(func(ctx context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
			select {
			case <-ctx.Done():
				t.Error("the caller is said to have left")
			case <-time.After(10 * watchDelay):
			}
			return sinkOK(sink)
		})}, function("f", "/f"))
		r := w.raw()
		for range 2 {
			r.say("GET /f HTTP/1.1\r\nHost: h\r\n\r\n")
			time.Sleep(2 * watchDelay)
		}
		for range 2 {
			if res := r.answer("GET"); res.StatusCode != 200 {
				t.Error(res.Status)
			}
		}
	})
	t.Run("a context ends with its request", func(t *testing.T) {
		t.Parallel()
		var kept context.Context
		w := setup(t, Options{Invoke: doFunc(func(ctx context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
			kept = ctx
			return sinkOK(sink)
		})}, function("f", "/f"))
		r := w.raw()
		r.say("GET /f HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		r.answer("GET")
		r.closed()
		<-kept.Done()
		if kept.Err() == nil {
			t.Error("it has no error")
		}
	})
}

// TestRefusedBodies has callers send much more than is read: they find the answer,
// and no connection that was reset while they wrote.
func TestRefusedBodies(t *testing.T) {
	t.Parallel()
	w := setup(t, Options{Invoke: text("ok")}, function("f", "/f"))
	body := strings.Repeat("x", 32<<20)
	for range 5 {
		if a := w.send(w.client(false), http.MethodPost, "/f", body); a.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", a.StatusCode)
		}
	}
}

// TestTheTimeOfAnAnswerIsItsOwn has a caller get something long after a large
// answer, for which a time was set that has passed.
func TestTheTimeOfAnAnswerIsItsOwn(t *testing.T) {
	t.Parallel()
	const patience = 300 * time.Millisecond
	t.Run("the next answer on the connection", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: text(strings.Repeat("x", 64<<10)), WriteTimeout: patience}, function("f", "/f"))
		r := w.raw()
		for range 2 {
			r.say("GET /f HTTP/1.1\r\nHost: h\r\n\r\n")
			if a := r.answer("GET"); a.StatusCode != http.StatusOK || len(a.text) != 64<<10 {
				t.Errorf("%s with %d bytes", a.Status, len(a.text))
			}
			time.Sleep(patience + 100*time.Millisecond)
		}
	})
	t.Run("the next piece of a streamed one", func(t *testing.T) {
		t.Parallel()
		pieces := doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
			_ = sink.Begin(&runtime.Head{})
			_ = sink.Chunk(make([]byte, 32<<10))
			time.Sleep(patience + 100*time.Millisecond)
			if err := sink.Chunk([]byte("end")); err != nil {
				t.Error(err)
			}
			sink.End(nil)
			return nil
		})
		w := setup(t, Options{Invoke: pieces, WriteTimeout: patience}, function("f", "/f"))
		if a := w.send(w.client(false), http.MethodGet, "/f", ""); len(a.text) != 32<<10+3 {
			t.Errorf("%d bytes", len(a.text))
		}
	})
}
