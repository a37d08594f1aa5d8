package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
	"github.com/covefn/cove/internal/bench/workloads"
	"github.com/covefn/cove/internal/image"
	"github.com/covefn/cove/internal/runtime"
)

// Function is one of the user's own.
type Function struct {
	Config cove.Config
	// Archive opens its package, a tar.gz.
	Archive func() (io.ReadCloser, error)
}

// Options say what is compared, and how long.
type Options struct {
	// Version is that of Cove, and Binary the program that is run as a daemon.
	Version, Binary string
	// Serve are flags for that daemon, such as where runsc is; Images is the
	// directory of the runtime images.
	Serve  []string
	Images string
	// Functions are the user's own. Without any the built-in workloads are taken.
	Functions []Function
	// Event is what the user's functions are called with.
	Event []byte
	// Isolations, Runtimes and Workloads limit what is compared; empty is all.
	Isolations, Runtimes, Workloads []string
	// Form names the length of the run for the report, and Budget is about how
	// long it measures; preparing comes on top.
	Form   string
	Budget time.Duration
	Seed   uint64
	// Prices and Traffic are those of the bill.
	Prices  bench.Prices
	Traffic bench.Traffic
	// Tell, if not nil, is told how far the run is.
	Tell func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	// Phase is what is done now; Part of 1 is done of everything, and Left is
	// about how long the rest takes.
	Phase string
	Part  float64
	Left  time.Duration
}

// run is one comparison.
type run struct {
	o      Options
	report *bench.Report
	dir    string
	shims  string
	images *image.Store
	daemon *daemon
	// web makes the calls through the gateway.
	web *http.Transport

	runtimes   *runtime.Catalogue
	isolations []string
	subjects   []*subject
	// done is the share of the budget that finished phases had.
	done float64
}

// Run compares, and returns what was found. When ctx ends before that, the report
// holds what there is until then and says that it was broken off; the error is
// nil only if something was measured. The daemon it starts and everything that
// this makes on the host are gone when it returns.
func Run(ctx context.Context, o Options) (_ *bench.Report, err error) {
	if os.Geteuid() != 0 {
		return nil, cove.Errorf(cove.CodeDenied, "cove bench makes sandboxes and must run as root: sudo cove bench")
	}
	r := &run{o: o, runtimes: runtime.NewCatalogue(), report: newReport(o)}
	// A name that is wrong is told before anything is started.
	if _, err := r.chooseWorkloads(); err != nil {
		return nil, err
	}
	if r.report.Machine, err = machine(); err != nil {
		return nil, err
	}
	// Paths of sockets are short, so not a long TMPDIR of the user's.
	dir, release, err := workDir("/tmp")
	if err != nil {
		return nil, err
	}
	r.dir = dir
	defer func() { err = errors.Join(err, release()) }()
	// The bare processes are of another user.
	if err := os.Chmod(r.dir, 0o711); err != nil {
		return nil, err
	}
	if r.images, err = image.New(o.Images, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.images.Close()) }()
	r.tell("starting a daemon for the measurements", 0)
	if r.daemon, err = startDaemon(ctx, o.Binary, r.dir, append([]string{"--images", o.Images}, o.Serve...)); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.daemon.Close()) }()
	r.web = &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	defer r.web.CloseIdleConnections()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	return r.report, r.measure(ctx)
}

func newReport(o Options) *bench.Report {
	return &bench.Report{
		Schema: bench.ReportSchema, Cove: o.Version, Started: time.Now().UTC().Truncate(time.Second), Form: o.Form, Seed: o.Seed,
		Isolations: []bench.Isolation{}, Subjects: []bench.Subject{}, Phases: []bench.Phase{},
		Starts: []bench.StartRow{}, Bursts: []bench.BurstRow{}, Warm: []bench.WarmRow{}, Throughput: []bench.ThroughputRow{},
		Workloads: []bench.WorkloadRow{}, Overall: []bench.OverallRow{}, Memory: []bench.MemoryRow{}, CPU: []bench.CPURow{},
		Cost:    bench.CostReport{Prices: o.Prices, Traffic: o.Traffic, Bills: []bench.BillRow{}, Cheapest: []bench.CheapestRow{}},
		Remarks: []string{},
	}
}

// prepare finds out what can be compared and deploys it.
func (r *run) prepare(ctx context.Context) error {
	if err := r.chooseIsolations(ctx); err != nil {
		return err
	}
	if err := r.chooseSubjects(ctx); err != nil {
		return err
	}
	r.shims = r.dir + "/shims"
	if err := r.runtimes.WriteShims(r.shims); err != nil {
		return err
	}
	for _, s := range r.subjects {
		r.tell("deploying "+s.name, 0)
		if err := r.deploy(ctx, s); err != nil {
			return fmt.Errorf("deploy %s: %w", s.name, err)
		}
		r.report.Subjects = append(r.report.Subjects, bench.Subject{Name: s.name, Runtime: s.runtime.Name, Summary: s.summary})
	}
	return nil
}

