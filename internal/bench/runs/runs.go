// Package runs runs comparisons of the isolations for the daemon: `cove bench` as a
// child process, one at a time. What the last ones found is kept on disk.
//
// A child ends everything that it started when it is told to end, and it is told
// to when the daemon dies, however that happens: the kernel does it.
package runs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// The states of a run.
const (
	running   = "running"
	done      = "done"
	failed    = "failed"
	cancelled = "cancelled"
)

// The files of a run, in a directory of its own.
const (
	stateFile  = "run.json"
	reportFile = "report.json"
)

// keep is how many runs are kept.
const keep = 20

// Options are what New needs.
type Options struct {
	// Dir is where runs are kept. It is made.
	Dir string
	// Binary is the program that is run as `cove bench`, with Args behind that.
	Binary string
	Args   []string
	// Log gets what goes wrong beside the runs. Nil discards.
	Log *slog.Logger
}

// Runs are the comparisons of this daemon. It is safe for concurrent use.
type Runs struct {
	o Options

	mu sync.Mutex
	// all are the kept runs, the newest first; current is the one under way, nil
	// if there is none.
	all     []*wire.BenchRun
	current *child
	closed  bool
}

// New reads the runs that are kept in a directory. One that was under way when an
// earlier daemon ended is told as failed. Close must be called.
func New(o Options) (*Runs, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Runs{o: o}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of bench runs: %w", err)
	}
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("list the bench runs: %w", err)
	}
	for _, e := range entries {
		run, err := r.read(e.Name())
		if err != nil {
			// It has no state that could be told, and would be kept for ever.
			o.Log.Warn("a bench run cannot be read and is removed", "run", e.Name(), "error", err)
			if err := os.RemoveAll(filepath.Join(o.Dir, e.Name())); err != nil {
				return nil, fmt.Errorf("remove a bench run: %w", err)
			}
			continue
		}
		r.all = append(r.all, run)
	}
	slices.SortFunc(r.all, newest)
	return r, r.prune()
}

func newest(a, b *wire.BenchRun) int {
	return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(b.ID, a.ID))
}

// idPattern is the form of an id; anything else never becomes a path.
var idPattern = regexp.MustCompile(`^[0-9]{8}-[0-9]{6}(-[0-9]{1,3})?$`)

// read reads a run's state, and tells one that was under way as failed.
func (r *Runs) read(id string) (*wire.BenchRun, error) {
	if !idPattern.MatchString(id) {
		return nil, errors.New("its name is none of a run")
	}
	data, err := os.ReadFile(filepath.Join(r.o.Dir, id, stateFile))
	if err != nil {
		return nil, err
	}
	run := &wire.BenchRun{}
	if err := json.Unmarshal(data, run); err != nil {
		return nil, err
	}
	run.ID = id
	if run.State == running {
		run.State, run.Step, run.Error, run.Ended = failed, "", "Cove ended while it ran", time.Now().UTC()
		return run, r.write(run)
	}
	return run, nil
}

