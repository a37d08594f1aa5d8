// Package app builds every part of Cove from one Config and runs them. It is the
// only package that imports backends.
package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/auth"
	"github.com/covefn/cove/internal/bench/runs"
	"github.com/covefn/cove/internal/cli/local"
	"github.com/covefn/cove/internal/code"
	"github.com/covefn/cove/internal/config"
	"github.com/covefn/cove/internal/deploy"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/events"
	"github.com/covefn/cove/internal/gateway"
	"github.com/covefn/cove/internal/image"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/logs"
	"github.com/covefn/cove/internal/machine"
	"github.com/covefn/cove/internal/metrics"
	"github.com/covefn/cove/internal/pool"
	"github.com/covefn/cove/internal/route"
	"github.com/covefn/cove/internal/runtime"
	"github.com/covefn/cove/internal/settings"
	"github.com/covefn/cove/internal/store/sqlite"
	"github.com/covefn/cove/web"
)

// maxAnswer is the largest answer of a handler that is not streamed.
const maxAnswer = int64(6 * cove.MiB)

// App is a running Cove. Build one with New, then Serve.
type App struct {
	cfg     config.Config
	log     *slog.Logger
	started time.Time
	owner   string

	// closers give back what New took, the last taken first.
	closers []func() error

	isolations *isolations
	runtimes   *runtime.Catalogue
	images     *image.Store
	packages   *code.Store
	compiler   *compiler
	pool       *pool.Pool
	invoker    *invoke.Service
	deploy     *deploy.Service
	store      *sqlite.Store
	auth       *auth.Service
	settings   *settings.Service
	proxies    []netip.Prefix
	logs       *logs.Book
	events     *events.Hub

	machine *machine.Meter
	bench   *runs.Runs

	records    *sqlite.Records
	recorder   *metrics.Recorder
	prometheus *metrics.Prometheus

	routes          *gateway.Gateway
	gateway         *gateway.Server
	api             *http.Server
	gatewayListener net.Listener
	apiListener     net.Listener

	mu    sync.Mutex
	state string
}

// Run builds an App and serves until ctx ends, then drains.
func Run(ctx context.Context, cfg config.Config, version string, out io.Writer) error {
	a, err := New(ctx, cfg, NewLog(cfg, out), version)
	if err != nil {
		return err
	}
	return a.Serve(ctx)
}

// NewLog is the daemon's log as the configuration wants it.
func NewLog(cfg config.Config, out io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.LogLevel)) // The configuration was checked.
	o := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(out, o))
	}
	return slog.New(slog.NewTextHandler(out, o))
}

// New builds everything, destroys what an earlier daemon of this data directory
// left, and listens on both doors without serving yet. What it took is given
// back when it fails.
func New(ctx context.Context, cfg config.Config, log *slog.Logger, version string) (_ *App, err error) {
	a := &App{cfg: cfg, log: log, started: time.Now(), state: "starting", runtimes: runtime.NewCatalogue(), logs: logs.NewBook()}
	a.events = events.NewHub(a.snapshot(version))
	defer func() {
		if err != nil {
			err = errors.Join(err, a.closePool(context.WithoutCancel(ctx)), a.close())
		}
	}()
	if err := a.openData(); err != nil {
		return nil, err
	}
	// The doors are taken first: that a port is in use should be told before
	// anything is started. Nobody is let in until Serve.
	if err := a.listen(); err != nil {
		return nil, err
	}
	if err := a.openIsolations(ctx); err != nil {
		return nil, err
	}
	if err := a.openFunctions(ctx, version); err != nil {
		return nil, err
	}
	if err := a.pool.Recover(ctx); err != nil {
		return nil, err
	}
	if err := a.openMachine(); err != nil {
		return nil, err
	}
	return a, a.openDoors(ctx, version)
}

func (a *App) onClose(f func() error) { a.closers = append(a.closers, f) }

