package e2e

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

// What a request finds, and what it is told it found: a stem cell, an instance
// that idles, one that is paused, or nothing that it could use.
func TestStartClasses(t *testing.T) {
	h := start(t, options{})
	eachKind(t, func(t *testing.T, language, isolation string) {
		cfg := function("starts-"+language+"-"+isolation, language, isolation)
		cfg.Scaling.Pause = cove.Duration(500 * time.Millisecond)
		// None of these has to be there before this language starts.
		cfg.Env = cove.Env{"TZ": {Value: "Asia/Tokyo"}, "NODE_ENV": {Value: "production"}, "PYTHONUNBUFFERED": {Value: "1"}}
		cfg.Env[map[string]string{"python": "NODE_OPTIONS", "node": "PYTHONHASHSEED"}[language]] = cove.EnvVar{Value: "0"}
		h.put(t, cfg, echo(language, cfg.Name))
		h.awaitStem(t, cfg)
		h.wantStart(t, cfg.Name, cove.StartStem)
		h.wantStart(t, cfg.Name, cove.StartWarm)
		for range 2 {
			h.awaitPaused(t, cfg.Name, 1)
			h.wantStart(t, cfg.Name, cove.StartThawed)
			h.wantStart(t, cfg.Name, cove.StartWarm)
		}

		early := function("early-"+language+"-"+isolation, language, isolation)
		early.Env = cove.Env{"LANG": {Value: "C.UTF-8"}}
		if f, err := h.upload(t.Context(), early, echo(language, early.Name)); err != nil || !strings.HasPrefix(f.Note, "LANG is read") {
			t.Fatalf("the note on what LANG costs is %q, %v", f.Note, err)
		}
		h.awaitStem(t, cfg) // There is one, and it is of no use.
		h.wantStart(t, early.Name, cove.StartCold)
		h.wantStart(t, early.Name, cove.StartWarm)
	})
}

// countsCalls says when its module is loaded, and answers how often it was called.
var countsCalls = files{
	"main.py": `
print("module loaded")
calls = 0

def handler(event, context):
    global calls
    calls += 1
    return calls
`,
	"index.js": `
console.log('module loaded');
let calls = 0;
exports.handler = async () => ++calls;
`,
}

// Who may call a function may have it loaded, which does not call it: the next
// request is the first, and finds an instance.
func TestLoadingIsNotACall(t *testing.T) {
	h := start(t, options{})
	eachKind(t, func(t *testing.T, language, isolation string) {
		cfg := function("pinged-"+language+"-"+isolation, language, isolation)
		cfg.Scaling.Pause = cove.Duration(time.Minute)
		h.put(t, cfg, countsCalls)
		made, err := h.Client.CreateToken(t.Context(), wire.TokenCreate{Name: "scheduler of " + cfg.Name, Role: "invoke", Functions: []string{cfg.Name}})
		if err != nil {
			t.Fatal(err)
		}
		scheduler, err := client.New(h.API, made.Secret, client.WithHTTPClient(h.HTTP))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if ready, err := scheduler.Ready(t.Context(), cfg.Name); err != nil || ready.Version != 1 {
				t.Fatalf("it may have the function loaded, and is told %+v, %v", ready, err)
			}
		}
		if _, err := scheduler.Ready(t.Context(), "another"); cove.CodeOf(err) != cove.CodeDenied {
			t.Errorf("it may have another function loaded: %v", err)
		}
		if _, err := scheduler.Replace(t.Context(), cfg.Name, cfg, nil, 0); cove.CodeOf(err) != cove.CodeDenied {
			t.Errorf("it may deploy: %v", err)
		}
		for call, want := range []string{"1", "2"} {
			if r := h.invoke(t, cfg.Name, "{}"); string(r.Answer) != want || r.Invocation.Start != cove.StartWarm {
				t.Errorf("call %d: the outcome is %s %s, the start %q: %+v", call+1, r.Outcome, r.Answer, r.Invocation.Start, r.Error)
			}
		}
		if log := h.lines(t, cfg.Name); strings.Count(log, "module loaded") != 1 {
			t.Errorf("the module was not loaded once:\n%s", log)
		}
		if page, err := h.Client.Invocations(t.Context(), client.InvocationQuery{Function: cfg.Name}); err != nil || len(page.Items) > 2 {
			t.Errorf("there are records of more than two calls: %+v, %v", page.Items, err)
		}
	})
}

