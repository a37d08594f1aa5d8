package compare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
)

const (
	// daemonReady bounds the start of the private daemon, daemonStop its end.
	daemonReady = 60 * time.Second
	daemonStop  = 90 * time.Second
)

// daemon is a Cove of its own on loopback, with a data directory that is removed
// in the end. Nobody else's functions are disturbed by it, but by the load.
type daemon struct {
	cmd *exec.Cmd
	// data is its data directory.
	data    string
	client  *client.Client
	gateway string
	api     string
	token   string
	log     *tail
	exited  chan struct{}
	exit    error
}

// startDaemon runs the same program as `cove serve` in the directory dir. flags
// are added to its command line. It must be closed.
func startDaemon(ctx context.Context, binary, dir string, flags []string) (*daemon, error) {
	d := &daemon{log: &tail{}, exited: make(chan struct{})}
	ports, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	d.gateway, d.api = "http://"+ports[0], "http://"+ports[1]
	d.data = filepath.Join(dir, "data")
	if err := os.Mkdir(d.data, 0o700); err != nil {
		return nil, err
	}
	// Every isolation and runtime is to have its stem cells at once, also on a small
	// machine.
	args := []string{
		"serve", "--data", d.data, "--gateway", ports[0], "--api", ports[1], "--stem-memory", "50%", "--drain-timeout", "5s", "--log-level", "warn",
	}
	d.cmd = exec.Command(binary, append(args, flags...)...)
	d.cmd.Dir = dir
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	// Without the settings of the user's own daemon, and with another home: the
	// note that tells the command line where the user's daemon is stays as it is.
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "COVE_") && !strings.HasPrefix(v, "XDG_CONFIG_HOME=") && !strings.HasPrefix(v, "HOME=") {
			d.cmd.Env = append(d.cmd.Env, v)
		}
	}
	d.cmd.Env = append(d.cmd.Env, "HOME="+dir)
	// Ctrl-C at the terminal is for this program, which then ends the daemon. If this
	// program is killed, the kernel ends it.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := d.start(); err != nil {
		return nil, err
	}
	if err := d.connect(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// start runs the process. The kernel tells of a death when the thread ends that
// started it, so that one lives as long as the process does.
func (d *daemon) start() error {
	started := make(chan error)
	go func() {
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		err := d.cmd.Start()
		if started <- err; err != nil {
			return
		}
		d.exit = d.cmd.Wait()
		close(d.exited)
	}()
	return <-started
}

// connect waits until the daemon is ready and makes its client.
func (d *daemon) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, daemonReady)
	defer cancel()
	for !d.ready(ctx) {
		select {
		case <-d.exited:
			return &cove.Error{Code: cove.CodeUnavailable, Message: "the daemon for the measurements did not start: " + d.log.last()}
		case <-ctx.Done():
			return fmt.Errorf("the daemon for the measurements was not ready: %w: %s", context.Cause(ctx), d.log.last())
		case <-time.After(10 * time.Millisecond):
		}
	}
	token, err := os.ReadFile(filepath.Join(d.data, "admin.token"))
	if err != nil {
		return err
	}
	d.token = strings.TrimSpace(string(token))
	d.client, err = client.New(d.api, d.token, client.WithHTTPClient(&http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 256},
	}))
	return err
}

func (d *daemon) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.api+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// Close ends the daemon, which ends all its sandboxes, and waits for it. One that
// does not end in time is killed; it is an error, as its sandboxes may be left.
func (d *daemon) Close() error {
	if d.client != nil {
		d.client.Close()
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
		if d.exit != nil {
			return fmt.Errorf("the daemon for the measurements ended with %w: %s", d.exit, d.log.last())
		}
		return nil
	case <-time.After(daemonStop):
	}
	_ = d.cmd.Process.Kill()
	<-d.exited
	return fmt.Errorf("the daemon for the measurements did not end within %s and was killed", daemonStop)
}

// freeAddresses are n addresses on loopback that nobody listens on now.
func freeAddresses(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

// tail keeps the end of what is written to it. It is safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write keeps the end of p.
func (t *tail) Write(p []byte) (int, error) {
	const keep = 16 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-keep):]
	return len(p), nil
}

// last is the last line that is not empty.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.text), []byte("\n"))
	return string(lines[len(lines)-1])
}
