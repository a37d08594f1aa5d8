package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

func TestEveryTemplateAnswersItsEvent(t *testing.T) {
	h := start(t, options{})
	templates, err := h.Client.Templates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tmpl := range templates {
		t.Run(tmpl.Name, func(t *testing.T) {
			code := files{}
			for path, content := range tmpl.Files {
				code[path] = string(content)
			}
			h.deploy(t, tmpl.Config, code)
			defer h.remove(t, tmpl.Name)
			r := h.invoke(t, tmpl.Name, string(tmpl.Event))
			if r.Outcome != cove.OutcomeOK || len(r.Answer) == 0 || len(r.Logs) == 0 {
				t.Errorf("called with %s: %+v", tmpl.Event, r)
			}
			if strings.Contains(string(r.Answer), `"statusCode":4`) {
				t.Errorf("called with %s it answered %s", tmpl.Event, r.Answer)
			}
			read, err := h.Client.VersionFiles(t.Context(), tmpl.Name, 1)
			if err != nil || len(read.Files) != len(tmpl.Files) || len(read.Skipped) != 0 {
				t.Errorf("its files are %v: %v", read, err)
			}
			f, err := h.Client.WarmFirst().PatchFiles(t.Context(), tmpl.Name, map[string]*wire.File{"note.txt": new(wire.File("x"))}, 0)
			if err != nil || f.Version.Number != 2 || f.Version.Package.Files != len(tmpl.Files)+1 || f.Warmed == nil || f.Warmed.Ready == 0 {
				t.Errorf("with another file: %+v, %v", f, err)
			}
		})
	}
}

func TestADisabledFunctionAnswersNothing(t *testing.T) {
	h := start(t, options{})
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			name := "off-" + isolation
			h.deploy(t, function(name, "python", isolation), sleeper("python"))
			h.want(t, http.StatusOK, request{Path: "/" + name + "?s=0"})
			h.whileBusy(t, name, func() {
				f, err := h.Client.Disable(t.Context(), name, 0)
				if err != nil || !f.Disabled {
					t.Fatalf("got %+v, %v", f, err)
				}
				if a := h.want(t, http.StatusServiceUnavailable, request{Path: "/" + name + "?s=0"}); !strings.Contains(a.Body, string(cove.CodeDisabled)) {
					t.Errorf("its route answers %s", a.Body)
				}
				if _, err := h.Client.Invoke(t.Context(), name, nil); cove.CodeOf(err) != cove.CodeDisabled {
					t.Errorf("a direct call: %v", err)
				}
			})
			h.withoutInstances(t, name)
			if out := h.cove(t, "ls"); !strings.Contains(out.Stdout, "disabled") {
				t.Errorf("cove ls says\n%s", out.Stdout)
			}
			if _, err := h.Client.Enable(t.Context(), name, 0); err != nil {
				t.Fatal(err)
			}
			h.want(t, http.StatusOK, request{Path: "/" + name + "?s=0"})
		})
	}
	t.Run("a restart does not enable it, and a change neither", func(t *testing.T) {
		name := "off-" + isolations[0]
		if _, err := h.Client.Disable(t.Context(), name, 0); err != nil {
			t.Fatal(err)
		}
		h.stop(t)
		h.launch(t)
		h.want(t, http.StatusServiceUnavailable, request{Path: "/" + name + "?s=0"})
		f, err := h.Client.Patch(t.Context(), name, map[string]any{"scaling": map[string]any{"min": 1}}, 0)
		if err != nil || !f.Disabled {
			t.Fatalf("got %+v, %v", f, err)
		}
		h.want(t, http.StatusServiceUnavailable, request{Path: "/" + name + "?s=0"})
		h.withoutInstances(t, name)
	})
}

// whileBusy calls do while a call of a sleeper is under way, which must then end
// well.
func (h *harness) whileBusy(t *testing.T, name string, do func()) {
	t.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if a, err := h.try(t.Context(), request{Path: "/" + name + "?s=2"}); err != nil || a.Status != http.StatusOK {
			t.Errorf("the call that was under way: %+v, %v", a, err)
		}
	})
	h.waitBusy(t, name, 1)
	do()
}

// withoutInstances waits until a function has none.
func (h *harness) withoutInstances(t *testing.T, name string) {
	t.Helper()
	eventually(t, 30*time.Second, func() string {
		f, err := h.Client.Function(t.Context(), name)
		if err != nil {
			return err.Error()
		}
		if f.Instances.Total() > 0 {
			return fmt.Sprintf("%s still has %+v", name, f.Instances)
		}
		return ""
	})
}

