// Package apitest runs the control API with parts that live in memory, for
// tests of the API itself, of its client and of the command line.
package apitest

import (
	"context"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/auth"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/events"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/logs"
	"github.com/covefn/cove/internal/metrics"
	"github.com/covefn/cove/internal/runtime"
	"github.com/covefn/cove/internal/settings"
	"github.com/covefn/cove/internal/store"
	"github.com/covefn/cove/internal/store/sqlite"
)

// Server is a control API without a daemon behind it. Its functions do not run:
// what an invocation answers depends on the function's name (see Do).
type Server struct {
	*httptest.Server
	API   *api.API
	Admin string
	// Invoker is a token of role invoke for the function "hello" only.
	Invoker   string
	Functions *Functions
	Auth      *auth.Service
	// Store keeps who may call, the settings and the audit log.
	Store   *sqlite.Store
	Surface *Surface
	Events  *events.Hub
	// Recorder and Metrics know of Calls.
	Recorder *metrics.Recorder
	Metrics  *metrics.Service

	mu    sync.Mutex
	state string
	lines []logs.Line
}

// Start starts a Server that ends with the test. The options that change sets
// are kept.
func Start(t testing.TB, change ...func(*api.Options)) *Server {
	t.Helper()
	s := &Server{Functions: NewFunctions(), Surface: NewSurface(), state: "ok", Events: events.NewHub(nil)}
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "cove.db"), filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s.Store = db
	service, err := auth.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	s.Auth = service
	kept, err := settings.New(t.Context(), db, store.Prices{VCPUHour: 0.04, GiBHour: 0.004, Currency: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Admin, _, err = service.Create(t.Context(), "admin", auth.RoleAdmin, nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if s.Invoker, _, err = service.Create(t.Context(), "caller", auth.RoleInvoke, []string{"hello"}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	s.Recorder, s.Metrics = openMetrics(t, dir, kept)
	o := api.Options{Metrics: s.Metrics, Access: service, Tokens: service, Users: service, Audit: db, Settings: kept, Functions: s.Functions, Invoker: s, Instances: s, Logs: s, Events: s.Events, System: s, SavedEvents: s.Surface, Routes: s.Surface, Host: s.Surface, Bench: s.Surface}
	for _, c := range change {
		c(&o)
	}
	s.API = api.New(o)
	s.Server = httptest.NewServer(s.API)
	t.Cleanup(s.Close)
	return s
}

// SetState changes what /readyz tells.
func (s *Server) SetState(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

// State is what /readyz tells.
func (s *Server) State() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Log adds a line to a function's log.
func (s *Server) Log(function, requestID, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, logs.Line{ID: int64(len(s.lines) + 1), Time: time.Now(), Function: function, Version: 1, Instance: "i-1", RequestID: requestID, Stream: logs.StreamStdout, Level: logs.LevelOf(text), Text: text})
}

// Tail is the log.
func (s *Server) Tail(function, requestID string, n int) []logs.Line {
	page, _ := s.Find(context.Background(), logs.Query{Function: function, RequestID: requestID, Limit: n})
	return page.Lines
}

// Find is the log.
func (s *Server) Find(_ context.Context, q logs.Query) (logs.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var page logs.Page
	for _, l := range s.lines {
		if q.Matches(&l) {
			page.Lines = append(page.Lines, l)
		}
	}
	if n := len(page.Lines) - q.Limit; n > 0 {
		page.Lines = page.Lines[n:]
		if q.Limit > 0 {
			page.Next = page.Lines[0].ID
		}
	}
	return page, nil
}

// Follow tells one new line and ends.
func (s *Server) Follow(ctx context.Context, q logs.Query) (*logs.Follower, error) {
	following, stop := context.WithCancel(ctx)
	book := logs.NewBook()
	s.mu.Lock()
	for range s.lines { // So that the new one is newer than they are.
		book.Stream("another", 1, "i-1").Say("")
	}
	s.mu.Unlock()
	f, err := book.Follow(following, q)
	book.Stream(q.Function, 1, "i-1").Say("a new line")
	stop()
	return f, err
}

// Do answers the payload, but for functions with names of their own: "raises",
// "slow" (past its timeout), "busy" (no instance), "streams".
func (s *Server) Do(_ context.Context, r *invoke.Request, sink invoke.Sink) (*cove.Invocation, *cove.Error) {
	s.Log(r.Version.Function, r.ID, "called")
	i := &cove.Invocation{ID: r.ID, Function: r.Version.Function, Version: r.Version.Number, Instance: "i-1", Kind: r.Kind, Start: cove.StartWarm, Outcome: cove.OutcomeOK}
	if r.Version.Disabled {
		return i, cove.Errorf(cove.CodeDisabled, "the function %s is disabled", r.Version.Function)
	}
	switch r.Version.Function {
	case "raises":
		return i, &cove.Error{Code: cove.CodeFunctionError, Message: "the handler raised an error", Function: &cove.FunctionError{Type: "ValueError", Message: "no"}}
	case "slow":
		return i, cove.Errorf(cove.CodeTimeout, "the function ran past its timeout of 10s")
	case "busy":
		return i, &cove.Error{Code: cove.CodeOverloaded, Message: "no instance was free in time", RetryAfter: time.Second}
	case "streams":
		_ = sink.Begin(&runtime.Head{})
		_ = sink.Chunk([]byte("a piece, "))
		_ = sink.Chunk([]byte("another"))
		sink.End(nil)
		return i, nil
	}
	payload := r.Payload
	if len(payload) == 0 {
		payload = []byte("null")
	}
	_ = sink.Answer(&runtime.Answer{Payload: payload})
	return i, nil
}

// Isolations are one that works and one that does not.
func (s *Server) Isolations(context.Context) []driver.Report {
	return []driver.Report{
		{Isolation: "gvisor", Available: true, Version: "runsc 1", Features: []driver.Feature{driver.FeatureMount}, Overhead: 32 * cove.MiB},
		{Isolation: "docker", Reason: "no daemon answers", Fix: "systemctl start docker"},
	}
}

// Runtimes is one.
func (s *Server) Runtimes() []wire.Runtime {
	return []wire.Runtime{{Name: "python3.13", Language: "python", Version: "3.13.5", Extension: ".py", Handler: "main.handler", Aliases: []string{"python"}, Available: true}}
}

// Info is the same at all times.
func (s *Server) Info() wire.System {
	return wire.System{Version: "1.2.3", Started: time.Unix(0, 0), Data: "/data", Gateway: "http://gateway", Isolation: "gvisor", MemoryBudget: cove.GiB}
}

// Instances is one idle instance.
func (s *Server) Instances(string) wire.Instances { return wire.Instances{Idle: 1} }
