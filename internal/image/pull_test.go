package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"

	"github.com/covefn/cove"
)

// imageFor is an image of two layers for a processor.
func imageFor(t *testing.T, arch string) v1.Image {
	t.Helper()
	img := empty.Image
	for _, data := range [][]byte{layerOf(t, regular("bin/sh"), regular("gone")), layerOf(t, regular(".wh.gone"))} {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Env = "linux", arch, []string{"LANG=C.UTF-8"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// serveRegistry is a registry on the loopback interface with the image under
// "vendor/lang:1". Requests go through wrap.
func serveRegistry(t *testing.T, content v1.Image, wrap func(http.Handler) http.Handler) (ref string) {
	t.Helper()
	server := httptest.NewServer(wrap(registry.New(registry.Logger(log.New(io.Discard, "", 0)))))
	t.Cleanup(server.Close)
	ref = strings.TrimPrefix(server.URL, "http://") + "/vendor/lang:1"
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	if err := remote.Write(parsed, content, remote.WithTransport(transport)); err != nil {
		t.Fatal(err)
	}
	return ref
}

func plain(h http.Handler) http.Handler { return h }

func TestPull(t *testing.T) {
	t.Parallel()

	t.Run("an image of another maker gets what a sandbox needs", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		ref := serveRegistry(t, imageFor(t, runtime.GOARCH), plain)
		img, err := s.Pull(t.Context(), "lang", ref, Quiet{})
		if err != nil {
			t.Fatal(err)
		}
		if img.Source != "registry "+ref {
			t.Errorf("its source is %q", img.Source)
		}
		for path, want := range map[string]bool{"bin/sh": true, "gone": false, "cove": true, "etc/passwd": true} {
			if _, err := os.Lstat(filepath.Join(img.Root, path)); (err == nil) != want {
				t.Errorf("%s: %v", path, err)
			}
		}
		used, err := s.DriverImage("lang")
		if err != nil {
			t.Fatal(err)
		}
		readTarball(t, used, "bin/sh")
		wantNothingHalfDone(t, s)
	})

	t.Run("what an image wants of its containers is not heeded", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		content := imageFor(t, runtime.GOARCH)
		config, err := content.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config = config.DeepCopy()
		config.Config.Volumes, config.Config.Labels = map[string]struct{}{"/data": {}}, map[string]string{"cove.owner": "me"}
		if content, err = mutate.ConfigFile(content, config); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Pull(t.Context(), "lang", serveRegistry(t, content, plain), Quiet{}); err != nil {
			t.Fatal(err)
		}
		kept, err := layout.ImageIndexFromPath(filepath.Join(s.Dir(), "lang"))
		if err != nil {
			t.Fatal(err)
		}
		found, err := imagesOf(kept, 0)
		if err != nil {
			t.Fatal(err)
		}
		if config, err = found[0].ConfigFile(); err != nil {
			t.Fatal(err)
		}
		if c := config.Config; len(c.Volumes) > 0 || len(c.Labels) > 0 || len(c.Env) != 1 {
			t.Errorf("the image says %+v", c)
		}
	})

	t.Run("an image for another processor is refused", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		_, err := s.Pull(t.Context(), "lang", serveRegistry(t, imageFor(t, "s390x"), plain), Quiet{})
		if err == nil || !strings.Contains(err.Error(), "s390x") {
			t.Errorf("the error is %v", err)
		}
		wantNothingHalfDone(t, s)
	})

	t.Run("what the registry does not have is told", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		ref := serveRegistry(t, imageFor(t, runtime.GOARCH), plain)
		_, err := s.Pull(t.Context(), "lang", strings.Replace(ref, ":1", ":2", 1), Quiet{})
		wantCode(t, err, cove.CodeUnavailable)
		_, err = s.Pull(t.Context(), "lang", "not a reference", Quiet{})
		wantCode(t, err, cove.CodeInvalid)
	})

	t.Run("content that is not what its digest says is refused, and the image stays", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		content := imageFor(t, runtime.GOARCH)
		layers, err := content.Layers()
		if err != nil {
			t.Fatal(err)
		}
		digest, err := layers[0].Digest()
		if err != nil {
			t.Fatal(err)
		}
		ref := serveRegistry(t, content, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, digest.String()) {
					w.Write(layerOf(t, regular("evil")))
					return
				}
				h.ServeHTTP(w, r)
			})
		})
		before := importRoot(t, s, "lang", regular("a"))
		if _, err := s.Pull(t.Context(), "lang", ref, Quiet{}); err == nil {
			t.Error("there is no error")
		}
		if got, err := s.Get("lang"); err != nil || got != before {
			t.Errorf("the image is %+v, %v", got, err)
		}
		wantNothingHalfDone(t, s)
	})

	t.Run("breaking off in the middle of a layer leaves nothing", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		content := imageFor(t, runtime.GOARCH)
		layers, err := content.Layers()
		if err != nil {
			t.Fatal(err)
		}
		digest, err := layers[0].Digest()
		if err != nil {
			t.Fatal(err)
		}
		size, err := layers[0].Size()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ref := serveRegistry(t, content, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, digest.String()) {
					w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
					w.Write([]byte("begin"))
					w.(http.Flusher).Flush()
					cancel()
					<-r.Context().Done()
					return
				}
				h.ServeHTTP(w, r)
			})
		})
		if _, err := s.Pull(ctx, "lang", ref, Quiet{}); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		wantNothingHalfDone(t, s)
	})
}

