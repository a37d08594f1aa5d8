package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

// files is a code package by path.
type files map[string]string

// archive is f as it is uploaded.
func (f files) archive() *client.Archive {
	var buf bytes.Buffer
	zipped := gzip.NewWriter(&buf)
	w := tar.NewWriter(zipped)
	// A buffer takes everything.
	for _, name := range slices.Sorted(maps.Keys(f)) {
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(f[name])), Typeflag: tar.TypeReg})
		_, _ = io.WriteString(w, f[name])
	}
	_ = w.Close()
	_ = zipped.Close()
	return &client.Archive{Reader: &buf, Format: "tar.gz"}
}

// deploy makes the function, or a new version of it, and returns when an
// instance has loaded it.
func (h *harness) deploy(t testing.TB, cfg cove.Config, code files) wire.Function {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), requestTime)
	defer cancel()
	f, err := h.upload(ctx, cfg, code)
	if err != nil {
		t.Fatalf("deploy %s: %v", cfg.Name, err)
	}
	if _, err := h.Client.Ready(ctx, cfg.Name); err != nil {
		t.Fatalf("load %s: %v\n%s", cfg.Name, err, h.lines(t, cfg.Name))
	}
	return f
}

// upload makes the function, or a new version of it, and does not wait for an
// instance.
func (h *harness) upload(ctx context.Context, cfg cove.Config, code files) (wire.Function, error) {
	f, err := h.Client.Replace(ctx, cfg.Name, cfg, code.archive(), 0)
	if errors.Is(err, &cove.Error{Code: cove.CodeNotFound}) {
		return h.Client.Create(ctx, cfg, code.archive())
	}
	return f, err
}

// deployDir runs `cove deploy DIR ARGS...`.
func (h *harness) deployDir(t testing.TB, dir string, args ...string) {
	t.Helper()
	if r := h.cove(t, append([]string{"deploy", dir}, args...)...); r.Code != 0 {
		t.Fatalf("cove deploy %s ended with %d:\n%s%s", dir, r.Code, r.Stdout, r.Stderr)
	}
}

// remove deletes a function.
func (h *harness) remove(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), requestTime)
	defer cancel()
	if err := h.Client.Delete(ctx, name, 0); err != nil {
		t.Fatalf("delete %s: %v", name, err)
	}
}

// invoke calls a function through the control API.
func (h *harness) invoke(t testing.TB, name, event string) wire.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), requestTime)
	defer cancel()
	r, err := h.Client.Invoke(ctx, name, []byte(event))
	if err != nil {
		t.Fatalf("invoke %s: %v", name, err)
	}
	return r
}

// lines is a function's log as text, for messages.
func (h *harness) lines(t testing.TB, name string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), requestTime)
	defer cancel()
	list, err := h.Client.Logs(ctx, name, client.LogQuery{Tail: 200})
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, l := range list {
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}

// request is one request to the gateway.
type request struct {
	Method string // GET if empty
	Path   string
	Header http.Header
	Body   string
}

// answer is what came back, read to its end.
type answer struct {
	Status  int
	Header  http.Header
	Body    string
	Took    time.Duration
	Trailer http.Header
}

// problem is the answer's problem document.
func (a answer) problem(t testing.TB) cove.Problem {
	t.Helper()
	var p cove.Problem
	if err := json.Unmarshal([]byte(a.Body), &p); err != nil {
		t.Fatalf("status %d: the body is no problem document: %v: %.300q", a.Status, err, a.Body)
	}
	return p
}

// get is a GET through the gateway.
func (h *harness) get(t testing.TB, path string) answer {
	t.Helper()
	return h.do(t, request{Path: path})
}

// do sends r through the gateway and fails the test if there is no answer.
func (h *harness) do(t testing.TB, r request) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), requestTime)
	defer cancel()
	a, err := h.try(ctx, r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Path, err)
	}
	return a
}

// want sends r and fails the test if the status is another.
func (h *harness) want(t testing.TB, status int, r request) answer {
	t.Helper()
	a := h.do(t, r)
	if a.Status != status {
		t.Fatalf("%s %s: the status is %d, not %d: %.500s", r.Method, r.Path, a.Status, status, a.Body)
	}
	return a
}

// try sends r and returns the answer, or why there is none.
func (h *harness) try(ctx context.Context, r request) (answer, error) {
	began := time.Now()
	res, err := h.open(ctx, r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return answer{Status: res.StatusCode, Header: res.Header, Body: string(body), Took: time.Since(began), Trailer: res.Trailer}, err
}

// open sends r and returns when the answer's head is there. The caller closes
// the body.
func (h *harness) open(ctx context.Context, r request) (*http.Response, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	var body io.Reader
	if r.Body != "" {
		body = strings.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, h.Gateway+r.Path, body)
	if err != nil {
		return nil, err
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	return h.HTTP.Do(req)
}

// output is what one run of the command line gave.
type output struct {
	Stdout string
	Stderr string
	Code   int
}

// cove runs the command line against the daemon.
func (h *harness) cove(t testing.TB, args ...string) output {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), requestTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.binary, args...)
	cmd.Env = append(h.environment(), "COVE_API="+h.API, "COVE_TOKEN="+h.Token)
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	run := cmd.Run
	if h.options.Lab != nil {
		run = func() error { return h.options.Lab.host.do(cmd.Run) }
	}
	err := run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("cove %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return output{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
}

// eventually waits until f says "" and fails the test with what it said last if
// that takes longer than bound.
func eventually(t testing.TB, bound time.Duration, f func() string) {
	t.Helper()
	deadline := time.Now().Add(bound)
	for {
		what := f()
		if what == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", bound, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
