package e2e

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The command line as people type it, from an empty folder to a function that
// is deleted again. The scripts are in test/script.
func TestCLIJourney(t *testing.T) {
	h := start(t, options{})
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(repository(), "test", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(h.binary)+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("COVE", h.binary)
			// As the user who started the daemon, whose note says where it is.
			env.Setenv("HOME", h.home)
			env.Setenv("GATEWAY", h.Gateway)
			env.Setenv("API", h.API)
			env.Setenv("IMAGES", imagesDir())
			env.Setenv("RUNSC", runscPath())
			return nil
		},
	})
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
