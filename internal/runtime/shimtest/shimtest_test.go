package shimtest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove/internal/runtime"
	"github.com/covefn/cove/internal/runtime/shimtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func local(t testing.TB, name, interpreter string) shimtest.Local {
	t.Helper()
	c := runtime.NewCatalogue()
	dir := t.TempDir()
	if err := c.WriteShims(dir); err != nil {
		t.Fatal(err)
	}
	r, ok := c.Lookup(name)
	if !ok {
		t.Fatalf("no runtime %s", name)
	}
	return shimtest.Local{Runtime: r, Interpreter: interpreter, ShimDir: runtime.ShimDir(dir, r)}
}

func TestPython(t *testing.T) {
	t.Parallel()
	shimtest.Run(t, shimtest.Python, local(t, "python", shimtest.FindPython(t)))
}

// A shim that has compiled itself, as it is in use, keeps to every rule too.
func TestPythonCompiled(t *testing.T) {
	t.Parallel()
	c := runtime.NewCatalogue()
	dir := t.TempDir()
	if err := c.WriteShims(dir); err != nil {
		t.Fatal(err)
	}
	r, _ := c.Lookup("python")
	l := shimtest.Local{Runtime: r, Interpreter: shimtest.FindPython(t), ShimDir: runtime.ShimDir(dir, r)}
	compileShim(t, l, dir)
	// Without its sources it can have read nothing else.
	if err := os.Chmod(l.ShimDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"serve.py", "shared.py", "tasks.py", "workers.py", "compile.py"} {
		if err := os.Remove(filepath.Join(l.ShimDir, name)); err != nil {
			t.Fatal(err)
		}
	}
	shimtest.Run(t, shimtest.Python, l)
}

// compileShim has a shim compile itself into dir.
func compileShim(t testing.TB, l shimtest.Local, dir string) {
	t.Helper()
	if runtime.CompiledShim(dir, l.Runtime) {
		t.Fatal("compiled before")
	}
	conn := runtime.NewConn(l.Start(t, nil).Conn, runtime.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := conn.Hello(ctx); err != nil {
		t.Fatal(err)
	}
	if err := runtime.CompileShim(ctx, conn, dir, l.ShimDir, l.Runtime); err != nil {
		t.Fatal(err)
	}
	if !runtime.CompiledShim(dir, l.Runtime) {
		t.Error("not compiled")
	}
}

func TestNode(t *testing.T) {
	t.Parallel()
	shimtest.Run(t, shimtest.JavaScript, local(t, "node", shimtest.FindNode(t)))
}

func TestVariables(t *testing.T) {
	t.Parallel()
	python, node := shimtest.FindPython(t), shimtest.FindNode(t)
	shimtest.KnowsItsVariables(t, local(t, "python", python).Runtime, python, "--help-env")
	shimtest.KnowsItsVariables(t, local(t, "node", node).Runtime, node, "--help")
}