// chooseIsolations takes those that are available, or of them those asked for.
func (r *run) chooseIsolations(ctx context.Context) error {
	found, err := r.daemon.client.Isolations(ctx)
	if err != nil {
		return err
	}
	var names, reasons []string
	for _, i := range found {
		names = append(names, i.Name)
		asked := len(r.o.Isolations) == 0 || slices.Contains(r.o.Isolations, i.Name)
		if asked && !i.Available {
			reasons = append(reasons, fmt.Sprintf("%s: %s (%s)", i.Name, i.Reason, i.Fix))
		}
		if asked && i.Available {
			r.isolations = append(r.isolations, i.Name)
			r.report.Isolations = append(r.report.Isolations, wall(i.Name, i.Version))
		}
	}
	for _, name := range r.o.Isolations {
		if !slices.Contains(names, name) {
			return cove.Invalid("isolation", "there is no isolation %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	if len(r.isolations) == 0 {
		return cove.Errorf(cove.CodeUnavailable, "no isolation is available here: %s", strings.Join(reasons, "; "))
	}
	for _, reason := range reasons {
		r.remark("not compared: %s", reason)
	}
	return nil
}

// chooseSubjects takes the user's functions, or the workloads asked for.
func (r *run) chooseSubjects(ctx context.Context) error {
	available, err := r.daemon.client.Runtimes(ctx)
	if err != nil {
		return err
	}
	missing := map[string]string{}
	for _, rt := range available {
		if !rt.Available {
			missing[rt.Name] = fmt.Sprintf("runtime %s: %s (%s)", rt.Name, rt.Reason, rt.Fix)
		}
	}
	var reasons []string
	add := func(s *subject) {
		if reason := missing[s.runtime.Name]; reason != "" {
			if !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
			}
			return
		}
		r.subjects = append(r.subjects, s)
	}
	for i, f := range r.o.Functions {
		rt, ok := r.runtimes.Lookup(f.Config.Runtime)
		if !ok {
			return cove.Invalid("runtime", "function %s has the runtime %q, which is not known", f.Config.Name, f.Config.Runtime)
		}
		add(&subject{
			id: fmt.Sprintf("f%d", i), name: f.Config.Name, runtime: rt, config: f.Config, archive: f.Archive,
			event: r.o.Event, whole: true,
		})
	}
	if len(r.o.Functions) == 0 {
		chosen, err := r.chooseWorkloads()
		if err != nil {
			return err
		}
		for _, s := range chosen {
			add(s)
		}
	}
	for _, reason := range reasons {
		r.remark("not compared: %s", reason)
	}
	if len(r.subjects) == 0 {
		return cove.Errorf(cove.CodeUnavailable, "there is nothing to compare: %s", strings.Join(reasons, "; "))
	}
	return nil
}

// chooseWorkloads are the built-in subjects. The first workload of each runtime
// is the one that everything is measured with; of the others it is their own time.
func (r *run) chooseWorkloads() ([]*subject, error) {
	var chosen []workloads.Workload
	names := r.o.Workloads
	if len(names) == 0 {
		names = workloads.Names()
	}
	for _, name := range names {
		w, ok := workloads.Find(name)
		if !ok {
			return nil, cove.Invalid("workloads", "there is no workload %q; there are %s", name, strings.Join(workloads.Names(), ", "))
		}
		chosen = append(chosen, w)
	}
	runtimes := r.runtimes.All()
	if len(r.o.Runtimes) > 0 {
		runtimes = nil
		for _, name := range r.o.Runtimes {
			rt, ok := r.runtimes.Lookup(name)
			if !ok {
				return nil, cove.Invalid("runtimes", "there is no runtime %q", name)
			}
			runtimes = append(runtimes, rt)
		}
	}
	var out []*subject
	for _, rt := range runtimes {
		for n, w := range chosen {
			files := w.Files(rt.Language)
			if files == nil {
				continue
			}
			out = append(out, &subject{
				id: fmt.Sprintf("f%d", len(out)), name: w.Name, summary: w.Summary, runtime: rt, files: files, event: w.Event, want: &w.Want,
				loads: w.Loads, whole: n == 0, config: cove.Config{Runtime: rt.Name},
			})
		}
	}
	return out, nil
}

// phase is one part of the measurements, with its share of the budget.
type phase struct {
	name  string
	share float64
	run   func(ctx context.Context, budget time.Duration, tell func(part float64)) ([]bench.Floor, error)
}

func (r *run) phases() []phase {
	return []phase{
		{"start classes", 0.28, r.measureStarts},
		{"processor time", 0.18, r.measureCPU},
		{"warm calls", 0.08, r.measureWarm},
		{"throughput", 0.18, r.measureThroughput},
		{"workloads", 0.17, r.measureWorkloads},
		// Last, as a burst has the daemon make more stem cells for an hour.
		{"bursts", 0.11, r.measureBursts},
	}
}

// measure runs every phase, each with its share of the budget.
func (r *run) measure(ctx context.Context) error {
	began := time.Now()
	defer func() { r.report.Took = time.Since(began) }()
	for _, p := range r.phases() {
		r.tell(p.name, r.done)
		before, err := bench.HostNow()
		if err != nil {
			return err
		}
		floors, err := p.run(ctx, time.Duration(p.share*float64(r.o.Budget)), func(part float64) { r.tell(p.name, r.done+p.share*part) })
		after, hostErr := bench.HostNow()
		if hostErr != nil {
			return hostErr
		}
		r.report.Phases = append(r.report.Phases, bench.Phase{Name: p.name, Host: after.Since(before), Noise: bench.Largest(floors), Floors: floors})
		if ctx.Err() != nil {
			r.report.Broken = "in the phase " + p.name
			break
		}
		if err != nil {
			r.remark("%s: %v", p.name, err)
		}
		r.done += p.share
	}
	r.bill()
	if r.report.Broken != "" && len(r.report.Starts) == 0 {
		return context.Cause(ctx)
	}
	return nil
}

func (r *run) tell(phase string, part float64) {
	if r.o.Tell != nil {
		r.o.Tell(Progress{Phase: phase, Part: part, Left: time.Duration((1 - part) * float64(r.o.Budget)).Round(time.Second)})
	}
}

func (r *run) remark(format string, args ...any) {
	r.report.Remarks = append(r.report.Remarks, fmt.Sprintf(format, args...))
}

// wholes are the subjects that everything is measured with.
func (r *run) wholes() []*subject {
	return slices.DeleteFunc(slices.Clone(r.subjects), func(s *subject) bool { return !s.whole })
}