func TestComposedRequests(t *testing.T) {
	h := start(t, options{})
	cfg := function("composed", "python", isolations[1])
	cfg.Auth, cfg.Timeout, cfg.Methods = cove.AuthToken, cove.Duration(2*time.Second), nil
	h.deploy(t, cfg, files{"main.py": `import time
def handler(event, context):
    print("called by", event["requestContext"]["http"]["method"])
    if event["rawQueryString"] == "endless":
        return forever()
    if event["rawQueryString"] == "stream":
        return iter(["one ", "two ", "<script>"])
    return {"statusCode": 202, "headers": {"x-token": event["headers"].get("authorization", "none")}, "body": event.get("body") or ""}
def forever():
    while True:
        yield "x" * 1000
        time.sleep(0.01)
`})
	send := func(t *testing.T, test wire.RouteTest) wire.RouteResult {
		t.Helper()
		r, err := h.Client.TestRoute(t.Context(), "composed", test)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Run("a function that asks for a token is called without one, and told with its log", func(t *testing.T) {
		h.want(t, http.StatusUnauthorized, request{Path: "/composed"})
		r := send(t, wire.RouteTest{Method: "POST", Path: "/composed", Body: "ü"})
		if r.Status != 202 || r.Body != "ü" || r.Headers["X-Token"][0] != "none" || r.Invocation == nil || r.Invocation.Outcome != cove.OutcomeOK ||
			len(r.Logs) != 1 || r.Logs[0].Text != "called by POST" {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("a streamed answer is collected", func(t *testing.T) {
		if r := send(t, wire.RouteTest{Path: "/composed?stream"}); r.Body != "one two <script>" || r.Broken {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("a stream without an end is collected until the timeout", func(t *testing.T) {
		r := send(t, wire.RouteTest{Path: "/composed?endless"})
		if r.Status != 200 || !r.Broken || len(r.Body) < 10_000 || r.Invocation == nil || r.Invocation.Outcome != string(cove.CodeTimeout) || r.Took > 10*time.Second {
			t.Errorf("%d bytes, broken %v, in %s, %+v", len(r.Body), r.Broken, r.Took, r.Invocation)
		}
	})
	t.Run("what has no route is answered by the gateway", func(t *testing.T) {
		if r := send(t, wire.RouteTest{Path: "/nowhere"}); r.Status != 404 || r.Invocation != nil || !strings.Contains(r.Body, "not_found") {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("the machine is told with what the sandboxes take", func(t *testing.T) {
		host, err := h.Client.Host(t.Context())
		if err != nil || host.CPUs == 0 || host.SandboxUsed == 0 || host.DaemonMem == 0 || host.DiskFree == 0 {
			t.Errorf("got %+v, %v", host, err)
		}
	})
}

func TestBenchRuns(t *testing.T) {
	short := wire.BenchStart{Time: cove.Duration(5 * time.Second), Isolations: isolations[:1], Runtimes: []string{"python"}, Workloads: []string{"no-op"}}
	// await waits until a run is as it is wanted.
	await := func(t *testing.T, h *harness, id string, is func(wire.BenchRun) bool) wire.BenchRun {
		t.Helper()
		var run wire.BenchRun
		eventually(t, benchTime, func() string {
			var err error
			if run, err = h.Client.BenchRun(t.Context(), id); err != nil {
				return err.Error()
			}
			if !is(run) {
				return fmt.Sprintf("the run stays %+v", run)
			}
			return ""
		})
		return run
	}
	measuring := func(run wire.BenchRun) bool { return run.Step == "start classes" || run.State != "running" }
	begin := func(t *testing.T, h *harness, o wire.BenchStart) string {
		t.Helper()
		run, err := h.Client.StartBench(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return run.ID
	}
	h := start(t, options{Plain: true})
	t.Run("a run has its report, and costs are reckoned by it", func(t *testing.T) {
		run := await(t, h, begin(t, h, short), func(run wire.BenchRun) bool { return run.State != "running" })
		if run.State != "done" || len(run.Report) < 1000 {
			t.Fatalf("got %+v", run)
		}
		costs, err := h.Client.Costs(t.Context(), wire.CostQuery{PerSecond: []float64{1, 0}})
		if err != nil || len(costs.Items) != 1 || costs.Items[0].Isolation != isolations[0] || costs.Items[0].PerMonth <= 0 {
			t.Errorf("got %+v, %v", costs, err)
		}
		checkNothingLeft(t)
	})
	long := short
	long.Time = cove.Duration(10 * time.Minute)
	t.Run("a run that is cancelled leaves nothing", func(t *testing.T) {
		id := begin(t, h, long)
		await(t, h, id, measuring)
		run, err := h.Client.DeleteBenchRun(t.Context(), id)
		if err != nil || run.State != "cancelled" {
			t.Errorf("got %+v, %v", run, err)
		}
		checkNothingLeft(t)
	})
	t.Run("a run ends with the daemon, however that ends", func(t *testing.T) {
		for _, end := range []func(testing.TB){h.stop, h.kill} {
			id := begin(t, h, long)
			await(t, h, id, measuring)
			end(t)
			h.launch(t)
			if run := await(t, h, id, func(wire.BenchRun) bool { return true }); run.State != "failed" || run.Error == "" {
				t.Errorf("got %+v", run)
			}
			// What was killed is ended by the kernel, beside the new daemon's start.
			eventually(t, 30*time.Second, func() string { return strings.Join(benchLeft(t), "\n") })
		}
		runs, err := h.Client.BenchRuns(t.Context())
		if err != nil || len(runs) != 4 || !slices.IsSortedFunc(runs, func(a, b wire.BenchRun) int { return b.Started.Compare(a.Started) }) {
			t.Errorf("got %+v, %v", runs, err)
		}
	})
}
