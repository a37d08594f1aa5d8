package app

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/config"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/docker"
	"github.com/covefn/cove/internal/driver/host"
	"github.com/covefn/cove/internal/driver/oci"
)

// isolations are the drivers of this daemon and what probing them found last.
type isolations struct {
	drivers map[string]driver.Driver
	order   []string

	mu      sync.Mutex
	reports []driver.Report
	probed  time.Time
}

// probeAge is how old what a probe found may be for a deploy to rely on it.
const probeAge = 10 * time.Second

// newDrivers makes a driver of each isolation, whether or not this host can run
// it: a probe says why not.
func newDrivers(cfg config.Config, log *slog.Logger) ([]driver.Driver, error) {
	run := func(isolation string) string { return filepath.Join(cfg.Data, "run", isolation) }
	network := host.NetworkConfig{}
	if cfg.EgressRange != "" {
		network.Range = netip.MustParsePrefix(cfg.EgressRange) // The configuration was checked.
	}
	var drivers []driver.Driver
	for _, name := range []string{"gvisor", "runc"} {
		binaryName, set := "runsc", cfg.Runsc
		if name == "runc" {
			binaryName, set = "runc", cfg.Runc
		}
		d, err := oci.New(oci.Options{
			Isolation: name, Binary: binary(binaryName, set), StateDir: filepath.Join(cfg.Data, "oci", name),
			RunDir: run(name), Network: network, Log: log,
		})
		if err != nil {
			return nil, err
		}
		drivers = append(drivers, d)
	}
	d, err := docker.New(docker.Options{Host: cfg.DockerHost, RunDir: run("docker"), Network: network, Log: log})
	if err != nil {
		return nil, err
	}
	return append(drivers, d), nil
}

// binary finds an OCI runtime: the one that is set, the one beside this program,
// the one on the PATH; or its bare name, which the probe then says is missing.
func binary(name, set string) string {
	if set != "" {
		return set
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return name
}

func newIsolations(drivers []driver.Driver) *isolations {
	i := &isolations{drivers: map[string]driver.Driver{}}
	for _, d := range drivers {
		i.drivers[d.Isolation()] = d
		i.order = append(i.order, d.Isolation())
	}
	return i
}

// probe asks every driver, all at once, and remembers what they say.
func (i *isolations) probe(ctx context.Context) []driver.Report {
	reports := make([]driver.Report, len(i.order))
	var wg sync.WaitGroup
	for n, name := range i.order {
		wg.Go(func() { reports[n] = i.drivers[name].Probe(ctx) })
	}
	wg.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.reports, i.probed = reports, time.Now()
	return reports
}

// recent is what a probe found, of now or of a short while ago.
func (i *isolations) recent(ctx context.Context) []driver.Report {
	i.mu.Lock()
	reports, fresh := i.reports, time.Since(i.probed) < probeAge
	i.mu.Unlock()
	if fresh {
		return reports
	}
	return i.probe(ctx)
}

// overhead is what a sandbox of an isolation costs beside its function.
func (i *isolations) overhead(name string) cove.ByteSize {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, r := range i.reports {
		if r.Isolation == name {
			return r.Overhead
		}
	}
	return 0
}

func (i *isolations) close() error {
	var first error
	for _, d := range i.drivers {
		if err := d.Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Doctor probes every isolation without a daemon.
func Doctor(ctx context.Context, cfg config.Config) ([]driver.Report, error) {
	drivers, err := newDrivers(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	i := newIsolations(drivers)
	return i.probe(ctx), i.close()
}
