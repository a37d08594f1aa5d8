package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
)

// moody is a function that does what the query asks for.
const moody = `
import os, time

def handler(event, context):
    mood = event["queryStringParameters"]["mood"]
    if mood == "error":
        raise ValueError("as asked for")
    if mood == "exit":
        os._exit(7)
    if mood == "sleep":
        time.sleep(30)
    return {"statusCode": 201 if mood == "created" else 200, "body": context.traceparent or "none"}
`

// moods are what moody can be asked for, the outcome of each, and of how many calls
// one is of it.
var moods = []struct {
	name    string
	outcome string
	every   int
}{
	{"sleep", string(cove.CodeTimeout), 211},
	{"exit", string(cove.CodeRuntimeExited), 97},
	{"error", string(cove.CodeFunctionError), 17},
	{"created", cove.OutcomeOK, 5},
	{"well", cove.OutcomeOK, 1},
}

// tally counts calls by function and outcome.
type tally struct {
	mu     sync.Mutex
	counts map[string]map[string]int64
}

func (c *tally) add(function, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts[function] == nil {
		c.counts[function] = map[string]int64{}
	}
	c.counts[function][outcome]++
}

// deployMoody deploys a moody function on each isolation, and says how they are
// called.
func deployMoody(t *testing.T, h *harness) []string {
	t.Helper()
	var names []string
	for _, isolation := range isolations {
		cfg := function("moody-"+isolation, "python", isolation)
		cfg.Timeout = cove.Duration(time.Second)
		cfg.QueueTimeout = cove.Duration(time.Minute)
		cfg.Scaling = cove.Scaling{Max: 4, Queue: 1000}
		h.deploy(t, cfg, files{"main.py": moody})
		names = append(names, cfg.Name)
	}
	return names
}

// outcomeTold is the outcome that an answer tells.
func outcomeTold(a answer) string {
	if a.Status < 300 {
		return cove.OutcomeOK
	}
	var p cove.Problem
	if err := json.Unmarshal([]byte(a.Body), &p); err != nil {
		return "no problem document: " + err.Error()
	}
	return string(p.Code)
}

// callMoody makes n calls, four at once, and counts what each was answered.
func callMoody(t *testing.T, h *harness, names []string, n int, c *tally) {
	t.Helper()
	var next atomic.Int64
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for {
				i := int(next.Add(1))
				if i > n || t.Failed() {
					return
				}
				mood := 0
				for i%moods[mood].every != 0 {
					mood++
				}
				name := names[i%len(names)]
				ctx, cancel := context.WithTimeout(t.Context(), requestTime)
				// A POST is never sent a second time by the client itself.
				a, err := h.try(ctx, request{Method: http.MethodPost, Path: "/" + name + "?mood=" + moods[mood].name})
				cancel()
				told := outcomeTold(a)
				// On a machine that is busy with other things any call may run into the
				// timeout; what counts is what its caller was told.
				if err != nil || told != moods[mood].outcome && told != string(cove.CodeTimeout) {
					t.Errorf("call %d, %s of %s: got %d %s, want %s: %v", i, moods[mood].name, name, a.Status, told, moods[mood].outcome, err)
					return
				}
				c.add(name, told)
			}
		})
	}
	callers.Wait()
}

// told says how what the control API has of the last hour differs from c, "" if
// it does not.
func (c *tally) told(t *testing.T, h *harness) string {
	t.Helper()
	out, err := h.Client.Metrics(t.Context(), client.MetricsQuery{GroupBy: "function"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]int64{}
	for _, g := range out.Groups {
		got[g.Function] = g.Total.Outcomes
	}
	return differ(got, c.counts)
}

func differ(got, want map[string]map[string]int64) string {
	for name, outcomes := range want {
		if !maps.Equal(got[name], outcomes) {
			return fmt.Sprintf("%s: got %v, want %v", name, got[name], outcomes)
		}
	}
	return ""
}

var sample = regexp.MustCompile(`(?m)^cove_invocations_total\{(.*)\} (\S+)$`)

// scraped are the counts that Prometheus is told.
func (h *harness) scraped(t *testing.T) map[string]map[string]int64 {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.API+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.Token)
	answer, err := h.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%d, %v: %s", answer.StatusCode, err, body)
	}
	all := map[string]map[string]int64{}
	for _, m := range sample.FindAllStringSubmatch(string(body), -1) {
		labels := map[string]string{}
		for label := range strings.SplitSeq(m[1], ",") {
			name, value, _ := strings.Cut(label, "=")
			labels[name] = strings.Trim(value, `"`)
		}
		n, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		if all[labels["function"]] == nil {
			all[labels["function"]] = map[string]int64{}
		}
		all[labels["function"]][labels["outcome"]] += int64(n)
	}
	return all
}

