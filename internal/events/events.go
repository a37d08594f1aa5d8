// Package events tells who listens what happens right now: invocations as they
// end, functions as they change, and how the daemon is. Nothing is kept: who does
// not listen has missed it.
package events

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

const (
	// buffer is how many events a subscriber may lag behind before it misses some.
	buffer = 256
	// maxSubscribers bounds who listens at once.
	maxSubscribers = 64
	// perSecond is how many invocations one subscriber is told of in a second. A
	// person reads no more, and a browser that paints more does nothing else.
	perSecond = 50
	// snapshotEvery is how often the state of the system is told.
	snapshotEvery = 2 * time.Second
)

// Event is one thing that happened. Data is the document of Type, see wire.
type Event struct {
	Type string
	Data any
}

// Hub passes events on to who listens. It is safe for concurrent use, and costs
// one atomic load per invocation while nobody does.
type Hub struct {
	snapshot func(context.Context) wire.SystemEvent
	woken    chan struct{}
	count    atomic.Int32

	mu          sync.Mutex
	subscribers map[*Subscription]struct{}
	// latest is what was told of the system last, for who comes between two
	// snapshots; nil when that is long ago.
	latest *wire.SystemEvent
}

// NewHub returns a hub that nobody listens to. snapshot says how the system is;
// it is called by Run alone, and only while somebody listens.
func NewHub(snapshot func(context.Context) wire.SystemEvent) *Hub {
	return &Hub{snapshot: snapshot, woken: make(chan struct{}, 1), subscribers: map[*Subscription]struct{}{}}
}

// Subscription is one listener. Its methods are for one goroutine.
type Subscription struct {
	hub      *Hub
	function string
	events   chan Event

	// What follows is guarded by Hub.mu.
	second  time.Time // when told began to be counted
	told    int       // invocations since then
	skipped wire.Skipped
}

// Subscribe begins to listen; with function, invocations and changes of others
// are left out. The caller must Close the subscription. Beyond 64 subscribers the
// error is CodeTooManyRequests.
func (h *Hub) Subscribe(function string) (*Subscription, error) {
	s := &Subscription{hub: h, function: function, events: make(chan Event, buffer)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.subscribers) >= maxSubscribers {
		return nil, cove.Errorf(cove.CodeTooManyRequests, "%d programs or pages listen to events already; close one of them", maxSubscribers)
	}
	h.subscribers[s] = struct{}{}
	h.count.Store(int32(len(h.subscribers)))
	if h.latest != nil {
		s.events <- Event{wire.EventSystem, *h.latest}
	}
	select {
	case h.woken <- struct{}{}:
	default:
	}
	return s, nil
}

// Events is where events come. It is never closed.
func (s *Subscription) Events() <-chan Event { return s.events }

// Skipped is what was left out since it was asked last, and whether anything was.
func (s *Subscription) Skipped() (wire.Skipped, bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	skipped := s.skipped
	s.skipped = wire.Skipped{}
	return skipped, skipped != wire.Skipped{}
}

// Close ends it. It may be called twice.
func (s *Subscription) Close() {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subscribers, s)
	h.count.Store(int32(len(h.subscribers)))
	if len(h.subscribers) == 0 {
		h.latest = nil
	}
}

// Invocation tells that an invocation has ended. It never blocks; the record may
// be changed when it has returned.
func (h *Hub) Invocation(i *cove.Invocation) {
	if h.count.Load() == 0 {
		return
	}
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	var e Event
	for s := range h.subscribers {
		if s.function != "" && s.function != i.Function {
			continue
		}
		if now.Sub(s.second) >= time.Second {
			s.second, s.told = now, 0
		}
		if s.told >= perSecond {
			s.skipped.Invocations++
			continue
		}
		if e.Data == nil {
			e = Event{wire.EventInvocation, *i}
		}
		select {
		case s.events <- e:
			s.told++
		default:
			s.skipped.Invocations++
		}
	}
}

// Function tells that a function has changed. It never blocks.
func (h *Hub) Function(e wire.FunctionEvent) { h.tell(e.Name, Event{wire.EventFunction, e}) }

// tell passes e on to those who listen to function, "" for what concerns all.
func (h *Hub) tell(function string, e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subscribers {
		if function != "" && s.function != "" && s.function != function {
			continue
		}
		select {
		case s.events <- e:
		default: // It reads too slowly; nobody waits for it.
			s.skipped.Events++
		}
	}
}

// Run tells how the system is, every 2 s while somebody listens, until ctx ends.
func (h *Hub) Run(ctx context.Context) {
	tick := time.NewTicker(snapshotEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.woken:
		case <-tick.C:
		}
		if h.count.Load() > 0 {
			h.runOnce(ctx)
		}
	}
}

func (h *Hub) runOnce(ctx context.Context) {
	e := h.snapshot(ctx)
	h.mu.Lock()
	if len(h.subscribers) > 0 {
		h.latest = &e
	}
	h.mu.Unlock()
	h.tell("", Event{wire.EventSystem, e})
}
