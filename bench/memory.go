package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/internal/bench"
)

// herd is how many idle instances are measured at once: what they share is
// divided among them, as it is on a host that runs many.
const herd = 4

// memory compares what an idle instance holds with what the bare interpreter
// does that has loaded the same handler and waits: the proportional set size
// (PSS) of every process that the instance causes, helpers included, and of what
// the daemon itself has grown by.
func memory(ctx context.Context, s *setting) ([]row, error) {
	importer, err := s.variant(s.languages[0], "json")
	if err != nil {
		return nil, err
	}
	var rows []row
	for i, g := range append(slices.Clone(s.languages), importer) {
		name := "memory of an idle instance: " + g.label()
		if i == len(s.languages) {
			name = "memory of an idle instance whose handler imports json: " + g.label()
		}
		bare, err := s.bareMemory(g)
		if err != nil {
			return rows, err
		}
		for _, isolation := range isolations() {
			mark := s.mark()
			held, what, err := s.instanceMemory(ctx, g, isolation)
			if err = errors.Join(err, s.release(mark)); err != nil {
				return rows, fmt.Errorf("%s, %s: %w", g.label(), isolation, err)
			}
			least, aim := 2.5, 1.5
			if isolation == isolationGVisor {
				least, aim = 4, 2.5
			}
			ratio := float64(held) / float64(bare)
			rows = append(rows, row{
				Name:     fmt.Sprintf("%s, %s / bare idle interpreter", name, isolationLabel(isolation)),
				Baseline: mebibytes(bare), Cove: mebibytes(held), Ratio: bench.Interval{Value: ratio, Low: ratio, High: ratio},
				Least: least, Aim: aim, N: herd, Note: what,
			})
		}
	}
	return rows, nil
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/float64(cove.MiB)) }

// settle is how long processes are left alone before their memory is read.
const settle = 2 * time.Second

// bareMemory is what one of several idle interpreters holds.
func (s *setting) bareMemory(g language) (held int64, err error) {
	mark := s.mark()
	defer func() { err = errors.Join(err, s.release(mark)) }()
	root, err := s.bareRoot(g)
	if err != nil {
		return 0, err
	}
	var pids []int
	for range herd {
		p, err := s.idler(root, g)
		if err != nil {
			return 0, err
		}
		pids = append(pids, p.cmd.Process.Pid)
	}
	time.Sleep(settle)
	held, err = pss(pids)
	return held / herd, err
}

// instanceMemory is what one of several idle instances holds: what the daemon
// measures of all the processes of each, and the daemon's own growth.
func (s *setting) instanceMemory(ctx context.Context, g language, isolation string) (int64, string, error) {
	d, err := s.daemon(ctx, false)
	if err != nil {
		return 0, "", err
	}
	// The daemon's own growth counts from when it has served a first function.
	first, err := s.idleInstance(ctx, d, g, isolation)
	if err != nil {
		return 0, "", err
	}
	if err := d.client.Delete(ctx, first, 0); err != nil {
		return 0, "", err
	}
	time.Sleep(settle)
	before, err := pss([]int{d.cmd.Process.Pid})
	if err != nil {
		return 0, "", err
	}
	var names []string
	for range herd {
		name, err := s.idleInstance(ctx, d, g, isolation)
		if err != nil {
			return 0, "", err
		}
		names = append(names, name)
	}
	time.Sleep(settle)
	after, err := pss([]int{d.cmd.Process.Pid})
	if err != nil {
		return 0, "", err
	}
	grown := max(after-before, 0) / herd
	held, processes := int64(0), 0
	for _, name := range names {
		list, err := d.client.Instances(ctx, client.InstanceQuery{Function: name, Measure: true})
		if err != nil {
			return 0, "", err
		}
		if len(list) != 1 || list[0].Measured == nil || list[0].Measured.PSS == 0 {
			return 0, "", fmt.Errorf("%s has %d instances, and not one that was measured", name, len(list))
		}
		held += int64(list[0].Measured.PSS)
		processes += list[0].Measured.Processes
	}
	return held/herd + grown, fmt.Sprintf("%d processes on the host and %s by which the daemon grew", processes/herd, mebibytes(grown)), nil
}

// idleInstance deploys a function, calls it once when there is a stem cell for it,
// as there is most of the time, and returns its name.
func (s *setting) idleInstance(ctx context.Context, d *daemon, g language, isolation string) (string, error) {
	t, err := d.deploy(ctx, g, isolation, func(cfg *cove.Config) { cfg.Scaling = reactive() })
	if err != nil {
		return "", err
	}
	if err := until(ctx, restPatience, func() error { return d.atRest(ctx) }); err != nil {
		return "", err
	}
	return t.function, t.call(ctx)
}

// pss is the sum of the processes' proportional set sizes in bytes.
func pss(pids []int) (int64, error) {
	sum := int64(0)
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(data)) {
			if value, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
				if err != nil {
					return 0, err
				}
				sum += kib << 10
			}
		}
	}
	return sum, nil
}
