package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/internal/api/apitest"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	c, err := client.New(s.URL, s.Admin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	get := func(t *testing.T, path string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.Admin)
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}

	t.Run("what is asked for wrongly is told with the field", func(t *testing.T) {
		t.Parallel()
		for path, field := range map[string]string{
			"/metrics/query?from=yesterday":         "from",
			"/metrics/query?to=2026":                "to",
			"/metrics/query?step=90s":               "step",
			"/metrics/query?step=1m&from=-2d":       "step",
			"/metrics/query?from=-1h&to=-2h":        "from",
			"/metrics/query?version=1":              "function",
			"/metrics/query?group_by=colour":        "group_by",
			"/metrics/gauges?step=0":                "step",
			"/metrics/gauges?from=-99999999999999d": "from",
			"/invocations?before=x":                 "before",
			"/invocations?limit=1001":               "limit",
			"/invocations?fault=mine":               "fault",
			"/invocations?from=soon":                "from",
		} {
			status, body := get(t, "/api/v1"+path)
			var p cove.Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil || status != http.StatusBadRequest || len(p.Errors) != 1 || p.Errors[0].Field != field {
				t.Errorf("%s: %d %.500s", path, status, body)
			}
		}
	})

	t.Run("a query has totals, groups, points and buckets", func(t *testing.T) {
		t.Parallel()
		out, err := c.Metrics(t.Context(), client.MetricsQuery{Range: client.Range{From: "-1h", Step: "1m"}, GroupBy: "function", Histogram: true})
		if err != nil || len(out.Groups) != 2 || len(out.Bounds) == 0 {
			t.Fatalf("got %+v, %v", out, err)
		}
		g := out.Groups[0]
		var sum int64
		for _, n := range g.Total.Histogram {
			sum += n
		}
		if g.Function != "hello" || g.Total.Invocations != 3 || g.Total.Faults[cove.FaultFunction] != 1 || sum != 3 || len(g.Points) < 60 || g.Total.Cost.CPU <= 0 {
			t.Errorf("got %+v", g.Total)
		}
	})

	t.Run("records are listed page by page, and one is told with its log", func(t *testing.T) {
		t.Parallel()
		var got []string
		for q := (client.InvocationQuery{Limit: 3}); ; {
			page, err := c.Invocations(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for i := range page.Items {
				got = append(got, page.Items[i].ID)
			}
			if q.Before = page.Next; page.Next == "" {
				break
			}
		}
		if strings.Join(got, " ") != "call-else-0004 call-fail-0003 call-slow-0002 call-fast-0001" {
			t.Errorf("got %v", got)
		}
		s.Log("hello", "call-slow-0002", "it takes long")
		v, err := c.Invocation(t.Context(), "call-slow-0002")
		if err != nil || len(v.Logs) != 1 || v.Start != cove.StartCold || v.Cost.Total <= 0 {
			t.Errorf("got %+v, %v", v, err)
		}
		if _, err := c.Invocation(t.Context(), "nobody"); cove.CodeOf(err) != cove.CodeNotFound {
			t.Errorf("got %v", err)
		}
	})

	t.Run("a search takes its text as it is", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"%", "_", "'", `"; DROP TABLE invocations; --`} {
			if status, body := get(t, "/api/v1/invocations?q="+url.QueryEscape(text)); status != http.StatusOK || !strings.Contains(body, `"items":[]`) {
				t.Errorf("%s: %d %s", text, status, body)
			}
		}
	})

	t.Run("Prometheus reads /metrics", func(t *testing.T) {
		t.Parallel()
		status, body := get(t, "/metrics")
		if status != http.StatusOK || !strings.Contains(body, `cove_invocations_total{fault="function",function="hello",isolation="gvisor",outcome="function_error",start="warm"} 1`) {
			t.Errorf("%d %s", status, body)
		}
	})
}
