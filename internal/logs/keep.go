package logs

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Keeper keeps lines where they outlive the daemon; *sqlite.Records does. It is
// safe for concurrent use. Errors are *cove.Error.
type Keeper interface {
	// SaveLines keeps lines, whose ids are larger than those of all before.
	SaveLines(ctx context.Context, lines []Line) error
	// FindLines is what q chooses. It may end early where much would have to be
	// looked at: then Page.Next says where to go on.
	FindLines(ctx context.Context, q Query) (Page, error)
	// LastLine is the largest id, 0 where there is none.
	LastLine(ctx context.Context) (int64, error)
	// ForgetLines has the lines of a function not be found any more. They are
	// removed by TrimLines.
	ForgetLines(ctx context.Context, function string) error
	// LineFunctions are the functions that have lines, and when they wrote last.
	LineFunctions(ctx context.Context) (map[string]time.Time, error)
	// TrimLines removes what was forgotten and what is beyond the limits, the
	// oldest first, in small transactions, and says how many lines that were.
	TrimLines(ctx context.Context, limits Limits, now time.Time) (removed int64, err error)
}

// Limits say which lines may stay. A limit of 0 is none.
type Limits struct {
	// Age is how long ago a line may have been written.
	Age time.Duration
	// Function is how much of one function's log is kept, and Total how much of
	// all, in bytes: texts, and 128 for each line.
	Function, Total int64
}

// Keeping is what a Book needs to keep its lines.
type Keeping struct {
	Keeper Keeper
	// Limits are those in force, asked for before each use.
	Limits func() Limits
	// Exists says whether there is such a function. The lines of one that is no
	// more are removed.
	Exists func(function string) bool
	// Log is told of what fails. Nil discards.
	Log *slog.Logger
}

const (
	// flushEvery is how often lines are written: what is younger is lost at SIGKILL.
	flushEvery = 500 * time.Millisecond
	// trimEvery and trimBytes are after how long, and after how much was written,
	// the limits are looked after.
	trimEvery = 30 * time.Second
	trimBytes = 8 << 20
	// batchLines is how many lines one transaction writes at most, so that others
	// who write get their turn.
	batchLines = 5000
	// queueLines and queueBytes bound the lines that wait to be written, of all and
	// of one function: one that floods its log takes neither the memory of the
	// daemon nor the turn of the others.
	queueLines, queueBytes                 = 40_000, 16 << 20
	functionQueueLines, functionQueueBytes = 10_000, 4 << 20
	// orphaned is how long the log of a function that does not exist is kept: one
	// that is being deployed may print before it exists.
	orphaned = 10 * time.Minute
)

// writer is what is on its way from a Book to its keeper.
type writer struct {
	Keeping

	// flushing is held while something is written; it comes before Book.mu.
	flushing sync.Mutex
	written  int64 // bytes since the last trim
	failing  bool  // the last write failed, and the log was told

	// What follows is guarded by Book.mu.
	queue   []Line
	bytes   int
	waiting map[string]*backlog
	forget  []string
	kept    int64
	dropped int64
}

// backlog is what waits of one function.
type backlog struct{ lines, bytes, dropped int }

// Keep has every line from now on kept, until Run has ended. It must be called
// before the first line comes.
func (b *Book) Keep(ctx context.Context, k Keeping) error {
	if k.Log == nil {
		k.Log = slog.New(slog.DiscardHandler)
	}
	last, err := k.Keeper.LastLine(ctx)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = last
	b.writer = &writer{Keeping: k, waiting: map[string]*backlog{}}
	return nil
}

// Recorded is how many lines were kept since the start, and how many were not, as
// they came faster than they could be written.
func (b *Book) Recorded() (kept, dropped int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.writer == nil {
		return 0, 0
	}
	return b.writer.kept, b.writer.dropped
}

// enqueue takes a line that is to be kept, if there is room. The book's lock is
// held.
func (w *writer) enqueue(l *Line) {
	f := w.waiting[l.Function]
	if f == nil {
		f = &backlog{}
		w.waiting[l.Function] = f
	}
	cost := l.cost()
	if len(w.queue) >= queueLines || w.bytes+cost > queueBytes || f.lines >= functionQueueLines || f.bytes+cost > functionQueueBytes {
		f.dropped++
		w.dropped++
		return
	}
	f.lines, f.bytes, w.bytes = f.lines+1, f.bytes+cost, w.bytes+cost
	w.queue = append(w.queue, *l)
}

