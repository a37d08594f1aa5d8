// Package image obtains the runtime images (builds, pulls or imports them),
// keeps them, and hands them to a driver in the form it wants.
//
// A store is a directory that several daemons and command-line runs may share:
//
//	NAME/oci-layout, index.json, blobs/   the image as an OCI layout
//	NAME/root-DIGEST/                     its file system, unpacked
//	.locks/NAME                           held by the process that changes NAME
//	.tmp/NAME/                            what that process has made so far
//
// An image changes in one step, when index.json is renamed into place; until
// then everything lies in .tmp, which the next change of that image empties. A
// root that some process has handed to a driver is held by a lock until that
// process closes its store, and outlives the image's replacement.
package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

const (
	locksDir = ".locks"
	tmpDir   = ".tmp"
	// rootPrefix begins the name of an unpacked root; the manifest's digest follows.
	rootPrefix = "root-"
)

// Annotations of the image in its index.json.
const (
	annotationRef      = "org.opencontainers.image.ref.name"
	annotationCreated  = "org.opencontainers.image.created"
	annotationSource   = "dev.cove.source"
	annotationRecipe   = "dev.cove.recipe"
	annotationUnpacked = "dev.cove.unpacked"
	annotationSize     = "dev.cove.size"
)

// Image is one image that the store has.
type Image struct {
	Name string `json:"name"`
	// Ref names it with a tag that changes with its content:
	// "cove/python3.13:0123456789ab".
	Ref string `json:"ref"`
	// Digest is that of its manifest, "sha256:...".
	Digest string `json:"digest"`
	// Source says where it came from: "recipe python3.13", "registry
	// python:3.13-slim", "file python.tar".
	Source string `json:"source"`
	// Recipe is the digest of the recipe it was built of; "" for others.
	Recipe string `json:"recipe,omitempty"`
	// Size is that of its blobs and Unpacked that of its files, in bytes.
	Size     cove.ByteSize `json:"size"`
	Unpacked cove.ByteSize `json:"unpacked"`
	// Created is when it came into this store.
	Created time.Time `json:"created"`
	// Root is the directory with its unpacked file system.
	Root string `json:"root"`
}

// Store is a directory of images. It is safe for concurrent use.
type Store struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex
	held   map[string]*os.File // by root directory
	closed bool
}

// New opens the store in dir, which is made if it is not there.
func New(dir string, log *slog.Logger) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, cove.Errorf(cove.CodeUnavailable, "the directory of images cannot be used: %w", err)
	}
	return &Store{dir: dir, log: log, held: map[string]*os.File{}}, nil
}

// Close lets other processes remove the roots that this store handed out. Every
// sandbox that uses one must have been destroyed before.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, f := range s.held {
		errs = append(errs, release(f))
	}
	clear(s.held)
	s.closed = true
	return errors.Join(errs...)
}

// Dir is the store's directory, absolute.
func (s *Store) Dir() string { return s.dir }

