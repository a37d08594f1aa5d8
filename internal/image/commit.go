package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
)

// epoch is the time that a built image and its files carry, whenever it was
// built, so that equal content has an equal digest. Zip files, which functions
// make, know no earlier time.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// draft is an image in the making. All of it lies in the image's own part of
// .tmp until commit moves it into place. Layers are kept without compression:
// the unpacking and every `docker load` read them as they are.
type draft struct {
	store  *Store
	name   string
	dir    string
	config v1.ConfigFile
	source string
	recipe string

	layers []v1.Descriptor
	unlock func()
}

// draft begins an image under the image's lock. discard must be called.
func (s *Store) draft(ctx context.Context, name string, progress Progress) (*draft, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	unlock, err := s.lockImage(ctx, name, progress)
	if err != nil {
		return nil, err
	}
	d := &draft{store: s, name: name, dir: filepath.Join(s.dir, tmpDir, name), unlock: unlock}
	// What lies there is left from a process that was killed.
	if err := removeTree(d.dir); err != nil {
		unlock()
		return nil, err
	}
	if err := os.MkdirAll(d.blobs(), 0o755); err != nil {
		unlock()
		return nil, err
	}
	d.config = v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: "linux", Created: v1.Time{Time: epoch},
		RootFS: v1.RootFS{Type: "layers"},
	}
	return d, nil
}

// discard removes what is left of the draft and lets the next one begin.
func (d *draft) discard() {
	if err := removeTree(d.dir); err != nil {
		d.store.log.Warn("what an image's making left cannot be removed", "directory", d.dir, "error", err)
	}
	d.unlock()
}

func (d *draft) blobs() string { return filepath.Join(d.dir, "blobs", "sha256") }

// addLayer keeps a layer, a tar stream without compression.
func (d *draft) addLayer(ctx context.Context, r io.Reader, what string) error {
	desc, err := d.addBlob(ctx, r, types.OCIUncompressedLayer)
	if err != nil {
		return err
	}
	d.layers = append(d.layers, desc)
	d.config.RootFS.DiffIDs = append(d.config.RootFS.DiffIDs, desc.Digest)
	d.config.History = append(d.config.History, v1.History{Created: v1.Time{Time: epoch}, CreatedBy: what})
	return nil
}

// addBlob keeps what r yields under its digest.
func (d *draft) addBlob(ctx context.Context, r io.Reader, kind types.MediaType) (desc v1.Descriptor, err error) {
	f, err := os.CreateTemp(d.blobs(), "new-")
	if err != nil {
		return desc, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), withContext(ctx, io.LimitReader(r, int64(2*maxUnpacked))))
	if err != nil {
		return desc, err
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	if err := errors.Join(f.Chmod(0o644), os.Rename(f.Name(), filepath.Join(d.blobs(), digest.Hex))); err != nil {
		return desc, err
	}
	return v1.Descriptor{MediaType: kind, Size: n, Digest: digest}, nil
}

// commit completes the image and makes it the one of its name.
func (d *draft) commit(ctx context.Context, progress Progress) (Image, error) {
	progress.Step("unpacking")
	unpacked, err := d.unpack(ctx, progress)
	if err != nil {
		return Image{}, err
	}
	manifest, size, err := d.manifest(ctx)
	if err != nil {
		return Image{}, err
	}
	if err := ctx.Err(); err != nil {
		return Image{}, context.Cause(ctx)
	}
	manifest.Annotations = map[string]string{
		annotationRef:      reference(d.name, manifest.Digest),
		annotationCreated:  time.Now().UTC().Format(time.RFC3339),
		annotationSource:   d.source,
		annotationRecipe:   d.recipe,
		annotationUnpacked: strconv.FormatInt(int64(unpacked), 10),
		annotationSize:     strconv.FormatInt(size, 10),
	}
	if err := d.place(manifest); err != nil {
		return Image{}, fmt.Errorf("put the image %s into place: %w", d.name, err)
	}
	if err := d.store.prune(d.name); err != nil {
		d.store.log.Warn("what an image replaced cannot be removed", "image", d.name, "error", err)
	}
	return d.store.Get(d.name)
}

// unpack applies all layers, and adds and applies one more with what a sandbox
// needs and the image lacks.
func (d *draft) unpack(ctx context.Context, progress Progress) (cove.ByteSize, error) {
	root := filepath.Join(d.dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return 0, err
	}
	u, err := newUnpacker(root)
	if err != nil {
		return 0, err
	}
	var done, total int64
	for _, l := range d.layers {
		total += l.Size
	}
	apply := func(l v1.Descriptor) error {
		f, err := os.Open(filepath.Join(d.blobs(), l.Digest.Hex))
		if err != nil {
			return err
		}
		defer f.Close()
		return u.layer(ctx, &counter{Reader: f, done: done, total: total, progress: progress, moved: func() {}})
	}
	for _, l := range d.layers {
		if err := apply(l); err != nil {
			u.discard()
			return 0, err
		}
		done += l.Size
	}
	if err := d.addSandboxLayer(ctx, u, apply); err != nil {
		u.discard()
		return 0, err
	}
	return u.unpacked, u.finish()
}