func TestImport(t *testing.T) {
	t.Parallel()

	check := func(t *testing.T, from string) {
		t.Helper()
		s := setup(t)
		img, err := s.Import(t.Context(), "lang", from, Quiet{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(img.Root, "bin", "sh")); err != nil {
			t.Error(err)
		}
		wantNothingHalfDone(t, s)
	}
	ociLayout := func(t *testing.T, images ...v1.Image) string {
		t.Helper()
		dir := t.TempDir()
		path, err := layout.Write(dir, empty.Index)
		if err != nil {
			t.Fatal(err)
		}
		for _, img := range images {
			if err := path.AppendImage(img); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}

	t.Run("an OCI layout", func(t *testing.T) {
		t.Parallel()
		check(t, ociLayout(t, imageFor(t, runtime.GOARCH)))
	})

	t.Run("the tar of an OCI layout", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "oci.tar")
		writeDirTar(t, file, ociLayout(t, imageFor(t, runtime.GOARCH)))
		check(t, file)
	})

	t.Run("what docker save writes", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "docker.tar")
		tag, err := name.NewTag("vendor/lang:1")
		if err != nil {
			t.Fatal(err)
		}
		if err := tarball.WriteToFile(file, tag, imageFor(t, runtime.GOARCH)); err != nil {
			t.Fatal(err)
		}
		check(t, file)
	})

	t.Run("the tar of a root file system, compressed", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "root.tar.zst")
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, z.EncodeAll(layerOf(t, regular("./bin/sh")), nil), 0o644); err != nil {
			t.Fatal(err)
		}
		check(t, file)
	})

	t.Run("a layout whose blob was changed is refused", func(t *testing.T) {
		t.Parallel()
		content := imageFor(t, runtime.GOARCH)
		dir := ociLayout(t, content)
		layers, err := content.Layers()
		if err != nil {
			t.Fatal(err)
		}
		digest, err := layers[0].Digest()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", digest.Hex), layerOf(t, regular("evil")), 0o644); err != nil {
			t.Fatal(err)
		}
		s := setup(t)
		_, err = s.Import(t.Context(), "lang", dir, Quiet{})
		wantCode(t, err, cove.CodeInvalid)
		wantNothingHalfDone(t, s)
	})

	t.Run("what is no image is refused", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		file := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(file, []byte("this is no tar"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, from := range []string{file, t.TempDir(), "/does/not/exist", ociLayout(t), os.DevNull} {
			_, err := s.Import(t.Context(), "lang", from, Quiet{})
			wantCode(t, err, cove.CodeInvalid)
		}
		wantNothingHalfDone(t, s)
	})
}

// writeDirTar makes a tar of what is in dir.
func writeDirTar(t *testing.T, to, dir string) {
	t.Helper()
	files := map[string]file{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[rel] = file{mode: 0o644, content: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := writeTar(&buf, files); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
