// Package docker makes sandboxes that are containers of a Docker daemon on
// this host.
//
// Docker makes, starts and removes a container, and nothing else is asked of
// it: what happens in between (freezing, killing, limits, measuring, mounting
// a package, noticing the end) goes straight to the kernel, by the control
// group and the directory that Cove owns. So a daemon that hangs or is
// restarted disturbs no sandbox that runs, and no deadline depends on it.
package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"github.com/moby/profiles/seccomp"
	"golang.org/x/sync/singleflight"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
)

// Isolation is the name of this isolation in a function's configuration.
const Isolation = "docker"

// Options say where Docker is and where the driver keeps its files.
type Options struct {
	// Host is the daemon's address as in DOCKER_HOST, a unix socket on this
	// machine; empty means DOCKER_HOST itself or else Docker's default.
	Host string
	// RunDir is the directory for what exists as long as a sandbox does. It may
	// be shared with other drivers, and by daemons of different owners. It is
	// made if it is missing.
	RunDir string
	// Network is for sandboxes with egress.
	Network host.NetworkConfig
	// Log is where the driver tells of what takes long or fails in the
	// background; nil means nowhere.
	Log *slog.Logger
}

// Driver makes sandboxes by a Docker daemon. It implements driver.Driver.
type Driver struct {
	dir     string
	network host.NetworkConfig
	log     *slog.Logger
	api     *client.Client
	cgroups *host.Cgroups
	loads   singleflight.Group
	// seccomp is the filter of system calls, in Docker's form.
	seccomp string

	// unusable is set when this driver can never work here, and says why; fix is
	// the command that mends it, if there is one.
	unusable *cove.Error
	fix      string

	// ctx ends with Close. Requests to Docker use it and not the caller's: one
	// that is given up half-way may or may not have had its effect.
	ctx        context.Context
	cancel     context.CancelFunc
	background sync.WaitGroup
	// owners are those whose sandboxes had egress.
	owners host.NetworkOwners

	mu sync.Mutex
	// images are those that Docker is known to have, by reference, with the
	// names of the variables that they would add to the environment.
	images map[string][]string
	// engine is how Docker is set up; nil: not asked yet.
	engine *engine
	// pending counts requests that wait for Docker, by the time they were sent.
	pending map[*request]struct{}
}

// engine is what of Docker's own settings matters to how a container is made.
type engine struct {
	// systemd says that its cgroup driver is systemd.
	systemd bool
	// defaultSeccomp says that its filter of system calls is the one it came
	// with, which is as old as Docker is.
	defaultSeccomp bool
}

// request is one request to Docker that has not been answered.
type request struct{ sent time.Time }

// New makes the driver. It does not talk to Docker: a daemon that is away now
// may be there later. Settings that cannot work are told by Probe and
// Create, so that other isolations go on.
func New(o Options) (*Driver, error) {
	dir, err := filepath.Abs(filepath.Join(o.RunDir, Isolation))
	if err != nil {
		return nil, err
	}
	var unusable *cove.Error
	fix := ""
	groups, err := host.FindCgroups()
	if err != nil {
		unusable = cove.Errorf(cove.CodeUnavailable, "Docker's sandboxes need control groups: %w", err)
	}
	address := cmp.Or(o.Host, os.Getenv("DOCKER_HOST"), client.DefaultDockerHost)
	if !strings.HasPrefix(address, "unix://") {
		unusable = cove.Errorf(cove.CodeUnavailable, "Docker at %s is not on this machine for sure: Cove shares directories with its sandboxes and needs a unix socket, such as %s", address, client.DefaultDockerHost)
		address, fix = client.DefaultDockerHost, "unset DOCKER_HOST"
	}
	// One connection for each request: none of those kept open is found dead
	// after a restart of Docker, and what one costs is nothing beside a container.
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	api, err := client.New(client.WithHTTPClient(plain), client.WithHost(address), client.WithScheme("http"))
	if err != nil {
		return nil, cove.Errorf(cove.CodeInvalid, "the address of Docker, %q, cannot be used: %w", address, err)
	}
	filter, err := json.Marshal(seccomp.DefaultProfile())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &Driver{
		seccomp: string(filter),
		dir:     dir, network: o.Network, log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)), api: api, cgroups: groups, unusable: unusable, fix: fix,
		ctx: ctx, cancel: cancel,
		images: map[string][]string{}, pending: map[*request]struct{}{},
	}
	if err := d.makeDirs(); err != nil {
		d.unusable, d.fix = cove.Errorf(cove.CodeUnavailable, "Docker's sandboxes need a directory at %s: %w", dir, err), ""
	}
	return d, nil
}

