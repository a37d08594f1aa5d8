package pool

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/logs"
	rt "github.com/covefn/cove/internal/runtime"
)

// scripted is a driver whose sandboxes are goroutines that speak the runtime
// protocol as a shim does. It is made of channels and pipes only, so that a test
// may run it in a bubble of synthetic time.
type scripted struct {
	// startDelay and initDelay are how long those take.
	startDelay, initDelay time.Duration
	// startError and initError make them fail.
	startError error
	initError  *cove.FunctionError
	// stuck, while set, keeps Destroy from succeeding.
	stuck atomic.Bool

	created, destroyed atomic.Int64
	mu                 sync.Mutex
	live               []*scriptedSandbox
}

type scriptedSandbox struct {
	driver     *scripted
	id         string
	host, shim net.Conn
	logReader  *io.PipeReader
	logWriter  *io.PipeWriter
	dead       chan struct{}
	die        func()
	once       sync.Once
}

func (d *scripted) Isolation() string                   { return "fake" }
func (d *scripted) Probe(context.Context) driver.Report { return driver.Report{Available: true} }
func (d *scripted) Close() error                        { return nil }
func (d *scripted) Recover(context.Context, string) ([]driver.Sandbox, error) {
	return nil, nil
}

func (d *scripted) Create(ctx context.Context, spec driver.Spec) (driver.Sandbox, error) {
	select {
	case <-time.After(d.startDelay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if d.startError != nil {
		return nil, d.startError
	}
	s := &scriptedSandbox{driver: d, id: spec.ID, dead: make(chan struct{})}
	s.host, s.shim = net.Pipe()
	s.logReader, s.logWriter = io.Pipe()
	s.die = sync.OnceFunc(func() {
		_ = s.shim.Close()
		_ = s.logWriter.Close()
		close(s.dead)
	})
	d.created.Add(1)
	d.mu.Lock()
	d.live = append(d.live, s)
	d.mu.Unlock()
	go s.run()
	return s, nil
}

// run is the shim: a request's payload is what the handler does.
func (s *scriptedSandbox) run() {
	defer s.die()
	r := bufio.NewReader(s.shim)
	s.send(rt.FrameHello, 0, []byte(`{"protocol":1,"runtime":"fake","version":"1"}`))
	for {
		t, id, body, err := readFrame(r)
		switch {
		case err != nil:
			return
		case t == rt.FrameInit:
			select {
			case <-time.After(s.driver.initDelay):
			case <-s.dead:
				return
			}
			if e := s.driver.initError; e != nil {
				text, _ := json.Marshal(e)
				s.send(rt.FrameInitError, 0, text)
				continue
			}
			s.send(rt.FrameReady, 0, nil)
		case t == rt.FrameInvoke:
			if !s.handle(id, body) {
				return
			}
		}
	}
}

func (s *scriptedSandbox) handle(id uint64, body []byte) bool {
	n := binary.BigEndian.Uint32(body)
	var head rt.Invoke
	_ = json.Unmarshal(body[4:4+n], &head)
	payload := string(body[4+n:])
	if rest, ok := strings.CutPrefix(payload, "sleep "); ok {
		d, _ := time.ParseDuration(rest)
		select {
		case <-time.After(d):
		case <-s.dead:
			return false
		}
	}
	if payload == "exit" {
		return false
	}
	_, _ = io.WriteString(s.logWriter, "did "+payload+"\n"+head.Marker+"\n")
	s.send(rt.FrameResult, id, append([]byte{0, 0, 0, 0}, payload...))
	return true
}

func (s *scriptedSandbox) send(t rt.FrameType, id uint64, body []byte) {
	frame := binary.BigEndian.AppendUint32(nil, uint32(9+len(body)))
	frame = append(frame, byte(t))
	frame = binary.BigEndian.AppendUint64(frame, id)
	_, _ = s.shim.Write(append(frame, body...))
}

func readFrame(r io.Reader) (rt.FrameType, uint64, []byte, error) {
	var head [13]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-9)
	_, err := io.ReadFull(r, body)
	return rt.FrameType(head[4]), binary.BigEndian.Uint64(head[5:]), body, err
}

func (s *scriptedSandbox) ID() string      { return s.id }
func (s *scriptedSandbox) Conn() net.Conn  { return s.host }
func (s *scriptedSandbox) Logs() io.Reader { return s.logReader }
func (s *scriptedSandbox) Usage(context.Context) (driver.Usage, error) {
	return driver.Usage{CPU: time.Millisecond}, nil
}
func (s *scriptedSandbox) Mount(context.Context, string) error { return nil }
func (s *scriptedSandbox) Stop(context.Context) error          { s.die(); return nil }

func (s *scriptedSandbox) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-s.dead:
		return driver.Exit{Code: 0}, nil
	case <-ctx.Done():
		return driver.Exit{}, ctx.Err()
	}
}

func (s *scriptedSandbox) Destroy(ctx context.Context, _ string) error {
	s.die()
	for s.driver.stuck.Load() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.once.Do(func() {
		_ = s.host.Close()
		_ = s.logReader.Close()
		s.driver.destroyed.Add(1)
	})
	return nil
}

// killAll ends every sandbox as a crash would.
func (d *scripted) killAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.live {
		s.die()
	}
}

// version is an active version with limits that tests change.
func version(change func(*cove.Config)) *cove.Version {
	v := &cove.Version{
		ID: "v1", Function: "hello", Number: 1, Package: cove.Package{SHA256: "x"},
		Config: cove.Config{
			Name: "hello", Runtime: "fake", Isolation: "fake", Memory: 100 * cove.MiB,
			Timeout: cove.Duration(time.Second), InitTimeout: cove.Duration(10 * time.Second), QueueTimeout: cove.Duration(10 * time.Second),
			Scaling: cove.Scaling{Max: 4, Idle: cove.Duration(5 * time.Minute), Queue: 10},
		},
	}
	if change != nil {
		change(&v.Config)
	}
	return v
}

// setup is a pool over d for versions that are all active unless said otherwise.
func setup(t *testing.T, d *scripted, memory cove.ByteSize) (*Pool, *logs.Book) {
	t.Helper()
	book := logs.NewBook()
	p := New(Options{
		Owner: "test", Drivers: map[string]driver.Driver{"fake": d},
		Overhead: func(string) cove.ByteSize { return 0 },
		Runtime:  func(string) (rt.Runtime, bool) { return rt.Runtime{Name: "fake"}, true },
		ShimDir:  func(rt.Runtime) string { return "" },
		Image:    func(context.Context, string) (driver.Image, error) { return driver.Image{}, nil },
		Code:     func(string) (string, func(), error) { return "", func() {}, nil },
		Active:   func(string) *cove.Version { return version(nil) },
		Logs:     book, Memory: memory, StartTimeout: 30 * time.Second,
	})
	t.Cleanup(func() {
		d.stuck.Store(false)
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if c, d := d.created.Load(), d.destroyed.Load(); c != d {
			t.Errorf("%d sandboxes created and %d destroyed", c, d)
		}
		if r := p.ledger.reserved(); r != 0 {
			t.Errorf("%s still reserved", r)
		}
	})
	return p, book
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
