package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
)

// A daemon that is killed in the middle of invocations and of deploys leaves
// sandboxes behind; the next one removes them before it is ready, and knows
// everything that the first one confirmed.
func TestRestartAfterKill9(t *testing.T) {
	h := start(t, options{})
	for round := range 3 {
		t.Run(fmt.Sprintf("round %d", round+1), func(t *testing.T) { h.killAndRestart(t, round) })
	}
}

func (h *harness) killAndRestart(t *testing.T, round int) {
	for _, isolation := range isolations {
		cfg := function("sleeper-"+isolation, "python", isolation)
		cfg.Timeout = cove.Duration(time.Minute)
		h.deploy(t, cfg, sleeper("python"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, isolation := range isolations {
		wg.Go(func() { _, _ = h.try(ctx, request{Path: "/sleeper-" + isolation + "?s=50"}) })
	}
	for _, isolation := range isolations {
		h.waitBusy(t, "sleeper-"+isolation, 1)
	}
	confirmed := h.deployUntilKilled(t, ctx, round)
	// The handlers may have ended by themselves: a shim does when nobody is at
	// the other end. What they were in is still there.
	left := h.census(t)
	if len(left.Containers) == 0 || len(left.Cgroups) == 0 {
		t.Errorf("the daemon was killed in the middle of two invocations, and this is all that it left: %v", left.all())
	}
	h.launch(t)
	h.gone(t, left)
	for name, number := range confirmed {
		f, err := h.Client.Function(t.Context(), name)
		if err != nil || f.Version.Number < number {
			t.Errorf("version %d of %s was confirmed; now there is %d: %v", number, name, f.Version.Number, err)
			continue
		}
		want := strconv.Itoa(f.Version.Number)
		if a := h.want(t, http.StatusOK, request{Path: "/" + name}); a.Body != want {
			t.Errorf("%s has version %s and answers %q", name, want, a.Body)
		}
	}
	for _, isolation := range isolations {
		h.want(t, http.StatusOK, request{Path: "/sleeper-" + isolation + "?s=0"})
	}
}

// deployUntilKilled deploys as fast as it can, kills the daemon meanwhile, and
// returns the version numbers that were confirmed. The code of version n
// answers n.
func (h *harness) deployUntilKilled(t *testing.T, ctx context.Context, round int) map[string]int {
	t.Helper()
	confirmed := map[string]int{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			name := fmt.Sprintf("fast-%d-%d", round, i%3)
			f, err := h.upload(ctx, function(name, "python", isolations[i%2]), constant("python", confirmed[name]+1))
			if err != nil {
				return
			}
			confirmed[name] = f.Version.Number
		}
	}()
	time.Sleep(500 * time.Millisecond)
	h.kill(t)
	<-done
	if len(confirmed) == 0 {
		t.Fatal("no deploy was confirmed before the kill")
	}
	return confirmed
}

// waitBusy returns when n requests are being served by the function's instances.
func (h *harness) waitBusy(t *testing.T, name string, n int) {
	t.Helper()
	eventually(t, 60*time.Second, func() string {
		f, err := h.Client.Function(t.Context(), name)
		if err != nil {
			return err.Error()
		}
		if f.Instances.Busy < n {
			return fmt.Sprintf("%s has %d busy instances", name, f.Instances.Busy)
		}
		return ""
	})
}

// SIGTERM lets requests that run finish, refuses new ones, and ends those that
// would take longer than the drain timeout with 503.
func TestSIGTERMDrains(t *testing.T) {
	h := start(t, options{Args: []string{"--drain-timeout", "4s"}})
	for _, isolation := range isolations {
		cfg := function("sleeper-"+isolation, "python", isolation)
		cfg.Timeout = cove.Duration(time.Minute)
		h.deploy(t, cfg, sleeper("python"))
	}
	type result struct {
		answer answer
		err    error
	}
	results := map[string]chan result{}
	send := func(path string) {
		c := make(chan result, 1)
		results[path] = c
		go func() {
			a, err := h.try(t.Context(), request{Path: path})
			c <- result{a, err}
		}()
	}
	for _, isolation := range isolations {
		// The long one first: it keeps the instance that there is, so that the
		// short one is still under way when its own was started.
		send("/sleeper-" + isolation + "?s=50")
		h.waitBusy(t, "sleeper-"+isolation, 1)
		send("/sleeper-" + isolation + "?s=2")
		h.waitBusy(t, "sleeper-"+isolation, 2)
	}
	began := time.Now()
	h.stop(t)
	t.Logf("the daemon ended %s after SIGTERM", time.Since(began).Round(time.Millisecond))
	for path, c := range results {
		r := <-c
		switch {
		case r.err != nil:
			t.Errorf("%s: %v", path, r.err)
		case strings.HasSuffix(path, "?s=2"):
			if r.answer.Status != http.StatusOK || r.answer.Body != "slept" {
				t.Errorf("%s, which ends before the drain timeout, was answered %d: %.300s", path, r.answer.Status, r.answer.Body)
			}
		default:
			if p := r.answer.problem(t); r.answer.Status != http.StatusServiceUnavailable || p.Code != cove.CodeShuttingDown {
				t.Errorf("%s, which takes longer, was answered %d: %.300s", path, r.answer.Status, r.answer.Body)
			}
		}
	}
	if a, err := h.try(t.Context(), request{Path: "/sleeper-docker?s=0"}); err == nil {
		t.Errorf("a request after the end was answered %d", a.Status)
	}
}

// Ctrl-C in a terminal reaches the daemon from the terminal and again from the
// script that started it. Both together are one wish to end well, and nothing
// is left behind.
func TestTwoSignalsAtOnceAreOne(t *testing.T) {
	h := start(t, options{})
	for _, isolation := range isolations {
		h.deploy(t, function("hello-"+isolation, "python", isolation), echo("python", "hello"))
	}
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		if err := h.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.wait(t)
	if h.exit != nil {
		t.Errorf("the daemon ended with %v", h.exit)
	}
}

// Whoever reads the daemon's log may end before the daemon does, as tee does
// when Ctrl-C reaches both. The daemon goes on, and ends well.
func TestLogReaderThatEnds(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// A pipe holds enough of the log until the reader ends.
	h := start(t, options{Output: w})
	if err := errors.Join(w.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	for _, isolation := range isolations {
		h.deploy(t, function("hello-"+isolation, "python", isolation), echo("python", "hello"))
		if a := h.want(t, http.StatusOK, request{Method: http.MethodPost, Path: "/hello-" + isolation, Body: "x"}); a.Body != "x" {
			t.Errorf("the answer is %q", a.Body)
		}
	}
}

// A data directory has one daemon at a time.
func TestLockPerDataDirectory(t *testing.T) {
	h := start(t, options{})
	h.deploy(t, function("hello", "python", "gvisor"), echo("python", "hello"))
	ctx, cancel := context.WithTimeout(t.Context(), readyTime)
	defer cancel()
	second := exec.CommandContext(ctx, h.binary, h.serveArgs()...)
	second.Env = append(h.environment(), "HOME="+t.TempDir())
	out, err := second.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("a second daemon on the same data directory ended with %v:\n%s", err, out)
	}
	if !strings.Contains(string(out), h.Data) || !strings.Contains(string(out), strconv.Itoa(h.pid())) {
		t.Errorf("the message names neither the data directory nor the process that has it:\n%s", out)
	}
	a := h.want(t, http.StatusOK, request{Method: http.MethodPost, Path: "/hello", Body: "still here"})
	if a.Body != "still here" {
		t.Errorf("the first daemon now answers %q", a.Body)
	}
}

// The first start makes an admin token: on disk, readable by its owner alone,
// never in the log, and it is the same after a restart.
func TestFirstStartMakesAdminToken(t *testing.T) {
	h := start(t, options{})
	file := filepath.Join(h.Data, "admin.token")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file has mode %v", info.Mode())
	}
	for name, mode := range map[string]os.FileMode{"": 0o700, "secret.key": 0o600, "cove.db": 0o600} {
		info, err := os.Stat(filepath.Join(h.Data, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm()&^mode != 0 {
			t.Errorf("%s has mode %v", filepath.Join(h.Data, name), info.Mode().Perm())
		}
	}
	if n := strings.Count(h.log.String(), file); n != 1 {
		t.Errorf("the log names the token's file %d times, not once", n)
	}
	if strings.Contains(h.log.String(), h.Token) {
		t.Error("the log holds the token")
	}
	first := h.Token
	h.stop(t)
	h.launch(t)
	if h.Token != first {
		t.Error("a restart changed the token")
	}
	if _, err := h.Client.Functions(t.Context(), client.Query{}); err != nil {
		t.Errorf("the token does not work after a restart: %v", err)
	}
	other, err := client.New(h.API, "not-"+first, client.WithHTTPClient(h.HTTP))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Functions(t.Context(), client.Query{}); cove.CodeOf(err) != cove.CodeUnauthenticated {
		t.Errorf("another token gave %v", err)
	}
}

// Requests that are under way when their function is deployed anew, moved to
// another isolation or deleted are finished by what they began with.
func TestChangesDisturbNoRequest(t *testing.T) {
	h := start(t, options{})
	for _, isolation := range isolations {
		for language := range languages {
			t.Run(language+" on "+isolation, func(t *testing.T) {
				cfg := function("steady-"+language+"-"+isolation, language, isolation)
				h.deploy(t, cfg, sleeper(language))
				results := make(chan answer, 1)
				begin := func() {
					go func() {
						a, err := h.try(t.Context(), request{Path: cfg.Route + "?s=2"})
						if err != nil {
							t.Error(err)
						}
						results <- a
					}()
					h.waitBusy(t, cfg.Name, 1)
				}
				finished := func(what string) {
					t.Helper()
					if a := <-results; a.Status != http.StatusOK || a.Body != "slept" {
						t.Errorf("a request that was under way during %s was answered %d: %.300s", what, a.Status, a.Body)
					}
				}
				begin()
				h.deploy(t, cfg, constant(language, 2))
				if a := h.get(t, cfg.Route); a.Body != "2" {
					t.Errorf("after a deploy a new request was answered %d: %.300s", a.Status, a.Body)
				}
				finished("a deploy")

				h.deploy(t, cfg, sleeper(language))
				begin()
				moved := cfg
				moved.Isolation = map[string]string{"docker": "gvisor", "gvisor": "docker"}[isolation]
				h.deploy(t, moved, sleeper(language))
				finished("a move")

				begin()
				h.remove(t, cfg.Name)
				if a := h.get(t, cfg.Route); a.Status != http.StatusNotFound {
					t.Errorf("after the deletion a new request was answered %d: %.300s", a.Status, a.Body)
				}
				finished("the deletion")
			})
		}
	}
	eventually(t, 30*time.Second, func() string { return strings.Join(h.census(t).all(), "\n") })
}
