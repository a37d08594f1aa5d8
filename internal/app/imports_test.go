package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// mayImport is the picture in docs/ARCHITECTURE.md: which packages of this module
// a package may import, beside the root package, which all may. A trailing /...
// takes in everything beneath.
var mayImport = map[string][]string{
	"":                  {},
	"client/wire":       {},
	"client":            {"client/wire"},
	"cmd/cove":          {"internal/app", "internal/cli", "internal/config", "internal/driver"},
	"images":            {},
	"web":               {},
	"internal/app":      {"..."},
	"internal/cli":      {"internal/templates", "client", "client/wire", "internal/bench/...", "internal/bench", "internal/cli/...", "internal/config", "internal/driver", "internal/image", "internal/strictjson"},
	"internal/config":   {},
	"internal/api":      {"client/wire", "internal/invoke", "internal/deploy", "internal/driver", "internal/runtime", "internal/store", "internal/logs", "internal/strictjson", "internal/auth", "internal/requestid", "internal/events", "internal/metrics", "internal/code", "internal/templates", "internal/bench"},
	"internal/settings": {"internal/store", "internal/strictjson"},
	"internal/gateway":  {"internal/invoke", "internal/quiet", "internal/route", "internal/runtime", "internal/requestid"},
	"internal/invoke":   {"internal/pool", "internal/runtime", "internal/logs", "internal/driver"},
	"internal/deploy":   {"internal/code", "internal/route", "internal/runtime", "internal/store", "internal/driver"},
	"internal/code":     {},
	"internal/image":    {"internal/driver", "images"},
	"internal/pool":     {"internal/scale", "internal/driver", "internal/runtime", "internal/logs"},
	"internal/scale":    {},
	"internal/logs":     {"internal/quiet"},
	"internal/events":   {"client/wire"},
	"internal/metrics":  {"client/wire", "internal/store"},
	"internal/tracing":  {},
	"internal/route":    {},
	"internal/auth":     {"internal/store"},
	"internal/driver":   {},
	"internal/runtime":  {"internal/driver", "internal/runtime/shim"},
	"internal/store":    {},

	"internal/bench":           {},
	"internal/bench/workloads": {},
	"internal/bench/runs":      {"client/wire"},
	"internal/machine":         {"client/wire", "internal/bench"},
	"internal/bench/compare":   {"client", "client/wire", "internal/bench", "internal/bench/workloads", "internal/driver", "internal/image", "internal/quiet", "internal/runtime"},

	"internal/cli/local":       {},
	"internal/strictjson":      {},
	"internal/templates":       {"client/wire", "internal/strictjson"},
	"internal/requestid":       {},
	"internal/quiet":           {},
	"internal/driver/host":     {"internal/driver", "internal/quiet"},
	"internal/driver/docker":   {"internal/driver", "internal/driver/host"},
	"internal/driver/oci":      {"internal/driver", "internal/driver/host"},
	"internal/runtime/shim":    {},
	"internal/store/sqlite":    {"internal/logs", "internal/store"},
	"internal/store/storetest": {"internal/store"},

	"internal/api/apitest": {
		"client/wire", "internal/api", "internal/auth", "internal/code", "internal/deploy", "internal/driver", "internal/events",
		"internal/invoke", "internal/logs", "internal/metrics", "internal/runtime", "internal/settings", "internal/store", "internal/store/sqlite",
	},
	"internal/scale/sim":          {"internal/scale"},
	"internal/pool/pooltest":      {"internal/driver", "internal/runtime"},
	"internal/driver/drivertest":  {"internal/driver", "internal/driver/host", "internal/image"},
	"internal/image/imagetest":    {"internal/driver", "internal/image"},
	"internal/runtime/shimtest":   {"internal/runtime", "internal/driver", "internal/logs"},
	"internal/store/sqlite/query": {},
}

const module = "github.com/covefn/cove"

func TestPackagesImportOnlyWhatThePictureAllows(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		name := local(p.ImportPath)
		allowed, known := mayImport[name]
		if !known && !strings.HasPrefix(name, "test/") && !strings.HasPrefix(name, "bench") && !strings.HasPrefix(name, "tools") {
			t.Errorf("package %s is not in the picture", name)
		}
		for _, i := range p.Imports {
			if known && strings.HasPrefix(i, module+"/") && !allows(allowed, local(i)) {
				t.Errorf("%s must not import %s", name, local(i))
			}
		}
	}
}

func local(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

func allows(allowed []string, name string) bool {
	for _, a := range allowed {
		if prefix, ok := strings.CutSuffix(a, "..."); a == name || ok && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
