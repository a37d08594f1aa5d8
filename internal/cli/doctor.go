package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/config"
	"github.com/covefn/cove/internal/driver"
)

// diagnosis is what doctor found, also in JSON.
type diagnosis struct {
	Version    string           `json:"version"`
	Daemon     daemonState      `json:"daemon"`
	Isolations []wire.Isolation `json:"isolations"`
	// Runtimes are known only from a daemon that runs.
	Runtimes []wire.Runtime `json:"runtimes"`
}

type daemonState struct {
	Reachable bool         `json:"reachable"`
	Error     string       `json:"error,omitempty"`
	URL       string       `json:"url,omitempty"`
	System    *wire.System `json:"system,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what works on this machine and how to mend the rest",
		Long: `Probes every isolation on this machine, with the settings that cove serve would
use, and asks the daemon, if one runs. What is missing is told with the command
that mends it. The exit code is 1 when no isolation is available.`,
		Example: "  cove doctor\n  sudo cove doctor -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags())
			if err != nil {
				return usageError{err}
			}
			d, err := a.diagnose(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if a.json() {
				err = a.printJSON(d)
			} else {
				a.printDiagnosis(d)
			}
			if err != nil {
				return err
			}
			for _, i := range d.Isolations {
				if i.Available {
					return nil
				}
			}
			return exitError(exitGeneral)
		},
	}
	config.BindFlags(c.Flags())
	return a.printable(c)
}

func (a *app) diagnose(ctx context.Context, cfg config.Config) (diagnosis, error) {
	d := diagnosis{Version: a.backend.Version, Isolations: []wire.Isolation{}, Runtimes: []wire.Runtime{}}
	reports, err := a.backend.Doctor(ctx, cfg)
	if err != nil {
		return d, err
	}
	for _, r := range reports {
		d.Isolations = append(d.Isolations, isolation(r, cfg.Isolation))
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	api, err := a.client()
	if err != nil {
		d.Daemon.Error = err.Error()
		return d, nil
	}
	d.Daemon.URL = api.URL()
	system, err := api.System(ctx)
	if err != nil {
		d.Daemon.Error = err.Error()
		return d, nil
	}
	d.Daemon.Reachable, d.Daemon.System = true, &system
	if runtimes, err := api.Runtimes(ctx); err == nil {
		d.Runtimes = runtimes
	}
	return d, nil
}

func isolation(r driver.Report, def string) wire.Isolation {
	i := wire.Isolation{
		Name: r.Isolation, Default: r.Isolation == def, Available: r.Available, Version: r.Version, Reason: r.Reason,
		Fix: r.Fix, Features: []string{}, Overhead: r.Overhead, Notes: r.Notes,
	}
	for _, f := range r.Features {
		i.Features = append(i.Features, string(f))
	}
	return i
}

func (a *app) printDiagnosis(d diagnosis) {
	fmt.Fprintf(a.out, "cove %s\n\n", d.Version)
	if d.Daemon.Reachable {
		s := d.Daemon.System
		a.check(true, "daemon", fmt.Sprintf("version %s at %s, gateway %s", s.Version, d.Daemon.URL, s.Gateway))
		a.detail("memory", fmt.Sprintf("%s of %s reserved", s.MemoryReserved, s.MemoryBudget))
		if s.Stuck > 0 {
			a.detail("stuck", fmt.Sprintf("%d sandboxes were killed and do not die; their memory stays reserved", s.Stuck))
		}
		if s.Version != d.Version {
			a.detail("note", "the daemon is of another version than this command; restart it")
		}
	} else {
		_, message, _ := strings.Cut(d.Daemon.Error, ": ")
		a.check(false, "daemon", message)
		a.detail("mend", "cove serve")
	}
	for _, i := range d.Isolations {
		a.printHealth(i)
	}
	for _, r := range d.Runtimes {
		if r.Available {
			a.check(true, r.Name, orDash(r.Image))
			continue
		}
		a.check(false, r.Name, r.Reason)
		a.detail("mend", r.Fix)
	}
}

func (a *app) printHealth(i wire.Isolation) {
	text := i.Reason
	if i.Available {
		text = i.Version
	}
	name := i.Name
	if i.Default {
		name += " (default)"
	}
	a.check(i.Available, name, text)
	a.detail("features", strings.Join(i.Features, ", "))
	a.detail("mend", i.Fix)
	for _, n := range i.Notes {
		a.detail("note", n)
	}
}

func (a *app) check(good bool, name, text string) {
	mark, code := "ok", green
	if !good {
		mark, code = "no", red
	}
	fmt.Fprintf(a.out, "%s  %-18s %s\n", a.colour(a.out, code, mark), name, text)
}

func (a *app) detail(name, text string) {
	if text != "" {
		fmt.Fprintf(a.out, "    %-18s %s\n", name+":", text)
	}
}
