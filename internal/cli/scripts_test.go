package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMakeRunKeepsItsTokenOffCommandLines runs what scripts/run.sh runs the command
// line with, on a program in its place that shows what it was given.
func TestMakeRunKeepsItsTokenOffCommandLines(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../../scripts/run.sh")
	if err != nil {
		t.Fatal(err)
	}
	_, function, found := strings.Cut(string(script), "\ncove() {")
	function, _, ended := strings.Cut(function, "\n}\n")
	if !found || !ended {
		t.Fatal("scripts/run.sh has no function cove")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"admin.token": "secret-token\n",
		"bin/cove":    "#!/bin/sh\necho \"$COVE_API $COVE_TOKEN $*\"\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Every program that the shell starts stands in the trace with its arguments;
	// what an inner shell does does not.
	cmd := exec.CommandContext(t.Context(), "bash", "-c", "api=here data=.\nas_root() { command -p env \"$@\"; }\ncove() {"+function+"\n}\nset -x\ncove ls 'a b'")
	cmd.Dir = dir
	var trace strings.Builder
	cmd.Stderr = &trace
	out, err := cmd.Output()
	if err != nil || string(out) != "http://here secret-token ls a b\n" {
		t.Errorf("got %q, %v: %s", out, err, trace.String())
	}
	if strings.Contains(trace.String(), "secret-token") {
		t.Errorf("the token stands on a command line:\n%s", trace.String())
	}
}
