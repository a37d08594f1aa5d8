package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A call is told to a collector of OpenTelemetry as a child of its caller's span,
// and the function can go on with the trace.
func TestTraces(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var bodies []string
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("got no JSON: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, string(body))
	}))
	defer collector.Close()
	h := start(t, options{Args: []string{"--otlp-endpoint", collector.URL}})
	h.deploy(t, function("traced", "python", "gvisor"), files{"main.py": moody})

	const trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	a := h.want(t, http.StatusOK, request{Path: "/traced?mood=well", Header: http.Header{"Traceparent": {"00-" + trace + "-" + caller + "-01"}}})
	own := strings.Split(a.Body, "-")
	if len(own) != 4 || own[1] != trace || own[2] == caller {
		t.Fatalf("the function was handed %q", a.Body)
	}
	eventually(t, 20*time.Second, func() string {
		mu.Lock()
		defer mu.Unlock()
		all := strings.Join(bodies, "\n")
		for _, part := range []string{`"traceId":"` + trace + `"`, `"spanId":"` + own[2] + `"`, `"parentSpanId":"` + caller + `"`, `"parentSpanId":"` + own[2] + `"`, `"name":"GET traced"`, `"name":"run"`} {
			if !strings.Contains(all, part) {
				return "there is no " + part + " in " + all
			}
		}
		return ""
	})
	if a := h.want(t, http.StatusOK, request{Path: "/traced?mood=well"}); strings.Count(a.Body, "-") != 3 {
		t.Errorf("without a caller's span the function was handed %q", a.Body)
	}
}
