package drivertest

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/image"
)

// Runsc is the runsc binary to test with: COVE_RUNSC, or bin/runsc of the
// source tree.
func Runsc(t testing.TB) string {
	t.Helper()
	path := os.Getenv("COVE_RUNSC")
	if path == "" {
		path = filepath.Join(sourceTree(t), "bin", "runsc")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("runsc is needed for this test: run `make runsc`, or name it in COVE_RUNSC: %v", err)
	}
	return path
}

// PythonImage is the image of Python for a Subject, from the store of images
// that COVE_IMAGES names, or .cache/images of the source tree. It is held until
// the test ends.
func PythonImage(t testing.TB) driver.Image {
	t.Helper()
	dir := os.Getenv("COVE_IMAGES")
	if dir == "" {
		dir = filepath.Join(sourceTree(t), ".cache", "images")
	}
	store, err := image.New(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	img, err := store.DriverImage("python3.13")
	if err != nil {
		t.Fatalf("the image of Python is needed for this test: run `make images`: %v", err)
	}
	return img
}

// sourceTree is the directory of go.mod.
func sourceTree(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("this test has to run within the source tree")
	return ""
}
