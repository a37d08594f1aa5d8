package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/covefn/cove/internal/bench"
	"github.com/covefn/cove/internal/bench/compare"
	"github.com/covefn/cove/internal/bench/runs"
	"github.com/covefn/cove/internal/bench/workloads"
	"github.com/covefn/cove/internal/config"
)

const (
	// quickTime and normalTime are how long the two forms measure; preparing comes
	// on top. Below leastTime there are too few samples of anything.
	quickTime  = 100 * time.Second
	normalTime = 10 * time.Minute
	leastTime  = 5 * time.Second
)

type benchFlags struct {
	quick                           bool
	time                            time.Duration
	isolations, runtimes, workloads []string
	data                            string
	html, out                       string
	progress                        string
	seed                            uint64
	prices                          bench.Prices
	traffic                         []string
	keepAlive                       time.Duration
	min                             int
	images, runsc, runc, docker     string
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench [DIR...]",
		Short: "Compare the isolations on this machine",
		Long: `Measures what each isolation costs on this machine: starts, bursts, calls,
throughput, a function's own time, memory, processor time, and money. With the
functions in the folders DIR, or with built-in ones: ` + strings.Join(workloads.Names(), ", ") + `.

It starts a daemon of its own and ends it; functions that are deployed are not
touched, but share the machine with the load. It must run as root. The report is
printed, and written to a directory as report.json and report.html. How it is
measured is told in docs/performance.md.`,
		Example: `  cove bench --quick
  cove bench --isolation gvisor,docker hello -d '{"name": "you"}'
  cove bench --traffic 0.5 --price-vcpu 0.03 --price-gib 0.004
  cove bench --traffic 1,1,1,1,1,2,5,20,30,30,30,30,30,30,30,30,30,20,10,5,5,2,1,1`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := a.benchOptions(cmd, args, &f)
			if err != nil {
				return err
			}
			return a.bench(cmd.Context(), o, f)
		},
	}
	f.bind(c.Flags())
	_ = c.RegisterFlagCompletionFunc("isolation", cobra.FixedCompletions([]string{"gvisor", "docker", "runc"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("progress", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("workloads", cobra.FixedCompletions(workloads.Names(), cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("runtimes", cobra.FixedCompletions([]string{"python", "node"}, cobra.ShellCompDirectiveNoFileComp))
	return a.printable(c)
}

func (f *benchFlags) bind(flags *pflag.FlagSet) {
	f.prices = bench.DefaultPrices()
	flags.BoolVar(&f.quick, "quick", false, "measure about 2 minutes and not 10")
	flags.DurationVar(&f.time, "time", 0, "measure for this `time`; the report says which one gives a p99")
	flags.StringSliceVar(&f.isolations, "isolation", nil, "`isolations` to compare (default: all that are available)")
	flags.StringSliceVar(&f.runtimes, "runtimes", nil, "`runtimes` of the built-in workloads (default: all)")
	flags.StringSliceVar(&f.workloads, "workloads", nil, "built-in `workloads` (default: all); the first one is measured whole, of the others their own time")
	flags.StringVarP(&f.data, "data", "d", "", "`event` in JSON for the functions in the folders, @FILE for a file's")
	flags.StringVar(&f.out, "out", "", "`directory` for the report (default ./cove-bench-TIME)")
	flags.StringVar(&f.html, "html", "", "write the page to this `file` too")
	flags.StringVar(&f.progress, "progress", "text", "`form` of what is told on standard error: text, or json for one object in each line")
	flags.StringSliceVar(&f.traffic, "traffic", []string{"1"}, "`calls` per second for the bill: a number, or one for each part of a day")
	flags.DurationVar(&f.keepAlive, "keep-alive", 5*time.Minute, "`time` that an idle instance is kept, for the bill")
	flags.IntVar(&f.min, "min", 0, "`number` of instances always kept, for the bill")
	flags.Float64Var(&f.prices.VCPUHour, "price-vcpu", f.prices.VCPUHour, "`price` of a processor for an hour")
	flags.Float64Var(&f.prices.GiBHour, "price-gib", f.prices.GiBHour, "`price` of a GiB of memory for an hour")
	flags.StringVar(&f.prices.Currency, "currency", f.prices.Currency, "`currency` of the prices")
	flags.Uint64Var(&f.seed, "seed", 0, "`number` that decides every random order (default: another one each time)")
	flags.StringVar(&f.images, "images", "", "`directory` of the runtime images (default: that of cove serve)")
	flags.StringVar(&f.runsc, "runsc", "", "gVisor's `binary` (default: that of cove serve)")
	flags.StringVar(&f.runc, "runc", "", "runc's `binary` (default: that of cove serve)")
	flags.StringVar(&f.docker, "docker-host", "", "Docker Engine's `address` (default: that of cove serve)")
}

// benchOptions checks what was asked for.
func (a *app) benchOptions(cmd *cobra.Command, dirs []string, f *benchFlags) (compare.Options, error) {
	o := compare.Options{
		Version: a.backend.Version, Isolations: f.isolations, Runtimes: f.runtimes, Workloads: f.workloads,
		Form: "normal", Budget: normalTime, Seed: f.seed, Prices: f.prices,
		Traffic: bench.Traffic{KeepAlive: f.keepAlive, Min: f.min},
	}
	changed := cmd.Flags().Changed
	if f.quick {
		o.Form, o.Budget = "quick", quickTime
	}
	if f.time > 0 {
		o.Budget = max(f.time, leastTime)
		o.Form = o.Budget.String()
	}
	if !changed("seed") {
		o.Seed = rand.Uint64()
	}
	if changed("price-vcpu") || changed("price-gib") || changed("currency") {
		o.Prices.Source, o.Prices.AsOf = "given on the command line", ""
	}
	if f.prices.VCPUHour < 0 || f.prices.GiBHour < 0 || f.keepAlive < 0 || f.min < 0 {
		return o, usagef("prices, --keep-alive and --min cannot be negative")
	}
	if f.progress != "text" && f.progress != "json" {
		return o, usagef("--progress %s: it is text or json", f.progress)
	}
	for _, text := range f.traffic {
		rate, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || rate < 0 || rate > 1e6 {
			return o, usagef("--traffic %s: write calls per second, such as 0.5, or a list of such numbers for the parts of a day", text)
		}
		o.Traffic.PerSecond = append(o.Traffic.PerSecond, rate)
	}
	if len(dirs) > 0 && len(f.workloads)+len(f.runtimes) > 0 {
		return o, usagef("--workloads and --runtimes choose among the built-in functions; they do not go with folders")
	}
	if len(dirs) == 0 && f.data != "" {
		return o, usagef("--data is for functions of your own: cove bench DIR -d '...'")
	}
	var err error
	if f.data != "" {
		if o.Event, err = a.event(f.data, true); err != nil {
			return o, err
		}
	}
	for _, dir := range dirs {
		own, err := benchFunction(dir)
		if err != nil {
			return o, err
		}
		o.Functions = append(o.Functions, own)
	}
	if o.Binary, err = os.Executable(); err != nil {
		return o, err
	}
	return o, f.serveFlags(&o)
}

// benchFunction is the user's function in a folder.
func benchFunction(dir string) (compare.Function, error) {
	cfg, found, err := readConfig(dir)
	if err != nil {
		return compare.Function{}, err
	}
	if !found {
		return compare.Function{}, usagef("there is no %s in %s, which says what runtime the function has", configFile, dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return compare.Function{}, err
	}
	cfg.Name = first(cfg.Name, filepath.Base(abs))
	return compare.Function{Config: cfg, Archive: func() (io.ReadCloser, error) {
		p, err := packFolder(abs)
		if err != nil {
			return nil, err
		}
		return openPack{p}, nil
	}}, nil
}

// openPack is a pack that is read.
type openPack struct{ p *pack }

// Read reads the archive.
func (o openPack) Read(b []byte) (int, error) { return o.p.file.Read(b) }

// Close ends it.
func (o openPack) Close() error {
	o.p.Close()
	return nil
}

// serveFlags are the settings that the private daemon shares with cove serve, as
// cove serve would find them: by flag, in the environment, in cove.toml.
func (f *benchFlags) serveFlags(o *compare.Options) error {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.BindFlags(flags)
	for name, value := range map[string]string{"images": f.images, "runsc": f.runsc, "runc": f.runc, "docker-host": f.docker} {
		if value == "" {
			continue
		}
		if err := flags.Set(name, value); err != nil {
			return err
		}
	}
	cfg, err := config.Load(flags)
	if err != nil {
		return usageError{err}
	}
	o.Images = cfg.Images
	for _, s := range [][2]string{{"--runsc", cfg.Runsc}, {"--runc", cfg.Runc}, {"--docker-host", cfg.DockerHost}} {
		if s[1] != "" {
			o.Serve = append(o.Serve, s[0], s[1])
		}
	}
	return nil
}

// bench runs the comparison and tells what it found.
func (a *app) bench(ctx context.Context, o compare.Options, f benchFlags) error {
	out := f.out
	if out == "" {
		out = "cove-bench-" + time.Now().Format("20060102-150405")
	}
	p := &benchProgress{app: a}
	if o.Tell = p.tell; f.progress == "json" {
		o.Tell = a.tellJSON
	}
	report, err := compare.Run(ctx, o)
	p.end()
	if report == nil {
		return err
	}
	if saveErr := saveReport(report, out, f.html); saveErr != nil {
		err = errors.Join(err, saveErr)
	} else {
		a.note("The report is in %s.", out)
	}
	if a.json() {
		err = errors.Join(err, a.printJSON(report))
	} else {
		err = errors.Join(err, report.WriteText(a.out))
	}
	// A run that was broken off has told what it found, and has not done its work.
	return errors.Join(err, context.Cause(ctx))
}

// saveReport writes the report's files into the directory out, which is made, and
// the page to the file html, unless that is "".
func saveReport(r *bench.Report, out, html string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "report.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	var page strings.Builder
	if err := r.WriteHTML(&page); err != nil {
		return err
	}
	files := []string{filepath.Join(out, "report.html")}
	if html != "" {
		files = append(files, html)
	}
	for _, file := range files {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// tellJSON tells how far a run is, for programs.
func (a *app) tellJSON(at compare.Progress) {
	line, err := json.Marshal(runs.Progress{Part: at.Part, Phase: at.Phase, Left: at.Left})
	if err == nil {
		fmt.Fprintf(a.err, "%s\n", line)
	}
}

// benchProgress tells how far a run is: on a terminal in one line that changes,
// otherwise in a line for each phase.
type benchProgress struct {
	app   *app
	phase string
	wrote bool
}

func (p *benchProgress) tell(at compare.Progress) {
	if isTerminal(p.app.err) {
		fmt.Fprintf(p.app.err, "\r\x1b[K%3.0f %%  %s, about %s left", at.Part*100, at.Phase, at.Left)
		p.wrote = true
		return
	}
	if at.Phase != p.phase {
		p.app.note("%3.0f %%  %s", at.Part*100, at.Phase)
		p.phase = at.Phase
	}
}

// end leaves the line.
func (p *benchProgress) end() {
	if p.wrote {
		fmt.Fprint(p.app.err, "\r\x1b[K")
	}
}
