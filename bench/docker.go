package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// dockerRun is `docker run` of the image and the handler's file that all arms
// have, as somebody would write it who wants it quick.
type dockerRun struct {
	language language
	image    string
}

// dockerRun sees to it that Docker has the image.
func (l *lab) dockerRun(ctx context.Context, g language) (*dockerRun, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	img, err := l.images.DriverImage(g.Image)
	if err != nil {
		return nil, fmt.Errorf("%w: run `make images`", err)
	}
	r := &dockerRun{language: g, image: img.Ref}
	if _, err := command(ctx, "docker", "image", "inspect", img.Ref); err == nil {
		return r, nil
	}
	tarball, err := img.Tarball(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tarball.Close() }()
	load := exec.CommandContext(ctx, "docker", "load")
	load.Stdin = tarball
	if out, err := load.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("docker load: %w: %.300s: run `make deps`", err, out)
	}
	return r, nil
}

// once runs a container to its end: the time to its answer and to its end.
func (r *dockerRun) once() (first, wall time.Duration, err error) {
	return firstLine(exec.Command("docker", "run", "--rm", "--network", "none", "--log-driver", "none",
		"--volume", r.language.dir+":"+codeAt+":ro", r.image,
		r.language.interpreter, codeAt+"/"+r.language.handler, payload), payload)
}
