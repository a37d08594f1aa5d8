package invoke_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/logs"
	"github.com/covefn/cove/internal/pool"
	"github.com/covefn/cove/internal/pool/pooltest"
	"github.com/covefn/cove/internal/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink notes what it is handed.
type sink struct {
	events []string
	slow   time.Duration // each piece takes that long to write
	gone   error         // what Answer and Chunk return
}

func (s *sink) Answer(a *runtime.Answer) error {
	s.events = append(s.events, "answer "+string(a.Payload))
	return s.gone
}

func (s *sink) Begin(*runtime.Head) error {
	s.events = append(s.events, "begin")
	return nil
}

func (s *sink) Chunk(p []byte) error {
	time.Sleep(s.slow)
	s.events = append(s.events, string(p))
	return s.gone
}

func (s *sink) End(err *cove.Error) {
	s.events = append(s.events, "end "+string(cove.CodeOf(asError(err))))
}

func asError(e *cove.Error) error {
	if e == nil {
		return nil
	}
	return e
}

type fixture struct {
	driver  *pooltest.Driver
	pool    *pool.Pool
	service *invoke.Service
	logs    *logs.Book
	version *cove.Version
	records atomic.Int64
}

func setup(t *testing.T, d *pooltest.Driver) *fixture {
	t.Helper()
	f := &fixture{driver: d, logs: logs.NewBook(), version: &cove.Version{
		ID: "v1", Function: "hello", Number: 1, Package: cove.Package{SHA256: "x"},
		Config: cove.Config{
			Name: "hello", Runtime: "fake", Isolation: "fake", Memory: 64 * cove.MiB,
			Timeout: cove.Duration(time.Second), InitTimeout: cove.Duration(10 * time.Second), QueueTimeout: cove.Duration(10 * time.Second),
			Scaling: cove.Scaling{Max: 2, Idle: cove.Duration(5 * time.Minute), Queue: 10},
		},
	}}
	f.pool = pool.New(pool.Options{
		Owner: "test", Drivers: map[string]driver.Driver{"fake": d}, Overhead: func(string) cove.ByteSize { return 0 },
		Runtime: func(string) (runtime.Runtime, bool) { return runtime.Runtime{}, true },
		Image:   func(context.Context, string) (driver.Image, error) { return driver.Image{}, nil },
		Code:    func(string) (string, func()) { return "", func() {} },
		Active:  func(string) *cove.Version { return f.version },
		Logs:    f.logs, Memory: cove.GiB, StartTimeout: 30 * time.Second,
	})
	f.service = invoke.New(invoke.Options{Pool: f.pool, Record: func(*cove.Invocation) { f.records.Add(1) }})
	t.Cleanup(func() {
		if err := f.pool.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if c, d := d.Created.Load(), d.Destroyed.Load(); c != d {
			t.Errorf("%d sandboxes created and %d destroyed", c, d)
		}
	})
	return f
}

func (f *fixture) do(ctx context.Context, payload string, s *sink, change func(*invoke.Request)) (*cove.Invocation, *cove.Error) {
	r := &invoke.Request{ID: "r-" + payload, Version: f.version, Kind: cove.KindHTTP, Payload: []byte(payload), Arrived: time.Now()}
	if change != nil {
		change(r)
	}
	return f.service.Do(ctx, r, s)
}

// log is an invocation's log as text.
func (f *fixture) log(id string) (lines []string) {
	synctest.Wait()
	for _, l := range f.logs.Tail("hello", id, 100) {
		lines = append(lines, l.Text)
	}
	return lines
}

// refusing is a sink that finds the head of a stream at fault.
type refusing struct{ sink }

func (*refusing) Begin(*runtime.Head) error {
	return cove.Errorf(cove.CodeInvalidResponse, "no head for HTTP")
}

func run(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, test)
	})
}

