package metrics

import (
	"context"
	"log/slog"
	"maps"
	goruntime "runtime"
	"slices"
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
type Recorder struct {
	records store.Records
	log     *slog.Logger

	// counters are those of each series. The map is replaced when one is added,
	// so that finding one takes no lock.
	counters atomic.Pointer[map[store.Series]*counter]
	adding   sync.Mutex

	// batch counts what is written together: a call is counted and recorded in the
	// same one, since cutting is held for reading while both are done, and for
	// writing for the moment in which the next batch begins.
	cutting sync.RWMutex
	batch   int64

	queue queue
	kept  atomic.Int64
	// failures counts transactions that failed. Their content is tried again.
	failures atomic.Int64

	// collecting guards totals and pending, and is held while counts move from
	// counters to there, so that who holds it sees each count once.
	collecting sync.Mutex
	totals     map[store.Series]*totals
	pending    []delta

	// flushing is held while one flush works; it guards what is below.
	flushing sync.Mutex
	rows     *rows
	unsaved  []cove.Invocation
	// behind says that the last transaction failed.
	behind bool

	wake    chan struct{}
	stop    chan struct{}
	stopped chan struct{}
}

// counter is what happened to one series since it was last collected. Most of the
// time it is the aggregate of one minute and batch.
type counter struct {
	mu            sync.Mutex
	series        store.Series
	minute, batch int64
	open          *aggregate
	closed        []delta
	// dead says that the counter is not collected any more.
	dead bool
	used time.Time
}

// delta is what happened to one series in one minute, of what is written with one
// batch.
type delta struct {
	series        store.Series
	minute, batch int64
	what          *aggregate
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
	r.cutting.RLock()
	r.count(series, minute, func(a *aggregate) { a.add(v) })
	full := r.queue.put(v)
	r.cutting.RUnlock()
	if full {
		select {
		case r.wake <- struct{}{}:
		default: // It is awake.
		}
	}
}

// observe adds gauges to a series.
func (r *Recorder) observe(series store.Series, minute int64, g *gauges) {
	r.cutting.RLock()
	defer r.cutting.RUnlock()
	r.count(series, minute, func(a *aggregate) { a.gauges.merge(g) })
}

// count changes what is counted of a series in a minute. Cutting is held.
func (r *Recorder) count(series store.Series, minute int64, change func(*aggregate)) {
	for !r.counter(series).add(minute, r.batch, change) {
		goruntime.Gosched() // It was given up since it was found; soon there is a new one.
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

// add changes the aggregate of a minute, and is false if the counter is dead.
func (c *counter) add(minute, batch int64, change func(*aggregate)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false
	}
	if c.open == nil || c.minute != minute || c.batch != batch {
		if c.open != nil {
			c.closed = append(c.closed, delta{c.series, c.minute, c.batch, c.open})
		}
		c.minute, c.batch, c.open = minute, batch, &aggregate{}
	}
	change(c.open)
	return true
}

// take hands over what was counted since, and gives the counter up if that is
// nothing for a while.
func (c *counter) take(now time.Time) (all []delta, dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, c.closed = c.closed, nil
	if c.open != nil {
		all = append(all, delta{c.series, c.minute, c.batch, c.open})
		c.open = nil
	}
	if len(all) > 0 || c.used.IsZero() {
		c.used = now
	}
	c.dead = now.Sub(c.used) > forgetAfter
	return all, c.dead
}

// collect moves what the counters have into totals and pending.
func (r *Recorder) collect(now time.Time) {
	r.collecting.Lock()
	defer r.collecting.Unlock()
	var dead []store.Series
	for s, c := range *r.counters.Load() {
		deltas, gone := c.take(now)
		if gone {
			dead = append(dead, s)
		}
		for _, d := range deltas {
			r.total(s).add(d.what)
		}
		r.pending = append(r.pending, deltas...)
	}
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
	if err != nil {
		r.failures.Add(1)
		r.collecting.Lock()
		r.pending = compact(r.pending, r.batch)
		r.collecting.Unlock()
	}
	return err
}

func (r *Recorder) flush(ctx context.Context, now time.Time) error {
	if r.behind {
		// Nothing is added to what could not be written before, so that it does not
		// grow while nothing can be written.
		r.collect(now)
		if err := r.save(ctx, now); err != nil {
			return err
		}
	}
	if len(r.unsaved) == 0 {
		r.cut()
	}
	r.collect(now)
	deltas := r.due()
	for i, d := range deltas {
		if err := r.apply(ctx, d); err != nil {
			r.collecting.Lock()
			r.pending = append(deltas[i:], r.pending...)
			r.collecting.Unlock()
			return err
		}
	}
	return r.save(ctx, now)
}

// cut ends a batch: what is recorded from now on is of the next one.
func (r *Recorder) cut() {
	r.cutting.Lock()
	defer r.cutting.Unlock()
	r.batch++
	r.unsaved = r.queue.take(r.unsaved)
}

// due takes from pending what is of a batch that has ended.
func (r *Recorder) due() []delta {
	r.collecting.Lock()
	defer r.collecting.Unlock()
	later := slices.DeleteFunc(slices.Clone(r.pending), func(d delta) bool { return d.batch < r.batch })
	due := slices.DeleteFunc(r.pending, func(d delta) bool { return d.batch >= r.batch })
	r.pending = later
	return due
}

// maxPending is how many minutes of series are kept apart while nothing can be
// written. Beyond it all of a series counts in its last minute: counts stay exact,
// but not when it was.
const maxPending = 10_000

// compact puts together what is of the same series and minute, and is due before
// next, or not yet.
func compact(deltas []delta, next int64) []delta {
	for i := range deltas {
		deltas[i].batch = max(deltas[i].batch, next-1)
	}
	deltas = compactBy(deltas, func(d delta) delta { return delta{series: d.series, minute: d.minute, batch: d.batch} })
	if len(deltas) > maxPending {
		deltas = compactBy(deltas, func(d delta) delta { return delta{series: d.series, batch: d.batch} })
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

// queue is the records that wait to be written.
type queue struct {
	mu      sync.Mutex
	waiting []cove.Invocation
	dropped atomic.Int64
}

// put adds a copy of v if there is room, and says whether it is time to write.
func (q *queue) put(v *cove.Invocation) (full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= maxQueued {
		q.dropped.Add(1)
		return false
	}
	q.waiting = append(q.waiting, *v)
	return len(q.waiting) == batch
}

// take is all that wait; the next ones are put into space.
func (q *queue) take(space []cove.Invocation) []cove.Invocation {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.waiting
	if cap(space) > 1024+4*len(taken) {
		space = nil // Of a burst that is over.
	}
	q.waiting = space[:0]
	return taken
}
