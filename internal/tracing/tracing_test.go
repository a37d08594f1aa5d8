package tracing_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// span is what a collector reads of one.
type span struct {
	TraceID, SpanID, ParentSpanID, Name string
	Kind                                int
	StartTimeUnixNano, EndTimeUnixNano  string
	Attributes                          []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
	Status struct {
		Code    int
		Message string
	}
}

// collector takes spans as one of OpenTelemetry does.
type collector struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []span
	status int
}

func setup(t *testing.T) (*collector, *tracing.Tracer) {
	t.Helper()
	c := &collector{status: http.StatusOK}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			ResourceSpans []struct {
				ScopeSpans []struct{ Spans []span }
			}
		}
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			return // the connection was cut
		}
		if err := json.Unmarshal(sent, &body); err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("got %s: %v", r.URL, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.spans = append(c.spans, body.ResourceSpans[0].ScopeSpans[0].Spans...)
		w.WriteHeader(c.status)
	}))
	t.Cleanup(c.Close)
	url, err := tracing.URL(c.Server.URL)
	if err != nil {
		t.Fatal(err)
	}
	tracer := tracing.New(url, "1.2.3", slog.New(slog.DiscardHandler))
	tracer.Run()
	return c, tracer
}

var call = cove.Invocation{
	ID: "r-1", Function: "hello", Version: 3, Isolation: "gvisor", Method: "GET", Path: "/hello", Start: cove.StartCold, Outcome: "timeout", Fault: cove.FaultFunction,
	Status: 504, Error: "too slow", Time: time.Unix(1000, 0),
	Timings: cove.Timings{Queue: time.Millisecond, Start: 20 * time.Millisecond, Run: time.Second, Total: 1100 * time.Millisecond},
}

func TestTracer(t *testing.T) {
	t.Parallel()

	t.Run("an invocation is a child of its caller's span, and its phases are its children", func(t *testing.T) {
		t.Parallel()
		c, tracer := setup(t)
		own := tracer.Start(parent)
		if !tracing.Valid(own) || own[:36] != parent[:36] || own == parent {
			t.Fatalf("got %s", own)
		}
		tracer.End(parent, own, &call)
		tracer.Close(t.Context())
		if len(c.spans) != 4 {
			t.Fatalf("got %+v", c.spans)
		}
		root := c.spans[0]
		if root.Name != "GET hello" || root.TraceID != parent[3:35] || root.SpanID != own[36:52] || root.ParentSpanID != parent[36:52] || root.Kind != 2 ||
			root.StartTimeUnixNano != "1000000000000" || root.EndTimeUnixNano != "1001100000000" || root.Status.Code != 2 || root.Status.Message != "too slow" {
			t.Errorf("got %+v", root)
		}
		names := ""
		for _, s := range c.spans[1:] {
			names += s.Name + " "
			if s.ParentSpanID != root.SpanID || s.TraceID != root.TraceID {
				t.Errorf("got %+v", s)
			}
		}
		if names != "queue start run " || c.spans[3].StartTimeUnixNano != "1000021000000" {
			t.Errorf("got %s, %+v", names, c.spans[3])
		}
	})

	t.Run("without a caller's span it begins a trace", func(t *testing.T) {
		t.Parallel()
		c, tracer := setup(t)
		for _, none := range []string{"", "nonsense", strings.ToUpper(parent), "00-" + strings.Repeat("0", 32) + parent[35:], "ff" + parent[2:], parent + "-x"} {
			own := tracer.Start(none)
			if !tracing.Valid(own) || own[3:35] == parent[3:35] {
				t.Errorf("of %q: got %s", none, own)
			}
			tracer.End(none, own, &call)
		}
		tracer.Close(t.Context())
		if len(c.spans) != 6*4 || c.spans[0].ParentSpanID != "" {
			t.Errorf("got %+v", c.spans)
		}
	})

	t.Run("a trace that is not sampled is passed on and not told", func(t *testing.T) {
		t.Parallel()
		c, tracer := setup(t)
		quiet := parent[:53] + "00"
		own := tracer.Start(quiet)
		tracer.End(quiet, own, &call)
		tracer.Close(t.Context())
		if own[53:] != "00" || len(c.spans) != 0 {
			t.Errorf("got %s, %+v", own, c.spans)
		}
	})

	t.Run("a collector that fails, or is away, holds nobody up", func(t *testing.T) {
		t.Parallel()
		c, tracer := setup(t)
		c.status = http.StatusServiceUnavailable
		for range 10_000 {
			tracer.End("", tracer.Start(""), &call)
		}
		c.CloseClientConnections()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		tracer.Close(ctx)
		if ctx.Err() != nil {
			t.Error("it took too long")
		}
	})

	t.Run("a collector that does not answer does not hold up the end", func(t *testing.T) {
		t.Parallel()
		came := make(chan struct{}, 1)
		silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			came <- struct{}{}
			<-r.Context().Done()
		}))
		t.Cleanup(silent.Close)
		tracer := tracing.New(silent.URL, "1.2.3", slog.New(slog.DiscardHandler))
		tracer.Run()
		for range 600 {
			tracer.End("", tracer.Start(""), &call)
		}
		<-came
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		tracer.Close(ctx)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestURL(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"http://127.0.0.1:4318": "http://127.0.0.1:4318/v1/traces", "https://c.example/": "https://c.example/v1/traces", "http://c:1/otlp/v1/traces": "http://c:1/otlp/v1/traces",
		"127.0.0.1:4318": "", "ftp://c": "", "http://": "",
	} {
		if got, err := tracing.URL(given); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v", given, got, err)
		}
	}
}
