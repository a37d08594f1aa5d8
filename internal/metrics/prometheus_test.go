package metrics

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/covefn/cove"
)

// scrape is what Prometheus is told of a recorder with one call of each kind, and
// of levels.
func scrape(t *testing.T) string {
	t.Helper()
	f := setup(t)
	p := NewPrometheus(f.recorder, func() Levels {
		return Levels{
			Instances: []InstanceLevel{{Function: "hello", Isolation: "gvisor", Idle: 1}, {Function: "hello", Isolation: "gvisor", Busy: 2, Queued: 3}},
			Stems:     []StemLevel{{Runtime: "python3.13", Isolation: "gvisor", Ready: 1}, {Runtime: "python3.13", Isolation: "gvisor", Ready: 1, Taken: 4}},
			Budget:    cove.GiB, Functions: 1,
		}
	}, "1.2.3")
	p.Late(1500 * time.Microsecond)
	call := cove.Invocation{Function: "hello", Version: 1, Isolation: "gvisor", Outcome: "ok", Start: cove.StartWarm, Time: time.Now(), Timings: cove.Timings{Run: 1e6, Total: 3e6}}
	f.recorder.Record(&call)
	f.flush()
	call.Version, call.Outcome, call.Timings.Total = 2, "timeout", 20*time.Minute
	f.recorder.Record(&call)
	answer := httptest.NewRecorder()
	p.ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.Code != 200 {
		t.Fatalf("%d: %v\n%s", answer.Code, err, body)
	}
	return string(body)
}

func TestPrometheus(t *testing.T) {
	t.Parallel()
	text := scrape(t)

	t.Run("tells of what is written and of what is not yet, once, of all versions together", func(t *testing.T) {
		t.Parallel()
		for _, line := range []string{
			`cove_invocations_total{fault="",function="hello",isolation="gvisor",outcome="ok",start="warm"} 1`,
			`cove_invocations_total{fault="function",function="hello",isolation="gvisor",outcome="timeout",start="warm"} 1`,
			`cove_invocation_duration_seconds_bucket{function="hello",isolation="gvisor",le="0.002"} 0`,
			`cove_invocation_duration_seconds_bucket{function="hello",isolation="gvisor",le="0.005"} 1`,
			`cove_invocation_duration_seconds_bucket{function="hello",isolation="gvisor",le="900"} 1`,
			`cove_invocation_duration_seconds_bucket{function="hello",isolation="gvisor",le="+Inf"} 2`,
			`cove_invocation_duration_seconds_count{function="hello",isolation="gvisor"} 2`,
			`cove_instances{function="hello",isolation="gvisor",state="busy"} 2`,
			`cove_instances{function="hello",isolation="gvisor",state="idle"} 1`,
			`cove_queued_requests{function="hello",isolation="gvisor"} 3`,
			`cove_stem_cells{isolation="gvisor",runtime="python3.13",state="ready"} 2`,
			`cove_stem_cells_taken_total{isolation="gvisor",runtime="python3.13"} 4`,
			`cove_deadline_overshoot_seconds_bucket{le="0.002"} 1`,
			`cove_sandboxes_stuck 0`, `cove_records_total 1`, `cove_records_dropped_total 0`, `cove_functions 1`,
		} {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("there is no %s", line)
			}
		}
		for _, part := range []string{`cove_build_info{goversion="go`, `version="1.2.3"} 1`, "go_goroutines ", "process_resident_memory_bytes "} {
			if !strings.Contains(text, part) {
				t.Errorf("there is no %s", part)
			}
		}
	})

	exported := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z_]+)[{ ]`).FindAllStringSubmatch(text, -1) {
		exported[m[1]] = true
	}
	named := regexp.MustCompile(`\b(?:cove|go|process)_[a-z_]+`)
	check := func(t *testing.T, where, expr string) {
		t.Helper()
		names := named.FindAllString(expr, -1)
		if len(names) == 0 {
			t.Errorf("%s: no metric in %q", where, expr)
		}
		for _, name := range names {
			if !exported[name] {
				t.Errorf("%s: there is no metric %s", where, name)
			}
		}
	}

	t.Run("the dashboard shows metrics that there are", func(t *testing.T) {
		t.Parallel()
		data, err := os.ReadFile("../../deploy/grafana/cove.json")
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
			Templating struct {
				List []struct {
					Name  string
					Type  string
					Query any
				}
			}
		}
		if err := json.Unmarshal(data, &board); err != nil {
			t.Fatal(err)
		}
		if len(board.Panels) < 10 {
			t.Errorf("it has %d panels", len(board.Panels))
		}
		for _, p := range board.Panels {
			if len(p.Targets) == 0 {
				t.Errorf("%s shows nothing", p.Title)
			}
			for _, target := range p.Targets {
				check(t, p.Title, target.Expr)
			}
		}
	})

	t.Run("the alert rules are about metrics that there are, and say what to do", func(t *testing.T) {
		t.Parallel()
		data, err := os.ReadFile("../../deploy/prometheus/alerts.yml")
		if err != nil {
			t.Fatal(err)
		}
		var rules struct {
			Groups []struct {
				Rules []struct {
					Alert, Expr, For    string
					Labels, Annotations map[string]string
				}
			}
		}
		if err := yaml.Unmarshal(data, &rules); err != nil {
			t.Fatal(err)
		}
		for _, g := range rules.Groups {
			for _, r := range g.Rules {
				check(t, r.Alert, r.Expr)
				if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
					t.Errorf("%s says too little", r.Alert)
				}
			}
		}
	})
}