func TestDo(t *testing.T) {
	t.Parallel()

	run(t, "hands the answer over and records what it took", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{StartDelay: 300 * time.Millisecond, InitDelay: 20 * time.Millisecond})
		s := &sink{}
		got, err := f.do(t.Context(), "sleep 100ms", s, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := cove.Timings{
			Start: 300 * time.Millisecond, Init: 20 * time.Millisecond,
			Run: 100 * time.Millisecond, Total: 420 * time.Millisecond,
		}
		if diff := cmp.Diff(want, got.Timings); diff != "" {
			t.Error(diff)
		}
		if got.Start != cove.StartCold || got.Outcome != cove.OutcomeOK || got.CPU == 0 || f.records.Load() != 1 {
			t.Errorf("got %+v, %d records", got, f.records.Load())
		}
		if diff := cmp.Diff([]string{"answer sleep 100ms"}, s.events); diff != "" {
			t.Error(diff)
		}
	})

	run(t, "ends an overrun at its deadline, with a last line in its log", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		s := &sink{}
		got, err := f.do(t.Context(), "sleep 1h", s, nil)
		if err == nil || err.Code != cove.CodeTimeout || got.Timings.Run != time.Second || got.Fault != cove.FaultFunction {
			t.Errorf("%v, %+v", err, got)
		}
		if len(s.events) != 0 {
			t.Errorf("the sink got %q", s.events)
		}
		want := []string{"doing sleep 1h", "Task timed out after 1.00 seconds"}
		if diff := cmp.Diff(want, f.log("r-sleep 1h")); diff != "" {
			t.Error(diff)
		}
		if got, err := f.do(t.Context(), "x", &sink{}, nil); err != nil || got.Start != cove.StartCold {
			t.Errorf("the next: %v %+v", err, got)
		}
	})

	run(t, "takes the caller's own bound where that is shorter", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		began := time.Now()
		_, err := f.do(t.Context(), "sleep 1h", &sink{}, func(r *invoke.Request) { r.Deadline = time.Now().Add(200 * time.Millisecond) })
		if err == nil || err.Code != cove.CodeTimeout || time.Since(began) != 200*time.Millisecond || !strings.Contains(err.Message, "Cove-Timeout") {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		_, err = f.do(t.Context(), "sleep 1h", &sink{}, func(r *invoke.Request) { r.Deadline = time.Now().Add(time.Hour) })
		if err == nil || time.Since(began) != 1200*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})

	run(t, "a caller whose time is over before anything was sent costs no instance", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{ResumeDelay: 900 * time.Millisecond})
		f.version.Config.Scaling.Pause = cove.Duration(500 * time.Millisecond)
		ctx, end := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); f.pool.Run(ctx) }()
		t.Cleanup(func() { end(); <-done })
		if _, err := f.do(t.Context(), "x", &sink{}, nil); err != nil {
			t.Fatal(err)
		}
		for name, left := range map[string]time.Duration{"long ago": -time.Hour, "just now": 0} {
			_, err := f.do(t.Context(), "x", &sink{}, func(r *invoke.Request) { r.Deadline = time.Now().Add(left) })
			if err == nil || err.Code != cove.CodeTimeout || !strings.Contains(err.Message, "Cove-Timeout") {
				t.Errorf("%s: got %v", name, err)
			}
		}
		time.Sleep(2 * time.Second)
		if n := f.driver.Paused.Load(); n != 1 {
			t.Fatalf("%d are frozen", n)
		}
		s := &sink{}
		got, err := f.do(t.Context(), "x", s, func(r *invoke.Request) { r.Deadline = time.Now().Add(800 * time.Millisecond) })
		if err == nil || err.Code != cove.CodeTimeout || got.Start != cove.StartThawed || len(s.events) > 0 {
			t.Errorf("while it was thawed: got %v, %+v, %q", err, got, s.events)
		}
		if got, err := f.do(t.Context(), "x", &sink{}, nil); err != nil || got.Start != cove.StartWarm || f.driver.Created.Load() != 1 {
			t.Errorf("the next: %v, %+v", err, got)
		}
	})

	run(t, "a call that comes while one that was given up still runs costs the others nothing", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		f.version.Config.Scaling.Concurrency, f.version.Config.Timeout = 3, cove.Duration(10*time.Second)
		done := make(chan *cove.Error, 1)
		go func() {
			_, err := f.do(t.Context(), "sleep 5s", &sink{}, nil)
			done <- err
		}()
		synctest.Wait()
		lease, err := f.pool.Acquire(t.Context(), f.version)
		if err != nil {
			t.Fatal(err)
		}
		lease.Begin("given up")
		late := time.Now().Add(100 * time.Millisecond)
		if _, err := lease.Invoke(late, &runtime.Invoke{Kind: cove.KindHTTP, RequestID: "given up", Payload: []byte("sleep 20s")}); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		// The call is given up, and its instance is lent all the same until that is told.
		got, err := f.do(t.Context(), "x", &sink{}, nil)
		if err != nil || got.Instance == lease.Instance() {
			t.Errorf("got %v, %+v", err, got)
		}
		lease.Abandon("timeout")
		if err := <-done; err != nil {
			t.Errorf("the other call on the instance: %v", err)
		}
	})

	run(t, "tells what the handler raised and keeps the instance", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		_, err := f.do(t.Context(), "raise", &sink{}, nil)
		if err == nil || err.Code != cove.CodeFunctionError || err.Function == nil || err.Function.Type != "ValueError" {
			t.Errorf("got %v", err)
		}
		if got, err := f.do(t.Context(), "x", &sink{}, nil); err != nil || got.Start != cove.StartWarm {
			t.Errorf("the next: %v %+v", err, got)
		}
	})

	run(t, "tells that the process ended in a call, and never tries it again", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		_, err := f.do(t.Context(), "exit", &sink{}, nil)
		if err == nil || err.Code != cove.CodeRuntimeExited || !strings.Contains(err.Message, "exit code 0") {
			t.Errorf("got %v", err)
		}
		if n := f.driver.Created.Load(); n != 1 {
			t.Errorf("%d sandboxes", n)
		}
	})

	run(t, "gives one that has closed its connection and computes on no more time than its deadline", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		got, err := f.do(t.Context(), "hangup", &sink{}, nil)
		if err == nil || err.Code != cove.CodeTimeout || got.Timings.Run != time.Second {
			t.Errorf("%v after %s", err, got.Timings.Run)
		}
		if lines := f.log("r-hangup"); len(lines) == 0 || lines[len(lines)-1] != "Task timed out after 1.00 seconds" {
			t.Errorf("the log is %q", lines)
		}
		f.version.Config.Timeout = cove.Duration(time.Minute)
		got, err = f.do(t.Context(), "hangup", &sink{}, nil)
		if err == nil || err.Code != cove.CodeRuntimeExited || got.Timings.Run != 3*time.Second {
			t.Errorf("with time left: %v after %s", err, got.Timings.Run)
		}
	})

	run(t, "records of a stream whose head is refused what its caller was told", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		r := &invoke.Request{ID: "r", Version: f.version, Kind: cove.KindHTTP, Payload: []byte("stream 1 1ms"), Arrived: time.Now()}
		got, _ := f.service.Do(t.Context(), r, &refusing{})
		if got.Status != 502 || got.Outcome != string(cove.CodeInvalidResponse) {
			t.Errorf("status %d, outcome %s", got.Status, got.Outcome)
		}
	})

	run(t, "tries once more where the sandbox had died before the call", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		if _, err := f.do(t.Context(), "x", &sink{}, nil); err != nil {
			t.Fatal(err)
		}
		f.driver.KillAll() // And no time for the pool to notice.
		got, err := f.do(t.Context(), "y", &sink{}, nil)
		if err != nil || got.Start != cove.StartCold {
			t.Errorf("%v %+v", err, got)
		}
		if diff := cmp.Diff([]string{"doing y"}, f.log("r-y")); diff != "" {
			t.Errorf("the log of a request that was answered tells of another's end: %s", diff)
		}
	})

	run(t, "runs to its end for a caller who left", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		got, err := f.do(ctx, "sleep 500ms", &sink{gone: errors.New("broken pipe")}, nil)
		if err != nil || got.Outcome != "caller_gone" || got.Timings.Run != 500*time.Millisecond {
			t.Errorf("%v %+v", err, got)
		}
		if got, err := f.do(t.Context(), "x", &sink{}, nil); err != nil || got.Start != cove.StartWarm {
			t.Errorf("the next: %v %+v", err, got)
		}
	})

	run(t, "keeps the logs apart where a request was too large to be passed on", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		_, err := f.do(t.Context(), "big", &sink{}, func(r *invoke.Request) {
			r.Event = []byte(`"` + strings.Repeat("x", runtime.MaxHead) + `"`)
		})
		if err == nil || err.Code != cove.CodeTooLarge {
			t.Fatalf("got %v", err)
		}
		if _, err := f.do(t.Context(), "x", &sink{}, nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"doing x"}, f.log("r-x")); diff != "" {
			t.Error(diff)
		}
	})

	run(t, "returns from a direct call when its log is whole", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		_, err := f.do(t.Context(), "sleep 1h", &sink{}, func(r *invoke.Request) { r.Kind = cove.KindDirect })
		if err == nil || err.Code != cove.CodeTimeout {
			t.Errorf("got %v", err)
		}
		if lines := f.logs.Tail("hello", "r-sleep 1h", 100); len(lines) != 2 {
			t.Errorf("got %v", lines)
		}
	})

	run(t, "refuses a function without code", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		f.version.Package = cove.Package{}
		if _, err := f.do(t.Context(), "x", &sink{}, nil); err == nil || err.Code != cove.CodeNoCode {
			t.Errorf("got %v", err)
		}
	})
}

