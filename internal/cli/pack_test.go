package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPack(t *testing.T) {
	t.Parallel()
	digest := func(t *testing.T, dir string) string {
		t.Helper()
		p, err := packFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if _, err := os.Stat(p.file.Name()); err == nil {
			t.Error("the temporary file has a name, so it stays if the command is ended")
		}
		return p.SHA256
	}
	t.Run("the same files make the same bytes whenever and wherever", func(t *testing.T) {
		t.Parallel()
		files := map[string]string{"main.py": "x", "a/b.py": "y", "z": ""}
		one, two := folder(t, files), folder(t, files)
		if err := os.Chtimes(filepath.Join(two, "main.py"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		if digest(t, one) != digest(t, two) {
			t.Error("the digests differ")
		}
	})
	t.Run("a link that leaves the folder is refused", func(t *testing.T) {
		t.Parallel()
		for _, target := range []string{"/etc/passwd", "../x", "a/../../x"} {
			dir := folder(t, map[string]string{"main.py": "x"})
			if err := os.Symlink(target, filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			if _, err := packFolder(dir); err == nil || !strings.Contains(err.Error(), "leads out of the folder") {
				t.Errorf("%s: %v", target, err)
			}
		}
	})
	t.Run("an empty folder is refused", func(t *testing.T) {
		t.Parallel()
		if _, err := packFolder(folder(t, map[string]string{"cove.yaml": "name: x"})); err == nil {
			t.Error("it was packed")
		}
	})
}

func TestIgnore(t *testing.T) {
	t.Parallel()
	tests := []struct {
		lines, name string
		folder      bool
		want        bool
	}{
		{"*.log", "a/b.log", false, true},
		{"*.log", "b.log.txt", false, false},
		{"/top", "top", false, true},
		{"/top", "a/top", false, false},
		{"build/", "a/build", true, true},
		{"build/", "build", false, false},
		{"a/**/b", "a/x/y/b", false, true},
		{"a/**/b", "a/b", false, true},
		{"*.md\n!README.md", "README.md", false, false},
		{"# note\n\n?.txt", "a.txt", false, true},
		{"", "node_modules", true, false},
	}
	for _, tt := range tests {
		var rules []ignoreRule
		for line := range strings.SplitSeq(tt.lines, "\n") {
			rule, ok, err := parseIgnore(line)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				rules = append(rules, rule)
			}
		}
		if got := ignored(rules, tt.name, tt.folder); got != tt.want {
			t.Errorf("%q, %s: %v", tt.lines, tt.name, got)
		}
	}
}

func FuzzParseIgnore(f *testing.F) {
	f.Add("!/a/**/*.?[")
	f.Fuzz(func(t *testing.T, line string) {
		if _, _, err := parseIgnore(line); err != nil && strings.ToValidUTF8(line, "") == line {
			t.Errorf("%q: %v", line, err)
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("name: a\nscaling: {min: 1}\nenv:\n  A: [1]\n"))
	f.Add([]byte("a: &x [*x]"))
	f.Add([]byte("---\n---\n"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = parseConfig("cove.yaml", data) })
}
