package app

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/config"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/docker"
	"github.com/covefn/cove/internal/driver/oci"
)

// isolations are the drivers of this daemon and what probing them found last.
type isolations struct {
	drivers map[string]driver.Driver
	order   []string

	mu      sync.Mutex
	reports map[string]driver.Report
}

// newDrivers makes a driver of each isolation, whether or not this host can run
// it: a probe says why not.
func newDrivers(cfg config.Config, log *slog.Logger) ([]driver.Driver, error) {
	run := filepath.Join(cfg.Data, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		return nil, err
	}
	return []driver.Driver{
		oci.New(oci.Options{Isolation: "gvisor", Binary: binary("runsc", cfg.Runsc), StateDir: filepath.Join(cfg.Data, "runsc"), RunDir: run, EgressRange: cfg.EgressRange, Log: log}),
		docker.New(docker.Options{Host: cfg.DockerHost, RunDir: run, EgressRange: cfg.EgressRange, Log: log}),
		oci.New(oci.Options{Isolation: "runc", Binary: binary("runc", cfg.Runc), StateDir: filepath.Join(cfg.Data, "runc"), RunDir: run, EgressRange: cfg.EgressRange, Log: log}),
	}, nil
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
	i := &isolations{drivers: map[string]driver.Driver{}, reports: map[string]driver.Report{}}
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
	for _, r := range reports {
		i.reports[r.Isolation] = r
	}
	return reports
}

// overhead is what a sandbox of an isolation costs beside its function.
func (i *isolations) overhead(name string) cove.ByteSize {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.reports[name].Overhead
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
