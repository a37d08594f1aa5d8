package gateway

import (
	"cmp"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// connections are those that are open, at most limit of them. Each one costs a
// descriptor and some memory, and whoever opens many without a request on them
// would take both from everybody else, the sandboxes included. So when there are
// limit, those that have been without a request for the longest time are closed;
// only when every one has a request does the next wait until one ends.
type connections struct {
	limit int
	log   *slog.Logger

	mu   sync.Mutex
	open map[*conn]struct{}
	// freed holds a token when one was closed or, while somebody waits, became
	// idle.
	freed   chan struct{}
	waiting atomic.Bool
	told    time.Time
}

func newConnections(limit int, log *slog.Logger) *connections {
	return &connections{limit: limit, log: log, open: map[*conn]struct{}{}, freed: make(chan struct{}, 1)}
}

// evicted is the part of limit that is closed at once, so that not every new
// connection has to look at all others.
const evicted = 16

// add counts c in, making room for it or waiting for some until done is closed;
// then it is false.
func (s *connections) add(c *conn, done <-chan struct{}) bool {
	defer s.waiting.Store(false)
	for {
		s.mu.Lock()
		if len(s.open) < s.limit {
			s.open[c] = struct{}{}
			s.mu.Unlock()
			return true
		}
		s.waiting.Store(true) // Before looking: what becomes idle from here on says so.
		idle := s.idlest(max(1, s.limit/evicted))
		s.tell(len(idle))
		s.mu.Unlock()
		for _, i := range idle {
			i.c.closeIdle(i.since)
		}
		if len(idle) > 0 {
			continue
		}
		select {
		case <-s.freed:
		case <-done:
			return false
		}
	}
}

// idle is a connection that had no request since then.
type idle struct {
	c     *conn
	since int64
}

// idlest are the n connections at most that have been without a request for the
// longest time. The lock is held.
func (s *connections) idlest(n int) []idle {
	var all []idle
	for c := range s.open {
		if since := c.idleSince.Load(); since > 0 {
			all = append(all, idle{c, since})
		}
	}
	slices.SortFunc(all, func(a, b idle) int { return cmp.Compare(a.since, b.since) })
	return all[:min(n, len(all))]
}

// closeIdle closes those that have been without a request for a time.
func (s *connections) closeIdle(since time.Duration) {
	before := time.Now().Add(-since).UnixNano()
	s.mu.Lock()
	idle := s.idlest(len(s.open))
	s.mu.Unlock()
	for _, i := range idle {
		if i.since <= before {
			i.c.closeIdle(i.since)
		}
	}
}

// closeAll closes them all.
func (s *connections) closeAll() {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// tell logs, once a minute at most, that the limit is reached. The lock is held.
func (s *connections) tell(closing int) {
	if now := time.Now(); now.Sub(s.told) > time.Minute {
		s.told = now
		s.log.Warn("the gateway has as many connections as it may (max_connections): those without a request are closed, others wait",
			"limit", s.limit, "closing", closing)
	}
}

// remove counts c out. It may be called more than once.
func (s *connections) remove(c *conn) {
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	s.free()
}

// idled notes that c has no request any more.
func (s *connections) idled(c *conn) {
	c.idleSince.Store(time.Now().UnixNano())
	if s.waiting.Load() {
		s.free()
	}
}

func (s *connections) free() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// listener gives every connection what net/http leaves out.
type listener struct {
	inner   net.Listener
	timeout time.Duration
	all     *connections
	closing sync.Once
	done    chan struct{}
}

func newListener(l net.Listener, timeout time.Duration, all *connections) *listener {
	return &listener{inner: l, timeout: timeout, all: all, done: make(chan struct{})}
}

// Accept waits for the next connection, and for room for it.
func (l *listener) Accept() (*conn, error) {
	inner, err := l.inner.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, timeout: l.timeout, all: l.all}
	l.all.idled(c)
	if !l.all.add(c, l.done) {
		_ = inner.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

// Close ends Accept, also where it waits for room.
func (l *listener) Close() error {
	l.closing.Do(func() { close(l.done) })
	return l.inner.Close()
}
