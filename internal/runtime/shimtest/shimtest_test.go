package shimtest_test

import (
	"testing"

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

func TestNode(t *testing.T) {
	t.Parallel()
	shimtest.Run(t, shimtest.JavaScript, local(t, "node", shimtest.FindNode(t)))
}
