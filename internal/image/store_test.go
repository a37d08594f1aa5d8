package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

func TestStore(t *testing.T) {
	t.Parallel()

	t.Run("an empty store lists nothing", func(t *testing.T) {
		t.Parallel()
		list, err := setup(t).List()
		if err != nil || list == nil || len(list) != 0 {
			t.Errorf("List is %v, %v", list, err)
		}
	})

	t.Run("an image that is not there is told with the command that brings it", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		_, err := s.DriverImage("python3.13")
		wantCode(t, err, cove.CodeUnavailable)
		if !strings.Contains(err.Error(), "cove image build python3.13") {
			t.Errorf("the error does not say what to do: %v", err)
		}
		_, err = s.Get("ruby")
		wantCode(t, err, cove.CodeNotFound)
		if !strings.Contains(err.Error(), "cove image pull ruby") {
			t.Errorf("the error does not say what to do: %v", err)
		}
		wantCode(t, s.Remove(t.Context(), "ruby"), cove.CodeNotFound)
	})

	t.Run("names that are no names are refused", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		for _, name := range []string{"", ".", "..", ".tmp", "a/b", "../a", "A", "a b", "-a", strings.Repeat("a", 64)} {
			_, err := s.Get(name)
			wantCode(t, err, cove.CodeInvalid)
			_, err = s.Import(t.Context(), name, "/dev/null", Quiet{})
			wantCode(t, err, cove.CodeInvalid)
		}
	})

	t.Run("an image says where it is from and how large it is", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		img := importRoot(t, s, "one", regular("bin/sh"))
		if img.Source != "file root.tar" || img.Size <= 0 || img.Unpacked <= 0 || img.Created.IsZero() ||
			img.Ref != "cove/one:"+img.Digest[len("sha256:"):][:12] {
			t.Errorf("it is %+v", img)
		}
		list, err := s.List()
		if err != nil || len(list) != 1 || list[0] != img {
			t.Errorf("List is %+v, %v", list, err)
		}
		wantNothingHalfDone(t, s)
	})

	t.Run("equal content has an equal reference", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		a, b := importRoot(t, s, "one", regular("bin/sh")), importRoot(t, s, "two", regular("bin/sh"))
		if a.Digest != b.Digest {
			t.Errorf("the digests are %s and %s", a.Digest, b.Digest)
		}
		if c := importRoot(t, s, "two", regular("bin/bash")); c.Digest == b.Digest {
			t.Error("other content has the same digest")
		}
	})

	t.Run("a damaged index is told and left out of the list", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		importRoot(t, s, "one", regular("bin/sh"))
		if err := os.WriteFile(filepath.Join(s.dir, "one", "index.json"), []byte("{"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := s.Get("one")
		wantCode(t, err, cove.CodeUnavailable)
		if list, err := s.List(); err != nil || len(list) != 0 {
			t.Errorf("List is %v, %v", list, err)
		}
		importRoot(t, s, "one", regular("bin/sh"))
		if _, err := s.Get("one"); err != nil {
			t.Errorf("it cannot be mended: %v", err)
		}
	})
}

func TestWhatASandboxNeedsIsThere(t *testing.T) {
	t.Parallel()

	check := func(t *testing.T, root string) {
		t.Helper()
		for _, dir := range []string{driver.BoxDir, driver.ShimDir, "/tmp", "/proc", "/sys", "/dev"} {
			if info, err := os.Lstat(root + dir); err != nil || !info.IsDir() {
				t.Errorf("%s is no directory: %v", dir, err)
			}
		}
		if info, err := os.Lstat(root + "/etc/resolv.conf"); err != nil || !info.Mode().IsRegular() || info.Size() > 0 {
			t.Errorf("/etc/resolv.conf is no empty file: %v", err)
		}
		for file, want := range map[string]string{
			"/etc/hosts": "localhost", "/etc/passwd": ":65532:65532:", "/etc/group": ":65532:",
		} {
			if data, err := os.ReadFile(root + file); err != nil || strings.Count(string(data), want) == 0 {
				t.Errorf("%s is %q, %v", file, data, err)
			}
		}
	}

	t.Run("in an image that has none of it", func(t *testing.T) {
		t.Parallel()
		check(t, importRoot(t, setup(t), "one", regular("bin/sh")).Root)
	})

	t.Run("in an image where links lie in its place", func(t *testing.T) {
		t.Parallel()
		outside := t.TempDir()
		img := importRoot(t, setup(t), "one",
			symlink("etc/resolv.conf", "/run/resolv.conf"), symlink("tmp", outside), symlink("opt", "usr/opt"),
			symlink("cove", "/nowhere"), symlink("etc/passwd", "/etc/shadow"))
		check(t, img.Root)
		if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
			t.Errorf("something was put outside: %v, %v", entries, err)
		}
	})

	t.Run("users that are there stay", func(t *testing.T) {
		t.Parallel()
		img := importRoot(t, setup(t), "one", regular("etc/passwd"))
		check(t, img.Root)
		data, err := os.ReadFile(img.Root + "/etc/passwd")
		if err != nil || !strings.HasPrefix(string(data), "content of etc/passwd\ncove:") {
			t.Errorf("/etc/passwd is %q, %v", data, err)
		}
	})
}

