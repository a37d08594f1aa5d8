package metrics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/store"
	"github.com/covefn/cove/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a recorder and a service over a store of its own. Nothing is written
// until flush.
type fixture struct {
	t        *testing.T
	path     string
	records  *sqlite.Records
	recorder *Recorder
	service  *Service
	settings store.Settings
}

func setup(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, path: filepath.Join(t.TempDir(), "records.db"), settings: store.Settings{
		Prices:    store.Prices{VCPUHour: 3600, GiBHour: 7200, Currency: "USD"},
		Retention: store.Retention{Days: cove.Duration(10 * 365 * 24 * time.Hour)},
	}}
	f.open()
	t.Cleanup(func() { f.records.Close() })
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	var err error
	if f.records, err = sqlite.OpenRecords(context.Background(), f.path); err != nil {
		f.t.Fatal(err)
	}
	f.recorder = NewRecorder(f.records, nil)
	f.service = NewService(Options{Records: f.records, Recorder: f.recorder, Settings: func() store.Settings { return f.settings }})
}

func (f *fixture) flush() {
	f.t.Helper()
	if err := f.recorder.Flush(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) query(q Query) wire.MetricsQuery {
	f.t.Helper()
	out, err := f.service.Query(f.t.Context(), q)
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

// calls makes invocations that ended at any time in a range, with everything by
// chance.
func calls(random *rand.Rand, n int, from, to time.Time) []cove.Invocation {
	list := make([]cove.Invocation, n)
	outcomes := []string{"ok", "ok", "ok", "function_error", "timeout", "queue_full", "caller_gone"}
	for i := range list {
		total := time.Duration(1+random.IntN(5000)) * time.Millisecond
		ended := from.Add(time.Duration(random.Int64N(int64(to.Sub(from)))))
		v := cove.Invocation{
			ID: fmt.Sprintf("id-%06d", i), Function: fmt.Sprintf("f%d", random.IntN(4)), Version: 1 + random.IntN(3),
			Isolation: []string{"gvisor", "docker"}[random.IntN(2)], Time: ended.Add(-total), Outcome: outcomes[random.IntN(len(outcomes))],
			Instance: "i-1", Kind: cove.KindHTTP, Method: "GET", Path: "/x", Billed: total,
			Timings: cove.Timings{Queue: total / 10, Run: total / 2, Total: total},
			BytesIn: 3, BytesOut: 7, CPU: total / 4, PeakMemory: cove.ByteSize(1+random.IntN(100)) * cove.MiB,
		}
		v.Fault = class{outcome: v.Outcome}.fault()
		if v.Outcome != "queue_full" {
			v.Start = []cove.StartClass{cove.StartWarm, cove.StartCold, cove.StartStem}[random.IntN(3)]
		} else {
			v.Timings.Run, v.Error = 0, "too many requests are waiting"
		}
		list[i] = v
	}
	return list
}

func ended(v *cove.Invocation) time.Time { return v.Time.Add(v.Timings.Total) }

// check compares a point with the invocations it should tell of, one by one.
func check(t *testing.T, what string, p *wire.MetricsPoint, of []cove.Invocation) {
	t.Helper()
	outcomes, starts := map[string]int64{}, map[string]int64{}
	var errored, in, out int64
	var cpu, billed, queue, run time.Duration
	var totals []time.Duration
	var peak cove.ByteSize
	for i := range of {
		v := &of[i]
		outcomes[v.Outcome]++
		if v.Start == "" {
			starts["none"]++
		} else {
			starts[string(v.Start)]++
		}
		if v.Outcome != "ok" {
			errored++
		}
		in, out, cpu, billed, queue, run = in+v.BytesIn, out+v.BytesOut, cpu+v.CPU, billed+v.Billed, queue+v.Timings.Queue, run+v.Timings.Run
		totals, peak = append(totals, v.Timings.Total), max(peak, v.PeakMemory)
	}
	if p.Invocations != int64(len(of)) || p.Errors != errored || p.BytesIn != in || p.BytesOut != out || p.CPU != cpu ||
		p.Billed != billed || p.Queue != queue || p.RunTime != run || p.PeakMemory != peak {
		t.Fatalf("%s: got %+v, want %d invocations", what, p, len(of))
	}
	if len(of) == 0 {
		if p.Latency != nil || p.Outcomes != nil {
			t.Fatalf("%s: got %+v of nothing", what, p)
		}
		return
	}
	if !maps.Equal(p.Outcomes, outcomes) || !maps.Equal(p.Starts, starts) {
		t.Fatalf("%s: got %v %v, want %v %v", what, p.Outcomes, p.Starts, outcomes, starts)
	}
	slices.Sort(totals)
	for q, got := range map[float64]time.Duration{0.5: p.Latency.P50, 0.9: p.Latency.P90, 0.95: p.Latency.P95, 0.99: p.Latency.P99, 1: p.Latency.Max} {
		if want := totals[rank(q, uint64(len(totals)))-1]; !within(got, want) {
			t.Fatalf("%s: p%v is %s, want %s", what, 100*q, got, want)
		}
	}
	if p.Histogram == nil {
		return
	}
	var below int
	for i, n := range p.Histogram {
		below += int(n)
		want := len(totals)
		if i < len(bounds) {
			want, _ = slices.BinarySearch(totals, bounds[i]+1)
		}
		if below != want {
			t.Fatalf("%s: %d calls up to bucket %d, want %d", what, below, i, want)
		}
	}
}

func filter(list []cove.Invocation, q *Query, from, to time.Time) (out []cove.Invocation) {
	for i := range list {
		v := &list[i]
		if (q.Function == "" || v.Function == q.Function) && (q.Version == 0 || v.Version == q.Version) &&
			(q.Isolation == "" || v.Isolation == q.Isolation) && !ended(v).Before(from) && ended(v).Before(to) {
			out = append(out, *v)
		}
	}
	return out
}

func TestQueriesAgreeWithTheInvocationsOneByOne(t *testing.T) {
	t.Parallel()
	f := setup(t)
	random := rand.New(rand.NewPCG(7, 7))
	now := time.Now()
	all := calls(random, 1000, now.AddDate(0, 0, -40), now)
	for i := range all {
		f.recorder.Record(&all[i])
		if i%400 == 200 {
			f.flush() // Roll-ups are added to, also by a daemon that starts anew.
			f.records.Close()
			f.open()
		}
	}
	f.flush()
	for range 40 {
		q := Query{
			From: now.Add(-time.Duration(random.Int64N(int64(41 * 24 * time.Hour)))), To: now.Add(time.Minute),
			Function: []string{"", "f1", "f2"}[random.IntN(3)], Isolation: []string{"", "", "docker"}[random.IntN(3)],
			GroupBy: []GroupBy{"", ByFunction, ByVersion, ByIsolation}[random.IntN(4)], Histogram: random.IntN(2) == 0,
		}
		if random.IntN(2) == 0 {
			q.To = q.From.Add(time.Duration(1 + random.Int64N(int64(now.Sub(q.From)))))
		}
		if q.Function != "" && random.IntN(2) == 0 {
			q.Version = 1 + random.IntN(3)
		}
		if random.IntN(2) == 0 {
			q.Step = max(time.Minute, (q.To.Sub(q.From) / time.Duration(1+random.IntN(200))).Truncate(time.Minute))
		}
		out := f.query(q)
		if out.From.After(q.From) || out.To.Before(q.To) {
			t.Fatalf("%+v: answered %s to %s", q, out.From, out.To)
		}
		var sum int64
		for i := range out.Groups {
			g := &out.Groups[i]
			of := q
			if g.Function != "" {
				of.Function = g.Function
			}
			if g.Version != 0 {
				of.Version = g.Version
			}
			if g.Isolation != "" {
				of.Isolation = g.Isolation
			}
			check(t, fmt.Sprintf("%+v", q), &g.Total, filter(all, &of, out.From, out.To))
			sum += g.Total.Invocations
			for j := range g.Points {
				p := &g.Points[j]
				if want := out.From.Add(time.Duration(j) * out.Step.Std()); !p.Time.Equal(want) {
					t.Fatalf("%+v: point %d is at %s, want %s", q, j, p.Time, want)
				}
				check(t, fmt.Sprintf("%+v at %s", q, p.Time), p, filter(all, &of, p.Time, p.Time.Add(out.Step.Std())))
			}
			if q.Step > 0 && len(g.Points) != int(out.To.Sub(out.From)/out.Step.Std()) {
				t.Fatalf("%+v: %d points", q, len(g.Points))
			}
		}
		if want := len(filter(all, &q, out.From, out.To)); sum != int64(want) {
			t.Fatalf("%+v: %d invocations in all groups, want %d", q, sum, want)
		}
	}
}

func TestAnAnswerIsBoundedHoweverManyVersionsThereAre(t *testing.T) {
	t.Parallel()
	f := setup(t)
	now := time.Now()
	for n := range maxAnswered/maxPoints + 1 {
		f.recorder.Record(&cove.Invocation{ID: fmt.Sprint(n), Function: "f", Version: n + 1, Isolation: "gvisor", Time: now, Outcome: "ok", Start: cove.StartWarm})
	}
	f.flush()
	q := Query{Function: "f", GroupBy: ByVersion, From: now.Add(-(maxPoints - 2) * time.Minute), To: now.Add(time.Minute), Step: time.Minute}
	if _, err := f.service.Query(t.Context(), q); cove.CodeOf(err) != cove.CodeInvalid {
		t.Errorf("got %v", err)
	}
	q.Step = 10 * time.Minute
	if out := f.query(q); len(out.Groups) != maxAnswered/maxPoints+1 {
		t.Errorf("with a longer step there are %d groups", len(out.Groups))
	}
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	now := time.Now()
	call := cove.Invocation{
		ID: "call-1", Function: "hello", Version: 1, Isolation: "gvisor", Outcome: "ok", Start: cove.StartWarm, Time: now.Add(-time.Second),
		Timings: cove.Timings{Run: time.Millisecond, Total: 2 * time.Millisecond},
	}

	t.Run("counts every call of many at once, exactly, whatever is dropped", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		const each = 3 * maxQueued / 8
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for range each {
					f.recorder.Record(&call)
				}
			})
		}
		callers.Wait()
		if n := f.recorder.sinceStart()[store.Series{Function: "hello", Isolation: "gvisor"}]; n.few[0].n != 8*each {
			t.Errorf("got %d before it is written, want %d", n.few[0].n, 8*each)
		}
		f.flush()
		if n := f.query(Query{From: now.Add(-time.Hour), To: now}).Groups[0].Total.Invocations; n != 8*each {
			t.Errorf("got %d, want %d", n, 8*each)
		}
		r := f.service.Recording()
		if r.Recorded != maxQueued || r.Dropped != 8*each-maxQueued {
			t.Errorf("got %+v", r)
		}
		if n := f.recorder.sinceStart()[store.Series{Function: "hello", Isolation: "gvisor"}]; n.few[0].n != 8*each {
			t.Errorf("got %d after it is written, want %d", n.few[0].n, 8*each)
		}
	})

	t.Run("Close writes what is left", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.recorder.Start()
		f.recorder.Record(&call)
		if err := f.recorder.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.records.Close()
		f.open()
		if v, _, err := f.service.Invocation(t.Context(), "call-1"); err != nil || v.Function != "hello" {
			t.Errorf("got %+v, %v", v, err)
		}
	})

	t.Run("what could not be written is written later, once", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		broken := &brokenRecords{Records: f.records}
		f.recorder.records = broken
		for i := range 12 {
			broken.load, broken.save = i%3 == 0, i%3 == 1
			if broken.load {
				clear(f.recorder.rows.young) // As if they had not been used for long.
			}
			f.recorder.Record(&call)
			if err := f.recorder.Flush(t.Context()); (err != nil) != (i%3 != 2) {
				t.Fatalf("flush %d: %v", i, err)
			} else if n := f.recorder.kept.Load(); err == nil && n != int64(i+1) {
				t.Fatalf("after flush %d there are %d", i, n) // All that was recorded before.
			}
		}
		if n := f.query(Query{From: now.Add(-time.Hour), To: now}).Groups[0].Total.Invocations; n != 12 {
			t.Errorf("got %d in the metrics", n)
		}
		page, err := f.service.Invocations(t.Context(), store.InvocationQuery{Limit: 100})
		if err != nil || len(page.Items) != 12 {
			t.Errorf("got %d records, %v", len(page.Items), err)
		}
	})

	t.Run("what is written at once is counted and recorded alike, whatever comes meanwhile and fails", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		exact := &exactRecords{Records: f.records, counts: map[int64]int64{}, next: map[string]int64{"f1": 0, "f2": 0}}
		f.recorder.records = exact
		var callers sync.WaitGroup
		for i := range 4 {
			callers.Go(func() {
				for n := range 10_000 {
					v := call
					v.Function, v.BytesIn = fmt.Sprintf("f%d", i%3), int64(n) // Two record the calls of one of them.
					v.Time = time.Now()
					f.recorder.Record(&v)
					runtime.Gosched()
				}
			})
		}
		done := make(chan struct{})
		go func() { defer close(done); callers.Wait() }()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			_ = f.recorder.Flush(t.Context()) // It fails now and then.
			time.Sleep(50 * time.Microsecond)
		}
		for f.recorder.Flush(t.Context()) != nil {
		}
		if exact.wrong != "" || exact.recorded != 40_000 || exact.flushes < 20 {
			t.Errorf("%d recorded in %d transactions; %s", exact.recorded, exact.flushes, exact.wrong)
		}
	})

	t.Run("a flush after one that failed writes also what came in between", func(t *testing.T) {
		t.Parallel()
		for name, broken := range map[string]*brokenRecords{"reading": {load: true}, "writing": {save: true}} {
			f := setup(t)
			broken.Records, f.recorder.records = f.records, broken
			f.recorder.Record(&call)
			if f.recorder.Flush(t.Context()) == nil {
				t.Fatal("it was written")
			}
			f.recorder.Record(&call)
			broken.load, broken.save = false, false
			if f.flush(); f.recorder.kept.Load() != 2 {
				t.Errorf("%s: there are %d", name, f.recorder.kept.Load())
			}
		}
	})

	t.Run("the room for records is that of all functions together, and there again when they are written", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		v := call
		for range 2 {
			for i := range maxQueued + 10 {
				v.Function = names[i%len(names)]
				f.recorder.Record(&v)
			}
			f.recorder.records = nowhere{} // To be quick.
			f.flush()
		}
		if r := f.service.Recording(); r.Recorded != 2*maxQueued || r.Dropped != 20 || f.recorder.queued.Load() != 0 {
			t.Errorf("got %+v", r)
		}
	})

	t.Run("records of many functions are written in the order in which the calls ended", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		seen := &orderedRecords{}
		f.recorder.records = seen
		for i := range 200 {
			v := call
			// Of those that end at once two are of one function.
			v.Function, v.Time, v.BytesIn = names[i/2%7], call.Time.Add(time.Duration(i/3)*time.Microsecond), int64(i)
			f.recorder.Record(&v)
		}
		f.flush()
		if len(seen.all) != 200 || !slices.IsSortedFunc(seen.all, func(a, b cove.Invocation) int { return ended(&a).Compare(ended(&b)) }) {
			t.Error("the order is another")
		}
		last := map[string]int64{}
		for _, v := range seen.all {
			if v.BytesIn < last[v.Function] {
				t.Errorf("call %d of %s comes after %d", v.BytesIn, v.Function, last[v.Function])
			}
			last[v.Function] = v.BytesIn
		}
	})

	t.Run("a function that is not called any more holds no memory for records", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		for range 3 {
			for range 100 {
				f.recorder.Record(&call)
			}
			f.flush()
		}
		c := f.recorder.counter(store.Series{Function: "hello", Version: 1, Isolation: "gvisor"})
		if cap(c.records) == 0 || cap(c.spare) == 0 {
			t.Error("one that is called begins anew each time")
		}
		for range 8 { // It takes some time, as most gaps are short.
			f.flush()
		}
		if cap(c.records) > 0 || cap(c.spare) > 0 {
			t.Errorf("it holds memory for %d and %d", cap(c.records), cap(c.spare))
		}
	})

	t.Run("everything that failed is found, whatever the outcome", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		for _, outcome := range []string{cove.OutcomeOK, string(cove.CodeTimeout), string(cove.CodeQueueFull)} {
			v := call
			v.Outcome, v.Fault = outcome, ""
			if outcome != cove.OutcomeOK {
				v.Fault = cove.Code(outcome).Fault()
			}
			f.recorder.Record(&v)
		}
		if err := f.recorder.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		page, err := f.service.Invocations(t.Context(), store.InvocationQuery{Outcome: store.OutcomeError, Limit: 100})
		if err != nil || len(page.Items) != 2 {
			t.Errorf("got %d records, %v", len(page.Items), err)
		}
	})

	t.Run("while nothing can be written it holds two counts for each series and minute at most", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.recorder.records = &brokenRecords{Records: f.records, load: true, save: true}
		for i := range 50 {
			v := call
			v.Time = now.Add(time.Duration(i%5) * time.Minute)
			f.recorder.Record(&v)
			if f.recorder.Flush(t.Context()) == nil {
				t.Fatal("it was written")
			}
		}
		// What could not be written, and what is to be written next.
		if n := len(f.recorder.due) + len(f.recorder.pending); n < 5 || n > 2*5 {
			t.Errorf("it holds %d", n)
		}
	})

	t.Run("forgets a series of which nothing is recorded any more, and goes on with it", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.recorder.Record(&call)
		f.flush()
		f.recorder.collect(time.Now().Add(forgetAfter + time.Second))
		if n := len(*f.recorder.counters.Load()); n != 0 {
			t.Errorf("it remembers %d", n)
		}
		f.recorder.Record(&call)
		f.flush()
		if n := f.query(Query{From: now.Add(-time.Hour), To: now}).Groups[0].Total.Invocations; n != 2 {
			t.Errorf("got %d", n)
		}
	})
}

