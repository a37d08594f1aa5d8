// Package pooltest has a driver for tests of what lies above drivers: it makes
// sandboxes of goroutines and pipes, so that a test may run in a bubble of
// synthetic time.
package pooltest

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	rt "github.com/covefn/cove/internal/runtime"
)

// Driver makes sandboxes that speak the runtime protocol as a shim does. What
// their handler does is the request's payload:
//
//	sleep 500ms      answer after that time
//	exit [500ms]     end the process, after that time
//	hangup           close the connection and live on
//	raise            raise an error
//	stream 3 100ms   stream three pieces, that far apart
//	anything else    answer it
//
// Its fields are set before it is used, but for Stuck and Broken.
type Driver struct {
	// StartDelay and InitDelay are how long those take.
	StartDelay, InitDelay time.Duration
	// StartError and InitError make them fail. With Remains a sandbox is made first, and
	// left to be removed.
	StartError error
	Remains    bool
	// Linger, if it is not 0, is how long a Create still takes whose ctx has ended. It
	// then leaves a sandbox to be removed, as Docker does.
	Linger    time.Duration
	InitError *cove.FunctionError
	// ResizeError, PauseError and ResumeError make a running sandbox's changes fail.
	ResizeError, PauseError, ResumeError error
	// EndAfter, if it is not 0, is how long a process lives once it has loaded its
	// function.
	EndAfter time.Duration
	// Mute shims never say hello.
	Mute bool
	// StopDelay and ResumeDelay are how long Stop and Resume take.
	StopDelay, ResumeDelay time.Duration
	// DestroyTurn is how long Destroy takes, of one sandbox after the other.
	DestroyTurn time.Duration
	// Left is what Recover returns; nil is nothing.
	Left func() ([]driver.Sandbox, error)
	// Stuck, while set, keeps Destroy from succeeding; Broken makes it fail.
	Stuck, Broken atomic.Bool

	// Attempts counts the calls of Create, Created and Destroyed sandboxes, and
	// DestroyAttempts the calls of Destroy.
	Attempts, Created, Destroyed, DestroyAttempts atomic.Int64
	// Resized counts the sandboxes that were given new limits; Paused is how many
	// are frozen.
	Resized, Paused atomic.Int64

	mu   sync.Mutex
	live []*sandbox
	// removed is when the last of those that are destroyed now will be gone.
	removed time.Time
}

type sandbox struct {
	driver     *Driver
	id         string
	host, shim net.Conn
	logReader  *io.PipeReader
	logWriter  *io.PipeWriter
	dead       chan struct{}
	die        func()
	once       sync.Once
	concurrent bool
	// weightParts is what Resize was given last.
	weightParts atomic.Int64
	// removed is when it will be gone, guarded by the driver.
	removed time.Time
	// writing keeps the frames of calls that run at once apart.
	writing sync.Mutex
}

// Isolation is "fake".
func (d *Driver) Isolation() string { return "fake" }

// Probe always finds the isolation available.
func (d *Driver) Probe(context.Context) driver.Report {
	return driver.Report{Isolation: "fake", Available: true}
}

// Close does nothing.
func (d *Driver) Close() error { return nil }

// Recover finds what Left says.
func (d *Driver) Recover(context.Context, string) ([]driver.Sandbox, error) {
	if d.Left == nil {
		return nil, nil
	}
	return d.Left()
}

// Create starts a sandbox after StartDelay.
func (d *Driver) Create(ctx context.Context, spec driver.Spec) (driver.Sandbox, error) {
	d.Attempts.Add(1)
	select {
	case <-time.After(d.StartDelay):
	case <-ctx.Done():
		if d.Linger == 0 {
			return nil, ctx.Err()
		}
		time.Sleep(d.Linger)
		return nil, &driver.Remains{Sandbox: d.create(spec), Err: ctx.Err()}
	}
	if d.StartError != nil && !d.Remains {
		return nil, d.StartError
	}
	s := d.create(spec)
	if d.StartError != nil {
		return nil, &driver.Remains{Sandbox: s, Err: d.StartError}
	}
	return s, nil
}

// create makes a sandbox.
func (d *Driver) create(spec driver.Spec) *sandbox {
	s := &sandbox{driver: d, id: spec.ID, dead: make(chan struct{})}
	s.host, s.shim = net.Pipe()
	s.logReader, s.logWriter = io.Pipe()
	s.die = sync.OnceFunc(func() {
		_ = s.shim.Close()
		_ = s.logWriter.Close()
		close(s.dead)
	})
	d.Created.Add(1)
	d.mu.Lock()
	d.live = append(d.live, s)
	d.mu.Unlock()
	go s.run()
	return s
}

// WeightParts are those of every sandbox that lives, the oldest first.
func (d *Driver) WeightParts() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []int
	for _, s := range d.live {
		select {
		case <-s.dead:
		default:
			all = append(all, int(s.weightParts.Load()))
		}
	}
	return all
}

// KillAll ends every sandbox as a crash would.
func (d *Driver) KillAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.live {
		s.die()
	}
}

