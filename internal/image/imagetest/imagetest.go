// Package imagetest gives tests the real runtime images, which `make images`
// has built.
package imagetest

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/image"
)

// DirEnv names the directory of the images; without it, it is .cache/images in
// the module's root, which is what the Makefile uses too.
const DirEnv = "COVE_IMAGES"

// Image is the runtime image called name, until the test ends. The test fails
// if it has not been built.
func Image(t testing.TB, name string) driver.Image {
	t.Helper()
	img, err := Store(t).DriverImage(name)
	if err != nil {
		t.Fatalf("this test needs the runtime image %s; run `make images`: %v", name, err)
	}
	return img
}

// Store is the store of the runtime images, closed when the test ends.
func Store(t testing.TB) *image.Store {
	t.Helper()
	store, err := image.New(Dir(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("this test needs the runtime images; run `make images`: %v", err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// Dir is the directory of the runtime images.
func Dir(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv(DirEnv); dir != "" {
		return dir
	}
	at, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir := at; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, ".cache", "images")
		}
		if dir == filepath.Dir(dir) {
			t.Fatalf("no go.mod in or above %s: set %s", at, DirEnv)
		}
	}
}
