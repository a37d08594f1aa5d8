package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// progressEvery is how often a long load is told of.
const progressEvery = 2 * time.Second

// ensureImage makes Docker have the image, and returns the names of the
// variables that it sets. Several callers at once load it once. When ctx ends
// the load goes on, for whoever comes next.
func (d *Driver) ensureImage(ctx context.Context, image driver.Image) ([]string, error) {
	d.mu.Lock()
	env, ok := d.images[image.Ref]
	d.mu.Unlock()
	if ok {
		return env, nil
	}
	result := d.loads.DoChan(image.Ref, func() (any, error) {
		done := make(chan struct{})
		d.background.Go(func() { <-done })
		defer close(done)
		return d.findOrLoad(image)
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.([]string), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for Docker to have the image %s: %w", image.Ref, context.Cause(ctx))
	}
}

// forgetImage is for an image that Docker turned out not to have any more.
func (d *Driver) forgetImage(ref string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.images, ref)
}

func (d *Driver) findOrLoad(image driver.Image) ([]string, error) {
	names, err := d.imageEnv(image.Ref)
	if errdefs.IsNotFound(err) {
		if err := d.loadImage(image); err != nil {
			return nil, err
		}
		names, err = d.imageEnv(image.Ref)
	}
	if err != nil {
		return nil, d.explain("look for the image "+image.Ref, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.images[image.Ref] = names
	return names, nil
}

func (d *Driver) imageEnv(ref string) ([]string, error) {
	defer d.track()()
	found, err := d.api.ImageInspect(d.ctx, ref)
	if err != nil {
		return nil, err
	}
	names := []string{}
	if found.Config != nil {
		for _, e := range found.Config.Env {
			name, _, _ := strings.Cut(e, "=")
			names = append(names, name)
		}
	}
	return names, nil
}

func (d *Driver) loadImage(image driver.Image) error {
	if image.Tarball == nil {
		return cove.Errorf(cove.CodeSandboxStartFailed, "Docker has no image %s, and there is none to load into it", image.Ref)
	}
	tarball, err := image.Tarball(d.ctx)
	if err != nil {
		return cove.Errorf(cove.CodeSandboxStartFailed, "the image %s cannot be read: %w", image.Ref, err)
	}
	defer func() { _ = tarball.Close() }()
	begun, read := time.Now(), &countingReader{r: tarball}
	d.log.Info("loading an image into Docker", "image", image.Ref)
	finished := make(chan struct{})
	defer close(finished)
	d.background.Go(func() {
		for {
			select {
			case <-finished:
				return
			case <-time.After(progressEvery):
				d.log.Info("still loading an image into Docker", "image", image.Ref, "sent", cove.ByteSize(read.n.Load()))
			}
		}
	})
	answer, err := d.api.ImageLoad(d.ctx, read, client.ImageLoadWithQuiet(true))
	if err == nil {
		err = loadResult(answer)
		_ = answer.Close()
	}
	if err != nil {
		return d.explain("load the image "+image.Ref+" into Docker", err)
	}
	d.log.Info("loaded an image into Docker", "image", image.Ref, "took", time.Since(begun).Round(time.Millisecond))
	return nil
}

// loadResult reads Docker's report on a load. It is a sequence of JSON
// objects, and a failure is one of them: the status was sent before.
func loadResult(r io.Reader) error {
	for dec := json.NewDecoder(r); ; {
		var line struct {
			Error string `json:"error"`
		}
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read Docker's answer: %w", err)
		}
		if line.Error != "" {
			return errors.New(line.Error)
		}
	}
}

// countingReader counts what was read through it.
type countingReader struct {
	r io.Reader
	n atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