// openData takes the data directory for this process alone.
func (a *App) openData() error {
	if err := os.MkdirAll(a.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	unlock, err := lockDir(a.cfg.Data)
	if err != nil {
		return err
	}
	a.onClose(unlock)
	if err := closeData(a.cfg.Data); err != nil {
		return err
	}
	a.owner, err = ownerID(filepath.Join(a.cfg.Data, "owner"))
	return err
}

// closeData keeps other users of this host out of what is theirs least of all:
// the sockets on which sandboxes are awaited, and the code in them. The data
// directory itself may be open, where somebody else made it.
func closeData(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the data directory: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return cove.Errorf(cove.CodeUnavailable, "the data directory %s can be written by others than its owner: chmod 700 %s", dir, dir)
	}
	run := filepath.Join(dir, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		return fmt.Errorf("make the directory of sandboxes: %w", err)
	}
	return os.Chmod(run, 0o700)
}

// ownerID names this data directory on this host, for ever.
func ownerID(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var random [4]byte
	rand.Read(random[:]) // Never fails; see crypto/rand.
	id := hex.EncodeToString(random[:])
	return id, os.WriteFile(path, []byte(id+"\n"), 0o600)
}

func (a *App) listen() (err error) {
	if a.gatewayListener, err = listen("gateway", a.cfg.Gateway); err != nil {
		return err
	}
	a.onClose(closeListener(a.gatewayListener))
	if a.apiListener, err = listen("api", a.cfg.API); err != nil {
		return err
	}
	a.onClose(closeListener(a.apiListener))
	return nil
}

func listen(setting, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; choose another address with --%s", addr, err, setting)
	}
	return l, nil
}

