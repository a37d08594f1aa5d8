package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
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
