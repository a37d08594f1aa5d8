package invoke_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/logs"
	"github.com/covefn/cove/internal/pool"
	"github.com/covefn/cove/internal/pool/pooltest"
	"github.com/covefn/cove/internal/runtime"
)

// leanDriver makes sandboxes with sockets, as real ones have, and a shim that needs
// no memory for a call: what is measured is Cove's.
type leanDriver struct{ pooltest.Driver }

type leanSandbox struct {
	driver.Sandbox
	host, out, errs net.Conn
	all             []net.Conn
}

func (d *leanDriver) Create(ctx context.Context, spec driver.Spec) (driver.Sandbox, error) {
	inner, err := d.Driver.Create(ctx, spec)
	if err != nil {
		return nil, err
	}
	s := &leanSandbox{Sandbox: inner}
	var ends [3]net.Conn
	for i, host := range []*net.Conn{&s.host, &s.out, &s.errs} {
		if *host, ends[i], err = pair(); err != nil {
			return nil, err
		}
	}
	s.all = append(ends[:], s.host, s.out, s.errs)
	go echo(ends[0])
	return s, nil
}

func (s *leanSandbox) Conn() net.Conn                   { return s.host }
func (s *leanSandbox) Logs() (stdout, stderr io.Reader) { return s.out, s.errs }

// Mount does nothing: the shim has no code.
func (s *leanSandbox) Mount(context.Context, string) error { return nil }

func (s *leanSandbox) Destroy(ctx context.Context, why string) error {
	for _, c := range s.all {
		_ = c.Close()
	}
	return s.Sandbox.Destroy(ctx, why)
}

// pair is two connected sockets.
func pair() (a, b net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		ends[i], err = net.FileConn(f)
		_ = f.Close()
		if err != nil {
			return nil, nil, err
		}
	}
	return ends[0], ends[1], nil
}

// echo is a shim that answers "ok" to everything.
func echo(c net.Conn) {
	frame := make([]byte, 1<<16)
	send := func(t runtime.FrameType, body string) bool {
		binary.BigEndian.PutUint32(frame, uint32(9+len(body)))
		frame[4] = byte(t)
		_, err := c.Write(frame[:13+copy(frame[13:], body)])
		return err == nil
	}
	clear(frame[5:13])
	alive := send(runtime.FrameHello, `{"protocol":1,"runtime":"fake","version":"1"}`)
	for alive {
		if _, err := io.ReadFull(c, frame[:4]); err != nil {
			return
		}
		if _, err := io.ReadFull(c, frame[4:4+binary.BigEndian.Uint32(frame)]); err != nil {
			return
		}
		if runtime.FrameType(frame[4]) == runtime.FrameInit {
			alive = send(runtime.FrameReady, "")
		} else {
			alive = send(runtime.FrameResult, "\x00\x00\x00\x0e"+`{"status":200}ok`)
		}
	}
}

// quietSink takes an answer and nothing else.
type quietSink struct{ answers atomic.Int64 }

func (s *quietSink) Answer(*runtime.Answer) error { s.answers.Add(1); return nil }
func (s *quietSink) Begin(*runtime.Head) error    { return nil }
func (s *quietSink) Chunk([]byte) error           { return nil }
func (s *quietSink) End(*cove.Error)              {}

// lean is a service over lean sandboxes, and a version of each of many functions.
func lean(tb testing.TB, functions int) (*invoke.Service, []*cove.Version) {
	tb.Helper()
	versions := make([]*cove.Version, functions)
	byName := map[string]*cove.Version{}
	for i := range versions {
		name := fmt.Sprintf("function-%02d", i)
		versions[i] = &cove.Version{ID: name, Function: name, Number: 1, Package: cove.Package{SHA256: "x"}, Config: cove.Config{
			Name: name, Runtime: "fake", Isolation: "fake", Memory: cove.MiB,
			Timeout: cove.Duration(time.Minute), InitTimeout: cove.Duration(time.Minute), QueueTimeout: cove.Duration(time.Minute),
			Scaling: cove.Scaling{Max: 2, Idle: cove.Duration(time.Hour), Queue: 100},
		}}
		byName[name] = versions[i]
	}
	p := pool.New(pool.Options{
		Owner: "test", Drivers: map[string]driver.Driver{"fake": &leanDriver{}}, Overhead: func(string) cove.ByteSize { return 0 },
		Runtime: func(string) (runtime.Runtime, bool) { return runtime.Runtime{}, true },
		Image:   func(context.Context, string) (driver.Image, error) { return driver.Image{}, nil },
		Code:    func(string) (string, func()) { return "", func() {} },
		Active:  func(name string) *cove.Version { return byName[name] },
		Logs:    logs.NewBook(), Memory: cove.GiB, StartTimeout: 30 * time.Second,
	})
	tb.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return invoke.New(invoke.Options{Pool: p}), versions
}

// call calls a function once.
func call(tb testing.TB, s *invoke.Service, v *cove.Version, to *quietSink, r *invoke.Request) {
	*r = invoke.Request{ID: "0b6e2f9c0c3c4f0f9f5e3c1a1b", Version: v, Kind: cove.KindHTTP, Method: "GET", Path: "/things/17", Arrived: time.Now()}
	if _, err := s.Do(context.Background(), r, to); err != nil {
		tb.Error(err)
	}
}

// It cannot run beside others, whose memory would be counted too.
func TestAWarmCallTakesFewPiecesOfMemory(t *testing.T) {
	s, versions := lean(t, 1)
	to, r := &quietSink{}, &invoke.Request{}
	call(t, s, versions[0], to, r)
	if t.Failed() {
		return
	}
	if n := testing.AllocsPerRun(500, func() { call(t, s, versions[0], to, r) }); n > warmAllocs {
		t.Errorf("%v allocations for a call, want %d", n, warmAllocs)
	}
}

// BenchmarkWarm is a warm call but for the gateway, the sandbox's share being two
// system calls. Each caller has functions of its own, where there are enough.
func BenchmarkWarm(b *testing.B) {
	for _, functions := range []int64{1, 64} {
		b.Run(fmt.Sprintf("functions=%d", functions), func(b *testing.B) {
			s, versions := lean(b, int(functions))
			for _, v := range versions {
				call(b, s, v, &quietSink{}, &invoke.Request{})
			}
			var callers atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				first, to, r := callers.Add(1), &quietSink{}, &invoke.Request{}
				for n := int64(0); p.Next(); n++ {
					call(b, s, versions[(first+2*n)%functions], to, r)
				}
			})
		})
	}
}
