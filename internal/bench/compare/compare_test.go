package compare

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
	"github.com/covefn/cove/internal/bench/workloads"
	"github.com/covefn/cove/internal/image"
	"github.com/covefn/cove/internal/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup is a run without a daemon, for what needs none.
func setup(t *testing.T) *run {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests change the root of processes and must run as root: sudo make test")
	}
	dir, err := os.MkdirTemp("/tmp", "cove-bench-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	r := &run{dir: dir, shims: dir + "/shims", runtimes: runtime.NewCatalogue(), report: newReport(Options{})}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := r.runtimes.WriteShims(r.shims); err != nil {
		t.Fatal(err)
	}
	images := os.Getenv("COVE_IMAGES")
	if images == "" {
		_, file, _, _ := goruntime.Caller(0)
		images = filepath.Join(filepath.Dir(file), "../../../.cache/images")
	}
	if r.images, err = image.New(images, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.images.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// write puts a subject's code where deploy does.
func (r *run) write(t *testing.T, s *subject) {
	t.Helper()
	s.dir = filepath.Join(r.dir, s.id)
	if err := s.unpack(); err != nil {
		t.Fatal(err)
	}
}

func TestBareProcess(t *testing.T) {
	t.Parallel()
	t.Run("every workload answers right in every language, call after call", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		subjects, err := r.chooseWorkloads()
		if err != nil || len(subjects) != len(workloads.All())*len(r.runtimes.All()) {
			t.Fatalf("%d subjects: %v", len(subjects), err)
		}
		for _, s := range subjects {
			r.write(t, s)
			b, err := r.bare(t.Context(), s)
			if err != nil {
				t.Fatalf("%s: %v; run `make images`", s.label(), err)
			}
			for range 3 {
				took, answer, err := b.call(s.event)
				if err == nil {
					err = s.check(answer)
				}
				if err != nil || took <= 0 || b.init <= 0 {
					t.Errorf("%s: %s, %s: %v", s.label(), took, b.init, err)
				}
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("it leaves nothing on the host, and its mounts are never seen there", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		w, _ := workloads.Find(workloads.Noop)
		rt, _ := r.runtimes.Lookup("python")
		s := &subject{id: "f0", name: w.Name, runtime: rt, files: w.Files(rt.Language), want: &w.Want}
		r.write(t, s)
		b, err := r.bare(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		mounts, err := os.ReadFile("/proc/self/mounts")
		if err != nil || strings.Contains(string(mounts), b.dir) {
			t.Errorf("the host has a mount in %s: %v", b.dir, err)
		}
		held, err := pss(b.cmd.Process.Pid)
		if err != nil || held < cove.MiB {
			t.Errorf("its memory is %s: %v", held, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(b.dir); err == nil {
			t.Errorf("%s is still there", b.dir)
		}
	})
	t.Run("it has no rights, no sight of other users' processes, no network and nothing to write but /tmp", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		rt, _ := r.runtimes.Lookup("python")
		s := &subject{id: "f0", name: "curious", runtime: rt, files: map[string]string{"main.py": curious}}
		r.write(t, s)
		b, err := r.bare(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		_, answer, err := b.call(nil)
		const want = `{"uid":65531,"others":0,"kill":"nobody","interfaces":["lo"],"writable":["/tmp"],"devices":["full","null","random","urandom","zero"]}`
		if err != nil || string(answer) != want {
			t.Errorf("%v: it found\n%s and not\n%s", err, answer, want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("a function that cannot be loaded is an error, and leaves nothing", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		rt, _ := r.runtimes.Lookup("python")
		s := &subject{id: "f0", name: "broken", runtime: rt, files: map[string]string{"main.py": "import nothing_of_this_name\n"}}
		r.write(t, s)
		if _, err := r.bare(t.Context(), s); cove.CodeOf(err) != cove.CodeInitError {
			t.Errorf("the error is %v", err)
		}
		left, _ := filepath.Glob(filepath.Join(r.dir, "bare-*"))
		if len(left) > 0 {
			t.Errorf("%v is still there", left)
		}
	})
	t.Run("a wrong answer is told", func(t *testing.T) {
		t.Parallel()
		want := "42"
		s := &subject{want: &want}
		for _, wrong := range []string{`{"statusCode":200,"body":"43"}`, `{"statusCode":500,"body":"42"}`, `null`, `[`} {
			if s.check([]byte(wrong)) == nil {
				t.Errorf("%s passes", wrong)
			}
		}
		if err := s.check([]byte(`{"statusCode":200,"body":"42"}`)); err != nil {
			t.Error(err)
		}
	})
}

// curious is a function that looks around.
const curious = `
import os, socket

def handler(event, context):
    me = os.stat("/proc/self").st_uid
    others = [p for p in os.listdir("/proc") if p.isdigit() and os.stat("/proc/" + p).st_uid != me]
    try:
        os.kill(-1, 0)
        kill = "somebody"
    except ProcessLookupError:
        kill = "nobody"
    writable = [d for d in ("/", "/cove", "/cove/code", "/opt/cove", "/dev", "/etc", "/tmp", "/usr") if os.access(d, os.W_OK)]
    return {"uid": me, "others": len(others), "kill": kill, "interfaces": [n for _, n in socket.if_nameindex()],
            "writable": writable, "devices": sorted(os.listdir("/dev"))}
`

func TestChoice(t *testing.T) {
	t.Parallel()
	t.Run("what is not there is refused by name", func(t *testing.T) {
		t.Parallel()
		for field, o := range map[string]Options{"workloads": {Workloads: []string{"nosuch"}}, "runtimes": {Runtimes: []string{"cobol"}}} {
			r := &run{o: o, runtimes: runtime.NewCatalogue()}
			if _, err := r.chooseWorkloads(); cove.CodeOf(err) != cove.CodeInvalid || !strings.Contains(err.Error(), field) && !strings.Contains(err.Error(), "no ") {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
	t.Run("the first workload of each runtime is measured whole", func(t *testing.T) {
		t.Parallel()
		r := &run{o: Options{Workloads: []string{"cpu", "no-op"}}, runtimes: runtime.NewCatalogue()}
		subjects, err := r.chooseWorkloads()
		if err != nil {
			t.Fatal(err)
		}
		r.subjects = subjects
		for _, s := range r.wholes() {
			if s.name != "cpu" {
				t.Errorf("%s is measured whole", s.label())
			}
		}
		if len(r.wholes()) != 2 || len(subjects) != 4 {
			t.Errorf("%d of %d", len(r.wholes()), len(subjects))
		}
	})
	t.Run("the user's configuration is kept but for what a measurement decides", func(t *testing.T) {
		t.Parallel()
		s := &subject{id: "f3", config: cove.Config{
			Name: "mine", Runtime: "python3.13", Handler: "app.run", Memory: 256 * cove.MiB, CPU: 0.5, Route: "/mine/{x}", Auth: cove.AuthToken,
			Env: cove.Env{"A": {Value: "b"}}, Scaling: cove.Scaling{Min: 3, Concurrency: 4},
		}}
		cold := s.configFor("gvisor", kindCold)
		if cold.Name != "f3-gvisor-cold" || cold.Handler != "app.run" || cold.Memory != 256*cove.MiB || cold.CPU != 0.5 || cold.Scaling.Concurrency != 4 ||
			cold.Scaling.Min != 0 || cold.Route != "/f3-gvisor-cold" || cold.Auth != cove.AuthPublic || cold.Env["A"].Value != "b" || len((runtime.Runtime{}).Early(cove.Env{"LANG": {}})) == 0 || cold.Env["LANG"].Value == "" {
			t.Errorf("%+v", cold)
		}
		if plain := s.configFor("gvisor", kindPlain); len(plain.Env) != 1 || len(s.config.Env) != 1 {
			t.Errorf("the variable of the cold form is in %v and %v", plain.Env, s.config.Env)
		}
	})
}

func TestWalls(t *testing.T) {
	t.Parallel()
	t.Run("every isolation that Cove has is described, with its own documentation", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"docker", "gvisor", "runc"} {
			i := wall(name, "1")
			if i.Wall == "" || len(i.Protects) == 0 || len(i.Exposes) == 0 || len(i.Links) == 0 {
				t.Errorf("%+v", i)
			}
		}
		if i := wall("later", "1"); i.Name != "later" || i.Protects == nil {
			t.Errorf("%+v", i)
		}
	})
}

func TestDaemon(t *testing.T) {
	t.Parallel()
	t.Run("one that does not start says why, and is not left", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		script := filepath.Join(dir, "cove")
		if err := os.WriteFile(script, []byte("#!/bin/sh\necho first >&2\necho the reason >&2\nexit 1\n"), fs.FileMode(0o755)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := startDaemon(ctx, script, dir, nil); err == nil || !strings.Contains(err.Error(), "the reason") {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestBill(t *testing.T) {
	t.Parallel()
	t.Run("what was not measured has no cost", func(t *testing.T) {
		t.Parallel()
		s := &subject{name: "f"}
		r := &run{report: newReport(Options{})}
		r.report.Memory = []bench.MemoryRow{{Subject: "f", Isolation: "docker", PSS: cove.MiB}}
		if _, ok := r.usage(s, "docker"); ok {
			t.Error("there is one without processor time")
		}
		r.report.CPU = []bench.CPURow{{Subject: "f", Isolation: "docker", PerStart: 1, PerThousand: 2}}
		r.report.Warm = []bench.WarmRow{{Subject: "f", Isolation: "docker", Took: bench.Summary{N: 1, P50: time.Millisecond}}}
		u, ok := r.usage(s, "docker")
		if !ok || u != (bench.Usage{CPUPerStart: 1, CPUPerThousand: 2, Memory: cove.MiB, Call: time.Millisecond}) {
			t.Errorf("%+v, %v", u, ok)
		}
	})
	t.Run("what waits uses processor time, until it is paused as the function says", func(t *testing.T) {
		t.Parallel()
		r := &run{report: newReport(Options{})}
		r.report.Memory = []bench.MemoryRow{{Subject: "f", Isolation: "docker", PSS: cove.MiB}}
		r.report.CPU = []bench.CPURow{{
			Subject: "f", Isolation: "docker", IdleHour: bench.Waited{PerHour: 3, Sandboxes: 1}, PausedHour: bench.Waited{PerHour: 1, Sandboxes: 1},
			StemHour: bench.Waited{PerHour: 2, Sandboxes: 2},
		}}
		s := &subject{name: "f"}
		want := bench.Usage{CPUPerIdleHour: 3, CPUPerPausedHour: 1, CPUPerStandingHour: 2, PausedAfter: 10 * time.Second, Memory: cove.MiB}
		if u, _ := r.usage(s, "docker"); u != want {
			t.Errorf("%+v", u)
		}
		s.config.Scaling.Pause, want.PausedAfter = cove.Duration(time.Minute), time.Minute
		if u, _ := r.usage(s, "docker"); u != want {
			t.Errorf("with a pause of its own: %+v", u)
		}
		r.report.CPU[0].PausedHour, want.CPUPerPausedHour, want.PausedAfter = bench.Waited{}, 0, 0
		if u, _ := r.usage(s, "docker"); u != want {
			t.Errorf("of what was never seen paused: %+v", u)
		}
	})
}
