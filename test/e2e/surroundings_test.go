package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
)

// Where one isolation cannot work, the daemon starts all the same, says what is
// missing and how to mend it, and the other isolation works.
func TestOneIsolationIsMissing(t *testing.T) {
	for missing, args := range map[string][]string{
		"docker": {"--docker-host", "unix:///nowhere/docker.sock"},
		"gvisor": {"--runsc", "/nowhere/runsc", "--isolation", "docker"},
	} {
		t.Run(missing, func(t *testing.T) {
			h := start(t, options{Args: args})
			present := map[string]string{"docker": "gvisor", "gvisor": "docker"}[missing]
			h.deploy(t, function("here", "python", ""), echo("python", "here"))
			if a := h.want(t, http.StatusOK, request{Method: http.MethodPost, Path: "/here", Body: "x"}); a.Body != "x" {
				t.Errorf("the answer is %q", a.Body)
			}
			ctx, cancel := context.WithTimeout(t.Context(), requestTime)
			defer cancel()
			if f, err := h.Client.Function(ctx, "here"); err != nil || f.Version.Config.Isolation != present {
				t.Errorf("the function runs on %q: %v", f.Version.Config.Isolation, err)
			}
			list, err := h.Client.Isolations(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range list {
				if i.Name == missing && (i.Available || i.Reason == "" || i.Fix == "") {
					t.Errorf("the probe of %s says %+v", missing, i)
				}
			}
			_, err = h.upload(ctx, function("gone", "python", missing), echo("python", "gone"))
			if code := cove.CodeOf(err); code != cove.CodeInvalid && code != cove.CodeUnavailable {
				t.Errorf("a deploy to what is missing gave %v", err)
			} else if !strings.Contains(err.Error(), missing) {
				t.Errorf("the error does not name %s: %v", missing, err)
			}
		})
	}
}

// A data directory may have a long path, though those of sockets are short.
func TestLongDataDirectory(t *testing.T) {
	h := start(t, options{Long: true})
	for _, isolation := range isolations {
		name := "deep-" + isolation
		h.deploy(t, function(name, "node", isolation), echo("node", name))
		if a := h.want(t, http.StatusOK, request{Method: http.MethodPost, Path: "/" + name, Body: name}); a.Body != name {
			t.Errorf("%s: the answer is %q", isolation, a.Body)
		}
	}
}

// An instance without work goes after its idle time, and the next request
// starts one; scaling.min keeps some.
func TestIdleInstancesGo(t *testing.T) {
	h := start(t, options{})
	count := func(name string) int {
		f, err := h.Client.Function(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return f.Instances.Total()
	}
	for _, isolation := range isolations {
		brief := function("brief-"+isolation, "python", isolation)
		brief.Scaling.Idle = cove.Duration(time.Second)
		h.deploy(t, brief, echo("python", "brief"))
		kept := function("kept-"+isolation, "python", isolation)
		kept.Scaling = cove.Scaling{Min: 2, Idle: cove.Duration(time.Second)}
		h.deploy(t, kept, echo("python", "kept"))
	}
	for _, isolation := range isolations {
		eventually(t, 60*time.Second, func() string {
			brief, kept := count("brief-"+isolation), count("kept-"+isolation)
			if brief != 0 || kept != 2 {
				return fmt.Sprintf("%s has %d instances of what may go and %d of what is kept", isolation, brief, kept)
			}
			return ""
		})
	}
	for _, isolation := range isolations {
		h.want(t, http.StatusOK, request{Path: "/brief-" + isolation})
		if n := count("kept-" + isolation); n != 2 {
			t.Errorf("%s: %d instances are kept, not 2", isolation, n)
		}
	}
}

// Modules are found where PYTHONPATH and NODE_PATH say, though the package comes
// to a language that has started already and looked there in vain.
func TestModulePaths(t *testing.T) {
	h := start(t, options{})
	code := files{
		"main.py": "import mine\n\ndef handler(event, context):\n    return mine.NAME\n", "lib/mine.py": "NAME = 'mine'\n",
		"index.js": "exports.handler = async () => require('mine');\n", "lib/mine.js": "module.exports = 'mine';\n",
	}
	for _, isolation := range isolations {
		for language := range languages {
			cfg := function("paths-"+language+"-"+isolation, language, isolation)
			cfg.Env = cove.Env{"PYTHONPATH": {Value: "/cove/code/lib"}, "NODE_PATH": {Value: "/cove/code/lib"}}
			h.deploy(t, cfg, code)
			if a := h.get(t, cfg.Route); a.Body != `"mine"` {
				t.Errorf("%s on %s answers %d: %.500s", language, isolation, a.Status, a.Body)
			}
		}
	}
}