// run is the shim.
func (s *sandbox) run() {
	defer s.die()
	r := bufio.NewReader(s.shim)
	if s.driver.Mute {
		<-s.dead
		return
	}
	s.send(rt.FrameHello, 0, []byte(`{"protocol":1,"runtime":"fake","version":"1"}`))
	for {
		t, id, body, err := readFrame(r)
		if err != nil {
			return
		}
		switch t {
		case rt.FrameInit:
			var init rt.Init
			_ = json.Unmarshal(body, &init)
			s.concurrent = init.Concurrency > 1
			if !s.sleep(s.driver.InitDelay) {
				return
			}
			if e := s.driver.InitError; e != nil {
				text, _ := json.Marshal(e)
				s.send(rt.FrameInitError, 0, text)
				continue
			}
			s.send(rt.FrameReady, 0, nil)
			if d := s.driver.EndAfter; d > 0 {
				go func() {
					if s.sleep(d) {
						s.die()
					}
				}()
			}
		case rt.FrameInvoke:
			if !s.concurrent {
				if !s.handle(id, body) {
					return
				}
				continue
			}
			go func() {
				if !s.handle(id, body) {
					s.die()
				}
			}()
		}
	}
}

// sleep says whether the sandbox is alive after d.
func (s *sandbox) sleep(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-s.dead:
		return false
	}
}

// handle runs the handler, and says whether the process is alive after it.
func (s *sandbox) handle(id uint64, body []byte) bool {
	n := binary.BigEndian.Uint32(body)
	var head rt.Invoke
	_ = json.Unmarshal(body[4:4+n], &head)
	payload := string(body[4+n:])
	_, _ = io.WriteString(s.logWriter, "doing "+payload+"\n")
	end := func() { _, _ = io.WriteString(s.logWriter, head.Marker+"\n") }
	word, rest, _ := strings.Cut(payload, " ")
	switch word {
	case "sleep":
		d, _ := time.ParseDuration(rest)
		if !s.sleep(d) {
			return false
		}
	case "exit":
		d, _ := time.ParseDuration(rest)
		s.sleep(d)
		return false
	case "hangup":
		_ = s.shim.Close()
		<-s.dead
		return false
	case "raise":
		end()
		s.send(rt.FrameError, id, []byte(`{"errorType":"ValueError","errorMessage":"boom"}`))
		return true
	case "stream":
		return s.stream(id, rest, end)
	}
	end()
	s.send(rt.FrameResult, id, append([]byte{0, 0, 0, 0}, payload...))
	return true
}

func (s *sandbox) stream(id uint64, what string, end func()) bool {
	count, pause, _ := strings.Cut(what, " ")
	n, _ := strconv.Atoi(count)
	d, _ := time.ParseDuration(pause)
	s.send(rt.FrameStream, id, []byte(`{"status":200}`))
	for range n {
		if !s.sleep(d) {
			return false
		}
		s.send(rt.FrameChunk, id, []byte("piece"))
	}
	end()
	s.send(rt.FrameEnd, id, nil)
	return true
}

func (s *sandbox) send(t rt.FrameType, id uint64, body []byte) {
	frame := binary.BigEndian.AppendUint32(nil, uint32(9+len(body)))
	frame = append(frame, byte(t))
	frame = binary.BigEndian.AppendUint64(frame, id)
	s.writing.Lock()
	defer s.writing.Unlock()
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

func (s *sandbox) ID() string     { return s.id }
func (s *sandbox) Conn() net.Conn { return s.host }

// Logs has nothing on stderr, which is at its end at once.
func (s *sandbox) Logs() (stdout, stderr io.Reader) { return s.logReader, strings.NewReader("") }

func (s *sandbox) Usage(context.Context) (driver.Usage, error) {
	return driver.Usage{CPU: time.Millisecond}, nil
}
func (s *sandbox) CPU() (time.Duration, error)         { return time.Millisecond, nil }
func (s *sandbox) Mount(context.Context, string) error { return nil }

func (s *sandbox) Resize(_ context.Context, l driver.Limits) error {
	if l.Background {
		return errors.New("an instance must not be in the background")
	}
	if l.WeightParts > 0 {
		s.weightParts.Store(int64(l.WeightParts))
		return nil
	}
	s.driver.Resized.Add(1)
	return s.driver.ResizeError
}

func (s *sandbox) Pause(context.Context) error {
	if s.driver.PauseError != nil {
		return s.driver.PauseError
	}
	s.driver.Paused.Add(1)
	return nil
}

func (s *sandbox) Resume(context.Context) error {
	time.Sleep(s.driver.ResumeDelay)
	if s.driver.ResumeError != nil {
		return s.driver.ResumeError
	}
	s.driver.Paused.Add(-1)
	return nil
}

func (s *sandbox) Stop(context.Context) error {
	time.Sleep(s.driver.StopDelay)
	s.die()
	return nil
}

func (s *sandbox) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-s.dead:
		return driver.Exit{Code: 0}, nil
	case <-ctx.Done():
		return driver.Exit{}, ctx.Err()
	}
}

// turn is when this sandbox will be gone.
func (s *sandbox) turn() time.Time {
	s.driver.mu.Lock()
	defer s.driver.mu.Unlock()
	if s.removed.IsZero() {
		s.removed = time.Now()
		if s.driver.removed.After(s.removed) {
			s.removed = s.driver.removed
		}
		s.removed = s.removed.Add(s.driver.DestroyTurn)
		s.driver.removed = s.removed
	}
	return s.removed
}

func (s *sandbox) Destroy(ctx context.Context, _ string) error {
	s.driver.DestroyAttempts.Add(1)
	s.die()
	if s.driver.Broken.Load() {
		time.Sleep(time.Millisecond)
		return errors.New("it cannot be removed")
	}
	for s.driver.Stuck.Load() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	select {
	case <-time.After(time.Until(s.turn())):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.once.Do(func() {
		_ = s.host.Close()
		_ = s.logReader.Close()
		s.driver.Destroyed.Add(1)
	})
	return nil
}
