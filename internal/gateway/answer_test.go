package gateway

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/runtime"
)

// both runs a test over HTTP/1.1 and over HTTP/2.
func both(t *testing.T, f func(t *testing.T, http2 bool)) {
	t.Helper()
	t.Run("HTTP/1.1", func(t *testing.T) { t.Parallel(); f(t, false) })
	t.Run("HTTP/2", func(t *testing.T) { t.Parallel(); f(t, true) })
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, http2 bool) {
		w := setup(t, Options{Invoke: answer(runtime.Answer{
			Head: &runtime.Head{
				Status: 201,
				Headers: map[string][]string{
					"content-type": {"text/csv"}, "x-two": {"a", "b"}, "connection": {"close"}, "transfer-encoding": {"chunked"},
					"content-length": {"999"}, "keep-alive": {"x"}, "x-request-id": {"forged"}, "set-cookie": {"z=0"},
				},
				Cookies: []string{"a=1; Path=/", "cove_session=x; Path=/", "=cove_session=x", " cove_session =x", "b=2"},
			},
			Payload: []byte("a,b\n"),
		})}, function("f", "/f"))
		c := w.client(http2)
		get := w.send(c, "GET", "/f", "", "X-Request-Id: my-own-id-1")
		if get.StatusCode != 201 || get.text != "a,b\n" || get.ContentLength != 4 {
			t.Errorf("%s %d %q", get.Status, get.ContentLength, get.text)
		}
		h := get.Header
		if h.Get("Content-Type") != "text/csv" || strings.Join(h["X-Two"], "|") != "a|b" || strings.Join(h["Set-Cookie"], "|") != "z=0|a=1; Path=/|b=2" ||
			h.Get("X-Request-Id") != "my-own-id-1" || h.Get("Connection") != "" || h.Get("Keep-Alive") != "" || h.Get("Date") == "" {
			t.Errorf("headers %v", h)
		}
		head := w.send(c, "HEAD", "/f", "")
		if head.StatusCode != 201 || head.text != "" || head.Header.Get("Content-Length") != "4" {
			t.Errorf("HEAD: %s %v %q", head.Status, head.Header, head.text)
		}
	})
}

