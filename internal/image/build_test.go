package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/covefn/cove"
)

// small is the quickest recipe that goes through everything Debian's part does.
const small = `
name: small
description: Two packages and no more
debian:
  suite: trixie
  variant: extract
  sources: ["deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main"]
  packages: [base-files, base-passwd]
env: {LANG: C.UTF-8}
`

func parse(t *testing.T, text string) Recipe {
	t.Helper()
	r, err := ParseRecipe([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecipes(t *testing.T) {
	t.Parallel()

	t.Run("those that Cove brings along can be read and have the names of their files", func(t *testing.T) {
		t.Parallel()
		recipes, err := Recipes()
		if err != nil || len(recipes) < 2 {
			t.Fatalf("there are %d: %v", len(recipes), err)
		}
		for _, r := range recipes {
			if found, err := FindRecipe(r.Name); err != nil || found.Digest() != r.Digest() {
				t.Errorf("%s is not found: %v", r.Name, err)
			}
		}
	})

	t.Run("a recipe with a mistake is refused", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{
			"", "name: x", "name: X\ndebian: {suite: trixie}", "name: x\ndebian: {suite: trixie, typo: 1}",
			"name: x\ndebian: {suite: trixie, remove: [/etc]}", "name: x\ndebian: {suite: trixie, remove: [a/../../etc]}",
			"name: x\ndebian: {suite: trixie}\nnpm: [{package: a, version: 1.0.0}]", "[", "name: {}",
		} {
			_, err := ParseRecipe([]byte(text))
			wantCode(t, err, cove.CodeInvalid)
		}
	})

	t.Run("one for another processor is told before anything begins", func(t *testing.T) {
		t.Parallel()
		r := parse(t, small)
		r.NPM = []NPM{{Package: "a", Version: "1.0.0", Arch: "pdp11", Integrity: "sha512-"}}
		_, err := setup(t).Build(t.Context(), r, Quiet{})
		wantCode(t, err, cove.CodeUnavailable)
	})
}

func TestBuild(t *testing.T) {
	t.Parallel()

	t.Run("Debian's packages become an image, the same each time", func(t *testing.T) {
		t.Parallel()
		r, s := parse(t, small), setup(t)
		steps := make(chan string, 100)
		first, err := s.Build(t.Context(), r, stepsTo(steps))
		if err != nil {
			t.Fatal(err)
		}
		if first.Recipe != r.Digest() || first.Source != "recipe small" || len(steps) < 3 {
			t.Errorf("it is %+v, in %d steps", first, len(steps))
		}
		for path, want := range map[string]bool{
			"etc/debian_version": true, "cove": true, "dev/null": false,
		} {
			if _, err := os.Lstat(filepath.Join(first.Root, path)); (err == nil) != want {
				t.Errorf("%s: %v", path, err)
			}
		}
		wantNothingHalfDone(t, s)
		second, err := s.Build(t.Context(), r, Quiet{})
		if err != nil || second.Digest != first.Digest {
			t.Errorf("the second time it is %s, not %s: %v", second.Digest, first.Digest, err)
		}
	})

	t.Run("breaking off ends every process and leaves nothing", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := s.Build(ctx, parse(t, small), cancelAt{"extracting", cancel})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		if left := processesWith(t, s.dir); len(left) > 0 {
			t.Errorf("these processes are left: %q", left)
		}
		wantNothingHalfDone(t, s)
		if _, err := s.Get("small"); cove.CodeOf(err) != cove.CodeNotFound {
			t.Errorf("there is an image: %v", err)
		}
	})

	t.Run("an error quotes what mmdebstrap said", func(t *testing.T) {
		t.Parallel()
		s, r := setup(t), parse(t, strings.Replace(small, "base-passwd]", "no-such-package]", 1))
		_, err := s.Build(t.Context(), r, Quiet{})
		wantCode(t, err, cove.CodeUnavailable)
		if !strings.Contains(err.Error(), "no-such-package") {
			t.Errorf("the error is %v", err)
		}
		wantNothingHalfDone(t, s)
	})
}

type cancelAt struct {
	step   string
	cancel func()
}

func (c cancelAt) Step(text string) {
	if strings.Contains(text, c.step) {
		c.cancel()
	}
}

func (cancelAt) Bytes(int64, int64) {}

// processesWith are the processes that have text in their environment.
func processesWith(t *testing.T, text string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil && strings.Contains(string(data), text) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			found = append(found, string(line))
		}
	}
	return found
}