func closeListener(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// openIsolations readies what sandboxes are made of.
func (a *App) openIsolations(ctx context.Context) (err error) {
	if a.images, err = image.New(a.cfg.Images, a.log); err != nil {
		return err
	}
	a.onClose(a.images.Close)
	if err := a.runtimes.WriteShims(a.shimDir()); err != nil {
		return fmt.Errorf("write the shims: %w", err)
	}
	drivers, err := newDrivers(a.cfg, a.log)
	if err != nil {
		return err
	}
	a.isolations = newIsolations(drivers)
	a.onClose(a.isolations.close)
	if a.isolations.drivers[a.cfg.Isolation] == nil {
		return fmt.Errorf("isolation: %q is not known; there are %s", a.cfg.Isolation, strings.Join(a.isolations.order, ", "))
	}
	available := 0
	for _, r := range a.isolations.probe(ctx) {
		if r.Available {
			available++
			a.log.Info("isolation", "name", r.Isolation, "version", r.Version)
		} else {
			a.log.Warn("isolation is not available", "name", r.Isolation, "reason", r.Reason, "fix", r.Fix)
		}
	}
	if available == 0 {
		a.log.Error("no isolation is available, so no function can run; `cove doctor` says how to mend that")
	}
	return nil
}

func (a *App) shimDir() string { return filepath.Join(a.cfg.Data, "shims") }

// openFunctions opens what is stored and the use cases over it.
func (a *App) openFunctions(ctx context.Context, version string) error {
	store, err := sqlite.Open(ctx, filepath.Join(a.cfg.Data, "cove.db"), filepath.Join(a.cfg.Data, "secret.key"))
	if err != nil {
		return err
	}
	a.onClose(store.Close)
	if err := a.openRecords(ctx, version); err != nil {
		return err
	}
	if a.packages, err = code.New(a.cfg.Data, code.Limits{}, a.log); err != nil {
		return err
	}
	if err := a.openAccess(ctx, store); err != nil {
		return err
	}
	if err := a.keepLogs(ctx); err != nil {
		return err
	}
	a.pool = pool.New(pool.Options{
		Owner: a.owner, Drivers: a.isolations.drivers, Overhead: a.isolations.overhead,
		Runtime: a.runtimes.Lookup,
		Shims:   a.shimDir(),
		Image:   func(_ context.Context, name string) (driver.Image, error) { return a.images.DriverImage(name) },
		Code: func(sha256 string) (string, func()) {
			release := a.packages.Hold(sha256)
			return a.packages.Dir(cove.Package{SHA256: sha256}), release
		},
		Active: func(name string) *cove.Version { return enabled(a.deploy.Active(name)) },
		Logs:   a.logs, Memory: a.memory(), StemMemory: a.cfg.StemMemory.Of(a.memory()), StemStretch: a.cfg.StemMemory.Stretch(a.memory()), Stems: int(a.cfg.Stems), StartTimeout: a.cfg.StartTimeout, MaxAnswer: maxAnswer, Log: a.log,
	})
	tracer, err := a.openTracing(version)
	if err != nil {
		return err
	}
	a.invoker = invoke.New(invoke.Options{Pool: a.pool, Log: a.log, Record: a.record, Late: a.prometheus.Late, Tracer: tracer})
	routes := route.NewTable[*cove.Version]()
	a.deploy, err = deploy.New(ctx, deploy.Options{
		Store: store, Code: a.packages, Routes: routes, Runtimes: a.runtimes, Isolations: a.isolations.recent,
		Isolation: a.cfg.Isolation, Limits: deploy.Limits{Env: a.cfg.EnvLimit, Memory: a.memory()},
		Overhead: a.isolations.overhead, Prepare: a.prepare,
		KeepVersions: a.cfg.KeepVersions, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.compiler = newCompiler(a)
	a.deploy.Subscribe(a.changed)
	return a.openGateway(routes)
}

// changed follows every change of a function's active version.
func (a *App) changed(old, active *cove.Version) {
	if was, is := enabled(old), enabled(active); was != nil || is != nil {
		a.pool.Switch(was, is)
	}
	a.tellChange(old, active)
	if active == nil {
		a.logs.Forget(old.Function)
	} else {
		a.compiler.add(active)
	}
}

// enabled is v, or nil if its function is disabled: the pool then does what it
// does for one that is deleted, and keeps nothing of it.
func enabled(v *cove.Version) *cove.Version {
	if v == nil || v.Disabled {
		return nil
	}
	return v
}

func (a *App) memory() cove.ByteSize {
	if a.cfg.Memory > 0 {
		return a.cfg.Memory
	}
	return cove.ByteSize(hostMemory()/10*8) / cove.MiB * cove.MiB
}

func (a *App) openGateway(routes *route.Table[*cove.Version]) error {
	for _, s := range a.cfg.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return err
		}
		a.proxies = append(a.proxies, p)
	}
	a.routes = gateway.New(gateway.Options{
		Routes: routes, Invoke: a.invoker, Authorizer: a.auth, Log: a.log, TrustedProxies: a.proxies,
		HeadTimeout: a.cfg.HeadTimeout, BodyTimeout: a.cfg.BodyTimeout, WriteTimeout: a.cfg.WriteTimeout, IdleTimeout: a.cfg.IdleTimeout, MaxConnections: a.cfg.MaxConnections,
	})
	a.gateway = a.routes.Server()
	return nil
}

// openDoors builds the control API and leaves for the command line of this user
// where the daemon is.
func (a *App) openDoors(ctx context.Context, version string) error {
	tokenFile := filepath.Join(a.cfg.Data, "admin.token")
	if err := a.ensureAdmin(ctx, tokenFile); err != nil {
		return err
	}
	handler := api.New(api.Options{
		Functions: a.deploy, Invoker: a.invoker, Access: a.auth, Tokens: a.auth, Users: a.auth, Audit: a.store, Settings: a.settings, TrustedProxies: a.proxies, Instances: instances{a.pool, a.log}, Logs: a.logs, Events: a.events,
		System: &system{app: a, version: version}, Log: a.log,
		Metrics: a.metricsService(), SavedEvents: a.store, Routes: a.routes, Host: a.machine, Bench: a.bench,
		BodyTimeout: a.cfg.BodyTimeout, WriteTimeout: a.cfg.WriteTimeout,
	})
	console, err := web.Handler(web.Files(), handler)
	if err != nil {
		return err
	}
	a.api = &http.Server{Handler: console, ReadHeaderTimeout: a.cfg.HeadTimeout, IdleTimeout: a.cfg.IdleTimeout, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	forget, err := local.Leave(baseURL(a.apiListener), tokenFile)
	if err != nil {
		// Only a convenience for who types commands.
		a.log.Warn("could not leave this daemon's address for the command line", "error", err)
		return nil
	}
	a.onClose(func() error { forget(); return nil })
	return nil
}

// baseURL is how a caller on this host reaches l.
func baseURL(l net.Listener) string {
	addr := l.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, fmt.Sprint(addr.Port))
}

// GatewayURL and APIURL are where the two doors are.
func (a *App) GatewayURL() string { return baseURL(a.gatewayListener) }

// APIURL is described at GatewayURL.
func (a *App) APIURL() string { return baseURL(a.apiListener) }

func (a *App) setState(s string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = s
}

func (a *App) getState() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}
