package runs

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test.
const patience = 20 * time.Second

// setup are runs of a program that is the shell script text.
func setup(t *testing.T, dir, text string) *Runs {
	t.Helper()
	script := filepath.Join(t.TempDir(), "cove")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := New(Options{Dir: dir, Binary: script, Args: []string{"--images", "/i"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func start(t *testing.T, r *Runs, o wire.BenchStart) wire.BenchRun {
	t.Helper()
	run, err := r.Start(o)
	if err != nil || run.State != "running" {
		t.Fatalf("got %+v, %v", run, err)
	}
	return run
}

// await waits until a run is as it is wanted.
func await(t *testing.T, r *Runs, id string, is func(wire.BenchRun) bool) wire.BenchRun {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		run, err := r.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		if is(run) {
			return run
		}
		if time.Now().After(deadline) {
			t.Fatalf("it stays %+v", run)
		}
	}
}

func over(run wire.BenchRun) bool { return run.State != "running" }

const (
	// works writes a report; waits says how far it is, and then nothing more until
	// it is told to end.
	works = `echo '{"schema": 1}' > report.json` + "\n"
	waits = `trap 'touch ended; exit 130' TERM; echo '{"part": 0.25, "phase": "warm calls", "left_ns": 1}' >&2; while :; do sleep 0.05; done` + "\n"
)

func TestRuns(t *testing.T) {
	t.Parallel()
	t.Run("a run that works has its report, also after a restart", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		r := setup(t, dir, `echo "$@" > arguments`+"\n"+works)
		run := start(t, r, wire.BenchStart{Quick: true, Isolations: []string{"docker", "gvisor"}, Workloads: []string{"no-op"}})
		run = await(t, r, run.ID, over)
		if run.State != "done" || run.Progress != 1 || run.Ended.IsZero() || !json.Valid(run.Report) {
			t.Errorf("got %+v", run)
		}
		args, err := os.ReadFile(filepath.Join(dir, run.ID, "arguments"))
		want := "bench --progress json --out " + filepath.Join(dir, run.ID) + " --images /i --quick --isolation docker,gvisor --workloads no-op\n"
		if err != nil || string(args) != want {
			t.Errorf("called with %q, not %q: %v", args, want, err)
		}
		again, err := setup(t, dir, works).Get(run.ID)
		if err != nil || again.State != "done" || string(again.Report) != string(run.Report) {
			t.Errorf("after a restart: %+v, %v", again, err)
		}
		if list := r.List(); len(list) != 1 || list[0].Report != nil {
			t.Errorf("the list is %+v", list)
		}
	})
	t.Run("a run that fails says why", func(t *testing.T) {
		t.Parallel()
		r := setup(t, t.TempDir(), `echo 'something' >&2; echo 'cove: no isolation is available here' >&2; exit 7`+"\n")
		run := await(t, r, start(t, r, wire.BenchStart{}).ID, over)
		if run.State != "failed" || run.Error != "no isolation is available here" || run.Report != nil {
			t.Errorf("got %+v", run)
		}
	})
	t.Run("a run tells how far it is, and is alone", func(t *testing.T) {
		t.Parallel()
		r := setup(t, t.TempDir(), waits)
		run := start(t, r, wire.BenchStart{})
		run = await(t, r, run.ID, func(run wire.BenchRun) bool { return run.Progress > 0 })
		if run.Progress != 0.25 || run.Step != "warm calls" {
			t.Errorf("got %+v", run)
		}
		if _, err := r.Start(wire.BenchStart{}); cove.CodeOf(err) != cove.CodeConflict {
			t.Errorf("a second one: %v", err)
		}
	})
	t.Run("a run is cancelled by ending its process, and then removed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		r := setup(t, dir, waits)
		run := start(t, r, wire.BenchStart{})
		await(t, r, run.ID, func(run wire.BenchRun) bool { return run.Progress > 0 })
		run, err := r.Remove(t.Context(), run.ID)
		if err != nil || run.State != "cancelled" || run.Error != "" {
			t.Errorf("got %+v, %v", run, err)
		}
		if _, err := os.Stat(filepath.Join(dir, run.ID, "ended")); err != nil {
			t.Errorf("it was not told to end: %v", err)
		}
		if _, err := r.Remove(t.Context(), run.ID); err != nil {
			t.Error(err)
		}
		if _, err := r.Get(run.ID); cove.CodeOf(err) != cove.CodeNotFound {
			t.Errorf("got %v", err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		start(t, r, wire.BenchStart{})
	})
	t.Run("who cancels need not wait for ever", func(t *testing.T) {
		t.Parallel()
		r := setup(t, t.TempDir(), `trap 'sleep 1; exit 1' TERM; echo '{"part": 0.1}' >&2; while :; do sleep 0.05; done`+"\n")
		run := start(t, r, wire.BenchStart{})
		await(t, r, run.ID, func(run wire.BenchRun) bool { return run.Progress > 0 })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := r.Remove(ctx, run.ID); err == nil {
			t.Error("no error")
		}
		if run = await(t, r, run.ID, over); run.State != "cancelled" {
			t.Errorf("got %+v", run)
		}
	})
	t.Run("the end of the daemon ends a run", func(t *testing.T) {
		t.Parallel()
		r := setup(t, t.TempDir(), waits)
		run := start(t, r, wire.BenchStart{})
		await(t, r, run.ID, func(run wire.BenchRun) bool { return run.Progress > 0 })
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		run, err := r.Get(run.ID)
		if err != nil || run.State != "failed" || !strings.Contains(run.Error, "stopped") {
			t.Errorf("got %+v, %v", run, err)
		}
		if _, err := r.Start(wire.BenchStart{}); cove.CodeOf(err) != cove.CodeShuttingDown {
			t.Errorf("another: %v", err)
		}
	})
	t.Run("a run that was under way at a crash is told as failed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "20260102-030405"), 0o700); err != nil {
			t.Fatal(err)
		}
		state := `{"id": "x", "state": "running", "started": "2026-01-02T03:04:05Z", "progress": 0.5}`
		if err := os.WriteFile(filepath.Join(dir, "20260102-030405", stateFile), []byte(state), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			run, err := setup(t, dir, works).Get("20260102-030405")
			if err != nil || run.State != "failed" || run.Error == "" || run.Ended.IsZero() {
				t.Errorf("got %+v, %v", run, err)
			}
		}
	})
	t.Run("the last twenty are kept, the newest first", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		r := setup(t, dir, works)
		var ids []string
		for range keep + 3 {
			id := start(t, r, wire.BenchStart{}).ID
			await(t, r, id, over)
			ids = append(ids, id)
		}
		slices.Reverse(ids)
		for _, r := range []*Runs{r, setup(t, dir, works)} {
			var have []string
			for _, run := range r.List() {
				have = append(have, run.ID)
			}
			if !slices.Equal(have, ids[:keep]) {
				t.Errorf("kept %v", have)
			}
		}
		if left, _ := os.ReadDir(dir); len(left) != keep {
			t.Errorf("%d directories are left", len(left))
		}
	})
}