// The deadline matrix for an instance that is paused when the request comes, or
// about to be: it is thawed, has its time, and is ended like any other.
func TestDeadlineWhilePaused(t *testing.T) {
	h := start(t, options{})
	h.deploy(t, matrixConfig("neighbour", "python", "docker"), matrixCode(t, "python"))
	eachKind(t, func(t *testing.T, language, isolation string) {
		code := matrixCode(t, language)
		cfg := matrixConfig("paused-"+language+"-"+isolation, language, isolation)
		cfg.Scaling.Pause = cove.Duration(10 * time.Millisecond)
		h.deploy(t, cfg, code)

		t.Run("the handler runs past its deadline", func(t *testing.T) {
			h.awaitPaused(t, cfg.Name, 1)
			undisturbed := h.watchNeighbour(t)
			a := h.want(t, http.StatusGatewayTimeout, request{Path: "/" + cfg.Name + "/report"})
			undisturbed()
			if a.Took < matrixTimeout || a.Took > matrixTimeout+lateness {
				t.Errorf("the answer came after %s", a.Took)
			}
			reportsNothingAfterTheAnswer(t, h, a)
			h.foundPaused(t, a)
		})

		t.Run("the caller's own time is over before it is thawed", func(t *testing.T) {
			h.want(t, http.StatusOK, request{Path: "/" + cfg.Name + "/ok"})
			h.awaitPaused(t, cfg.Name, 1)
			undisturbed := h.watchNeighbour(t)
			a := h.want(t, http.StatusGatewayTimeout, request{Path: "/" + cfg.Name + "/report", Header: http.Header{"Cove-Timeout": {"1ms"}}})
			undisturbed()
			if a.Took > lateness {
				t.Errorf("the answer came after %s", a.Took)
			}
			h.saysNothingAfterTheAnswer(t, a)
			h.want(t, http.StatusOK, request{Path: "/" + cfg.Name + "/ok"})
		})

		t.Run("several are thawed at once", func(t *testing.T) {
			if _, err := h.Client.Warm(t.Context(), cfg.Name, wire.Warm{Instances: 3}); err != nil {
				t.Fatal(err)
			}
			h.awaitPaused(t, cfg.Name, 3)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					r := h.invoke(t, cfg.Name, `{"pathParameters":{"do":"clock"}}`)
					if r.Outcome != cove.OutcomeOK || r.Invocation.Start != cove.StartThawed {
						t.Errorf("the outcome is %s and the start %q: %+v", r.Outcome, r.Invocation.Start, r.Error)
					}
				})
			}
			wg.Wait()
		})
		h.settled(t, cfg.Name)
		h.remove(t, cfg.Name)
	})
}

// An instance that was paused again and again, and then needs memory that it did
// not have before, has it. (In gVisor that is a call to the host's kernel by a
// thread that each pause has disturbed.)
func TestMemoryAfterPauses(t *testing.T) {
	h := start(t, options{})
	eachKind(t, func(t *testing.T, language, isolation string) {
		cfg := function("grows-"+language+"-"+isolation, language, isolation)
		cfg.Scaling.Pause = cove.Duration(10 * time.Millisecond)
		h.deploy(t, cfg, files{
			"main.py": `
def handler(event, context):
    return len(b"x" * (event["mib"] << 20))
`,
			"index.js": "exports.handler = async (event) => Buffer.alloc(event.mib << 20, 'x').length;\n",
		})
		for _, mib := range []int{0, 0, 0, 32, 0, 0, 0, 48} {
			h.awaitPaused(t, cfg.Name, 1)
			r := h.invoke(t, cfg.Name, fmt.Sprintf(`{"mib":%d}`, mib))
			if string(r.Answer) != strconv.Itoa(mib<<20) || r.Invocation.Start != cove.StartThawed {
				t.Errorf("%d MiB: the outcome is %s %s, the start %s: %+v", mib, r.Outcome, r.Answer, r.Invocation.Start, r.Error)
			}
		}
	})
}

// A daemon that is killed leaves instances behind that are paused, and stem
// cells that never had a function. The next one removes both before it serves.
func TestKillWithPausedInstancesAndStems(t *testing.T) {
	h := start(t, options{})
	h.deployPaused(t)
	before := h.census(t)
	h.kill(t)
	killed := time.Now()
	// What a frozen process is in cannot be gone: it did not see that its stream
	// ended.
	if left := h.census(t); len(left.Containers) < 2 || len(left.Cgroups) < 2 {
		t.Errorf("the daemon was killed, and this is all that it left: %v", left.all())
	}
	h.launch(t)
	t.Logf("the next daemon was ready %s after the kill", time.Since(killed).Round(time.Millisecond))
	h.gone(t, before)
	for _, isolation := range isolations {
		for language := range languages {
			h.want(t, http.StatusOK, request{Path: "/rest-" + language + "-" + isolation})
		}
	}
}

// SIGTERM ends stem cells and paused instances at once and without a trace, also
// while a request is served.
func TestDrainWithPausedInstancesAndStems(t *testing.T) {
	h := start(t, options{})
	h.deployPaused(t)
	h.deploy(t, function("sleeper", "python", "gvisor"), sleeper("python"))
	slept := make(chan error, 1)
	go func() {
		a, err := h.try(t.Context(), request{Path: "/sleeper?s=1"})
		if err == nil && a.Body != "slept" {
			err = fmt.Errorf("it was answered %d: %.300s", a.Status, a.Body)
		}
		slept <- err
	}()
	h.waitBusy(t, "sleeper", 1)
	began := time.Now()
	h.stop(t)
	t.Logf("the daemon ended %s after SIGTERM", time.Since(began).Round(time.Millisecond))
	if err := <-slept; err != nil {
		t.Errorf("the request that was under way: %v", err)
	}
	if left := h.leftovers(t); len(left) > 0 {
		t.Errorf("this was left: %s", strings.Join(left, "\n"))
	}
}