func TestReplacingAndRemoving(t *testing.T) {
	t.Parallel()

	t.Run("a root that a driver uses outlives the image's replacement, with its blobs", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		daemon, other := open(t, dir), open(t, dir)
		importRoot(t, other, "one", regular("first"))
		used, err := daemon.DriverImage("one")
		if err != nil {
			t.Fatal(err)
		}
		second := importRoot(t, other, "one", regular("second"))
		if _, err := os.Stat(filepath.Join(used.Root, "first")); err != nil {
			t.Errorf("the root in use is gone: %v", err)
		}
		readTarball(t, used, "first")
		if got, err := daemon.DriverImage("one"); err != nil || got.Ref != second.Ref {
			t.Errorf("the daemon does not see the new image: %v, %v", got.Ref, err)
		}
		if err := daemon.Close(); err != nil {
			t.Fatal(err)
		}
		importRoot(t, other, "one", regular("third"))
		roots, err := filepath.Glob(filepath.Join(dir, "one", rootPrefix+"*"))
		if err != nil || len(roots) != 1 {
			t.Errorf("old roots are left: %v, %v", roots, err)
		}
		blobs, err := os.ReadDir(filepath.Join(dir, "one", "blobs", "sha256"))
		if err != nil || len(blobs) != 4 { // manifest, configuration, two layers
			t.Errorf("there are %d blobs, want 4: %v", len(blobs), err)
		}
	})

	t.Run("an image in use cannot be removed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		daemon, other := open(t, dir), open(t, dir)
		importRoot(t, other, "one", regular("a"))
		if _, err := daemon.DriverImage("one"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, other.Remove(t.Context(), "one"), cove.CodeConflict)
		if _, err := other.Get("one"); err != nil {
			t.Errorf("it is gone: %v", err)
		}
		if err := daemon.Close(); err != nil {
			t.Fatal(err)
		}
		if err := other.Remove(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "one")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("its directory is left: %v", err)
		}
		wantNothingHalfDone(t, other)
	})

	t.Run("whoever works on an image makes others wait, and they can give up", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		a, b := open(t, dir), open(t, dir)
		d, err := a.draft(t.Context(), "one", Quiet{})
		if err != nil {
			t.Fatal(err)
		}
		steps := make(chan string, 10)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := b.draft(ctx, "one", stepsTo(steps))
			done <- err
		}()
		if step := <-steps; !strings.Contains(step, "waiting") {
			t.Errorf("the step is %q", step)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		d.discard()
		d, err = b.draft(t.Context(), "one", Quiet{})
		if err != nil {
			t.Fatal(err)
		}
		d.discard()
	})
}

func TestACrashLeavesTheImageAsItWas(t *testing.T) {
	t.Parallel()
	s := setup(t)
	before := importRoot(t, s, "one", regular("a"))

	// What a process leaves that is killed at its last moment: a draft, and
	// blobs and root in place without an index that names them.
	d, err := s.draft(t.Context(), "one", Quiet{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.addLayer(t.Context(), strings.NewReader(string(layerOf(t, regular("b")))), "layer"); err != nil {
		t.Fatal(err)
	}
	index := filepath.Join(s.dir, "one", "index.json")
	old, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.unpack(t.Context(), Quiet{}); err != nil {
		t.Fatal(err)
	}
	manifest, _, err := d.manifest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.place(manifest); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(index, old, 0o644); err != nil {
		t.Fatal(err)
	}
	d.unlock() // and no discard

	if got, err := s.Get("one"); err != nil || got != before {
		t.Errorf("the image is %+v, %v", got, err)
	}
	used, err := s.DriverImage("one")
	if err != nil {
		t.Fatal(err)
	}
	readTarball(t, used, "a")
	importRoot(t, s, "one", regular("a"))
	roots, err := filepath.Glob(filepath.Join(s.dir, "one", rootPrefix+"*"))
	if err != nil || len(roots) != 1 {
		t.Errorf("the next change does not tidy up: %v, %v", roots, err)
	}
	wantNothingHalfDone(t, s)
}

func TestATarballThatNobodyReadsEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := setup(t)
	importRoot(t, s, "one", regular("a"))
	img, err := s.DriverImage("one")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { // which fails if what writes the tarball does not end
		ctx, cancel := context.WithCancel(t.Context())
		r, err := img.Tarball(ctx)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
			t.Errorf("reading ends with %v", err)
		}
	})
}

type stepsTo chan<- string

func (s stepsTo) Step(text string) {
	select {
	case s <- text:
	default:
	}
}

func (stepsTo) Bytes(int64, int64) {}

// readTarball checks that the image's tarball carries its reference and that
// its first layer holds the file.
func readTarball(t *testing.T, img driver.Image, file string) {
	t.Helper()
	opener := func() (io.ReadCloser, error) { return img.Tarball(t.Context()) }
	manifest, err := tarball.LoadManifest(opener)
	if err != nil {
		t.Fatal(err)
	}
	if got := manifest[0].RepoTags; len(got) != 1 || got[0] != img.Ref {
		t.Errorf("its tags are %v, want %s", got, img.Ref)
	}
	content, err := tarball.Image(opener, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, content, file)
	if config, err := content.RawConfigFile(); err != nil || !json.Valid(config) {
		t.Errorf("its configuration is %q, %v", config, err)
	}
}

func wantFile(t *testing.T, content v1.Image, file string) {
	t.Helper()
	layers, err := content.Layers()
	if err != nil {
		t.Fatal(err)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for tr := tar.NewReader(r); ; {
		hdr, err := tr.Next()
		if err != nil {
			t.Fatalf("the layer has no %s: %v", file, err)
		}
		if hdr.Name == file {
			return
		}
	}
}
