package pool

import (
	"context"
	"slices"
	"sync"
)

// turns bounds how many sandboxes are made at once. Of those who wait, the
// function that has fewest of the turns comes first, so that one that starts
// many instances does not hold up the first of another.
//
// Fewer still are made at once for functions that have an instance already. If
// something holds up the whole machine for a moment, requests of every function
// wait, and each wants more instances; to make them all at once would take the
// processors from those that are there, which alone would soon be done with it.
type turns struct {
	mu sync.Mutex
	// free and more are how many turns there still are, of all and of those for
	// functions that have an instance.
	free, more int
	held       map[string]int
	queue      []*turn
}

type turn struct {
	function string
	// another says that the function has an instance.
	another bool
	granted chan struct{}
}

func newTurns(n, more int) *turns { return &turns{free: n, more: more, held: map[string]int{}} }

// take waits for a turn, which leave gives back, or for ctx. another says that the
// function has an instance.
func (t *turns) take(ctx context.Context, function string, another bool) error {
	t.mu.Lock()
	w := &turn{function: function, another: another, granted: make(chan struct{})}
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

// leave gives a turn back, which was taken with the same arguments.
func (t *turns) leave(function string, another bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free++
	if another {
		t.more++
	}
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
	for t.free > 0 {
		next := -1
		for i, w := range t.queue {
			if w.another && t.more == 0 {
				continue
			}
			if next < 0 || t.held[w.function] < t.held[t.queue[next].function] {
				next = i
			}
		}
		if next < 0 {
			return
		}
		w := t.queue[next]
		t.queue = slices.Delete(t.queue, next, next+1)
		t.free--
		if w.another {
			t.more--
		}
		t.held[w.function]++
		close(w.granted)
	}
}