func TestStream(t *testing.T) {
	t.Parallel()

	run(t, "passes the pieces on as they come", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		s := &sink{}
		got, err := f.do(t.Context(), "stream 3 100ms", s, nil)
		if err != nil || got.Outcome != cove.OutcomeOK || got.BytesOut != 15 {
			t.Errorf("%v %+v", err, got)
		}
		if diff := cmp.Diff([]string{"begin", "piece", "piece", "piece", "end "}, s.events); diff != "" {
			t.Error(diff)
		}
	})

	run(t, "is cut at the deadline", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		s := &sink{}
		got, err := f.do(t.Context(), "stream 100 300ms", s, nil)
		if err != nil || got.Outcome != string(cove.CodeTimeout) || got.Timings.Run != time.Second {
			t.Errorf("%v %+v", err, got)
		}
		if diff := cmp.Diff([]string{"begin", "piece", "piece", "piece", "end timeout"}, s.events); diff != "" {
			t.Error(diff)
		}
	})

	run(t, "gives its instance up at the deadline also while a slow caller holds the goroutine", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = f.do(t.Context(), "stream 100 100ms", &sink{slow: time.Minute}, nil)
		}()
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if c, d := f.driver.Created.Load(), f.driver.Destroyed.Load(); c != 1 || d != 1 {
			t.Errorf("%d created, %d destroyed", c, d)
		}
		<-done
	})

	run(t, "is read to its end for a caller who left", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		s := &sink{gone: errors.New("broken pipe")}
		got, err := f.do(t.Context(), "stream 3 100ms", s, nil)
		if err != nil || got.Outcome != "caller_gone" || len(s.events) != 3 {
			t.Errorf("%v %+v %q", err, got, s.events)
		}
		if got, err := f.do(t.Context(), "x", &sink{}, nil); err != nil || got.Start != cove.StartWarm {
			t.Errorf("the next: %v %+v", err, got)
		}
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()

	run(t, "waits for what runs and refuses what comes", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		running := make(chan *cove.Error)
		go func() { _, err := f.do(t.Context(), "sleep 500ms", &sink{}, nil); running <- err }()
		synctest.Wait()
		drained := make(chan error)
		go func() { drained <- f.service.Drain(t.Context()) }()
		synctest.Wait()
		if _, err := f.do(t.Context(), "x", &sink{}, nil); err == nil || err.Code != cove.CodeShuttingDown {
			t.Errorf("got %v", err)
		}
		if err := <-running; err != nil {
			t.Error(err)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})

	run(t, "tells what ends by itself meanwhile as ever", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		running := make(chan *cove.Error)
		go func() { _, err := f.do(t.Context(), "exit 500ms", &sink{}, nil); running <- err }()
		synctest.Wait()
		go func() { _ = f.service.Drain(context.Background()) }()
		if err := <-running; err == nil || err.Code != cove.CodeRuntimeExited {
			t.Errorf("got %v", err)
		}
	})

	run(t, "tells those that run too long that it is shutting down", func(t *testing.T) {
		f := setup(t, &pooltest.Driver{})
		f.version.Config.Timeout = cove.Duration(time.Hour)
		running := make(chan *cove.Error)
		go func() { _, err := f.do(t.Context(), "sleep 30m", &sink{}, nil); running <- err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := f.service.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := f.pool.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-running; err == nil || err.Code != cove.CodeShuttingDown {
			t.Errorf("got %v", err)
		}
	})
}
