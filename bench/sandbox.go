package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/docker"
	"github.com/covefn/cove/internal/driver/oci"
	"github.com/covefn/cove/internal/runtime"
)

// limits are those that the daemon gives a function by default.
func limits() driver.Limits {
	return driver.Limits{Memory: 128 * cove.MiB, CPU: 1, PIDs: 128, Tmp: 64 * cove.MiB}
}

// owner is whose the sandboxes are that no daemon made.
const owner = "bench"

// sandbox makes one as a daemon does, with shim as the shim's directory, and
// destroys it when the lab is released.
func (l *lab) sandbox(ctx context.Context, isolation string, g language, shim string) (driver.Sandbox, error) {
	d, err := l.driver(isolation)
	if err != nil {
		return nil, err
	}
	img, err := l.images.DriverImage(g.Image)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: run `make images`", err), d.Close())
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	env := g.Env
	if isolation == isolationDocker {
		env = append(slices.Clone(env), "COVE_POLL=1") // For the echo; the shim is told by INIT.
	}
	s, err := d.Create(ctx, driver.Spec{
		ID: l.id(), Owner: owner, Image: img, ShimDir: shim, Command: g.Command, Env: env,
		Network: cove.NetworkNone, Limits: limits(),
	})
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	stdout, stderr := s.Logs()
	for _, r := range []io.Reader{stdout, stderr} {
		go func() { _, _ = io.Copy(io.Discard, r) }()
	}
	l.later(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return errors.Join(s.Destroy(ctx, "measured"), d.Close())
	})
	return s, nil
}

// id is one for a sandbox, which nothing else on this host has.
func (l *lab) id() string {
	return fmt.Sprintf("bench-%012x-%s", time.Now().UnixNano()&0xffffffffffff, l.name("s"))
}

func (l *lab) driver(isolation string) (driver.Driver, error) {
	dir, err := l.mkdir("driver")
	if err != nil {
		return nil, err
	}
	run := filepath.Join(dir, "run")
	if isolation == isolationDocker {
		return docker.New(docker.Options{RunDir: run})
	}
	return oci.New(oci.Options{Isolation: isolation, Binary: l.runsc, StateDir: filepath.Join(dir, "state"), RunDir: run})
}

// The isolations that are measured.
const (
	isolationDocker = "docker"
	isolationGVisor = oci.GVisor
)

// echo is a program that sends back what it gets, in the shim's place: the
// function makes one round trip of about as many bytes as a call has.
func (l *lab) echo(ctx context.Context, isolation string, g language) (func() error, error) {
	dir, err := l.mkdir("echo")
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(filepath.Join(g.dir, g.echo))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, g.shim), program, 0o644); err != nil {
		return nil, err
	}
	s, err := l.sandbox(ctx, isolation, g, dir)
	if err != nil {
		return nil, err
	}
	conn := s.Conn()
	sent, got := bytes.Repeat([]byte("x"), echoSize), make([]byte, echoSize)
	return func() error {
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := conn.Write(sent); err != nil {
			return err
		}
		clear(got)
		_, err := io.ReadFull(conn, got)
		if err == nil && !bytes.Equal(sent, got) {
			err = errors.New("what came back is not what was sent")
		}
		return err
	}, nil
}

// echoSize is about what an INVOKE with the payload has.
const echoSize = 900

// handler calls the handler by the runtime protocol, with no Cove around it.
func (l *lab) handler(ctx context.Context, isolation string, g language) (func() error, error) {
	s, err := l.sandbox(ctx, isolation, g, l.shimDir(g.Runtime))
	if err != nil {
		return nil, err
	}
	conn := runtime.NewConn(s.Conn(), runtime.Options{})
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err = conn.Hello(ctx); err != nil {
		return nil, err
	}
	if err := s.(driver.Mounter).Mount(ctx, g.dir); err != nil {
		return nil, err
	}
	native, ok := s.(driver.Native)
	err = conn.Init(ctx, runtime.Init{
		Function: "bench", Version: 1, Handler: g.DefaultHandler, CodeDir: driver.CodeDir, MemoryMiB: 128, TimeoutMS: 10_000,
		MaxAnswer: 6 << 20, Poll: ok && native.Native(), Entropy: make([]byte, 32), Now: time.Now().UnixNano(),
	})
	if err != nil {
		return nil, err
	}
	call := &runtime.Invoke{
		Kind: cove.KindHTTP, RequestID: "bench", Marker: "\x1ecove " + strings.Repeat("0", 32),
		Event: json.RawMessage(event), Payload: []byte(payload),
	}
	return func() error {
		a, err := conn.Invoke(time.Now().Add(patience), call)
		if err == nil && string(a.Payload) != payload {
			err = fmt.Errorf("the answer is %.300q", a.Payload)
		}
		return err
	}, nil
}

// event is one as the gateway makes it.
const event = `{"version":"2.0","routeKey":"$default","rawPath":"/bench","rawQueryString":"","headers":{"content-length":"44",` +
	`"content-type":"text/plain","host":"127.0.0.1","user-agent":"Go-http-client/1.1","accept-encoding":"gzip"},` +
	`"requestContext":{"http":{"method":"POST","path":"/bench","protocol":"HTTP/1.1","sourceIp":"127.0.0.1",` +
	`"userAgent":"Go-http-client/1.1"},"requestId":"bench","time":"22/Nov/2026:22:00:00 +0000","timeEpoch":1795384800000},` +
	`"isBase64Encoded":false}`