// It cannot run beside others, whose memory would be counted too.
func TestRecordingTakesNoMemoryOfItsOwn(t *testing.T) {
	f := setup(t)
	call := cove.Invocation{Function: "hello", Outcome: "ok", Start: cove.StartWarm, Time: time.Now(), Timings: cove.Timings{Run: 1e6, Total: 2e6}}
	f.recorder.Record(&call)
	f.recorder.counter(store.Series{Function: "hello"}).records = make([]cove.Invocation, 0, maxQueued)
	if n := testing.AllocsPerRun(1000, func() { f.recorder.Record(&call) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkRecord is what a call's record costs who makes the call, with the calls
// of one function and of 64 recorded at once by as many callers as there are
// processors. Collecting them is not timed.
func BenchmarkRecord(b *testing.B) {
	const each = 4096
	for _, functions := range []int{1, 64} {
		b.Run(fmt.Sprintf("functions=%d", functions), func(b *testing.B) {
			r, callers := NewRecorder(nowhere{}, nil), runtime.GOMAXPROCS(0)
			for b.Loop() {
				var all sync.WaitGroup
				for caller := range callers {
					all.Go(func() {
						call := cove.Invocation{Outcome: "ok", Start: cove.StartWarm, Time: time.Now(), Timings: cove.Timings{Run: 1e6, Total: 2e6}}
						for n := range each {
							call.Function = names[(caller+n*callers)%functions] // Each has its own.
							r.Record(&call)
						}
					})
				}
				all.Wait()
				b.StopTimer()
				_ = r.Flush(context.Background())
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*callers*each), "ns/call")
		})
	}
}

// names are those of 64 functions.
var names = func() (all [64]string) {
	for i := range all {
		all[i] = fmt.Sprintf("function-%02d", i)
	}
	return all
}()

// orderedRecords are what was written, in that order.
type orderedRecords struct {
	nowhere
	all []cove.Invocation
}

func (o *orderedRecords) SaveRecords(_ context.Context, v []cove.Invocation, _ []store.Rollup) error {
	o.all = append(o.all, v...)
	return nil
}

// nowhere keeps nothing.
type nowhere struct{ store.Records }

func (nowhere) Rollup(context.Context, store.Series, store.Resolution, int64) ([]byte, error) {
	return nil, nil
}
func (nowhere) SaveRecords(context.Context, []cove.Invocation, []store.Rollup) error { return nil }

// brokenRecords fail when told to.
type brokenRecords struct {
	*sqlite.Records
	load, save bool
}

func (b *brokenRecords) Rollup(ctx context.Context, s store.Series, r store.Resolution, minutes int64) ([]byte, error) {
	if b.load {
		return nil, errors.New("no reading")
	}
	return b.Records.Rollup(ctx, s, r, minutes)
}

func (b *brokenRecords) SaveRecords(ctx context.Context, v []cove.Invocation, u []store.Rollup) error {
	if b.save {
		return errors.New("no writing")
	}
	return b.Records.SaveRecords(ctx, v, u)
}

// exactRecords see whether each transaction counts as many calls as it records,
// and fail now and then.
type exactRecords struct {
	*sqlite.Records
	tried    int
	flushes  int
	next     map[string]int64 // BytesIn of the next call of a function, where calls are numbered by it
	counts   map[int64]int64  // by minute, of the whole system
	recorded int64
	wrong    string
}

func (e *exactRecords) SaveRecords(_ context.Context, v []cove.Invocation, u []store.Rollup) error {
	if e.tried++; e.tried%7 == 0 {
		return errors.New("no writing")
	}
	for i := range u {
		if u[i].Series.Function != "" || u[i].Resolution != store.Minute {
			continue
		}
		var a aggregate
		if err := a.mergeData(u[i].Data); err != nil {
			return err
		}
		e.counts[u[i].Time] = 0
		for _, c := range a.few {
			e.counts[u[i].Time] += c.n
		}
	}
	e.flushes++
	e.recorded += int64(len(v))
	for i := range v {
		want, numbered := e.next[v[i].Function]
		if !numbered {
			continue
		}
		if v[i].BytesIn != want && e.wrong == "" {
			e.wrong = fmt.Sprintf("call %d of %s comes when %d should", v[i].BytesIn, v[i].Function, want)
		}
		e.next[v[i].Function] = want + 1
	}
	counted := int64(0)
	for _, n := range e.counts {
		counted += n
	}
	if counted != e.recorded && e.wrong == "" {
		e.wrong = fmt.Sprintf("after transaction %d: %d counted, %d recorded", e.flushes, counted, e.recorded)
	}
	return nil
}

func TestGauges(t *testing.T) {
	t.Parallel()
	f := setup(t)
	at := time.Now().Add(-time.Hour).Truncate(time.Hour)
	group := GroupSample{Function: "hello", Version: 1, Isolation: "gvisor", Idle: 1, Busy: 1, Reserved: cove.GiB, Memory: 64 * cove.MiB, CPU: 5 * time.Second}
	other := GroupSample{Function: "hello", Version: 2, Isolation: "gvisor", Busy: 2, Queued: 4, Reserved: cove.GiB}
	look := Sample{Groups: []GroupSample{group, other}, Stems: 3, CPU: 1, Memory: 100 * cove.MiB, HostCPU: 1.5, HostMemory: 4 * cove.GiB}
	s := NewSampler(f.recorder, func(context.Context) Sample { return look })
	s.last = at
	for i := 1; i <= 11; i++ {
		if i > 6 {
			look.Groups = nil
		}
		s.runOnce(t.Context(), at.Add(time.Duration(i)*5*time.Second))
	}
	f.flush()

	t.Run("a point is an average over the time that was looked at", func(t *testing.T) {
		t.Parallel()
		out, err := f.service.Gauges(t.Context(), GaugeQuery{From: at, To: at.Add(5 * time.Minute), Step: time.Minute})
		if err != nil || len(out.Points) != 1 {
			t.Fatalf("got %+v, %v", out, err)
		}
		p := out.Points[0]
		near := func(got, want float64) bool { return got > want*0.999 && got < want*1.001 }
		if !near(p.Busy, 3*6.0/11) || !near(p.Stems, 3) || !near(p.HostCPU, 1.5) || !near(p.CPU, 1) || p.MaxInstances != 4 || p.MaxQueued != 4 ||
			!near(float64(p.Memory), float64(100*cove.MiB)) || !near(float64(p.Reserved), float64(2*cove.GiB)*6/11) {
			t.Errorf("got %+v", p)
		}
	})

	t.Run("a function without instances has a point of zeros where there were looks", func(t *testing.T) {
		t.Parallel()
		out, err := f.service.Gauges(t.Context(), GaugeQuery{Function: "nobody", From: at, To: at.Add(5 * time.Minute), Step: time.Minute})
		if err != nil || len(out.Points) != 1 || out.Points[0].Busy != 0 || out.Points[0].HostCPU != 0 {
			t.Errorf("got %+v, %v", out, err)
		}
	})

	t.Run("memory costs while instances live, by version, function, isolation and in all", func(t *testing.T) {
		t.Parallel()
		// 1 GiB for 30 s at 7,200 an hour is 60.
		for want, q := range map[float64]Query{60: {Function: "hello", Version: 1}, 120: {Function: "hello"}, 120.0001: {}, 120.0002: {Isolation: "gvisor"}} {
			q.From, q.To = at, at.Add(time.Hour)
			c := f.query(q).Groups[0].Total.Cost
			if c.Memory < want-1 || c.Memory > want+1 || c.Total != c.Memory || c.Currency != "USD" {
				t.Errorf("%+v costs %+v, want %v", q, c, want)
			}
		}
	})
}

func FuzzRollup(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 3))
	a := &aggregate{}
	for _, v := range calls(random, 20, time.Now().Add(-time.Hour), time.Now()) {
		a.add(&v)
	}
	f.Add(a.encode())
	a.gauges.observed = 5
	f.Add(a.encode())
	f.Add([]byte{formOne})
	f.Fuzz(func(t *testing.T, data []byte) {
		var a, b aggregate
		if a.mergeData(data) != nil {
			return
		}
		if err := b.mergeData(a.encode()); err != nil {
			t.Fatalf("what was read and written cannot be read: %v", err)
		}
	})
}