// Isolation is "docker".
func (d *Driver) Isolation() string { return Isolation }

// Close gives up what still goes on in the background, such as removals that
// Docker does not answer, and takes away the firewall rules of networks.
func (d *Driver) Close() error {
	d.cancel()
	d.background.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return errors.Join(d.api.Close(), d.owners.Close(ctx))
}

// Bounds of waits that have no caller's deadline.
const (
	// closeTime bounds Close's own work.
	closeTime = 10 * time.Second
	// hangTime is how long one request may remain unanswered before new
	// sandboxes are refused at once.
	hangTime = 20 * time.Second
)

// track notes a request until done is called.
func (d *Driver) track() (done func()) {
	r := &request{sent: time.Now()}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending[r] = struct{}{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.pending, r)
	}
}

// refuse is an error when there is no use in beginning: the settings cannot
// work, or Docker leaves requests unanswered.
func (d *Driver) refuse() error {
	if d.unusable != nil {
		return d.unusable
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for r := range d.pending {
		if age := time.Since(r.sent); age > hangTime {
			return cove.Errorf(cove.CodeUnavailable, "the Docker daemon at %s has not answered for %s: restart it; `cove doctor` shows more", d.api.DaemonHost(), age.Round(time.Second))
		}
	}
	return nil
}

// explain turns an error of Docker's into one that says what to do.
func (d *Driver) explain(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return cove.Errorf(cove.CodeUnavailable, "%s: Cove may not use the Docker daemon at %s: run it as root or as a member of the group docker; `cove doctor` shows more: %w", what, d.api.DaemonHost(), err)
	case client.IsErrConnectionFailed(err):
		return cove.Errorf(cove.CodeUnavailable, "%s: no Docker daemon answers at %s: start it; `cove doctor` shows how: %w", what, d.api.DaemonHost(), err)
	default:
		return cove.Errorf(cove.CodeSandboxStartFailed, "%s: %w", what, err)
	}
}

// askEngine asks Docker, once, how it is set up.
func (d *Driver) askEngine() (engine, error) {
	d.mu.Lock()
	known := d.engine
	d.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	defer d.track()()
	info, err := d.api.Info(d.ctx, client.InfoOptions{})
	if err != nil {
		return engine{}, d.explain("ask Docker how it is set up", err)
	}
	found := engine{systemd: info.Info.CgroupDriver == "systemd", defaultSeccomp: slices.ContainsFunc(info.Info.SecurityOptions, isDefaultSeccomp)}
	d.mu.Lock()
	d.engine = &found
	d.mu.Unlock()
	return found, nil
}

// isDefaultSeccomp says whether one of Docker's security options is its own
// filter; newer versions call it "builtin", older ones "default".
func isDefaultSeccomp(option string) bool {
	return option == "name=seccomp,profile=builtin" || option == "name=seccomp,profile=default"
}

// Where the files of one sandbox are. The box is made first and removed last,
// so that whatever a sandbox has left is found by its box.
func (d *Driver) boxes() string                  { return filepath.Join(d.dir, "box") }
func (d *Driver) boxDir(owner, id string) string { return filepath.Join(d.boxes(), owner+"."+id) }
func (d *Driver) netDir(owner, id string) string { return filepath.Join(d.dir, "net", owner+"."+id) }

// hosts is the file for /etc/hosts, the same for every sandbox.
func (d *Driver) hosts() string { return filepath.Join(d.dir, "hosts") }

// makeDirs makes what all sandboxes have in common. These directories stay as
// sandboxes come and go, so that nothing has to be ready for their vanishing.
func (d *Driver) makeDirs() error {
	for _, dir := range []string{d.boxes(), filepath.Join(d.dir, "net")} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	temporary, err := os.CreateTemp(d.dir, "hosts-*")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(temporary, "127.0.0.1\tlocalhost %s\n", hostname)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), d.hosts())
	}
	return err
}

var _ driver.Driver = (*Driver)(nil)
