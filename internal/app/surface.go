package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench/runs"
	"github.com/covefn/cove/internal/driver/host"
	"github.com/covefn/cove/internal/machine"
)

// openMachine readies what looks at the machine and what compares isolations on it.
func (a *App) openMachine() (err error) {
	sandboxes := func() (time.Duration, cove.ByteSize) { return 0, 0 }
	if groups, err := host.FindCgroups(); err == nil { // Without, no sandbox can be made, which the probes tell.
		sandboxes = func() (time.Duration, cove.ByteSize) { return groups.Total(a.owner) }
	}
	if a.machine, err = machine.New(a.cfg.Data, sandboxes); err != nil {
		return err
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	args, err := a.benchArgs()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Join(a.cfg.Data, "bench"))
	if err != nil {
		return err
	}
	if a.bench, err = runs.New(runs.Options{Dir: dir, Binary: binary, Args: args, Log: a.log}); err != nil {
		return err
	}
	a.onClose(a.bench.Close)
	return nil
}

// benchArgs are the settings that a comparison shares with this daemon. It runs in
// another directory.
func (a *App) benchArgs() ([]string, error) {
	args := []string{}
	for _, s := range [][2]string{{"--images", a.cfg.Images}, {"--runsc", a.cfg.Runsc}, {"--runc", a.cfg.Runc}, {"--docker-host", a.cfg.DockerHost}} {
		if s[1] == "" {
			continue
		}
		value := s[1]
		if s[0] == "--images" || s[0] != "--docker-host" && strings.Contains(value, "/") {
			var err error
			if value, err = filepath.Abs(value); err != nil {
				return nil, err
			}
		}
		args = append(args, s[0], value)
	}
	return args, nil
}
