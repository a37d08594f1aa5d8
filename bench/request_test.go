package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/app"
	"github.com/covefn/cove/internal/config"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/docker"
	"github.com/covefn/cove/internal/driver/oci"
	"github.com/covefn/cove/internal/image"
	"github.com/covefn/cove/internal/runtime"
)

const (
	payload = "The quick brown fox jumps over the lazy dog."
	// echoSize is about what an INVOKE with this payload has.
	echoSize = 900
	patience = time.Minute
)

// language is a runtime with the handler, and with a program that sends back
// every byte it gets: the least that a process in this language, in this
// sandbox, behind this socket, can do.
type language struct {
	runtime, file, handler, shim, echo string
}

func languages() []language {
	return []language{
		{
			"python", "main.py",
			"def handler(event, context):\n    return {\"statusCode\": 200, \"body\": event[\"body\"]}\n",
			"shim.py", `
import socket
log = socket.socket(socket.AF_UNIX)
log.connect("/cove/log.sock")
conn = socket.socket(socket.AF_UNIX)
conn.connect("/cove/conn.sock")
while data := conn.recv(65536):
    conn.sendall(data)
`,
		},
		{
			"node", "index.js",
			"exports.handler = async (event) => ({ statusCode: 200, body: event.body });\n",
			"shim.cjs", `
const net = require('node:net');
const log = net.connect('/cove/log.sock', () => {
  const conn = net.connect('/cove/conn.sock');
  conn.on('data', (data) => conn.write(data));
  conn.on('end', () => process.exit(0));
});
`,
		},
	}
}

// BenchmarkRequest follows a request on a warm instance: from an HTTP caller
// through the gateway to the handler and back ("gateway", and once more as the
// noise), the runtime protocol and the handler alone ("handler"), and a program
// that only echoes over the same kind of socket ("raw").
func BenchmarkRequest(b *testing.B) {
	h := newHost(b)
	for _, isolation := range []string{"docker", "gvisor"} {
		for _, l := range languages() {
			b.Run(isolation+"/"+l.runtime, func(b *testing.B) {
				raw := h.rawEcho(b, isolation, l)
				handler := h.handler(b, isolation, l)
				gateway := h.gateway(b, isolation, l)
				compare(b,
					&arm{name: "raw", call: raw}, &arm{name: "handler", call: handler},
					&arm{name: "gateway", call: gateway}, &arm{name: "gateway-again", call: gateway},
				)
			})
		}
	}
}

// host is a Cove in this process, and drivers beside it for what goes around it.
type host struct {
	dir     string
	images  *image.Store
	shims   string
	catalog *runtime.Catalogue
	client  *client.Client
	base    string
	http    *http.Client
}

func newHost(b *testing.B) *host {
	b.Helper()
	// Not b.TempDir: the paths of sockets are short.
	dir, err := os.MkdirTemp("", "cove-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			b.Error(err)
		}
	})
	h := &host{dir: dir, shims: filepath.Join(dir, "shims"), catalog: runtime.NewCatalogue(), http: &http.Client{Transport: &http.Transport{}}}
	if err := os.Chmod(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	if h.images, err = image.New(setting("COVE_IMAGES", "../.cache/images"), slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = h.images.Close() })
	if err := h.catalog.WriteShims(h.shims); err != nil {
		b.Fatal(err)
	}
	h.serve(b)
	return h
}

func setting(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	path, err := filepath.Abs(otherwise)
	if err != nil {
		return otherwise
	}
	return path
}