// recorded are the counts of single records, read page by page.
func (h *harness) recorded(t *testing.T) map[string]map[string]int64 {
	t.Helper()
	all := map[string]map[string]int64{}
	for q := (client.InvocationQuery{Limit: 1000}); ; {
		page, err := h.Client.Invocations(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Items {
			v := &page.Items[i]
			if all[v.Function] == nil {
				all[v.Function] = map[string]int64{}
			}
			all[v.Function][v.Outcome]++
		}
		if q.Before = page.Next; page.Next == "" {
			return all
		}
	}
}

// agree checks that the load generator, the control API, Prometheus and the
// records say the same.
func agree(t *testing.T, h *harness, c *tally) {
	t.Helper()
	if d := differ(h.scraped(t), c.counts); d != "" {
		t.Errorf("Prometheus: %s", d) // At once: it is told from memory.
	}
	eventually(t, 10*time.Second, func() string { return c.told(t, h) })
	if d := differ(h.recorded(t), c.counts); d != "" {
		t.Errorf("records: %s", d)
	}
	if r, err := h.Client.Recording(t.Context()); err != nil || r.Dropped != 0 {
		t.Errorf("recording: %+v, %v", r, err)
	}
}

// Thousands of calls, with failures of each kind in known numbers: what was
// counted agrees exactly everywhere, and outlives the daemon.
func TestFiguresAgreeExactly(t *testing.T) {
	t.Parallel()
	h := start(t, options{Plain: true})
	names := deployMoody(t, h)
	c := &tally{counts: map[string]map[string]int64{}}
	callMoody(t, h, names, 2000, c)
	agree(t, h, c)

	t.Run("one call is told with its request, its error and its log", func(t *testing.T) {
		const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
		a := h.do(t, request{Path: "/" + names[0] + "?mood=error", Header: http.Header{"Traceparent": {"00-" + trace + "-00f067aa0ba902b7-01"}}})
		c.add(names[0], string(cove.CodeFunctionError))
		v, err := h.Client.Invocation(t.Context(), a.Header.Get("X-Request-Id"))
		if err != nil {
			t.Fatal(err)
		}
		if v.Error != "ValueError: as asked for" || v.ErrorType != "ValueError" || v.Method != "GET" || v.Path != "/"+names[0] || v.Trace != trace ||
			v.Fault != cove.FaultFunction || v.Billed < time.Millisecond || v.Billed%time.Millisecond != 0 || len(v.Logs) == 0 || v.Cost.Total <= 0 {
			t.Errorf("got %+v", v)
		}
		if out := h.cove(t, "invocations", "--id", v.ID); !strings.Contains(out.Stdout, "ValueError: as asked for") {
			t.Errorf("cove invocations: %s", out.Stdout)
		}
		if out := h.cove(t, "stats"); !strings.Contains(out.Stdout, names[0]) {
			t.Errorf("cove stats: %s", out.Stdout)
		}
		if out := h.cove(t, "top"); !strings.Contains(out.Stdout, names[0]) {
			t.Errorf("cove top: %s", out.Stdout)
		}
	})

	t.Run("nothing is lost when it is told to end", func(t *testing.T) {
		callMoody(t, h, names, 100, c)
		h.stop(t)
		h.launch(t)
		if d := c.told(t, h); d != "" {
			t.Error(d)
		}
		if d := differ(h.recorded(t), c.counts); d != "" {
			t.Errorf("records: %s", d)
		}
	})

	t.Run("nothing but the last second is lost when it is killed", func(t *testing.T) {
		callMoody(t, h, names, 100, c)
		time.Sleep(time.Second) // That is what is promised.
		before := maps.Clone(c.counts[names[0]])
		for range 20 {
			h.get(t, "/"+names[0]+"?mood=well")
		}
		h.kill(t)
		h.launch(t)
		out, err := h.Client.Metrics(t.Context(), client.MetricsQuery{Function: names[0]})
		if err != nil {
			t.Fatal(err)
		}
		got := out.Groups[0].Total.Outcomes
		if got["ok"] < before["ok"] || got["ok"] > before["ok"]+20 {
			t.Errorf("%d calls are told, want %d and up to 20 more", got["ok"], before["ok"])
		}
		var records int64
		for _, n := range h.recorded(t)[names[0]] {
			records += n
		}
		if total := out.Groups[0].Total.Invocations; records != total {
			t.Errorf("%d calls are counted, and %d recorded", total, records)
		}
	})
}
