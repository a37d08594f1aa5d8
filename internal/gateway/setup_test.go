package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/route"
	"github.com/covefn/cove/internal/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test.
const patience = 20 * time.Second

// doFunc is an invoke.Doer in a test's own words.
type doFunc func(ctx context.Context, r *invoke.Request, sink invoke.Sink) *cove.Error

func (f doFunc) Do(ctx context.Context, r *invoke.Request, sink invoke.Sink) (*cove.Invocation, *cove.Error) {
	return &cove.Invocation{ID: r.ID}, f(ctx, r, sink)
}

// answer is a Doer that always answers the same.
func answer(a runtime.Answer) doFunc {
	return func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
		_ = sink.Answer(&a)
		return nil
	}
}

func text(s string) doFunc {
	return answer(runtime.Answer{Head: &runtime.Head{Headers: map[string][]string{"content-type": {"text/plain"}}}, Payload: []byte(s)})
}

// never is a Doer that must not be reached.
func never(t *testing.T) doFunc {
	return func(_ context.Context, r *invoke.Request, _ invoke.Sink) *cove.Error {
		t.Errorf("the function was called: %s", r.Event)
		return cove.Errorf(cove.CodeInternal, "called")
	}
}

type authFunc func(r *http.Request, v *cove.Version) *cove.Error

func (f authFunc) Authorize(r *http.Request, v *cove.Version) *cove.Error { return f(r, v) }

// world is a gateway on a real socket.
type world struct {
	*testing.T
	addr   string
	server *Server
	routes *route.Table[*cove.Version]
}

// function is a version with what tests mostly want.
func function(name, pattern string, methods ...string) *cove.Version {
	return &cove.Version{ID: name + "-1", Function: name, Number: 1, Config: cove.Config{
		Name: name, Route: pattern, Methods: methods, Auth: cove.AuthPublic, MaxBody: 1 * cove.MiB,
		Timeout: cove.Duration(3 * time.Second), InitTimeout: cove.Duration(4 * time.Second), QueueTimeout: cove.Duration(5 * time.Second),
	}}
}

func setup(t *testing.T, o Options, functions ...*cove.Version) *world {
	t.Helper()
	o.Routes = route.NewTable[*cove.Version]()
	for _, v := range functions {
		p, err := route.Parse(v.Config.Route)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Routes.Set(v.Function, p, v.Config.Methods, v); err != nil {
			t.Fatal(err)
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(o).Server()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(l); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		_ = s.Close()
		wg.Wait()
	})
	return &world{T: t, addr: l.Addr().String(), server: s, routes: o.Routes}
}

// client speaks HTTP/1.1, or HTTP/2 without TLS.
func (w *world) client(http2 bool) *http.Client {
	w.Helper()
	var p http.Protocols
	p.SetHTTP1(!http2)
	p.SetUnencryptedHTTP2(http2)
	tr := &http.Transport{Protocols: &p, DisableCompression: true}
	w.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// response is an answer, read whole.
type response struct {
	*http.Response
	text string
}

func (r response) problem(t *testing.T) cove.Problem {
	t.Helper()
	if ct := r.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("content type %q of %s: %s", ct, r.Status, r.text)
	}
	var p cove.Problem
	if err := json.Unmarshal([]byte(r.text), &p); err != nil {
		t.Fatalf("%v: %s", err, r.text)
	}
	if p.Status != r.StatusCode || p.RequestID == "" || p.RequestID != r.Header.Get("X-Request-Id") {
		t.Errorf("status %d, id %q of %s %v", p.Status, p.RequestID, r.Status, r.Header)
	}
	return p
}

// send sends a request with headers, "Name: value", and reads the answer.
func (w *world) send(c *http.Client, method, path, body string, headers ...string) response {
	w.Helper()
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(w.Context(), method, "http://"+w.addr+path, rd)
	if err != nil {
		w.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Add(name, value)
	}
	res, err := c.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatalf("read the answer: %v", err)
	}
	return response{res, string(b)}
}

// raw is a connection for what no client would send.
type raw struct {
	*testing.T
	net.Conn
	*bufio.Reader
}

func (w *world) raw() *raw {
	w.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &raw{w.T, c, bufio.NewReader(c)}
}

func (r *raw) say(s string) {
	r.Helper()
	if _, err := io.WriteString(r.Conn, s); err != nil {
		r.Fatalf("write: %v", err)
	}
}

// answer reads one answer.
func (r *raw) answer(method string) response {
	r.Helper()
	res, err := http.ReadResponse(r.Reader, &http.Request{Method: method})
	if err != nil {
		r.Fatalf("read an answer: %v", err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.Fatalf("read an answer's body: %v", err)
	}
	return response{res, string(b)}
}

// unreadStream makes a GET on HTTP/2 whose caller takes the head of the answer and
// nothing of its body, until the test ends.
func (w *world) unreadStream(path string) {
	w.Helper()
	c := w.raw()
	c.say(http2.ClientPreface)
	framer := http2.NewFramer(c.Conn, c.Reader)
	var head bytes.Buffer
	fields := hpack.NewEncoder(&head)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", path}} {
		_ = fields.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // Into memory.
	}
	err := errors.Join(framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}),
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndStream: true, EndHeaders: true}))
	for err == nil {
		var f http2.Frame
		if f, err = framer.ReadFrame(); err == nil && f.Header().Type == http2.FrameHeaders {
			return
		}
	}
	w.Fatalf("a stream on HTTP/2: %v", err)
}

// closed waits for the end of the connection and returns what came before it.
func (r *raw) closed() string {
	r.Helper()
	b, err := io.ReadAll(r.Reader)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		r.Fatalf("the connection stays open after %q", b)
	}
	return string(b)
}

// Read and Write are those of the buffered reader and the connection.
func (r *raw) Read(p []byte) (int, error) { return r.Reader.Read(p) }

// event is a request's event as a function sees it.
func event(t *testing.T, r *invoke.Request) map[string]any {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(r.Event, &e); err != nil {
		t.Fatalf("the event is no JSON: %v\n%s", err, r.Event)
	}
	return e
}

// echo is a Doer that answers with the event, with the body put in.
func echo(t *testing.T) doFunc {
	return func(_ context.Context, r *invoke.Request, sink invoke.Sink) *cove.Error {
		e := event(t, r)
		if len(r.Payload) > 0 {
			e["body"] = string(r.Payload)
		}
		b, err := json.Marshal(e)
		if err != nil {
			t.Error(err)
		}
		_ = sink.Answer(&runtime.Answer{Head: &runtime.Head{}, Payload: b})
		return nil
	}
}

func (r response) event(t *testing.T) map[string]any {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal([]byte(r.text), &e); err != nil {
		t.Fatalf("%v: %s", err, r.text)
	}
	return e
}

func header(e map[string]any, name string) any { return e["headers"].(map[string]any)[name] }