// gone checks that nothing is left of an earlier daemon. The new one has stem
// cells of its own already.
func (h *harness) gone(t *testing.T, before census) {
	t.Helper()
	now := h.census(t).all()
	for _, what := range before.all() {
		if slices.Contains(now, what) {
			t.Errorf("the new daemon is ready and this is still there: %s", what)
		}
	}
}

// eachKind runs f for each language on each isolation, in tests beside each
// other.
func eachKind(t *testing.T, f func(t *testing.T, language, isolation string)) {
	for _, isolation := range isolations {
		for _, language := range slices.Sorted(maps.Keys(languages)) {
			t.Run(isolation+"/"+language, func(t *testing.T) {
				t.Parallel()
				f(t, language, isolation)
			})
		}
	}
}

// put deploys a function and starts no instance of it.
func (h *harness) put(t testing.TB, cfg cove.Config, code files) {
	t.Helper()
	if _, err := h.upload(t.Context(), cfg, code); err != nil {
		t.Fatalf("deploy %s: %v", cfg.Name, err)
	}
}

// wantStart calls the function and checks what the call found.
func (h *harness) wantStart(t *testing.T, name string, want cove.StartClass) {
	t.Helper()
	r := h.invoke(t, name, `{"body":"hello"}`)
	if r.Outcome != cove.OutcomeOK || !strings.Contains(string(r.Answer), "hello") || !strings.Contains(string(r.Answer), name) {
		t.Errorf("the outcome is %s: %s %+v", r.Outcome, r.Answer, r.Error)
	}
	if r.Invocation.Start != want {
		t.Errorf("the start is %q, not %q", r.Invocation.Start, want)
	}
}

// awaitStem returns when a stem cell is ready that the function could use.
func (h *harness) awaitStem(t testing.TB, cfg cove.Config) {
	t.Helper()
	eventually(t, 30*time.Second, func() string {
		stems, err := h.Client.Stems(t.Context())
		if err != nil {
			return err.Error()
		}
		if i := slices.IndexFunc(stems, func(s wire.Stem) bool {
			return strings.HasPrefix(s.Runtime, cfg.Runtime) && s.Isolation == cfg.Isolation && s.Ready > 0
		}); i < 0 {
			return fmt.Sprintf("no stem cell of %s on %s is ready: %+v", cfg.Runtime, cfg.Isolation, stems)
		}
		return ""
	})
}

// awaitPaused returns when n instances of the function are paused.
func (h *harness) awaitPaused(t testing.TB, name string, n int) {
	t.Helper()
	eventually(t, 30*time.Second, func() string {
		list, err := h.Client.Instances(t.Context(), client.InstanceQuery{Function: name})
		if err != nil {
			return err.Error()
		}
		paused := 0
		for _, in := range list {
			if in.State == wire.InstancePaused {
				paused++
			}
		}
		if paused < n {
			return fmt.Sprintf("%d instances of %s are paused: %+v", paused, name, list)
		}
		return ""
	})
}

// deployPaused makes a function per language and isolation, and returns when each
// has a paused instance and there is a stem cell for another.
func (h *harness) deployPaused(t testing.TB) {
	t.Helper()
	var all []cove.Config
	for _, isolation := range isolations {
		for language := range languages {
			cfg := function("rest-"+language+"-"+isolation, language, isolation)
			cfg.Scaling.Pause = cove.Duration(50 * time.Millisecond)
			h.put(t, cfg, echo(language, cfg.Name))
			all = append(all, cfg)
		}
	}
	var wg sync.WaitGroup
	for _, cfg := range all {
		wg.Go(func() { _, _ = h.try(t.Context(), request{Path: cfg.Route}) })
	}
	wg.Wait()
	for _, cfg := range all {
		h.awaitPaused(t, cfg.Name, 1)
		h.awaitStem(t, cfg)
	}
}

// foundPaused checks that the invocation found a paused instance.
func (h *harness) foundPaused(t *testing.T, a answer) {
	t.Helper()
	id := a.problem(t).RequestID
	eventually(t, 5*time.Second, func() string {
		for line := range strings.Lines(h.log.String()) {
			if strings.Contains(line, "id="+id) && strings.Contains(line, "start="+string(cove.StartThawed)) {
				return ""
			}
		}
		return "no line of the log says that " + id + " thawed an instance"
	})
}

// saysNothingAfterTheAnswer is reportsNothingAfterTheAnswer for a handler that
// may not have been called at all.
func (h *harness) saysNothingAfterTheAnswer(t *testing.T, a answer) {
	t.Helper()
	answered := time.Now()
	time.Sleep(200 * time.Millisecond)
	p := a.problem(t)
	for _, line := range h.invocationLog(t, p.Function, p.RequestID) {
		n, err := strconv.ParseInt(line, 10, 64)
		if errors.Is(err, strconv.ErrSyntax) {
			continue // It is the platform's.
		}
		if late := time.Duration(n - answered.UnixNano()); late > 20*time.Millisecond {
			t.Errorf("the handler still ran %s after the answer", late)
		}
	}
}
