package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
	"github.com/covefn/cove/internal/store/sqlite"
	"github.com/covefn/cove/internal/store/storetest"
)

// writeUntilKilled makes this test binary a writer; see the test of SIGKILL.
const writeUntilKilled = "COVE_TEST_WRITE_UNTIL_KILLED"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writeUntilKilled); dir != "" {
		fmt.Println("failed:", writeForEver(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func open(dir string) (*sqlite.Store, error) {
	return sqlite.Open(context.Background(), filepath.Join(dir, "cove ?#%.db"), filepath.Join(dir, "secret.key"))
}

func setup(t *testing.T) (*sqlite.Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { s, _ := setup(t); return s })
}

func TestEncryption(t *testing.T) {
	t.Parallel()

	t.Run("no value of the environment is on disk in clear", func(t *testing.T) {
		t.Parallel()
		s, dir := setup(t)
		v := storetest.Version("hello")
		v.Config.Env = cove.Env{"SECRET": {Value: "hunter2-secret", Secret: true}, "PLAIN": {Value: "hunter2-plain"}}
		if _, err := s.CreateFunction(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte("hunter2")) {
				t.Errorf("%s holds a value in clear", filepath.Base(path))
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v, want 0600", filepath.Base(path), info.Mode())
			}
		}
	})

	t.Run("a missing key is told and not replaced", func(t *testing.T) {
		t.Parallel()
		s, dir := setup(t)
		s.Close()
		key := filepath.Join(dir, "secret.key")
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		wantError(t, dir, "missing", "restore it")
		if _, err := os.Stat(key); err == nil {
			t.Error("a new key was made for a database that had another")
		}
	})

	t.Run("another database's key is told", func(t *testing.T) {
		t.Parallel()
		s, dir := setup(t)
		s.Close()
		_, other := setup(t)
		data, err := os.ReadFile(filepath.Join(other, "secret.key"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "secret.key"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		wantError(t, dir, "is not the one", "restore the right one")
	})

	t.Run("a key that others can read or that is damaged is told", func(t *testing.T) {
		t.Parallel()
		s, dir := setup(t)
		s.Close()
		key := filepath.Join(dir, "secret.key")
		if err := os.Chmod(key, 0o640); err != nil {
			t.Fatal(err)
		}
		wantError(t, dir, "chmod 600")
		if err := os.Chmod(key, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(key, []byte("short"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantError(t, dir, "damaged")
	})
}

func wantError(t *testing.T, dir string, mentions ...string) {
	t.Helper()
	s, err := open(dir)
	if err == nil {
		s.Close()
		t.Fatal("the store opened")
	}
	for _, m := range mentions {
		if !strings.Contains(err.Error(), m) {
			t.Errorf("the error %q does not mention %q", err, m)
		}
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()

	t.Run("what was kept is there after a restart", func(t *testing.T) {
		t.Parallel()
		s, dir := setup(t)
		if _, err := s.CreateFunction(t.Context(), storetest.Version("hello")); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		f, err := again.Function(t.Context(), "hello")
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Version.Config.Env["SECRET"].Value; got != "hush\x01\"ü" {
			t.Errorf("the secret is %q after a restart", got)
		}
	})

	t.Run("what was confirmed is there after SIGKILL", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		for round := range 3 {
			confirmed := killWriter(t, dir)
			s, err := open(dir)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			for _, name := range confirmed {
				f, err := s.Function(t.Context(), name)
				if err != nil || f.Version.Number != 2 {
					t.Errorf("round %d: %s was confirmed at version 2 and is at %d: %v", round, name, f.Version.Number, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// killWriter runs a writing process, kills it in the middle of its work and
// returns the names that it had said were kept.
func killWriter(t *testing.T, dir string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), writeUntilKilled+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	var names []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		name, ok := strings.CutPrefix(lines.Text(), "kept ")
		if !ok {
			t.Errorf("the writer says %q", lines.Text())
			break
		}
		if names = append(names, name); len(names) == 20 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(names) < 20 {
		t.Fatalf("the writer was to be killed; it ended with %v after %d writes", err, len(names))
	}
	return names
}

func writeForEver(dir string) error {
	s, err := open(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for i := 0; ; i++ {
		name := fmt.Sprintf("f%d-%d", os.Getpid(), i)
		if _, err := s.CreateFunction(ctx, storetest.Version(name)); err != nil {
			return err
		}
		if _, err := s.AddVersion(ctx, storetest.Version(name), 1); err != nil {
			return err
		}
		fmt.Println("kept", name)
	}
}

func BenchmarkAddVersion(b *testing.B) {
	s, err := open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.CreateFunction(b.Context(), storetest.Version("hello")); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.AddVersion(b.Context(), storetest.Version("hello"), 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAllFunctions10000(b *testing.B) {
	s, err := open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := range 10_000 {
		if _, err := s.CreateFunction(b.Context(), storetest.Version(fmt.Sprintf("f%05d", i))); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if all, err := s.AllFunctions(b.Context()); err != nil || len(all) != 10_000 {
			b.Fatal(len(all), err)
		}
	}
}