// drop has a function forgotten, also what waits of it. The book's lock is held.
func (w *writer) drop(function string) {
	w.forget = append(w.forget, function)
	w.queue = slices.DeleteFunc(w.queue, func(l Line) bool { return l.Function == function })
	if f := w.waiting[function]; f != nil {
		w.bytes -= f.bytes
		delete(w.waiting, function)
	}
}

// Run writes lines every 500 ms, and keeps the limits, until ctx ends; then it
// writes what is left.
func (b *Book) Run(ctx context.Context) {
	w := b.writer
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var trimmed time.Time
	for {
		select {
		case <-ctx.Done():
			// Twice: the first may leave a line that tells what found no room.
			for range 2 {
				b.logFailure(b.Flush(context.WithoutCancel(ctx)))
			}
			return
		case now := <-tick.C:
			b.logFailure(b.Flush(ctx))
			w.flushing.Lock()
			due := now.Sub(trimmed) >= trimEvery || w.written >= trimBytes
			w.flushing.Unlock()
			if due {
				trimmed = now
				b.logFailure(b.trim(ctx, now))
			}
		}
	}
}

// logFailure logs a failure once, until something has succeeded.
func (b *Book) logFailure(err error) {
	w := b.writer
	w.flushing.Lock()
	defer w.flushing.Unlock()
	if err != nil && !w.failing {
		w.Log.Error("log lines cannot be written; they are tried again", "error", err)
	}
	w.failing = err != nil
}

// Flush writes all that waits. What cannot be written waits on, as far as there is
// room.
func (b *Book) Flush(ctx context.Context) error {
	w := b.writer
	w.flushing.Lock()
	defer w.flushing.Unlock()
	lines, forget := b.takeQueue()
	for i, name := range forget {
		if err := w.Keeper.ForgetLines(ctx, name); err != nil {
			b.putBack(lines, forget[i:])
			return err
		}
	}
	for len(lines) > 0 {
		batch := lines[:min(len(lines), batchLines)]
		for i := range batch {
			batch[i].fillLevel()
			w.written += int64(batch[i].cost())
		}
		if err := w.Keeper.SaveLines(ctx, batch); err != nil {
			b.putBack(lines, nil)
			return err
		}
		b.mu.Lock()
		w.kept += int64(len(batch))
		b.mu.Unlock()
		lines = lines[len(batch):]
	}
	return nil
}

// takeQueue takes what waits, and notes in the logs what found no room.
func (b *Book) takeQueue() (lines []Line, forget []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.writer
	lines, forget = w.queue, w.forget
	waited := w.waiting
	w.queue, w.bytes, w.forget, w.waiting = nil, 0, nil, map[string]*backlog{}
	for name, f := range waited {
		if f.dropped > 0 {
			b.addLocked(dropNote(name, f.dropped))
		}
	}
	return lines, forget
}

// putBack has lines wait again that could not be written. Those that came since
// are behind them.
func (b *Book) putBack(lines []Line, forget []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.writer
	since := w.queue
	w.queue, w.bytes = make([]Line, 0, len(lines)+len(since)), 0
	for _, f := range w.waiting {
		f.lines, f.bytes = 0, 0
	}
	w.forget = append(forget, w.forget...)
	for _, all := range [][]Line{lines, since} {
		for i := range all {
			w.enqueue(&all[i])
		}
	}
}

// trim keeps the limits, and forgets what is left of functions that are no more.
func (b *Book) trim(ctx context.Context, now time.Time) error {
	w := b.writer
	w.flushing.Lock()
	w.written = 0
	w.flushing.Unlock()
	functions, err := w.Keeper.LineFunctions(ctx)
	if err != nil {
		return err
	}
	b.newest(functions)
	for name, last := range functions {
		if now.Sub(last) > orphaned && !w.Exists(name) {
			b.Forget(name)
		}
	}
	if err := b.Flush(ctx); err != nil {
		return err
	}
	_, err = w.Keeper.TrimLines(ctx, w.Limits(), now)
	return err
}

// newest adds to last, by function, when those wrote last that are in memory: what
// came of a function right after it was deleted may be nowhere else any more.
func (b *Book) newest(last map[string]time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, f := range b.functions {
		at := last[name]
		if n := len(f.lines); n > 0 && f.lines[n-1].Time.After(at) {
			at = f.lines[n-1].Time
		}
		last[name] = at
	}
}
