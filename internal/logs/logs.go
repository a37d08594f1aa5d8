// Package logs keeps the latest output of every function in memory: what its
// handlers printed, by invocation, and what the platform has to say about them.
//
// A Stream takes the bytes that one sandbox writes and finds out which
// invocation each of them belongs to; a Book holds the lines of all functions,
// bounded per function and in all.
package logs

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Line is one line of a function's log.
type Line struct {
	Time     time.Time `json:"time"`
	Function string    `json:"function"`
	Version  int       `json:"version"`
	Instance string    `json:"instance"`
	// RequestID is empty for what was printed while no handler ran.
	RequestID string `json:"request_id,omitempty"`
	// Platform is set on lines that Cove wrote itself.
	Platform bool `json:"platform,omitempty"`
	// Stream is "stdout" or "stderr"; "" on lines of the platform.
	Stream string `json:"stream,omitempty"`
	// Level is that of a line that is a JSON object with one.
	Level string `json:"level,omitempty"`
	Text  string `json:"text"`
}

// cost is what a line counts towards the limits: its text and its header.
func (l *Line) cost() int { return len(l.Text) + 128 }

const (
	// functionLimit and totalLimit bound the lines kept, in bytes.
	functionLimit = 2 << 20
	totalLimit    = 128 << 20
	// followBuffer is how many lines a follower may lag behind before it
	// misses some.
	followBuffer = 1024
)

// Book holds the latest lines of every function. It is safe for concurrent use.
type Book struct {
	mu        sync.Mutex
	functions map[string]*pages
	total     int
	followers map[*follower]struct{}
}

// pages are one function's lines, the oldest first.
type pages struct {
	lines []Line
	size  int
}

type follower struct {
	function string
	lines    chan Line
}

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{functions: map[string]*pages{}, followers: map[*follower]struct{}{}}
}

// add appends lines, which all belong to one function.
func (b *Book) add(lines ...Line) {
	if len(lines) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.functions[lines[0].Function]
	if f == nil {
		f = &pages{}
		b.functions[lines[0].Function] = f
	}
	for i := range lines {
		f.size += lines[i].cost()
		b.total += lines[i].cost()
		b.tell(lines[i])
	}
	f.lines = append(f.lines, lines...)
	if f.size > functionLimit {
		// A quarter at a time, so that a flood does not move all lines for each.
		b.total -= f.trim(functionLimit * 3 / 4)
	}
	if b.total > totalLimit {
		b.trimLargest()
	}
}

func (b *Book) tell(l Line) {
	for f := range b.followers {
		if f.function != l.Function {
			continue
		}
		select {
		case f.lines <- l:
		default: // The follower is too slow; it misses lines, others do not wait.
		}
	}
}

// trim drops the oldest lines down to limit bytes and says how much that was.
func (p *pages) trim(limit int) (dropped int) {
	n := 0
	for p.size-dropped > limit && n < len(p.lines) {
		dropped += p.lines[n].cost()
		n++
	}
	p.lines = slices.Delete(p.lines, 0, n)
	p.size -= dropped
	return dropped
}

// trimLargest halves what is kept of the function that has the most.
func (b *Book) trimLargest() {
	var largest *pages
	for _, p := range b.functions {
		if largest == nil || p.size > largest.size {
			largest = p
		}
	}
	b.total -= largest.trim(largest.size / 2)
}

// Tail is the latest n lines of a function, the oldest first; with a request
// id, those of that invocation only.
func (b *Book) Tail(function, requestID string, n int) []Line {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.functions[function]
	if f == nil || n <= 0 {
		return nil
	}
	var found []Line
	for i := len(f.lines) - 1; i >= 0 && len(found) < n; i-- {
		if requestID == "" || f.lines[i].RequestID == requestID {
			found = append(found, f.lines[i])
		}
	}
	slices.Reverse(found)
	return found
}

// Follow sends every new line of a function until ctx ends; then the channel is
// closed. A reader that lags behind misses lines.
func (b *Book) Follow(ctx context.Context, function string) <-chan Line {
	f := &follower{function: function, lines: make(chan Line, followBuffer)}
	b.mu.Lock()
	b.followers[f] = struct{}{}
	b.mu.Unlock()
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.followers, f)
		close(f.lines)
	})
	return f.lines
}

// Forget drops all lines of a function that was deleted.
func (b *Book) Forget(function string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.functions[function]; f != nil {
		b.total -= f.size
		delete(b.functions, function)
	}
}
