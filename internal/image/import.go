package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"

	"github.com/covefn/cove"
)

// Import takes an image from a file or directory of this host, in the place of
// one called name: what `docker save` writes, an OCI layout as a directory or as
// a tar, or the tar of a root file system; each tar with or without gzip or
// zstd. What a sandbox needs and the image lacks is added.
func (s *Store) Import(ctx context.Context, name, from string, progress Progress) (Image, error) {
	info, err := os.Stat(from)
	if err != nil {
		return Image{}, cove.Invalid("file", "%v", err)
	}
	d, err := s.draft(ctx, name, progress)
	if err != nil {
		return Image{}, err
	}
	defer d.discard()
	d.source = "file " + filepath.Base(from)
	progress.Step("reading " + from)
	if info.IsDir() {
		err = d.importLayout(ctx, from, progress)
	} else {
		err = d.importTar(ctx, from, progress)
	}
	if err != nil {
		return Image{}, importError(from, err)
	}
	img, err := d.commit(ctx, progress)
	if err != nil {
		return Image{}, importError(from, err)
	}
	return img, nil
}

func importError(from string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &cove.Error{Code: cove.CodeInvalid, Err: err, Message: fmt.Sprintf("%s could not be imported: %v", from, err)}
}

// importTar finds out what kind of tar it is.
func (d *draft) importTar(ctx context.Context, from string, progress Progress) error {
	kind, err := tarKind(ctx, from)
	if err != nil {
		return err
	}
	switch kind {
	case "oci-layout":
		dir := filepath.Join(d.dir, "layout")
		if err := extractLayout(ctx, from, dir); err != nil {
			return err
		}
		if err := d.importLayout(ctx, dir, progress); err != nil {
			return err
		}
		return os.RemoveAll(dir)
	case "manifest.json":
		content, err := tarball.Image(func() (io.ReadCloser, error) { return openTar(from) }, nil)
		if err != nil {
			return err
		}
		return d.copyImage(ctx, content, progress, func() {})
	default:
		root, err := openTar(from)
		if err != nil {
			return err
		}
		defer root.Close()
		return d.addLayer(ctx, root, "cove: root file system")
	}
}

// tarKind is "oci-layout", "manifest.json" (what `docker save` writes; newer
// ones write both, then it is an OCI layout) or "".
func tarKind(ctx context.Context, from string) (string, error) {
	r, err := openTar(from)
	if err != nil {
		return "", err
	}
	defer r.Close()
	kind, entries := "", 0
	for tr := tar.NewReader(withContext(ctx, r)); ; entries++ {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) && entries > 0 {
			return kind, nil
		}
		if err != nil {
			return "", fmt.Errorf("it is no tar: %w", err)
		}
		switch name := path.Clean(hdr.Name); name {
		case "oci-layout":
			return name, nil
		case "manifest.json":
			kind = name
		case "bin", "etc", "usr":
			return "", nil
		}
	}
}

// layoutFile matches what belongs to an OCI layout.
var layoutFile = regexp.MustCompile(`^(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})$`)

// extractLayout takes an OCI layout out of a tar: regular files of the names
// that a layout has, and nothing else.
func extractLayout(ctx context.Context, from, dir string) error {
	r, err := openTar(from)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	for tr := tar.NewReader(withContext(ctx, r)); ; {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean(hdr.Name)
		if hdr.Typeflag != tar.TypeReg || !layoutFile.MatchString(name) {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, tr)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}

// importLayout takes the one image for this machine out of an OCI layout.
func (d *draft) importLayout(ctx context.Context, dir string, progress Progress) error {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return fmt.Errorf("it is no OCI layout: %w", err)
	}
	found, err := imagesOf(index, 0)
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("it holds %d images for linux/%s, not one", len(found), runtime.GOARCH)
	}
	return d.copyImage(ctx, found[0], progress, func() {})
}

// imagesOf are the images for this machine in an index and those below it.
func imagesOf(index v1.ImageIndex, depth int) ([]v1.Image, error) {
	if depth > 3 {
		return nil, errors.New("its indexes are nested too deeply")
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var found []v1.Image
	for _, d := range manifest.Manifests {
		p := d.Platform
		if p != nil && (p.OS != "linux" || p.Architecture != runtime.GOARCH) {
			continue
		}
		switch {
		case d.MediaType.IsIndex():
			inner, err := index.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			more, err := imagesOf(inner, depth+1)
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		case d.MediaType.IsImage():
			img, err := index.Image(d.Digest)
			if err != nil {
				return nil, err
			}
			if err := verified(img, d.Digest); err != nil {
				return nil, err
			}
			found = append(found, img)
		}
	}
	return found, nil
}

// verified checks that manifest and configuration of an image on disk are those
// that its index names. The layers are checked by the content the configuration
// names when they are copied.
func verified(img v1.Image, want v1.Hash) error {
	raw, err := img.RawManifest()
	if err != nil {
		return err
	}
	got, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("the manifest is %s and the index says %s", got, want)
	}
	config, err := partial.ConfigName(img)
	if err != nil {
		return err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	if config != manifest.Config.Digest {
		return fmt.Errorf("the configuration is %s and the manifest says %s", config, manifest.Config.Digest)
	}
	return nil
}

type readCloser struct {
	io.Reader
	close func() error
}

func (r readCloser) Close() error { return r.close() }

// openTar opens a tar file and undoes its compression.
func openTar(from string) (io.ReadCloser, error) {
	f, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	content, err := decompress(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return readCloser{content, func() error { return errors.Join(content.Close(), f.Close()) }}, nil
}

// decompress undoes gzip or zstd where there is some. It does not close r.
func decompress(r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(r, 1<<16)
	head, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(buffered)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	default:
		return io.NopCloser(buffered), nil
	}
}