// write keeps the state of a run: all of it or what was kept before.
func (r *Runs) write(run *wire.BenchRun) error {
	data, err := json.Marshal(run)
	if err != nil {
		return err
	}
	path := filepath.Join(r.o.Dir, run.ID, stateFile)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// prune removes the oldest runs beyond those that are kept.
func (r *Runs) prune() error {
	for len(r.all) > keep {
		last := r.all[len(r.all)-1]
		if err := os.RemoveAll(filepath.Join(r.o.Dir, last.ID)); err != nil {
			return fmt.Errorf("remove a bench run: %w", err)
		}
		r.all = r.all[:len(r.all)-1]
	}
	return nil
}

// Start begins a run: CodeConflict while another is under way.
func (r *Runs) Start(o wire.BenchStart) (wire.BenchRun, error) {
	args, err := arguments(o)
	if err != nil {
		return wire.BenchRun{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return wire.BenchRun{}, cove.Errorf(cove.CodeShuttingDown, "Cove is shutting down")
	}
	if r.current != nil {
		return wire.BenchRun{}, cove.Errorf(cove.CodeConflict, "the bench run %s is under way: wait for its end or cancel it", r.current.run.ID)
	}
	run := &wire.BenchRun{State: running, Quick: o.Quick, Started: time.Now().UTC().Truncate(time.Microsecond)}
	if run.ID, err = r.newDir(run.Started); err != nil {
		return wire.BenchRun{}, internal("make a directory for the run", err)
	}
	dir := filepath.Join(r.o.Dir, run.ID)
	if err := r.write(run); err != nil {
		return wire.BenchRun{}, errors.Join(internal("keep the run", err), os.RemoveAll(dir))
	}
	args = slices.Concat([]string{"bench", "--progress", "json", "--out", dir}, r.o.Args, args)
	c := newChild(run, r.o.Binary, dir, args)
	if err := c.start(func(p Progress) { r.progress(run, p) }, func(err error) { r.ended(c, err) }); err != nil {
		return wire.BenchRun{}, errors.Join(internal("start cove bench", err), os.RemoveAll(dir))
	}
	r.current = c
	r.all = append([]*wire.BenchRun{run}, r.all...)
	if err := r.prune(); err != nil {
		r.o.Log.Warn("an old bench run could not be removed", "error", err)
	}
	return *run, nil
}

// newDir makes a directory named by the time, and says how it is called.
func (r *Runs) newDir(at time.Time) (string, error) {
	name := at.Format("20060102-150405")
	for n := 2; ; n++ {
		err := os.Mkdir(filepath.Join(r.o.Dir, name), 0o700)
		if !errors.Is(err, fs.ErrExist) || n > 999 {
			return name, err
		}
		name = at.Format("20060102-150405") + "-" + strconv.Itoa(n)
	}
}

// Progress is how far a run is, as `cove bench --progress json` says it, one in
// each line.
type Progress struct {
	// Part of 1 is done, Phase is what is done now, and Left about how long the
	// rest takes.
	Part  float64       `json:"part"`
	Phase string        `json:"phase"`
	Left  time.Duration `json:"left_ns"`
}

func (r *Runs) progress(run *wire.BenchRun, p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run.Progress, run.Step = min(max(p.Part, 0), 1), p.Phase
}

// ended notes how a run ended; err is nil if it did its work.
func (r *Runs) ended(c *child, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := c.run
	run.Ended, run.Step = time.Now().UTC().Truncate(time.Microsecond), ""
	switch {
	case c.why == byUser:
		run.State = cancelled
	case c.why == byShutdown:
		run.State, run.Error = failed, "Cove was stopped while it ran"
	case err != nil:
		run.State, run.Error = failed, err.Error()
	default:
		run.State, run.Progress = done, 1
	}
	if err := r.write(run); err != nil {
		r.o.Log.Error("the end of a bench run could not be kept", "run", run.ID, "error", err)
	}
	r.current = nil
}

// List is every kept run, the newest first, without reports.
func (r *Runs) List() []wire.BenchRun {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]wire.BenchRun, 0, len(r.all))
	for _, run := range r.all {
		out = append(out, *run)
	}
	return out
}

// Get is one run, with its report if it is done.
func (r *Runs) Get(id string) (wire.BenchRun, error) {
	r.mu.Lock()
	run := r.find(id)
	r.mu.Unlock()
	if run == nil {
		return wire.BenchRun{}, noRun(id)
	}
	if run.State != done {
		return *run, nil
	}
	report, err := os.ReadFile(filepath.Join(r.o.Dir, id, reportFile))
	if err != nil {
		return wire.BenchRun{}, internal("read the report", err)
	}
	run.Report = report
	return *run, nil
}

// find is a copy of the run of that id, nil if there is none. The lock is held.
func (r *Runs) find(id string) *wire.BenchRun {
	for _, run := range r.all {
		if run.ID == id {
			return new(*run)
		}
	}
	return nil
}

// Remove ends a run that is under way, with everything that it started, and waits
// until that is gone or ctx ends; a run that has ended is forgotten.
func (r *Runs) Remove(ctx context.Context, id string) (wire.BenchRun, error) {
	r.mu.Lock()
	run, c := r.find(id), r.current
	switch {
	case run == nil:
		r.mu.Unlock()
		return wire.BenchRun{}, noRun(id)
	case run.State != running:
		defer r.mu.Unlock()
		if err := os.RemoveAll(filepath.Join(r.o.Dir, id)); err != nil {
			return wire.BenchRun{}, internal("remove the run", err)
		}
		r.all = slices.DeleteFunc(r.all, func(other *wire.BenchRun) bool { return other.ID == id })
		return *run, nil
	}
	c.end(byUser)
	r.mu.Unlock()
	select {
	case <-c.gone:
	case <-ctx.Done():
		return wire.BenchRun{}, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return *c.run, nil
}

// Stop has the run that is under way end, and lets no other begin. It does not
// wait.
func (r *Runs) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.current != nil {
		r.current.end(byShutdown)
	}
}

// Close is Stop, and waits until the run is gone with everything that it started.
func (r *Runs) Close() error {
	r.Stop()
	r.mu.Lock()
	c := r.current
	r.mu.Unlock()
	if c != nil {
		<-c.gone
	}
	return nil
}

func noRun(id string) error {
	return cove.Errorf(cove.CodeNotFound, "there is no bench run %.40q", id)
}

func internal(what string, err error) error {
	return &cove.Error{Code: cove.CodeInternal, Message: "the bench run failed; the log says how", Err: fmt.Errorf("%s: %w", what, err)}
}
