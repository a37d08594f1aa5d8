package pool

import (
	"context"
	"slices"
	"sync"
)

// turns bounds how many sandboxes are made at once. Of those who wait, the
// function that has fewest of the turns comes first, so that one that starts
// many instances does not hold up the first of another.
type turns struct {
	mu    sync.Mutex
	free  int
	held  map[string]int
	queue []*turn
}

type turn struct {
	function string
	granted  chan struct{}
}

func newTurns(n int) *turns { return &turns{free: n, held: map[string]int{}} }

// take waits for a turn, which leave gives back, or for ctx.
func (t *turns) take(ctx context.Context, function string) error {
	t.mu.Lock()
	w := &turn{function: function, granted: make(chan struct{})}
	t.queue = append(t.queue, w)
	t.grant()
	t.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.queue, w); i >= 0 {
		t.queue = slices.Delete(t.queue, i, i+1)
		return context.Cause(ctx)
	}
	return nil // It was granted at the same moment.
}

// leave gives a turn back.
func (t *turns) leave(function string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free++
	if t.held[function]--; t.held[function] == 0 {
		delete(t.held, function)
	}
	t.grant()
}

// quiet says that nobody has a turn or waits for one.
func (t *turns) quiet() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.held)+len(t.queue) == 0
}

// grant hands out what is free. The lock is held.
func (t *turns) grant() {
	for t.free > 0 && len(t.queue) > 0 {
		next := 0
		for i, w := range t.queue {
			if t.held[w.function] < t.held[t.queue[next].function] {
				next = i
			}
		}
		w := t.queue[next]
		t.queue = slices.Delete(t.queue, next, next+1)
		t.free--
		t.held[w.function]++
		close(w.granted)
	}
}
