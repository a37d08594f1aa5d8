package pool

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/logs"
	"github.com/covefn/cove/internal/pool/pooltest"
	rt "github.com/covefn/cove/internal/runtime"
)

// version is an active version with limits that tests change.
func version(change func(*cove.Config)) *cove.Version {
	v := &cove.Version{
		ID: "v1", Function: "hello", Number: 1, Package: cove.Package{SHA256: "x"},
		Config: cove.Config{
			Name: "hello", Runtime: "fake", Isolation: "fake", Memory: 100 * cove.MiB,
			Timeout: cove.Duration(time.Second), InitTimeout: cove.Duration(10 * time.Second), QueueTimeout: cove.Duration(10 * time.Second),
			Scaling: cove.Scaling{
				Max: 4, Idle: cove.Duration(5 * time.Minute), Queue: 10, Pause: cove.Duration(time.Hour), Policy: cove.PolicyFixed,
			},
		},
	}
	if change != nil {
		change(&v.Config)
	}
	return v
}

// setup is a pool over d for versions that are all active unless said otherwise.
func setup(t *testing.T, d *pooltest.Driver, memory cove.ByteSize) (*Pool, *logs.Book) {
	t.Helper()
	return setupStems(t, d, memory, 0)
}

// setupRunning is setup with stem cells, and with the loop that keeps them up.
func setupRunning(t *testing.T, d *pooltest.Driver, memory cove.ByteSize, stems int) *Pool {
	t.Helper()
	p, _ := setupStems(t, d, memory, stems)
	p.o.Active = func(function string) *cove.Version {
		if function == "other" {
			return other(nil)
		}
		return version(nil)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

func setupStems(t *testing.T, d *pooltest.Driver, memory cove.ByteSize, stems int) (*Pool, *logs.Book) {
	t.Helper()
	book := logs.NewBook()
	held := &atomic.Int64{}
	p := New(Options{
		Owner: "test", Drivers: map[string]driver.Driver{"fake": d},
		Overhead: func(string) cove.ByteSize { return 0 },
		Runtime:  func(string) (rt.Runtime, bool) { return rt.Runtime{Name: "fake"}, true },
		Image:    func(context.Context, string) (driver.Image, error) { return driver.Image{}, nil },
		Code:     holding(held),
		Active:   func(string) *cove.Version { return version(nil) },
		Logs:     book, Memory: memory, StemMemory: memory, Stems: stems, StartTimeout: 30 * time.Second,
	})
	t.Cleanup(func() {
		d.Stuck.Store(false)
		d.Broken.Store(false)
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if c, d := d.Created.Load(), d.Destroyed.Load(); c != d {
			t.Errorf("%d sandboxes created and %d destroyed", c, d)
		}
		if r := p.ledger.reserved(); r != 0 {
			t.Errorf("%s still reserved", r)
		}
		if n := held.Load(); n != 0 {
			t.Errorf("packages are still held %d times", n)
		}
	})
	return p, book
}

// holding is Options.Code that counts what is held.
func holding(held *atomic.Int64) func(string) (string, func()) {
	return func(string) (string, func()) {
		held.Add(1)
		return "", sync.OnceFunc(func() { held.Add(-1) })
	}
}

// invoke calls v with payload and gives the lease back as a service does.
func call(p *Pool, v *cove.Version, payload string) (cove.StartClass, string, error) {
	lease, err := p.Acquire(context.Background(), v)
	if err != nil {
		return "", "", err
	}
	defer lease.Release()
	segment := lease.Begin("r")
	answer, e := lease.Invoke(time.Now().Add(v.Config.Timeout.Std()), &rt.Invoke{
		Kind: cove.KindDirect, RequestID: "r", Marker: segment.Marker(), Payload: []byte(payload),
	})
	if e != nil {
		lease.Break("failed")
		return lease.Class(), "", e
	}
	return lease.Class(), string(answer.Payload), nil
}

var errBoom = errors.New("boom")
