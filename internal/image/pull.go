package image

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/covefn/cove"
)

// stallTimeout is how long a registry may send nothing.
const stallTimeout = time.Minute

// Pull takes an image from a registry, in the place of one called image: the
// variant for Linux on this machine's processor, with the credentials that
// `docker login` left. A registry on the loopback interface is spoken to
// without TLS. What a sandbox needs and the image lacks is added.
func (s *Store) Pull(ctx context.Context, image, ref string, progress Progress) (Image, error) {
	if err := checkName(image); err != nil {
		return Image{}, err
	}
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return Image{}, cove.Invalid("reference", "%q names no image: %v", ref, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallTimeout, func() {
		cancel(fmt.Errorf("the registry sent nothing for %s", stallTimeout))
	})
	defer stalled.Stop()

	d, err := s.draft(ctx, image, progress)
	if err != nil {
		return Image{}, err
	}
	defer d.discard()
	stalled.Reset(stallTimeout) // the wait for the lock was not the registry's
	progress.Step("asking for " + ref)
	content, err := remote.Image(parsed, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil {
		return Image{}, pullError(ctx, ref, err)
	}
	d.source = "registry " + ref
	if err := d.copyImage(ctx, content, progress, func() { stalled.Reset(stallTimeout) }); err != nil {
		return Image{}, pullError(ctx, ref, err)
	}
	stalled.Stop()
	return d.commit(ctx, progress)
}

func pullError(ctx context.Context, ref string, err error) error {
	if errors.Is(context.Cause(ctx), context.Canceled) || errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &cove.Error{Code: cove.CodeUnavailable, Err: err, Message: fmt.Sprintf("the image %s could not be pulled: %v", ref, err)}
}

// copyImage takes over configuration and layers of content. Every digest is
// checked on the way.
func (d *draft) copyImage(ctx context.Context, content v1.Image, progress Progress, moved func()) error {
	config, err := content.ConfigFile()
	if err != nil {
		return err
	}
	if config.OS != "" && config.OS != "linux" || config.Architecture != "" && config.Architecture != runtime.GOARCH {
		return cove.Errorf(cove.CodeInvalid, "the image is for %s/%s and this machine is linux/%s",
			config.OS, config.Architecture, runtime.GOARCH)
	}
	layers, err := content.Layers()
	if err != nil {
		return err
	}
	if len(layers) != len(config.RootFS.DiffIDs) {
		return fmt.Errorf("it has %d layers and its configuration says %d", len(layers), len(config.RootFS.DiffIDs))
	}
	moved()
	// Of what an image says about its containers, Docker would heed more than the
	// variables: a volume is a directory outside of every limit, a label may be
	// that by which Cove knows its own containers.
	d.config.Config = v1.Config{Env: config.Config.Env}
	d.config.Created = config.Created
	for i, layer := range layers {
		progress.Step(fmt.Sprintf("layer %d of %d", i+1, len(layers)))
		if err := d.copyLayer(ctx, layer, config.RootFS.DiffIDs[i], progress, moved); err != nil {
			return fmt.Errorf("layer %d: %w", i+1, err)
		}
	}
	return nil
}

// copyLayer takes over a layer whose content must have the digest want.
func (d *draft) copyLayer(ctx context.Context, layer v1.Layer, want v1.Hash, progress Progress, moved func()) error {
	digest, err := layer.Digest()
	if err != nil {
		return err
	}
	size, err := layer.Size()
	if err != nil {
		return err
	}
	compressed, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer compressed.Close()
	content, err := decompress(&counter{Reader: compressed, total: size, progress: progress, moved: moved})
	if err != nil {
		return err
	}
	defer content.Close()
	if err := d.addLayer(ctx, content, "layer "+digest.String()); err != nil {
		return err
	}
	if got := d.layers[len(d.layers)-1].Digest; got != want {
		return fmt.Errorf("its content is %s and the image says %s", got, want)
	}
	return nil
}
