package compare

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/bench"
	"github.com/covefn/cove/internal/runtime"
)

const (
	// leastWatch and mostWatch bound how long sandboxes that wait are watched. Some
	// work once a second, so less would tell of chance.
	leastWatch = 2 * time.Second
	mostWatch  = 30 * time.Second
	// restBefore is how long they have waited before: what a call leaves to be done
	// (collecting garbage, giving memory back) is none of waiting.
	restBefore = 3 * time.Second
)

// watchTime is which part of the phase's time sandboxes are watched.
func watchTime(budget time.Duration) time.Duration {
	return min(max(budget/6, leastWatch), mostWatch)
}

// measureWaiting measures the processor time of what waits for a call: instances,
// paused instances and stem cells, all of them at the same time, by their control
// groups. The meter of starts and calls counts in hundredths of a second, of which an
// idle sandbox uses none in a minute.
func (r *run) measureWaiting(ctx context.Context, watch time.Duration) error {
	for _, s := range r.wholes() {
		for _, isolation := range r.isolations {
			r.haveWaiting(ctx, s, isolation)
		}
	}
	if err := errors.Join(r.awaitQuiet(ctx), sleep(ctx, restBefore)); err != nil {
		return err
	}
	before, began, err := r.sandboxes()
	if err == nil {
		err = sleep(ctx, watch)
	}
	if err != nil {
		return err
	}
	after, ended, err := r.sandboxes()
	if err != nil {
		return err
	}
	instances, err := r.daemon.client.Instances(ctx, client.InstanceQuery{})
	if err != nil {
		return err
	}
	w := &waiting{used: usedBetween(before, after), elapsed: ended.Sub(began), instances: instances}
	for _, s := range r.wholes() {
		for _, isolation := range r.isolations {
			if row := r.cpuRow(s, isolation); row != nil {
				row.IdleHour = w.instance(s.function(isolation, kindPlain), wire.InstanceIdle)
				row.PausedHour = w.instance(s.function(isolation, kindPaused), wire.InstancePaused)
				row.StemHour = w.stem(isolation, filepath.Base(runtime.ShimDir(r.shims, s.runtime)))
				r.remarkUnseen(s, isolation, row)
			}
		}
	}
	return nil
}

// remarkUnseen says what of a row the bill takes to need no processor time.
func (r *run) remarkUnseen(s *subject, isolation string, row *bench.CPURow) {
	if row.IdleHour.Sandboxes == 0 {
		r.remark("the processor time of idle instances of %s in %s was not measured, and has no price in the bill", s.label(), isolation)
	}
	if row.StemHour.Sandboxes == 0 && row.StartClass == cove.StartStem {
		r.remark("the processor time of stem cells for %s in %s was not measured, and has no price in the bill", s.label(), isolation)
	}
}

// haveWaiting sees to an instance that waits and one that is paused. Where there is
// none in the end, nothing is measured of it.
func (r *run) haveWaiting(ctx context.Context, s *subject, isolation string) {
	for _, k := range []kind{kindPlain, kindPaused} {
		if _, err := r.invoke(ctx, s, s.function(isolation, k)); err == nil && k == kindPaused {
			_ = r.awaitPaused(ctx, s.function(isolation, k))
		}
	}
}

// cpuRow is the row of a subject in an isolation, nil if there is none.
func (r *run) cpuRow(s *subject, isolation string) *bench.CPURow {
	for i := range r.report.CPU {
		if c := &r.report.CPU[i]; c.Subject == s.name && c.Runtime == s.runtime.Name && c.Isolation == isolation {
			return c
		}
	}
	return nil
}

// waiting is what sandboxes used in a time, and which of them are instances.
type waiting struct {
	used      map[sandbox]time.Duration
	elapsed   time.Duration
	instances []wire.Instance
}

// instance is what the instances of a function used that are in a state.
func (w *waiting) instance(function string, state wire.InstanceState) bench.Waited {
	ids := map[string]bool{}
	for _, i := range w.instances {
		ids[i.ID] = i.Function == function && i.State == state
	}
	return w.mean(func(s sandbox) bool { return ids[s.id] })
}

// stem is what the stem cells with a shim used in an isolation. An instance that was
// made of one has kept its name.
func (w *waiting) stem(isolation, shim string) bench.Waited {
	taken := map[string]bool{}
	for _, i := range w.instances {
		taken[i.ID] = true
	}
	return w.mean(func(s sandbox) bool {
		return strings.HasPrefix(s.id, "stem-") && !taken[s.id] && s.isolation == isolation && s.shim == shim
	})
}