func TestAnswersWithoutAType(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a           runtime.Answer
		status      int
		typ, length string
	}{
		"text":       {runtime.Answer{Payload: []byte("<html>")}, 200, "text/plain; charset=utf-8", "6"},
		"binary":     {runtime.Answer{Head: &runtime.Head{}, Payload: []byte("\xff")}, 200, "application/octet-stream", "1"},
		"nothing":    {runtime.Answer{Head: &runtime.Head{}}, 200, "", "0"},
		"no content": {runtime.Answer{Head: &runtime.Head{Status: 204}, Payload: []byte("dropped")}, 204, "", ""},
		"unchanged":  {runtime.Answer{Head: &runtime.Head{Status: 304}, Payload: []byte("dropped")}, 304, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, Options{Invoke: answer(c.a)}, function("f", "/"))
			got := w.send(w.client(false), "GET", "/", "")
			if got.StatusCode != c.status || got.Header.Get("Content-Type") != c.typ || got.Header.Get("Content-Length") != c.length {
				t.Errorf("%s %v", got.Status, got.Header)
			}
			if strings.Contains(got.text, "dropped") {
				t.Errorf("body %q", got.text)
			}
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxAnswerHead)
	for name, h := range map[string]runtime.Head{
		"status too small":        {Status: 101},
		"status too large":        {Status: 600},
		"line break in a value":   {Headers: map[string][]string{"x": {"a\r\nSet-Cookie: evil=1"}}},
		"bare line feed":          {Headers: map[string][]string{"x": {"a\nb"}}},
		"NUL in a value":          {Headers: map[string][]string{"x": {"a\x00"}}},
		"line break in a name":    {Headers: map[string][]string{"x\r\ny": {"a"}}},
		"space in a name":         {Headers: map[string][]string{"x y": {"a"}}},
		"no name":                 {Headers: map[string][]string{"": {"a"}}},
		"line break in a cookie":  {Cookies: []string{"a=b\r\n\r\n<script>"}},
		"too much":                {Headers: map[string][]string{"x": {long}}},
		"break in a dropped name": {Headers: map[string][]string{"connection": {"a\nb"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, stream := range []bool{false, true} {
				var got error
				w := setup(t, Options{Invoke: doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
					if !stream {
						got = sink.Answer(&runtime.Answer{Head: &h, Payload: []byte("secret")})
						return nil
					}
					got = sink.Begin(&h)
					sink.End(cove.Errorf(cove.CodeTimeout, "broke off as well"))
					return nil
				})}, function("f", "/"))
				res := w.send(w.client(false), "GET", "/", "")
				if p := res.problem(t); p.Code != cove.CodeInvalidResponse || p.Function != "f" || res.StatusCode != 502 || strings.Contains(res.text, "secret") {
					t.Errorf("%s %s", res.Status, res.text)
				}
				if res.Header.Get("Set-Cookie") != "" || cove.CodeOf(got) != cove.CodeInvalidResponse {
					t.Errorf("headers %v, error %v", res.Header, got)
				}
			}
		})
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	t.Run("each piece reaches the caller before the next is made", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, http2 bool) {
			seen := make(chan string)
			w := setup(t, Options{Invoke: doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
				if err := sink.Begin(&runtime.Head{Headers: map[string][]string{"content-type": {"text/event-stream"}}}); err != nil {
					t.Error(err)
				}
				for _, p := range []string{"data: 1\n\n", "data: 2\n\n"} {
					if err := sink.Chunk([]byte(p)); err != nil {
						t.Error(err)
					}
					select {
					case got := <-seen:
						if got != p {
							t.Errorf("the caller got %q, not %q", got, p)
						}
					case <-time.After(patience):
						t.Error("the piece did not reach the caller")
					}
				}
				sink.End(nil)
				return nil
			})}, function("f", "/"))
			res, err := w.client(http2).Get("http://" + w.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			buf := make([]byte, 100)
			for range 2 {
				n, err := io.ReadAtLeast(res.Body, buf, len("data: 1\n\n"))
				if err != nil {
					t.Fatal(err)
				}
				seen <- string(buf[:n])
			}
			if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 || res.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("end: %q %v %v", rest, err, res.Header)
			}
		})
	})
	t.Run("one that broke off is seen to be cut", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, http2 bool) {
			w := setup(t, Options{Invoke: doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
				_ = sink.Begin(&runtime.Head{})
				_ = sink.Chunk([]byte("half"))
				sink.End(cove.Errorf(cove.CodeTimeout, "too late"))
				return nil
			})}, function("f", "/"))
			res, err := w.client(http2).Get("http://" + w.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			if got, err := io.ReadAll(res.Body); err == nil || string(got) != "half" {
				t.Errorf("read %q and %v", got, err)
			}
		})
	})
	t.Run("HEAD gets the head and no pieces", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, http2 bool) {
			w := setup(t, Options{Invoke: doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
				if err := sink.Begin(&runtime.Head{Status: 202}); err != nil {
					t.Error(err)
				}
				if err := sink.Chunk([]byte("dropped")); err != nil {
					t.Error(err)
				}
				sink.End(nil)
				return nil
			})}, function("f", "/"))
			if res := w.send(w.client(http2), "HEAD", "/", ""); res.StatusCode != 202 || res.text != "" {
				t.Errorf("%s %q", res.Status, res.text)
			}
		})
	})
	t.Run("a caller who leaves ends the context and the writing", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, http2 bool) {
			done := make(chan error, 1)
			w := setup(t, Options{Invoke: doFunc(func(ctx context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
				_ = sink.Begin(&runtime.Head{})
				select {
				case <-ctx.Done():
				case <-time.After(patience):
					t.Error("the context does not end")
				}
				var err error
				for range 1000 {
					if err = sink.Chunk([]byte(strings.Repeat("x", 10_000))); err != nil {
						break
					}
				}
				done <- err
				sink.End(nil)
				return nil
			})}, function("f", "/"))
			ctx, leave := context.WithCancel(t.Context())
			r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+w.addr, nil)
			res, err := w.client(http2).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			leave()
			_ = res.Body.Close()
			if err := <-done; err == nil {
				t.Error("writing to nobody never failed")
			}
		})
	})
	t.Run("a caller who takes nothing is given up", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, http2 bool) {
			done := make(chan error, 1)
			w := setup(t, Options{WriteTimeout: 300 * time.Millisecond, Invoke: doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
				done <- sink.Answer(&runtime.Answer{Head: &runtime.Head{}, Payload: make([]byte, 64<<20)})
				return nil
			})}, function("f", "/"))
			res, err := w.client(http2).Get("http://" + w.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			select {
			case err := <-done:
				if err == nil {
					t.Error("64 MiB were written to a caller who reads nothing")
				}
			case <-time.After(patience):
				t.Error("still writing")
			}
		})
	})
	t.Run("silence within a stream is longer than the write timeout and does no harm", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, http2 bool) {
			w := setup(t, Options{WriteTimeout: 500 * time.Millisecond, Invoke: doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
				_ = sink.Begin(&runtime.Head{})
				_ = sink.Chunk([]byte("a"))
				time.Sleep(time.Second)
				if err := sink.Chunk([]byte("b")); err != nil {
					t.Error(err)
				}
				sink.End(nil)
				return nil
			})}, function("f", "/"))
			if res := w.send(w.client(http2), "GET", "/", ""); res.text != "ab" {
				t.Errorf("got %q", res.text)
			}
		})
	})
}

func FuzzAnswerHead(f *testing.F) {
	f.Add(200, "content-type", "text/plain", "a=b", []byte("x"), "GET")
	f.Add(0, "Connection", "close\r\n", "\n", []byte{}, "HEAD")
	f.Add(204, "content-length", "-1", "", []byte("x"), "GET")
	f.Fuzz(func(t *testing.T, status int, name, value, cookie string, body []byte, method string) {
		if method != "HEAD" {
			method = "GET"
		}
		w := httptest.NewRecorder()
		x := &exchange{g: New(Options{}), w: w, r: httptest.NewRequest(method, "/", nil), id: "id", version: function("f", "/")}
		err := x.Answer(&runtime.Answer{Head: &runtime.Head{
			Status: status, Headers: map[string][]string{name: {value, value}}, Cookies: []string{cookie},
		}, Payload: body})
		if err != nil && w.Code != 502 {
			t.Fatalf("status %d with %v", w.Code, err)
		}
		for n, values := range w.Header() {
			for _, v := range values {
				if strings.ContainsAny(n+v, "\r\n\x00") || n == "" {
					t.Fatalf("header %q: %q", n, v)
				}
			}
		}
		if w.Code < 200 || w.Code > 599 {
			t.Fatalf("status %d", w.Code)
		}
		if w.Header().Get("Connection") != "" || w.Header().Get("Transfer-Encoding") != "" {
			t.Fatalf("hop-by-hop: %v", w.Header())
		}
	})
}
