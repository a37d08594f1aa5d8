package apitest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/store"
)

// Surface is the events, the gateway, the machine and the bench runs of a Server.
type Surface struct {
	mu     sync.Mutex
	events map[string]map[string]store.Event
	runs   []wire.BenchRun
	// Tried is the last request that was composed.
	Tried *http.Request
}

// NewSurface has no events, and the runs given, the newest first.
func NewSurface(runs ...wire.BenchRun) *Surface {
	return &Surface{events: map[string]map[string]store.Event{}, runs: runs}
}

// Events are those of a function, by name.
func (s *Surface) Events(_ context.Context, function string) ([]store.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []store.Event
	for _, e := range s.events[function] {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b store.Event) int { return map[bool]int{true: -1, false: 1}[a.Name < b.Name] })
	return all, nil
}

// PutEvent keeps e.
func (s *Surface) PutEvent(_ context.Context, function string, e store.Event, limit int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events[function] == nil {
		s.events[function] = map[string]store.Event{}
	}
	if _, there := s.events[function][e.Name]; !there && len(s.events[function]) >= limit {
		return cove.Errorf(cove.CodeConflict, "the function %q has %d saved events", function, limit)
	}
	s.events[function][e.Name] = e
	return nil
}

// DeleteEvent forgets an event.
func (s *Surface) DeleteEvent(_ context.Context, function, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.events[function][name]; !there {
		return cove.Errorf(cove.CodeNotFound, "the function %q has no event %q", function, name)
	}
	delete(s.events[function], name)
	return nil
}

// Try answers by the path: "/large" 2 MiB of a character of three bytes, "/binary"
// what is no text, "/broken" half an answer, "/none" that there is no route, and
// all others with the request's body.
func (s *Surface) Try(w http.ResponseWriter, r *http.Request) (*cove.Invocation, bool) {
	s.mu.Lock()
	s.Tried = r
	s.mu.Unlock()
	w.Header().Set("X-Request-Id", "r-1")
	record := &cove.Invocation{ID: "r-1", Function: "hello", Version: 1, Instance: "i-1", Outcome: cove.OutcomeOK}
	switch r.URL.Path {
	case "/large":
		for range 1024 {
			_, _ = io.WriteString(w, string(slices.Repeat([]rune{'€'}, 683)))
		}
	case "/binary":
		_, _ = w.Write([]byte{0xff, 0xfe, 0})
	case "/broken":
		_, _ = io.WriteString(w, "half")
		return record, true
	case "/none":
		w.WriteHeader(http.StatusNotFound)
		return nil, false
	default:
		w.WriteHeader(http.StatusCreated)
		_, _ = io.Copy(w, r.Body)
	}
	return record, false
}

// Now is the same at all times.
func (s *Surface) Now() wire.Host { return wire.Host{CPUs: 2, CPU: 0.5, Memory: 8 * cove.GiB} }

// Start begins a run that stays as it is.
func (s *Surface) Start(o wire.BenchStart) (wire.BenchRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.State == "running" {
			return r, cove.Errorf(cove.CodeConflict, "the run %s is under way", r.ID)
		}
	}
	r := wire.BenchRun{ID: "20260102-030405", State: "running", Quick: o.Quick, Started: time.Unix(0, 0)}
	s.runs = append([]wire.BenchRun{r}, s.runs...)
	return r, nil
}

// List is every run, without reports.
func (s *Surface) List() []wire.BenchRun {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.runs)
	for i := range all {
		all[i].Report = nil
	}
	return all
}

// Get is one run.
func (s *Surface) Get(id string) (wire.BenchRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.ID == id {
			return r, nil
		}
	}
	return wire.BenchRun{}, cove.Errorf(cove.CodeNotFound, "there is no bench run %q", id)
}

// Remove cancels a run, or forgets it.
func (s *Surface) Remove(_ context.Context, id string) (wire.BenchRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range s.runs {
		switch {
		case r.ID != id:
		case r.State == "running":
			s.runs[i].State = "cancelled"
			return s.runs[i], nil
		default:
			s.runs = slices.Delete(s.runs, i, i+1)
			return r, nil
		}
	}
	return wire.BenchRun{}, cove.Errorf(cove.CodeNotFound, "there is no bench run %q", id)
}

// Report is a report with a bill of the no-op in two isolations.
func Report() json.RawMessage {
	return json.RawMessage(`{"schema": 1, "cost": {"bills": [
		{"subject": "no-op", "runtime": "python3.13", "isolation": "docker", "usage": {"cpu_s_per_1000_calls": 1, "cpu_s_per_start": 0.5, "cpu_s_per_idle_hour": 1, "memory_per_instance": "20MiB", "memory_standing": "20MiB", "call_ns": 1000000}},
		{"subject": "no-op", "runtime": "python3.13", "isolation": "gvisor", "usage": {"cpu_s_per_1000_calls": 2, "cpu_s_per_start": 0.6, "cpu_s_per_idle_hour": 2, "memory_per_instance": "40MiB", "memory_standing": "40MiB", "call_ns": 2000000}}
	]}}`)
}