// serve runs the daemon in this process until the benchmark ends.
func (h *host) serve(b *testing.B) {
	b.Helper()
	b.Setenv("HOME", h.dir)
	b.Setenv("XDG_CONFIG_HOME", "")
	flags := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	config.BindFlags(flags)
	err := flags.Parse([]string{
		"--data", filepath.Join(h.dir, "data"), "--gateway", "127.0.0.1:0", "--api", "127.0.0.1:0",
		"--images", h.images.Dir(), "--runsc", setting("COVE_RUNSC", "../bin/runsc"),
	})
	if err != nil {
		b.Fatal(err)
	}
	cfg, err := config.Load(flags)
	if err != nil {
		b.Fatal(err)
	}
	a, err := app.New(b.Context(), cfg, slog.New(slog.DiscardHandler), "bench")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx) }()
	b.Cleanup(func() {
		h.http.CloseIdleConnections()
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	token, err := os.ReadFile(filepath.Join(cfg.Data, "admin.token"))
	if err != nil {
		b.Fatal(err)
	}
	h.base = a.GatewayURL()
	if h.client, err = client.New(a.APIURL(), strings.TrimSpace(string(token))); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(h.client.Close)
}

// gateway calls a function of the daemon over HTTP.
func (h *host) gateway(b *testing.B, isolation string, l language) func() error {
	b.Helper()
	name := "bench-" + l.runtime + "-" + isolation
	cfg := cove.Config{Name: name, Runtime: l.runtime, Isolation: isolation, Route: "/" + name}
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	_, err := h.client.Create(ctx, cfg, nil)
	if err != nil && cove.CodeOf(err) != cove.CodeConflict {
		b.Fatal(err)
	}
	if _, err := h.client.PutFiles(ctx, name, wire.Files{l.file: wire.File(l.handler)}, 0); err != nil {
		b.Fatal(err)
	}
	if _, err := h.client.Ready(ctx, name); err != nil {
		b.Fatal(err)
	}
	return func() error {
		res, err := h.http.Post(h.base+"/"+name, "text/plain", strings.NewReader(payload))
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err == nil && string(body) != payload {
			err = fmt.Errorf("status %d: %.300q", res.StatusCode, body)
		}
		return err
	}
}

// handler calls the same handler by the runtime protocol, with no Cove around.
func (h *host) handler(b *testing.B, isolation string, l language) func() error {
	b.Helper()
	r, _ := h.catalog.Lookup(l.runtime)
	s := h.sandbox(b, isolation, r, runtime.ShimDir(h.shims, r))
	conn := runtime.NewConn(s.Conn(), runtime.Options{})
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	code := b.TempDir()
	err := errors.Join(os.Chmod(code, 0o755), os.WriteFile(filepath.Join(code, l.file), []byte(l.handler), 0o644))
	if err == nil {
		_, err = conn.Hello(ctx)
	}
	if err == nil {
		err = s.(driver.Mounter).Mount(ctx, code)
	}
	if err == nil {
		err = conn.Init(ctx, runtime.Init{
			Function: "bench", Version: 1, Handler: r.DefaultHandler, CodeDir: driver.CodeDir, MemoryMiB: 128, TimeoutMS: 10_000,
			MaxAnswer: 6 << 20, Entropy: make([]byte, 32), Now: time.Now().UnixNano(),
		})
	}
	if err != nil {
		b.Fatal(err)
	}
	call := &runtime.Invoke{Kind: cove.KindHTTP, RequestID: "bench", Marker: "\x1ecove " + strings.Repeat("0", 32), Event: event(), Payload: []byte(payload)}
	return func() error {
		a, err := conn.Invoke(time.Now().Add(patience), call)
		if err == nil && string(a.Payload) != payload {
			err = fmt.Errorf("the answer is %.300q", a.Payload)
		}
		return err
	}
}

// event is one as the gateway makes it.
func event() json.RawMessage {
	return json.RawMessage(`{"version":"2.0","routeKey":"$default","rawPath":"/bench","rawQueryString":"","headers":{"content-length":"44","content-type":"text/plain","host":"127.0.0.1","user-agent":"Go-http-client/1.1","accept-encoding":"gzip"},"requestContext":{"http":{"method":"POST","path":"/bench","protocol":"HTTP/1.1","sourceIp":"127.0.0.1","userAgent":"Go-http-client/1.1"},"requestId":"bench","time":"22/Nov/2026:22:00:00 +0000","timeEpoch":1795384800000},"isBase64Encoded":false}`)
}

// rawEcho sends bytes to a program that sends them back.
func (h *host) rawEcho(b *testing.B, isolation string, l language) func() error {
	b.Helper()
	r, _ := h.catalog.Lookup(l.runtime)
	dir := b.TempDir()
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, l.shim), []byte(l.echo), 0o644)); err != nil {
		b.Fatal(err)
	}
	conn := h.sandbox(b, isolation, r, dir).Conn()
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
	}
}

// sandbox makes one with the limits that the daemon gives by default.
func (h *host) sandbox(b *testing.B, isolation string, r runtime.Runtime, shim string) driver.Sandbox {
	b.Helper()
	d, err := h.driver(isolation, filepath.Join(h.dir, fmt.Sprintf("beside-%d", time.Now().UnixNano())))
	if err != nil {
		b.Fatal(err)
	}
	img, err := h.images.DriverImage(r.Image)
	if err != nil {
		b.Fatalf("%v: run `make deps images`", err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	id := fmt.Sprintf("bench-%012x", time.Now().UnixNano()&0xffffffffffff)
	s, err := d.Create(ctx, driver.Spec{
		ID: id, Owner: "bench", Image: img, ShimDir: shim, Command: r.Command, Env: r.Env, Network: cove.NetworkNone,
		Limits: driver.Limits{Memory: 128 * cove.MiB, CPU: 1, PIDs: 128, Tmp: 64 * cove.MiB},
	})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, s.Logs()) }()
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(s.Destroy(ctx, "measured"), d.Close()); err != nil {
			b.Error(err)
		}
	})
	return s
}

func (h *host) driver(isolation, dir string) (driver.Driver, error) {
	run := filepath.Join(dir, "run")
	if isolation == "docker" {
		return docker.New(docker.Options{RunDir: run})
	}
	return oci.New(oci.Options{Isolation: isolation, Binary: setting("COVE_RUNSC", "../bin/runsc"), StateDir: filepath.Join(dir, "state"), RunDir: run})
}
