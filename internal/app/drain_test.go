package app

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench/runs"
	"github.com/covefn/cove/internal/config"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/gateway"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/logs"
	"github.com/covefn/cove/internal/pool"
	"github.com/covefn/cove/internal/pool/pooltest"
	"github.com/covefn/cove/internal/runtime"
)

// slowCaller takes its time to read a piece.
type slowCaller struct{ takes time.Duration }

func (slowCaller) Answer(*runtime.Answer) error { return nil }
func (slowCaller) Begin(*runtime.Head) error    { return nil }
func (c slowCaller) Chunk([]byte) error         { time.Sleep(c.takes); return nil }
func (slowCaller) End(*cove.Error)              {}

// TestACallThatEndsWhenASandboxDidNotLeavesItsRecord ends a daemon of which one
// sandbox cannot be ended in time, and a caller reads until shortly after that.
func TestACallThatEndsWhenASandboxDidNotLeavesItsRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		version := &cove.Version{
			ID: "v1", Function: "hello", Number: 1, Package: cove.Package{SHA256: "x"},
			Config: cove.Config{
				Name: "hello", Runtime: "fake", Isolation: "fake", Memory: 64 * cove.MiB,
				Timeout: cove.Duration(time.Minute), InitTimeout: cove.Duration(10 * time.Second), QueueTimeout: cove.Duration(10 * time.Second),
				Scaling: cove.Scaling{Max: 2, Idle: cove.Duration(5 * time.Minute), Queue: 10},
			},
		}
		var records atomic.Int64
		sandboxes := &pooltest.Driver{}
		a := &App{cfg: config.Config{DrainTimeout: time.Second}, log: slog.New(slog.DiscardHandler), bench: &runs.Runs{}, api: &http.Server{}}
		a.pool = pool.New(pool.Options{
			Owner: "test", Drivers: map[string]driver.Driver{"fake": sandboxes}, Overhead: func(string) cove.ByteSize { return 0 },
			Runtime: func(string) (runtime.Runtime, bool) { return runtime.Runtime{}, true },
			Image:   func(context.Context, string) (driver.Image, error) { return driver.Image{}, nil },
			Code:    func(string) (string, func()) { return "", func() {} },
			Active:  func(string) *cove.Version { return version },
			Logs:    logs.NewBook(), Memory: cove.GiB, StartTimeout: 30 * time.Second,
		})
		a.invoker = invoke.New(invoke.Options{Pool: a.pool, Record: func(*cove.Invocation) { records.Add(1) }})
		a.gateway = gateway.New(gateway.Options{Invoke: a.invoker}).Server()

		const poolGivesUp = 10 * time.Second
		reads := a.cfg.DrainTimeout + poolGivesUp + closeTimeout + endTimeout/2
		go func() {
			r := &invoke.Request{ID: "r-1", Version: version, Kind: cove.KindHTTP, Payload: []byte("stream 2 0s"), Arrived: time.Now()}
			_, _ = a.invoker.Do(context.Background(), r, slowCaller{reads})
		}()
		synctest.Wait()
		sandboxes.Stuck.Store(true)
		if a.drain(t.Context()) == nil {
			t.Error("no error, though a sandbox could not be ended")
		}
		if n := records.Load(); n != 1 {
			t.Errorf("%d records", n)
		}
		sandboxes.Stuck.Store(false)
		if err := a.pool.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
