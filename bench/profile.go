package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/covefn/cove/internal/bench"
)

// profiles writes a profile of each daemon's processor time while its function
// is called as fast as it answers, where the user asked for that, and says how
// the processor time of a call is shared.
func (s *setting) profiles(ctx context.Context, g language, servers []loaded) error {
	if s.profileDir == "" {
		return nil
	}
	if err := os.MkdirAll(s.profileDir, 0o755); err != nil {
		return err
	}
	for _, l := range servers {
		d := l.target.daemon
		if d == nil {
			continue
		}
		const span = 5 * time.Second
		own, err := bench.ProcessCPU(d.cmd.Process.Pid)
		if err != nil {
			return err
		}
		all, err := d.cpu()
		if err != nil {
			return err
		}
		fetched := make(chan error, 1)
		file := filepath.Join(s.profileDir, g.Language+"-"+l.name+".pprof")
		go func() { fetched <- d.profile(ctx, file, span-time.Second) }()
		load := bench.ClosedLoop(ctx, l.target.call, callers, span)
		if err := <-fetched; err != nil {
			return err
		}
		ownAfter, err := bench.ProcessCPU(d.cmd.Process.Pid)
		if err != nil {
			return err
		}
		allAfter, err := d.cpu()
		if err != nil {
			return err
		}
		calls := time.Duration(load.Calls)
		s.logf("   %s %s: %.0f calls/s; of processor time each call took %s in the daemon and %s in the sandbox: %s",
			g.label(), l.name, load.PerSecond, short((ownAfter-own)/calls), short((allAfter-all-ownAfter+own)/calls), file)
	}
	return nil
}

// profile fetches a processor profile of the daemon.
func (d *daemon) profile(ctx context.Context, file string, span time.Duration) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%.0f", d.api, span.Seconds()), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return errors.New("the daemon's profile: " + res.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, res.Body)
	return errors.Join(err, f.Close())
}
