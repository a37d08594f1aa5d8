package metrics

import (
	"context"
	"log/slog"
	"maps"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

const (
	// flushInterval is how often what was recorded is written at least.
	flushInterval = 500 * time.Millisecond
	// batch is how many records are written at once: few enough that there is time
	// for pauses between them. Without, where the requests need the same processor,
	// they would wait for 7 µs a record: 30 ms for those of a half second with 9,000
	// requests a second.
	batch = 512
	// maxQueued is how many records wait to be written at most: at about 700 bytes
	// each some 20 MiB.
	maxQueued = 32_768
	// forgetAfter is how long what nothing is recorded of any more stays in memory at
	// least.
	forgetAfter = 2 * time.Minute
)

// Recorder counts invocations and keeps their records. Record and what is read of
// it are safe for concurrent use; Start and Close are called once.
//
// What is recorded goes through three places. A counter has what happened to one
// series since it was last collected, its counts and its records, behind a lock of
// its own: calls of two functions share none. From there both move to pending and
// waiting together, so these always tell of the same calls. From there, again
// together, to due and unsaved, which is what one transaction writes.
type Recorder struct {
	records store.Records
	log     *slog.Logger

	// counters are those of each series. The map is replaced when one is added,
	// so that finding one takes no lock.
	counters atomic.Pointer[map[store.Series]*counter]
	adding   sync.Mutex

	// queued is how many records the counters and waiting have. Every call changes it,
	// so it is not to lie where other processors look for counters.
	_             [64]byte
	queued        atomic.Int64
	_             [64]byte
	dropped, kept atomic.Int64
	// failures counts transactions that failed. Their content is tried again.
	failures atomic.Int64

	// collecting guards totals and pending, and is held while counts move from
	// counters to there, so that who holds it sees each count once.
	collecting sync.Mutex
	totals     map[store.Series]*totals
	pending    []delta

	// flushing is held while one flush works; it guards what is below.
	flushing sync.Mutex
	waiting  []cove.Invocation
	// due and unsaved are what the next transaction writes, due as far as it is not
	// in rows yet.
	due     []delta
	unsaved []cove.Invocation
	rows    *rows
	// behind says that the last transaction failed.
	behind bool

	wake    chan struct{}
	stop    chan struct{}
	stopped chan struct{}
}

// NewRecorder returns a recorder that writes to records. It does nothing by itself
// before Start.
func NewRecorder(records store.Records, log *slog.Logger) *Recorder {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Recorder{
		records: records, log: log, totals: map[store.Series]*totals{}, rows: newRows(time.Now()),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	r.counters.Store(&map[store.Series]*counter{})
	return r
}

// Start writes what is recorded, every half second and whenever a batch waits, until
// Close.
func (r *Recorder) Start() {
	go func() {
		defer close(r.stopped)
		tick := time.NewTicker(flushInterval)
		defer tick.Stop()
		for {
			select {
			case <-r.stop:
				return
			case <-tick.C:
			case <-r.wake:
			}
			if err := r.Flush(context.Background()); err != nil {
				r.log.Error("records could not be written; they are tried again", "error", err)
			}
		}
	}()
}

// Close writes all that was recorded before it was called, and waits for that or
// for ctx. It must come after Start.
func (r *Recorder) Close(ctx context.Context) error {
	close(r.stop)
	select {
	case <-r.stopped:
		return r.Flush(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Record counts v and puts its record into the queue; where that is full the
// record is dropped, and that is counted. It copies v, and never waits.
func (r *Recorder) Record(v *cove.Invocation) {
	series := store.Series{Function: v.Function, Version: v.Version, Isolation: v.Isolation}
	minute := v.Time.Add(v.Timings.Total).Unix() / 60
	queued := r.queued.Add(1)
	room := queued <= maxQueued
	if !room {
		r.queued.Add(-1)
		r.dropped.Add(1)
	}
	for !r.counter(series).record(minute, v, room) {
		goruntime.Gosched() // It was given up since it was found; soon there is a new one.
	}
	if queued == batch {
		r.hurry()
	}
}

// hurry has what is recorded be written now.
func (r *Recorder) hurry() {
	select {
	case r.wake <- struct{}{}:
	default: // It is awake.
	}
}

// observe adds gauges to a series.
func (r *Recorder) observe(series store.Series, minute int64, g *gauges) {
	for !r.counter(series).observe(minute, g) {
		goruntime.Gosched()
	}
}

// counter is that of a series, made if there is none.
func (r *Recorder) counter(s store.Series) *counter {
	if c := (*r.counters.Load())[s]; c != nil {
		return c
	}
	r.adding.Lock()
	defer r.adding.Unlock()
	old := *r.counters.Load()
	if c := old[s]; c != nil {
		return c
	}
	all := maps.Clone(old)
	c := &counter{series: s}
	all[s] = c
	r.counters.Store(&all)
	return c
}

// collect moves what the counters have into totals, pending and waiting. Flushing
// is held.
func (r *Recorder) collect(now time.Time) {
	r.collecting.Lock()
	defer r.collecting.Unlock()
	var dead []store.Series
	var runs []run
	for s, c := range *r.counters.Load() {
		deltas, records, gone := c.take(now)
		if gone {
			dead = append(dead, s)
		}
		for _, d := range deltas {
			r.total(s).add(d.what)
		}
		r.pending = append(r.pending, deltas...)
		if len(records) > 0 {
			runs = append(runs, run{c, records})
		}
	}
	r.waiting = appendInOrder(r.waiting, runs)
	if len(dead) == 0 {
		return
	}
	r.adding.Lock()
	defer r.adding.Unlock()
	all := maps.Clone(*r.counters.Load())
	for _, s := range dead {
		delete(all, s)
	}
	r.counters.Store(&all)
}

// Flush writes what was recorded before it was called. What could not be written
// is kept and written by a later one.
func (r *Recorder) Flush(ctx context.Context) error {
	r.flushing.Lock()
	defer r.flushing.Unlock()
	err := r.flush(ctx, time.Now())
	if r.behind = err != nil; r.behind {
		r.failures.Add(1)
		r.collecting.Lock()
		r.pending = compact(r.pending)
		r.collecting.Unlock()
	} else if r.queued.Load() >= batch {
		r.hurry() // They came while others were written.
	}
	return err
}

func (r *Recorder) flush(ctx context.Context, now time.Time) error {
	r.collect(now)
	if r.behind {
		// Nothing is added to what could not be written before, so that it does not
		// grow while nothing can be written.
		if err := r.write(ctx, now); err != nil {
			return err
		}
	}
	r.begin()
	return r.write(ctx, now)
}

// begin begins a transaction with all that was collected.
func (r *Recorder) begin() {
	r.collecting.Lock()
	r.due, r.pending = r.pending, r.due[:0]
	r.collecting.Unlock()
	space := r.unsaved[:0]
	if cap(space) > 1024+4*len(r.waiting) {
		space = nil // Of a burst that is over.
	}
	r.unsaved, r.waiting = r.waiting, space
	r.queued.Add(-int64(len(r.unsaved)))
}

// write writes what is due. What it could not write stays due.
func (r *Recorder) write(ctx context.Context, now time.Time) error {
	for i, d := range r.due {
		if err := r.apply(ctx, d); err != nil {
			r.due = r.due[i:]
			return err
		}
	}
	clear(r.due)
	r.due = r.due[:0]
	return r.save(ctx, now)
}

// maxPending is how many minutes of series are kept apart while nothing can be
// written. Beyond it all of a series counts in its last minute: counts stay exact,
// but not when it was.
const maxPending = 10_000

// compact puts together what is of the same series and minute.
func compact(deltas []delta) []delta {
	deltas = compactBy(deltas, func(d delta) delta { return delta{series: d.series, minute: d.minute} })
	if len(deltas) > maxPending {
		deltas = compactBy(deltas, func(d delta) delta { return delta{series: d.series} })
	}
	return deltas
}

// compactBy puts together the deltas of which key says the same.
func compactBy(deltas []delta, key func(delta) delta) (out []delta) {
	at := map[delta]int{}
	for _, d := range deltas {
		k := key(d)
		i, found := at[k]
		if !found {
			at[k] = len(out)
			out = append(out, d)
			continue
		}
		out[i].minute = max(out[i].minute, d.minute)
		out[i].what.merge(d.what)
	}
	return out
}
