package gateway

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/route"
	"github.com/covefn/cove/internal/runtime"
)

// discard is a ResponseWriter that costs nothing, so that only the gateway is
// measured.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkRequest is what the gateway adds to net/http for a warm request.
func BenchmarkRequest(b *testing.B) {
	head := &runtime.Head{Status: 200, Headers: map[string][]string{"content-type": {"application/json"}}}
	a := &runtime.Answer{Head: head, Payload: []byte(`{"hello":"world"}`)}
	v := function("hello", "/hello/{name}")
	table := route.NewTable[*cove.Version]()
	p, err := route.Parse(v.Config.Route)
	if err != nil {
		b.Fatal(err)
	}
	if err := table.Set("hello", p, nil, v); err != nil {
		b.Fatal(err)
	}
	g := New(Options{Routes: table, Invoke: doFunc(func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
		_ = sink.Answer(a)
		return nil
	})})
	for name, body := range map[string]string{"GET": "", "POST": `{"name":"x"}`} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(name, "/hello/world?x=1", nil)
			r.Header = http.Header{"User-Agent": {"bench/1"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "Content-Type": {"application/json"}}
			w := &discard{h: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				if body != "" {
					r.Body, r.ContentLength = readCloser{strings.NewReader(body)}, int64(len(body))
				}
				g.ServeHTTP(w, r)
			}
		})
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// BenchmarkServer is a warm request over a socket: the gateway, and beside it a
// handler of net/http that does nothing else than answer the same.
func BenchmarkServer(b *testing.B) {
	v := function("hello", "/hello/{name}")
	table := route.NewTable[*cove.Version]()
	p, err := route.Parse(v.Config.Route)
	if err != nil {
		b.Fatal(err)
	}
	if err := table.Set("hello", p, nil, v); err != nil {
		b.Fatal(err)
	}
	type server interface {
		Serve(l net.Listener) error
		Close() error
	}
	for name, start := range map[string]func() server{
		"gateway": func() server { return New(Options{Routes: table, Invoke: text(`{"hello":"world"}`)}).Server() },
		"net-http": func() server {
			return &http.Server{ReadHeaderTimeout: DefaultHeadTimeout, IdleTimeout: DefaultIdleTimeout,
				Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/plain")
					_, _ = w.Write([]byte(`{"hello":"world"}`))
				})}
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := start()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() { _ = s.Serve(l) })
			defer wg.Wait()
			defer func() { _ = s.Close() }()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			request := []byte("GET /hello/world HTTP/1.1\r\nHost: h\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\r\n")
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(request); err != nil {
					b.Fatal(err)
				}
				// The answer is small and leaves in one piece.
				if _, err := c.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
