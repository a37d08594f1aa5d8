package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/covefn/cove"
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
	var rows []row
	for _, g := range s.languages {
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
				Name:     fmt.Sprintf("memory of an idle instance: %s, %s / bare idle interpreter", g.label(), isolationLabel(isolation)),
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
	held, _, err = pss(pids)
	return held / herd, err
}

// instanceMemory is what one of several idle instances holds, and in words which
// processes that is.
func (s *setting) instanceMemory(ctx context.Context, g language, isolation string) (int64, string, error) {
	d, err := s.daemon(false)
	if err != nil {
		return 0, "", err
	}
	// The daemon's own growth counts from when it has served a first function.
	first, err := d.deploy(ctx, g, isolation, nil)
	if err != nil {
		return 0, "", err
	}
	if err := errors.Join(first.call(ctx), d.client.Delete(ctx, first.function, 0)); err != nil {
		return 0, "", err
	}
	if err := d.noStems(); err != nil {
		return 0, "", err
	}
	daemonBefore, _, err := pss([]int{d.cmd.Process.Pid})
	if err != nil {
		return 0, "", err
	}
	before, err := d.processes()
	if err != nil {
		return 0, "", err
	}
	for range herd {
		t, err := d.deploy(ctx, g, isolation, nil)
		if err != nil {
			return 0, "", err
		}
		if err := t.call(ctx); err != nil {
			return 0, "", err
		}
	}
	if err := d.noStems(); err != nil {
		return 0, "", err
	}
	pids, err := d.processes()
	if err != nil {
		return 0, "", err
	}
	pids = slices.DeleteFunc(pids, func(pid int) bool { return slices.Contains(before, pid) })
	held, byName, err := pss(pids)
	if err != nil {
		return 0, "", err
	}
	daemonAfter, _, err := pss([]int{d.cmd.Process.Pid})
	if err != nil {
		return 0, "", err
	}
	grown := max(daemonAfter-daemonBefore, 0)
	words := []string{"the daemon's growth " + mebibytes(grown/herd)}
	for _, name := range slices.Sorted(keys(byName)) {
		words = append(words, name+" "+mebibytes(byName[name]/herd))
	}
	return (held + grown) / herd, strings.Join(words, ", "), nil
}

func keys(m map[string]int64) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// noStems lets the daemon come to rest.
func (d *daemon) noStems() error {
	time.Sleep(settle)
	return nil
}

// processes are those that the daemon has caused: its children and theirs, what
// is in its sandboxes' control groups, and containerd's helper of each container.
func (d *daemon) processes() ([]int, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	ownerName, err := os.ReadFile(filepath.Join(d.data, "owner"))
	if err != nil {
		return nil, err
	}
	mark := "/cove/" + strings.TrimSpace(string(ownerName)) + "/"
	out, err := command(context.Background(), "docker", "ps", "--quiet", "--no-trunc", "--filter", "label=cove.owner="+strings.TrimSpace(string(ownerName)))
	if err != nil {
		return nil, err
	}
	containers := strings.Fields(out)
	parents, all := map[int]int{}, []int{}
	caused := map[int]bool{}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // It has ended.
		}
		_, after, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
		if fields := strings.Fields(after); len(fields) > 1 {
			parents[pid], _ = strconv.Atoi(fields[1])
		}
		all = append(all, pid)
		groups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		caused[pid] = strings.Contains(string(groups), mark) ||
			slices.ContainsFunc(containers, func(id string) bool { return strings.Contains(string(line), id) })
	}
	var pids []int
	for _, pid := range all {
		for p := pid; p > 1; p = parents[p] {
			if caused[p] || parents[p] == d.cmd.Process.Pid {
				pids = append(pids, pid)
				break
			}
		}
	}
	return pids, nil
}

// pss is the sum of the processes' proportional set sizes in bytes, and the same
// by the program's name.
func pss(pids []int) (sum int64, byName map[string]int64, err error) {
	byName = map[string]int64{}
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, nil, err
		}
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err != nil {
			return 0, nil, err
		}
		for line := range strings.Lines(string(data)) {
			if value, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
				if err != nil {
					return 0, nil, err
				}
				sum += kib << 10
				byName[strings.TrimSpace(string(name))] += kib << 10
			}
		}
	}
	return sum, byName, nil
}