func (d *draft) addSandboxLayer(ctx context.Context, u *unpacker, apply func(v1.Descriptor) error) error {
	files, err := missingFiles(u)
	if err != nil || len(files) == 0 {
		return err
	}
	var layer bytes.Buffer
	if err := writeTar(&layer, files); err != nil {
		return err
	}
	if err := d.addLayer(ctx, &layer, "cove: what a sandbox needs"); err != nil {
		return err
	}
	return apply(d.layers[len(d.layers)-1])
}

// manifest writes configuration and manifest, and says how large all blobs are.
func (d *draft) manifest(ctx context.Context) (desc v1.Descriptor, size int64, err error) {
	config, err := json.Marshal(d.config)
	if err != nil {
		return desc, 0, err
	}
	configDesc, err := d.addBlob(ctx, bytes.NewReader(config), types.OCIConfigJSON)
	if err != nil {
		return desc, 0, err
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: configDesc, Layers: d.layers,
	})
	if err != nil {
		return desc, 0, err
	}
	desc, err = d.addBlob(ctx, bytes.NewReader(manifest), types.OCIManifestSchema1)
	size = desc.Size + configDesc.Size
	for _, l := range d.layers {
		size += l.Size
	}
	return desc, size, err
}

// place moves blobs and root to where they belong and then makes the manifest
// the image's only one. Until the last step the image is what it was.
func (d *draft) place(manifest v1.Descriptor) error {
	dir := filepath.Join(d.store.dir, d.name)
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	index, err := json.MarshalIndent(v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{manifest},
	}, "", "  ")
	if err != nil {
		return err
	}
	// All content is on disk before anything names it.
	if err := syncFileSystem(d.dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(d.blobs())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(d.blobs(), e.Name()), filepath.Join(blobs, e.Name())); err != nil {
			return err
		}
	}
	root := filepath.Join(dir, rootName(manifest.Digest))
	if _, err := os.Lstat(root); errors.Is(err, fs.ErrNotExist) {
		if err := os.Rename(filepath.Join(d.dir, "root"), root); err != nil {
			return err
		}
	}
	if err := writeFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "index.json"), index)
}

// prune removes the roots of an image that are neither its own nor held by
// anybody, and the blobs that belong to no root that stays.
func (s *Store) prune(name string) error {
	img, err := s.Get(name)
	if err != nil {
		return err
	}
	dir := filepath.Join(s.dir, name)
	roots, err := filepath.Glob(filepath.Join(dir, rootPrefix+"*"))
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, root := range roots {
		if root != img.Root {
			gone, err := removeUnheld(root, filepath.Join(s.dir, tmpDir, name))
			if err != nil {
				return err
			}
			if gone {
				continue
			}
		}
		manifest := strings.TrimPrefix(filepath.Base(root), rootPrefix)
		keep[manifest] = true
		data, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", manifest))
		if err != nil {
			return err
		}
		m, err := v1.ParseManifest(bytes.NewReader(data))
		if err != nil {
			return err
		}
		keep[m.Config.Digest.Hex] = true
		for _, l := range m.Layers {
			keep[l.Digest.Hex] = true
		}
	}
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	if err != nil {
		return err
	}
	for _, b := range blobs {
		if !keep[b.Name()] {
			if err := os.Remove(filepath.Join(dir, "blobs", "sha256", b.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeFile puts a file into place in one step, durably.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// syncFileSystem writes to disk all that was written on dir's file system.
func syncFileSystem(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// file is one entry of a small layer.
type file struct {
	mode    int64
	dir     bool
	content []byte
}

// writeTar writes files, by path, as a layer that depends on nothing else.
func writeTar(w io.Writer, files map[string]file) error {
	tw := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := files[name]
		hdr := &tar.Header{
			Name: name, Mode: f.mode, Size: int64(len(f.content)), ModTime: epoch,
			Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		}
		if f.dir {
			hdr.Typeflag, hdr.Name = tar.TypeDir, name+"/"
		}
		if err := tw.WriteHeader(hdr); err != nil {
			return err
		}
		if _, err := tw.Write(f.content); err != nil {
			return err
		}
	}
	return tw.Close()
}

type contextReader struct {
	ctx context.Context
	io.Reader
}

// withContext is r until ctx ends.
func withContext(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}