func TestWhatIsAskedForIsChecked(t *testing.T) {
	t.Parallel()
	r := setup(t, t.TempDir(), works)
	for field, o := range map[string]wire.BenchStart{
		"isolations": {Isolations: []string{"--out=/etc"}},
		"runtimes":   {Runtimes: []string{"a,b"}},
		"workloads":  {Workloads: []string{""}},
		"time":       {Time: cove.Duration(time.Second)},
	} {
		_, err := r.Start(o)
		if e := cove.AsError(err); err == nil || e.Code != cove.CodeInvalid || len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
	for _, id := range []string{"", "..", "../x", "20260102-030405"} {
		if _, err := r.Get(id); cove.CodeOf(err) != cove.CodeNotFound {
			t.Errorf("%q: got %v", id, err)
		}
		if _, err := r.Remove(t.Context(), id); cove.CodeOf(err) != cove.CodeNotFound {
			t.Errorf("%q: got %v", id, err)
		}
	}
}

func FuzzFollow(f *testing.F) {
	f.Add("{\"part\": 0.5, \"phase\": \"x\", \"left_ns\": 3}\ncove: it failed\nhint: try\n")
	f.Add("{\"part\": 1e999}\n{\n\x00\xff\n")
	f.Fuzz(func(t *testing.T, text string) {
		said := follow(strings.NewReader(text), func(Progress) {})
		if len(said) > 1000 {
			t.Errorf("%d bytes", len(said))
		}
	})
}
