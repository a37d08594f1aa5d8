package e2e

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/covefn/cove"
)

// What is in a function's environment reaches the function and nothing else: no
// log, no answer of the API, no file in clear, nothing that Docker tells about
// the container, no command line of a process.
func TestSecretsNeverLoggedNorStoredInClear(t *testing.T) {
	const secret, plain = "hunter2-tr0ub4dor-9d1f", "plain-value-c0ffee-17"
	h := start(t, options{})
	code := files{"main.py": `
import hashlib, os

def handler(event, context):
    return [hashlib.sha256(os.environ[name].encode()).hexdigest() for name in ("SECRET", "PLAIN")]
`}
	for _, isolation := range isolations {
		cfg := function("keeper-"+isolation, "python", isolation)
		cfg.Env = cove.Env{"SECRET": {Value: secret, Secret: true}, "PLAIN": {Value: plain}}
		h.deploy(t, cfg, code)
		want := `["` + sha256Hex(secret) + `","` + sha256Hex(plain) + `"]`
		if a := h.get(t, "/"+cfg.Name); strings.ReplaceAll(a.Body, " ", "") != want {
			t.Errorf("%s: the function sees other values: %s", isolation, a.Body)
		}
	}
	told := h.everythingTold(t)
	if holds(told["the function"], plain) == "" {
		t.Errorf("a variable that is no secret is not shown; is this the right place to look? %.1000s", told["the function"])
	}
	for name, text := range told {
		if form := holds(text, secret); form != "" {
			t.Errorf("%s holds the secret %s", name, form)
		}
	}
	h.searchFiles(t, secret, plain)
	// A configuration that is sent back as it was read keeps the secret.
	f, err := h.Client.Function(t.Context(), "keeper-docker")
	if err != nil {
		t.Fatal(err)
	}
	cfg := f.Version.Config
	cfg.Description = "changed"
	h.deploy(t, cfg, code)
	if a := h.get(t, "/keeper-docker"); !strings.Contains(a.Body, sha256Hex(secret)) {
		t.Errorf("the secret was lost: %s", a.Body)
	}
	log := h.log.String()
	h.stop(t)
	h.searchFiles(t, secret, plain)
	for _, value := range []string{secret, plain} {
		if form := holds(log, value); form != "" {
			t.Errorf("the log holds %q %s", value, form)
		}
	}
}

func sha256Hex(s string) string {
	return hex.EncodeToString(sha256Sum(s))
}

// holds says in which form text holds value: "" for none.
func holds(text, value string) string {
	forms := map[string]string{
		"in clear": value, "in hexadecimal": hex.EncodeToString([]byte(value)),
		"reversed": reverse(value),
	}
	// Base64 has three forms, by where in the text the value begins.
	for shift := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + value))
		forms["in base64"+strings.Repeat("'", shift)] = encoded[4 : len(encoded)-4]
	}
	for form, encoded := range forms {
		if strings.Contains(text, encoded) {
			return form
		}
	}
	return ""
}

func reverse(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// everythingTold is what can be asked about the function and the processes.
func (h *harness) everythingTold(t *testing.T) map[string]string {
	t.Helper()
	told := map[string]string{}
	keep := func(name string, v any, err error) {
		data, marshal := json.Marshal(v)
		if err != nil || marshal != nil {
			t.Errorf("%s: %v %v", name, err, marshal)
		}
		told[name] = string(data)
	}
	ctx := context.WithoutCancel(t.Context())
	for _, isolation := range isolations {
		name := "keeper-" + isolation
		f, err := h.Client.Function(ctx, name)
		keep("the function", f, err)
		versions, err := h.Client.Versions(ctx, name)
		keep("the list of versions", versions, err)
		told["cove get"] += h.cove(t, "get", name, "-o", "json").Stdout + h.cove(t, "get", name).Stdout
		told["cove ls"] += h.cove(t, "ls", "-o", "json").Stdout
		told["the function's log"] += h.lines(t, name)
	}
	for _, c := range h.containers(t) {
		id, _, _ := strings.Cut(c, " ")
		var inspected any
		err := dockerCall(ctx, "/containers/"+id+"/json", &inspected)
		keep("docker inspect", inspected, err)
	}
	for _, p := range h.processes(t) {
		pid, _, _ := strings.Cut(p, " ")
		// A process of the function has its environment in its own memory; what
		// it was started with is what the host's users see.
		for _, file := range []string{"cmdline", "environ"} {
			data, _ := os.ReadFile(filepath.Join("/proc", pid, file))
			told["/proc/PID/"+file] += string(data)
		}
	}
	return told
}

// searchFiles looks for values in every file of the data directory.
func (h *harness) searchFiles(t *testing.T, values ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(h.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // Sandboxes come and go meanwhile.
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		files++
		for _, value := range values {
			if form := holds(string(data), value); form != "" {
				t.Errorf("%s holds %q %s", path, value, form)
			}
		}
		return nil
	})
	if err != nil || files < 3 {
		t.Errorf("only %d files were searched: %v", files, err)
	}
}