// mean is that over the sandboxes which are meant.
func (w *waiting) mean(meant func(sandbox) bool) bench.Waited {
	out := bench.Waited{For: w.elapsed}
	sum := time.Duration(0)
	for s, used := range w.used {
		if meant(s) {
			out.Sandboxes++
			sum += used
		}
	}
	if out.Sandboxes == 0 || w.elapsed <= 0 {
		return bench.Waited{}
	}
	out.PerHour = sum.Seconds() / float64(out.Sandboxes) / w.elapsed.Hours()
	return out
}

// sandbox is one of the daemon's, as the processes in it tell: shim is the name of
// its shim's directory, which the daemon has by the same name as this program.
type sandbox struct{ id, isolation, shim string }

// usedBetween is what the sandboxes used that were there at both times.
func usedBetween(before, after map[sandbox]time.Duration) map[sandbox]time.Duration {
	used := map[sandbox]time.Duration{}
	for s, at := range before {
		if later, ok := after[s]; ok {
			used[s] = later - at
		}
	}
	return used
}

// sandboxes are those of the daemon, with the processor time that each has used by
// the moment at.
func (r *run) sandboxes() (used map[sandbox]time.Duration, at time.Time, err error) {
	owner, err := os.ReadFile(filepath.Join(r.daemon.data, "owner"))
	if err != nil {
		return nil, at, err
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, at, err
	}
	found := map[sandbox]string{}
	for _, dir := range dirs {
		mounts, _ := os.ReadFile(filepath.Join(dir, "mountinfo")) // Of one that has ended it is empty.
		s, ok := sandboxIn(string(mounts), filepath.Base(r.dir))
		if !ok {
			continue
		}
		groups, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		if path := groupIn(string(groups), strings.TrimSpace(string(owner)), s.id); path != "" {
			found[s] = path
		}
	}
	used, at = map[sandbox]time.Duration{}, time.Now()
	for s, path := range found {
		cpu, err := groupCPU(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // It has ended meanwhile.
		}
		if err != nil {
			return nil, at, err
		}
		used[s] = cpu
	}
	return used, at, nil
}

// boxMount and shimMount are the lines of mountinfo that a process in a sandbox has:
// what is mounted, of which the last parts are the sandbox's name and the shim's,
// and where. With Docker the owner stands before the name.
var (
	boxMount  = regexp.MustCompile(`(?m)^\S+ \S+ \S+ \S*/([^/ ]+)/data/run/([^/ ]+)/(?:\S+/)?box/(?:[0-9a-f]+\.)?([^/ ]+) /cove `)
	shimMount = regexp.MustCompile(`(?m)^\S+ \S+ \S+ \S*/shims/([^/ ]+) /opt/cove `)
)

// sandboxIn is the sandbox of the run with the directory dir in which a process is,
// by its mounts.
func sandboxIn(mounts, dir string) (sandbox, bool) {
	box, shim := boxMount.FindStringSubmatch(mounts), shimMount.FindStringSubmatch(mounts)
	if box == nil || shim == nil || box[1] != dir {
		return sandbox{}, false
	}
	return sandbox{id: box[3], isolation: box[2], shim: shim[1]}, true
}

// groupIn is the control group of a sandbox, by the groups of a process in it: Cove's
// own, or where systemd keeps Docker's groups the container's. "" if it is in none of
// these.
func groupIn(groups, owner, id string) string {
	path := ""
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		// Of version 2, or of the hierarchy of version 1 that counts.
		if cpu := strings.Contains(parts[1], "cpuacct"); cpu || parts[1] == "" && path == "" {
			path = parts[2]
		}
	}
	if before, _, own := strings.Cut(path, "/"+owner+"/"+id); own {
		return before + "/" + owner + "/" + id
	}
	if strings.Contains(path, "cove-"+owner+".slice/") {
		return path
	}
	return ""
}

// groupCPU is the processor time of a control group, by its path in the hierarchy.
func groupCPU(path string) (time.Duration, error) {
	err := fmt.Errorf("the control group %s is not to be found: %w", path, fs.ErrNotExist)
	for _, root := range []string{"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"} {
		if cpu, got := bench.GroupCPU(filepath.Join(root, path)); got == nil {
			return cpu, nil
		} else if !errors.Is(got, fs.ErrNotExist) {
			err = got
		}
	}
	return 0, err
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
