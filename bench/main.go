// Bench measures Cove beside raw baselines on the machine it runs on: the same
// handler in a container that `docker run` starts, in a sandbox that `runsc run`
// starts, in the bare interpreter of the same image, and behind the language's
// own HTTP server. Absolute figures say little about another machine; the ratios
// between the arms of one run do.
//
// It starts a real `cove serve` with a data directory of its own, lets the arms
// take turns in random order, checks every answer, and prints the table of what
// Cove has set out to reach: each row with the two medians, their ratio with its
// interval, what was to be reached and what was. The method, and the results, are
// in docs/performance.md.
//
//	go run ./bench [-full] [-rows start,warm] [-out DIR] [-doc FILE]
//	go run ./bench -from FILE[,FILE...] [-doc FILE]
//
// It needs root, Docker, and what `make build runsc images` makes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/covefn/cove/internal/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// experiment measures rows that share their arms. What it makes is put away when
// it has ended.
type experiment struct {
	name string
	// about is one line for people.
	about string
	run   func(ctx context.Context, s *setting) ([]row, error)
}

// setting is what the experiments of one run share.
type setting struct {
	*lab
	languages []language
	// full asks for the long form; named says that the experiments were asked for
	// by their names.
	full, named bool
	// profileDir is where profiles of the daemon go, "" for none.
	profileDir string
}

// long says whether experiments that take most of an hour are to run.
func (s *setting) long() bool { return s.full || s.named }

// pick is a number for the short form, or one for the long form.
func pick[T any](s *setting, short, full T) T {
	if s.full {
		return full
	}
	return short
}

func experiments() []experiment {
	return []experiment{
		{"start", "the first answer of a function: stem cells and cold starts", starts},
		{"start-p99", "the p99 of stem cells: 1,000 starts of each, with -full or when named here", startTail},
		{"burst", "50 first calls at once", burst},
		{"warm", "a call to a running instance, and the platform's share of it", warm},
		{"throughput", "calls per processor second, and the peak", throughput},
		{"tail", "p99 at 70 % of the peak", tail},
		{"paused", "a call to a paused instance", paused},
		{"memory", "memory of an idle instance", memory},
		{"routes", "10,000 functions", routes},
		{"trace", "a day of real traffic, simulated and replayed", azure},
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	full := flags.Bool("full", false, "take as many samples as every row needs: an hour and a quarter instead of minutes")
	names := flags.String("rows", "", "measure these `experiments` only, separated by commas")
	only := flags.String("languages", "", "measure these `languages` only: python,node")
	profiles := flags.String("profile", "", "write a processor profile of the daemon under load into this `directory` (experiment throughput)")
	out := flags.String("out", "bench/results", "`directory` for the results")
	from := flags.String("from", "", "measure nothing and take the results of earlier runs, JSON `files` separated by commas")
	doc := flags.String("doc", "", "put the results into this document, a `file` such as docs/performance.md")
	list := flags.Bool("list", false, "list the experiments")
	if err := flags.Parse(args); err != nil {
		return err
	}
	all := experiments()
	if *list {
		for _, e := range all {
			fmt.Printf("%-12s%s\n", e.name, e.about)
		}
		return nil
	}
	chosen, err := choose(all, *names)
	if err != nil {
		return err
	}
	if *from != "" {
		return show(*from, *doc)
	}
	r := &results{Command: "make bench", Time: time.Now().UTC(), Machine: thisMachine()}
	switch {
	case *names != "" || *only != "":
		r.Command = "go run ./bench -rows " + *names
	case *full:
		r.Command = "make bench-full"
	}
	err = measure(ctx, r, chosen, &setting{full: *full, named: *names != "", profileDir: *profiles}, *only)
	if len(r.Rows) == 0 {
		return err
	}
	path, writeErr := r.write(*out)
	fmt.Println()
	err = errors.Join(err, r.print(os.Stdout), writeErr)
	fmt.Println("\nwritten to", path)
	if *doc != "" {
		err = errors.Join(err, insert(*doc, r))
	}
	return err
}

// show prints the results of earlier runs, or puts them into doc if that is not "".
func show(from, doc string) error {
	var runs []*results
	for file := range strings.SplitSeq(from, ",") {
		r, err := readResults(file)
		if err != nil {
			return err
		}
		runs = append(runs, r)
	}
	complete(runs)
	if doc != "" {
		return insert(doc, runs...)
	}
	for _, r := range runs {
		if err := r.print(os.Stdout); err != nil {
			return err
		}
	}
	return nil
}

func choose(all []experiment, names string) ([]experiment, error) {
	if names == "" {
		return all, nil
	}
	var chosen []experiment
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(e experiment) bool { return e.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no experiment %q; -list shows those there are", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// measure runs the experiments one after the other. One that fails does not keep
// the others from being measured.
func measure(ctx context.Context, r *results, chosen []experiment, s *setting, only string) (err error) {
	l, err := newLab(os.Stderr)
	defer func() { err = errors.Join(err, l.close()) }()
	if err != nil {
		return err
	}
	s.lab = l
	if s.languages, err = l.languages(); err != nil {
		return err
	}
	if only != "" {
		s.languages = slices.DeleteFunc(s.languages, func(g language) bool {
			return !slices.Contains(strings.Split(only, ","), strings.ToLower(g.label()))
		})
	}
	before, err := bench.HostNow()
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range chosen {
		began := time.Now()
		l.logf("== %s: %s", e.name, e.about)
		mark := l.mark()
		rows, err := e.run(ctx, s)
		err = errors.Join(err, l.release(mark))
		for i := range rows {
			rows[i].Experiment = e.name
			l.logf("   %s", strings.Join(rows[i].figures(), " | "))
		}
		r.Rows = append(r.Rows, rows...)
		l.logf("   %s", short(time.Since(began)))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.name, err))
			l.logf("   %v", err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	after, err := bench.HostNow()
	r.Use, r.Took = after.Since(before), after.At.Sub(before.At).Round(time.Second).String()
	return errors.Join(append(errs, err)...)
}
