package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/code"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/route"
	"github.com/covefn/cove/internal/runtime"
	"github.com/covefn/cove/internal/store"
	"github.com/covefn/cove/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixture struct {
	*Service
	dir string
	db  *sqlite.Store
	log *bytes.Buffer
	// reports is what the host can run.
	reports []driver.Report
	// prepare is Options.Prepare.
	prepare func(ctx context.Context, v *cove.Version) (int, func(), *cove.Error)
}

func setup(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir(), reports: []driver.Report{
		{Isolation: "gvisor", Available: true, Features: []driver.Feature{driver.FeatureMount}},
		{Isolation: "docker", Available: true, Features: []driver.Feature{driver.FeatureEgress}},
		{Isolation: "microvm", Reason: "there is no /dev/kvm", Fix: "modprobe kvm"},
	}}
	var err error
	if f.db, err = sqlite.Open(t.Context(), filepath.Join(f.dir, "cove.db"), filepath.Join(f.dir, "secret.key")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.db.Close() })
	f.restart(t, f.db)
	return f
}

// restart starts the service anew on what is on disk.
func (f *fixture) restart(t testing.TB, functions store.Functions) {
	t.Helper()
	f.log = &bytes.Buffer{}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	packages, err := code.New(f.dir, code.Limits{}, log)
	if err != nil {
		t.Fatal(err)
	}
	f.Service, err = New(t.Context(), Options{
		Prepare: f.prepare,
		Store:   functions, Code: packages, Routes: route.NewTable[*cove.Version](), Runtimes: runtime.NewCatalogue(),
		Isolations: func(context.Context) []driver.Report { return f.reports },
		Limits:     Limits{Memory: cove.GiB, CPU: 2}, KeepVersions: 3, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func config(name string) cove.Config {
	return cove.Config{Name: name, Runtime: "python", Route: "/" + name}
}

func files(body string) Code {
	return Code{Files: map[string][]byte{"main.py": []byte(body)}}
}

// Create and Rollback are the service's, shorter.
func (f *fixture) Create(ctx context.Context, cfg cove.Config, code Code) (cove.Function, error) {
	d, err := f.Service.Create(ctx, Change{Config: &cfg, Code: code})
	return d.Function, err
}

func (f *fixture) Rollback(ctx context.Context, name string, number int, ifRevision int64) (cove.Function, error) {
	d, err := f.Service.Rollback(ctx, name, Target{Number: number, IfRevision: ifRevision})
	return d.Function, err
}

func (f *fixture) create(t testing.TB, cfg cove.Config) cove.Function {
	t.Helper()
	fn, err := f.Create(t.Context(), cfg, files(cfg.Name))
	if err != nil {
		t.Fatal(err)
	}
	return fn
}

func (f *fixture) update(t testing.TB, name string, c Change) cove.Function {
	t.Helper()
	fn, err := f.Update(t.Context(), name, c)
	if err != nil {
		t.Fatal(err)
	}
	return fn.Function
}

// routed is the version that the gateway would give a request.
func (f *fixture) routed(path string) *cove.Version {
	v, _ := f.Routes.Match("GET", path, &route.Params{})
	return v
}

func wantCode(t testing.TB, err error, want cove.Code, mentions ...string) {
	t.Helper()
	if cove.CodeOf(err) != want {
		t.Fatalf("got error %v, want code %s", err, want)
	}
	for _, m := range mentions {
		if !strings.Contains(err.Error(), m) {
			t.Errorf("the error %q does not mention %q", err, m)
		}
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()

	t.Run("defaults are filled in and aliases resolved", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		c := f.create(t, config("hello")).Version.Config
		if c.Runtime != "python3.13" || c.Handler != "main.handler" || c.Timeout != cove.Duration(10*time.Second) ||
			c.Memory != 128*cove.MiB || c.Tmp != 64*cove.MiB || c.CPU != 1 || c.Isolation != "gvisor" ||
			c.Network != cove.NetworkNone || c.Auth != cove.AuthPublic || c.Scaling.Max != 20 || c.Scaling.Queue != 100 {
			t.Errorf("got %+v", c)
		}
	})

	t.Run("it is seen by requests, by reading and after a restart", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		for range 2 {
			got, err := f.Get(t.Context(), "hello")
			if v := f.Active("hello"); err != nil || v == nil || v != f.routed("/hello") || v.ID != got.Version.ID {
				t.Errorf("active %v, routed %v, read %v, %v", v, f.routed("/hello"), got, err)
			}
			f.restart(t, f.db)
		}
	})

	t.Run("without code it is there, and gets its code later", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		fn, err := f.Create(t.Context(), config("hello"), Code{})
		if err != nil || fn.Version.Package != (cove.Package{}) {
			t.Fatalf("got %+v, %v", fn, err)
		}
		_, _, err = f.Archive(t.Context(), "hello", 1)
		wantCode(t, err, cove.CodeNoCode)
		fn = f.update(t, "hello", Change{Code: files("x")})
		if fn.Version.Number != 2 || fn.Version.Note != "code" || fn.Version.Package.Files != 1 {
			t.Errorf("got %+v", fn.Version)
		}
	})

	t.Run("a name can be taken once", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		_, err := f.Create(t.Context(), config("hello"), Code{})
		wantCode(t, err, cove.CodeConflict, "hello")
	})

	t.Run("a route that conflicts is refused and names the other", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		other := config("other")
		other.Route = "/hello"
		_, err := f.Create(t.Context(), other, files("x"))
		wantCode(t, err, cove.CodeConflict, "function hello")
		if f.Active("other") != nil {
			t.Error("it is there all the same")
		}
	})

	t.Run("a missing handler file is refused with what is there", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		_, err := f.Create(t.Context(), config("hello"), Code{Files: map[string][]byte{"app.py": nil, "lib/x.py": nil}})
		wantCode(t, err, cove.CodeInvalid, "main.py", "it holds app.py, lib/x.py")
		_, err = f.Create(t.Context(), config("hello"), Code{Files: map[string][]byte{"repo-1/main.py": nil}})
		wantCode(t, err, cove.CodeInvalid, "one directory down, in repo-1/")
		n, err := NewSweeper(f.Service, 0).RunOnce(t.Context())
		if n != 2 || err != nil {
			t.Errorf("the sweep removed %d, %v, want the 2 refused packages", n, err)
		}
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()

	t.Run("what changes nothing makes no version", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		cfg := config("hello")
		cfg.Env = cove.Env{"S": {Value: "v", Secret: true}}
		first := f.create(t, cfg)
		cfg.Methods, cfg.Env = []string{}, cove.Env{"S": {Secret: true}}
		for _, c := range []Change{{}, {Config: &cfg}, {Code: files("hello")}, {Config: &first.Version.Config, Code: files("hello")}} {
			if fn := f.update(t, "hello", c); fn.Revision != 1 || fn.Version.ID != first.Version.ID {
				t.Errorf("%+v made version %d", c, fn.Version.Number)
			}
		}
	})

	t.Run("each change says what it changed, and the route follows", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		moved := config("hello")
		moved.Route = "/moved"
		if fn := f.update(t, "hello", Change{Config: &moved}); fn.Version.Note != "config" || fn.Version.Package.Files != 1 {
			t.Errorf("got %+v", fn.Version)
		}
		if f.routed("/hello") != nil || f.routed("/moved") != f.Active("hello") {
			t.Error("the route did not move")
		}
		moved.Route = ""
		if fn := f.update(t, "hello", Change{Config: &moved, Code: files("2")}); fn.Version.Note != "code and config" {
			t.Errorf("got %+v", fn.Version)
		}
		if f.routed("/moved") != nil {
			t.Error("the route is still there")
		}
	})

	t.Run("a change of another revision is refused before the code is read", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		_, err := f.Update(t.Context(), "hello", Change{Code: Code{Archive: failing{t}}, IfRevision: 7})
		wantCode(t, err, cove.CodePreconditionFailed, "revision 1")
		_, err = f.Update(t.Context(), "nobody", Change{Code: Code{Archive: failing{t}}})
		wantCode(t, err, cove.CodeNotFound, "nobody")
	})

	t.Run("a secret without a value keeps the one it had", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		cfg := config("hello")
		cfg.Env = cove.Env{"A": {Value: "old", Secret: true}, "B": {Value: "b"}}
		f.create(t, cfg)
		cfg.Env = cove.Env{"A": {Secret: true}, "C": {Value: "c"}}
		f.update(t, "hello", Change{Config: &cfg})
		f.restart(t, f.db)
		env := f.Active("hello").Config.Env
		if env["A"] != (cove.EnvVar{Value: "old", Secret: true}) || env["C"].Value != "c" || len(env) != 2 {
			t.Errorf("got %#v", env)
		}
		cfg.Env = cove.Env{"NEW": {Secret: true}}
		_, err := f.Update(t.Context(), "hello", Change{Config: &cfg})
		wantCode(t, err, cove.CodeInvalid, "env.NEW")
	})

	t.Run("an isolation that is out of order does not hold up other changes", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		f.reports[0].Available = false
		cfg := config("hello")
		cfg.Description = "changed"
		f.update(t, "hello", Change{Config: &cfg})
		_, err := f.Create(t.Context(), config("other"), Code{})
		wantCode(t, err, cove.CodeInvalid, "isolation", "not available")
	})

	t.Run("what a caller does to an answer changes nothing", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		cfg := config("hello")
		cfg.Env = cove.Env{"A": {Value: "a"}}
		f.create(t, cfg).Version.Config.Env["A"] = cove.EnvVar{Value: "changed"}
		got, _ := f.Get(t.Context(), "hello")
		got.Version.Config.Env["A"] = cove.EnvVar{Value: "changed"}
		if v := f.Active("hello").Config.Env["A"].Value; v != "a" {
			t.Errorf("it is now %q", v)
		}
	})
}

