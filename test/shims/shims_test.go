// Package shims runs the conformance suite of the runtime protocol inside real
// sandboxes, with the interpreters of the runtime images.
package shims

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/docker"
	"github.com/covefn/cove/internal/driver/drivertest"
	"github.com/covefn/cove/internal/driver/oci"
	"github.com/covefn/cove/internal/image/imagetest"
	"github.com/covefn/cove/internal/runtime"
	"github.com/covefn/cove/internal/runtime/shimtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestShimsInSandboxes(t *testing.T) {
	// Unix sockets' paths are short, so not t.TempDir.
	dir, err := os.MkdirTemp("", "shims")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	catalogue := runtime.NewCatalogue()
	if err := catalogue.WriteShims(filepath.Join(dir, "shims")); err != nil {
		t.Fatal(err)
	}
	for isolation, d := range drivers(t, dir) {
		for language, name := range map[shimtest.Language]string{shimtest.Python: "python", shimtest.JavaScript: "node"} {
			r, ok := catalogue.Lookup(name)
			if !ok {
				t.Fatalf("no runtime %s", name)
			}
			t.Run(isolation+"/"+r.Name, func(t *testing.T) {
				shimtest.Run(t, language, &starter{
					driver: d, runtime: r, image: imagetest.Image(t, r.Image),
					shims: runtime.ShimDir(filepath.Join(dir, "shims"), r), dir: filepath.Join(dir, "code"),
				})
			})
		}
	}
}

func drivers(t *testing.T, dir string) map[string]driver.Driver {
	t.Helper()
	gvisor, err := oci.New(oci.Options{
		Isolation: "gvisor", Binary: drivertest.Runsc(t),
		StateDir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "gvisor"),
	})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := docker.New(docker.Options{RunDir: filepath.Join(dir, "docker")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gvisor.Close(); err != nil {
			t.Error(err)
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]driver.Driver{"gvisor": gvisor, "docker": engine}
}

// starter starts shims in sandboxes. It implements shimtest.Starter.
type starter struct {
	driver  driver.Driver
	runtime runtime.Runtime
	image   driver.Image
	shims   string
	dir     string
	started atomic.Int64
}

// Start makes a sandbox and mounts the package into it.
func (s *starter) Start(t testing.TB, files map[string]string, env ...string) *shimtest.Process {
	t.Helper()
	id := fmt.Sprintf("shim-%d-%d", os.Getpid(), s.started.Add(1))
	code := filepath.Join(s.dir, s.driver.Isolation(), s.runtime.Name, id)
	for name, text := range files {
		file := filepath.Join(code, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(code, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	created, err := s.driver.Create(ctx, driver.Spec{
		ID: id, Owner: "shims", Image: s.image, ShimDir: s.shims, Command: s.runtime.Command,
		Env: append(append([]string{}, s.runtime.Env...), env...), Network: cove.NetworkNone,
		Limits: driver.Limits{Memory: 512 * cove.MiB, CPU: 2, PIDs: 512, Tmp: 64 * cove.MiB},
	})
	if err != nil {
		t.Fatalf("create a sandbox: %v", err)
	}
	sandbox := driver.Guard(created)
	t.Cleanup(func() {
		if err := sandbox.Destroy(context.Background(), "end of the test"); err != nil {
			t.Errorf("destroy: %v", err)
		}
	})
	if err := sandbox.Mount(ctx, code); err != nil {
		t.Fatalf("mount the package: %v", err)
	}
	stdout, stderr := sandbox.Logs()
	return &shimtest.Process{
		Conn: sandbox.Conn(), Stdout: stdout, Stderr: stderr, CodeDir: driver.CodeDir,
		Wait: func(ctx context.Context) (int, error) {
			exit, err := sandbox.Wait(ctx)
			return exit.Code, err
		},
	}
}