// List is every image by name. What cannot be read is logged and left out.
func (s *Store) List() ([]Image, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, cove.Errorf(cove.CodeUnavailable, "the directory of images cannot be read: %w", err)
	}
	list := []Image{}
	for _, e := range entries {
		if !e.IsDir() || checkName(e.Name()) != nil {
			continue
		}
		img, err := s.read(e.Name())
		switch {
		case err == nil:
			list = append(list, img)
		case !errors.Is(err, os.ErrNotExist):
			s.log.Warn("an image cannot be read", "image", e.Name(), "error", err)
		}
	}
	slices.SortFunc(list, func(a, b Image) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// Get is one image. An image that is not there is CodeNotFound, with the
// command that brings it.
func (s *Store) Get(name string) (Image, error) {
	return s.get(name, cove.CodeNotFound)
}

func (s *Store) get(name string, missing cove.Code) (Image, error) {
	if err := checkName(name); err != nil {
		return Image{}, err
	}
	img, err := s.read(name)
	if errors.Is(err, os.ErrNotExist) {
		return Image{}, cove.Errorf(missing, "the image %s is not there; run `%s`", name, s.mend(name))
	}
	if err != nil {
		return Image{}, cove.Errorf(cove.CodeUnavailable, "the image %s is damaged; run `%s`: %w", name, s.mend(name), err)
	}
	return img, nil
}

// mend is the command that brings the image.
func (s *Store) mend(name string) string {
	if _, err := FindRecipe(name); err != nil {
		return fmt.Sprintf("cove image pull %s REFERENCE --images %s", name, s.dir)
	}
	return fmt.Sprintf("cove image build %s --images %s", name, s.dir)
}

// DriverImage is the image in every form that a driver may want. Its root stays
// until the store is closed, whatever becomes of the image. An image that is
// not there is CodeUnavailable, with the command that brings it.
func (s *Store) DriverImage(name string) (driver.Image, error) {
	// A root can go away between reading its name and holding it, when the
	// image is replaced at that moment; the new one is there then.
	for range 10 {
		img, err := s.get(name, cove.CodeUnavailable)
		if err != nil {
			return driver.Image{}, err
		}
		err = s.holdRoot(img.Root)
		if err == nil {
			return driver.Image{Ref: img.Ref, Root: img.Root, Tarball: s.tarball(img)}, nil
		}
		if !errors.Is(err, errBeingRemoved) && !errors.Is(err, os.ErrNotExist) {
			return driver.Image{}, cove.Errorf(cove.CodeUnavailable, "the image %s cannot be used: %w", name, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return driver.Image{}, cove.Errorf(cove.CodeUnavailable,
		"the root of image %s is not there; run `%s`", name, s.mend(name))
}

func (s *Store) holdRoot(root string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the store is closed")
	}
	if _, ok := s.held[root]; ok {
		return nil
	}
	f, err := hold(root)
	if err != nil {
		return err
	}
	s.held[root] = f
	return nil
}

// tarball opens an image in the form that `docker load` reads.
func (s *Store) tarball(img Image) func(context.Context) (io.ReadCloser, error) {
	return func(ctx context.Context) (io.ReadCloser, error) {
		tag, err := name.NewTag(img.Ref)
		if err != nil {
			return nil, err
		}
		digest, err := v1.NewHash(img.Digest)
		if err != nil {
			return nil, err
		}
		content, err := partial.CompressedToImage(blobs{filepath.Join(s.dir, img.Name, "blobs", digest.Algorithm), digest})
		if err != nil {
			return nil, cove.Errorf(cove.CodeUnavailable, "the image %s cannot be read: %w", img.Name, err)
		}
		r, w := io.Pipe()
		stop := context.AfterFunc(ctx, func() { w.CloseWithError(context.Cause(ctx)) })
		go func() {
			defer stop()
			w.CloseWithError(tarball.Write(tag, content, w))
		}()
		return r, nil
	}
}

// Remove takes an image away. It is CodeConflict while a daemon uses it.
func (s *Store) Remove(ctx context.Context, name string) error {
	switch _, err := s.Get(name); cove.CodeOf(err) {
	case cove.CodeInvalid:
		return err
	case cove.CodeNotFound:
		return cove.Errorf(cove.CodeNotFound, "there is no image %s", name)
	}
	unlock, err := s.lockImage(ctx, name, Quiet{})
	if err != nil {
		return err
	}
	defer unlock()
	dir, trash := filepath.Join(s.dir, name), filepath.Join(s.dir, tmpDir, name)
	roots, err := filepath.Glob(filepath.Join(dir, rootPrefix+"*"))
	if err != nil {
		return err
	}
	for _, root := range roots {
		gone, err := removeUnheld(root, trash)
		if err != nil {
			return fmt.Errorf("remove %s: %w", root, err)
		}
		if !gone {
			return cove.Errorf(cove.CodeConflict, "the image %s is in use: end the daemon that uses it first", name)
		}
	}
	// The index goes first: without it there is no image any more.
	if err := ignoreNotExist(os.Remove(filepath.Join(dir, "index.json"))); err != nil {
		return err
	}
	return errors.Join(removeTree(dir), removeTree(trash))
}

// read reads an image's index. The error is os.ErrNotExist where there is none.
func (s *Store) read(name string) (Image, error) {
	dir := filepath.Join(s.dir, name)
	data, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return Image{}, err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(data, &index); err != nil {
		return Image{}, err
	}
	if len(index.Manifests) != 1 {
		return Image{}, fmt.Errorf("index.json names %d images, not one", len(index.Manifests))
	}
	d := index.Manifests[0]
	img := Image{
		Name: name, Ref: reference(name, d.Digest), Digest: d.Digest.String(),
		Source: d.Annotations[annotationSource], Recipe: d.Annotations[annotationRecipe],
		Root: filepath.Join(dir, rootName(d.Digest)),
	}
	img.Created, err = time.Parse(time.RFC3339, d.Annotations[annotationCreated])
	if err != nil {
		return Image{}, err
	}
	for key, size := range map[string]*cove.ByteSize{annotationSize: &img.Size, annotationUnpacked: &img.Unpacked} {
		n, err := strconv.ParseInt(d.Annotations[key], 10, 64)
		if err != nil {
			return Image{}, fmt.Errorf("annotation %s: %w", key, err)
		}
		*size = cove.ByteSize(n)
	}
	return img, nil
}

func reference(name string, digest v1.Hash) string {
	return "cove/" + name + ":" + digest.Hex[:min(12, len(digest.Hex))]
}

func rootName(digest v1.Hash) string { return rootPrefix + strings.ToLower(digest.Hex) }