// failing is an archive that must not be read.
type failing struct{ t *testing.T }

func (f failing) Read([]byte) (int, error) {
	f.t.Error("the archive was read")
	return 0, io.EOF
}

func TestVersions(t *testing.T) {
	t.Parallel()

	t.Run("rolling back activates the old one, its route too", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		first := f.create(t, config("hello"))
		cfg := config("hello")
		cfg.Route = "/new"
		f.update(t, "hello", Change{Config: &cfg})
		fn, err := f.Rollback(t.Context(), "hello", 1, 2)
		if err != nil || fn.Version.ID != first.Version.ID || fn.Revision != 3 || fn.Version.Note != "created" {
			t.Fatalf("got %+v, %v", fn, err)
		}
		if f.routed("/new") != nil || f.routed("/hello") != f.Active("hello") {
			t.Error("the route did not come back")
		}
		_, err = f.Rollback(t.Context(), "hello", 9, 0)
		wantCode(t, err, cove.CodeNotFound, "9")
		f.create(t, cove.Config{Name: "thief", Runtime: "python", Route: "/new"})
		_, err = f.Rollback(t.Context(), "hello", 2, 0)
		wantCode(t, err, cove.CodeConflict, "thief")
	})

	t.Run("old versions are pruned with their packages, the active one never", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		for i := range 5 {
			f.update(t, "hello", Change{Code: files(fmt.Sprint(i))})
		}
		if _, err := f.Rollback(t.Context(), "hello", 1, 0); err != nil {
			t.Fatal(err)
		}
		removed, err := NewSweeper(f.Service, 0).RunOnce(t.Context())
		if removed != 2 || err != nil {
			t.Errorf("removed %d, %v, want 2", removed, err)
		}
		var numbers []int
		all, err := f.Versions(t.Context(), "hello")
		for _, v := range all {
			numbers = append(numbers, v.Number)
			r, _, err := f.Archive(t.Context(), "hello", v.Number)
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
		}
		if !slices.Equal(numbers, []int{6, 5, 4, 1}) || err != nil {
			t.Errorf("got %v, %v", numbers, err)
		}
	})

	t.Run("deleting takes all with it", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		wantCode(t, f.Delete(t.Context(), "hello", 9), cove.CodePreconditionFailed)
		if err := f.Delete(t.Context(), "hello", 1); err != nil {
			t.Fatal(err)
		}
		wantCode(t, f.Delete(t.Context(), "hello", 0), cove.CodeNotFound)
		if f.Active("hello") != nil || f.routed("/hello") != nil {
			t.Error("it is still served")
		}
		if n, err := NewSweeper(f.Service, 0).RunOnce(t.Context()); n != 1 || err != nil {
			t.Errorf("removed %d, %v", n, err)
		}
		f.create(t, config("hello"))
	})

	t.Run("listeners hear every switch before the call returns", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		var heard []string
		number := func(v *cove.Version) int {
			if v == nil {
				return 0
			}
			return v.Number
		}
		cancel := f.Subscribe(func(old, now *cove.Version) { heard = append(heard, fmt.Sprintf("%d > %d", number(old), number(now))) })
		f.create(t, config("hello"))
		f.update(t, "hello", Change{Code: files("2")})
		_, _ = f.Rollback(t.Context(), "hello", 1, 0)
		_ = f.Delete(t.Context(), "hello", 0)
		cancel()
		f.create(t, config("again"))
		if want := []string{"0 > 1", "1 > 2", "2 > 1", "1 > 0"}; !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
	})
}
