package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server is the gateway's HTTP server: HTTP/1.1, and HTTP/2 for callers that
// begin with it (h2c), on the same port without TLS. Connections are served by a
// loop of the gateway's own while what comes on them is of the usual form, and by
// net/http from the first request on that is not.
type Server struct {
	http    *http.Server
	handler http.Handler
	opts    Options
	all     *connections
	date    date
	// closing is set when no connection is to be kept after its request.
	closing atomic.Bool
	// cut is closed when every connection is to end at once.
	cut     chan struct{}
	cutting sync.Once

	mu       sync.Mutex
	listener *listener
	handed   *handed
	loops    sync.WaitGroup
}

// maxStreams is how many requests one HTTP/2 connection may have open; fewer than
// 100 are not recommended (RFC 9113, 6.5.2).
const maxStreams = 100

// Server makes the server of g.
func (g *Gateway) Server() *Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &Server{opts: g.opts, handler: g, handed: newHanded(), cut: make(chan struct{}), all: newConnections(g.opts.MaxConnections, g.opts.Log), http: &http.Server{
		Handler:           g,
		Protocols:         &protocols,
		ReadHeaderTimeout: g.opts.HeadTimeout,
		IdleTimeout:       g.opts.IdleTimeout,
		MaxHeaderBytes:    int(g.opts.MaxHead),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			WriteByteTimeout:     g.opts.WriteTimeout,
			SendPingTimeout:      g.opts.IdleTimeout / 2,
			PingTimeout:          g.opts.WriteTimeout,
		},
		ConnState: func(c net.Conn, s http.ConnState) {
			if c, ok := c.(*conn); ok {
				c.state(s)
			}
		},
		// What net/http logs is what callers do: broken heads, resets.
		ErrorLog: slog.NewLogLogger(g.opts.Log.Handler(), slog.LevelDebug),
	}}
}

// Serve serves the connections that l accepts until Shutdown or Close is called,
// and then returns nil. It closes l. It must be called once.
func (s *Server) Serve(l net.Listener) error {
	accepting := newListener(l, s.opts.WriteTimeout, s.all)
	defer func() { _ = accepting.Close() }()
	s.mu.Lock()
	s.listener, s.handed.addr = accepting, l.Addr()
	closing := s.closing.Load()
	if !closing {
		s.loops.Add(1) // Accepting counts too: what it accepts last is waited for.
	}
	s.mu.Unlock()
	if closing {
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- s.http.Serve(s.handed) }()
	err := s.accept(accepting)
	s.loops.Done()
	if s.closing.Load() {
		// Not before Shutdown or Close: they end it.
		if err = <-ended; errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
	_ = s.http.Close()
	<-ended
	return err
}

// acceptPause is the longest pause after an error that may pass, such as that
// there is no descriptor left.
const acceptPause = time.Second

// accept serves connections until there are no more.
func (s *Server) accept(l *listener) error {
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		if err == nil {
			pause = 0
			s.loops.Go(func() { s.serve(c) })
			continue
		}
		var passing interface{ Temporary() bool }
		if s.closing.Load() || !errors.As(err, &passing) || !passing.Temporary() {
			return err
		}
		pause = min(max(2*pause, 5*time.Millisecond), acceptPause)
		s.opts.Log.Warn("the gateway cannot accept a connection; it tries again", "error", err, "after", pause)
		select {
		case <-time.After(pause):
		case <-l.done:
			return net.ErrClosed
		}
	}
}

// end stops accepting.
func (s *Server) end() {
	s.closing.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close()
	}
}

// Shutdown stops accepting, and waits until what is under way is answered or
// ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.end()
	others := make(chan error, 1)
	go func() { others <- s.http.Shutdown(ctx) }()
	err := s.drain(ctx)
	return errors.Join(err, <-others)
}

const (
	// drainInterval is how often a server that ends looks for connections that
	// have no request any more.
	drainInterval = 10 * time.Millisecond
	// drainGrace is for how long such a connection is left open: its caller may
	// have sent a request that was not read yet.
	drainGrace = 50 * time.Millisecond
)

// drain closes the connections without a request and waits for the others.
func (s *Server) drain(ctx context.Context) error {
	none := make(chan struct{})
	go func() { s.loops.Wait(); close(none) }()
	tick := time.NewTicker(drainInterval)
	defer tick.Stop()
	for {
		s.all.closeIdle(drainGrace)
		select {
		case <-none:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Close cuts every connection.
func (s *Server) Close() error {
	s.end()
	s.cutting.Do(func() { close(s.cut) })
	err := s.http.Close()
	s.all.closeAll()
	return err
}

// date is the time as an answer tells it, written once a second.
type date struct{ text atomic.Pointer[dateText] }

type dateText struct {
	second int64
	text   string
}

func (d *date) now() string {
	now := time.Now()
	t := d.text.Load()
	if t == nil || t.second != now.Unix() {
		t = &dateText{now.Unix(), now.UTC().Format(http.TimeFormat)}
		d.text.Store(t)
	}
	return t.text
}
