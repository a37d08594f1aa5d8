package docker

import (
	"compress/gzip"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/drivertest"
)

// It is not parallel to other tests: its census counts descriptors and goroutines.
func TestConformance(t *testing.T) {
	drivertest.Run(t, func(t *testing.T) drivertest.Subject { return subject(t) })
}

// BenchmarkChanges measures what is in the path of a request.
//
//	go test -run - -bench Changes -benchtime 200x ./internal/driver/docker
func BenchmarkChanges(b *testing.B) {
	s := subject(b)
	drivertest.BenchChanges(b, s, s.New(b))
}

func subject(t testing.TB) drivertest.Subject {
	t.Helper()
	dir, found := t.TempDir(), drivertest.PythonImage(t)
	image := loadable(t, found)
	preload(t, image, found.Tarball == nil)
	return drivertest.Subject{
		New: func(t testing.TB) driver.Driver {
			d, err := New(Options{RunDir: dir})
			must(t, err)
			return d
		},
		Image:   image,
		Owner:   "suite" + strconv.FormatInt(time.Now().UnixNano()%1e9, 36),
		DataDir: dir,
		Docker:  true,
	}
}

// preload keeps the time to load an image out of the suite's bounds, and
// removes one that was made for it.
func preload(t testing.TB, image driver.Image, made bool) {
	t.Helper()
	d, err := New(Options{RunDir: t.TempDir()})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	_, err = d.ensureImage(ctx, image)
	must(t, err)
	t.Cleanup(func() {
		if made {
			if _, err := d.api.ImageRemove(context.Background(), image.Ref, client.ImageRemoveOptions{Force: true}); err != nil {
				t.Errorf("remove the test's image: %v", err)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// loadable gives an image that is only an unpacked root the form for Docker.
func loadable(t testing.TB, image driver.Image) driver.Image {
	t.Helper()
	if image.Tarball != nil || image.Root == "" {
		return image
	}
	rootfs := filepath.Join(t.TempDir(), "rootfs.tar")
	if out, err := exec.CommandContext(t.Context(), "tar", "-C", image.Root, "-cf", rootfs, ".").CombinedOutput(); err != nil {
		t.Fatalf("pack the test's image: %v: %s", err, out)
	}
	image.Tarball = func(context.Context) (io.ReadCloser, error) {
		layer, err := tarball.LayerFromFile(rootfs, tarball.WithCompressionLevel(gzip.NoCompression))
		if err != nil {
			return nil, err
		}
		packed, err := mutate.AppendLayers(empty.Image, layer)
		if err != nil {
			return nil, err
		}
		tag, err := name.NewTag(image.Ref)
		if err != nil {
			return nil, err
		}
		file, err := os.CreateTemp(filepath.Dir(rootfs), "image-*.tar")
		if err != nil {
			return nil, err
		}
		if err := tarball.Write(tag, packed, file); err != nil {
			return nil, err
		}
		_, err = file.Seek(0, io.SeekStart)
		return file, err
	}
	return image
}
