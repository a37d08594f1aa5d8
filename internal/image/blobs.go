package image

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// blobs is an image read from a directory of blobs, named by its manifest, also
// after the index has come to name another.
type blobs struct {
	dir      string
	manifest v1.Hash
}

// MediaType is that of the manifest.
func (b blobs) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// RawManifest is the manifest's text.
func (b blobs) RawManifest() ([]byte, error) {
	return os.ReadFile(filepath.Join(b.dir, b.manifest.Hex))
}

// RawConfigFile is the configuration's text.
func (b blobs) RawConfigFile() ([]byte, error) {
	m, err := partial.Manifest(b)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(b.dir, m.Config.Digest.Hex))
}

// LayerByDigest is one of its blobs.
func (b blobs) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	m, err := partial.Manifest(b)
	if err != nil {
		return nil, err
	}
	for _, d := range append(m.Layers, m.Config) {
		if d.Digest == digest {
			return blob{filepath.Join(b.dir, digest.Hex), d}, nil
		}
	}
	return nil, fmt.Errorf("the image has no blob %s", digest)
}

type blob struct {
	path string
	desc v1.Descriptor
}

// Digest is the blob's.
func (b blob) Digest() (v1.Hash, error) { return b.desc.Digest, nil }

// Size is the blob's in bytes.
func (b blob) Size() (int64, error) { return b.desc.Size, nil }

// MediaType says what the blob is.
func (b blob) MediaType() (types.MediaType, error) { return b.desc.MediaType, nil }

// Compressed opens the blob as it is kept.
func (b blob) Compressed() (io.ReadCloser, error) { return os.Open(b.path) }
