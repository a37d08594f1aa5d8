// Package logs has the output of every function: what its handlers printed, by
// invocation, and what the platform has to say about them.
//
// A Stream takes the bytes that one sandbox writes and finds out which
// invocation each of them belongs to; a Book holds the latest lines of all functions
// in memory, bounded per function and in all, and hands every line to a Keeper, which
// keeps it for longer.
package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Line is one line of a function's log.
type Line struct {
	// ID counts the lines of all functions in the order in which they came.
	ID       int64     `json:"id"`
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
	// Level is that of a line that has one, see LevelOf.
	Level string `json:"level,omitempty"`
	Text  string `json:"text"`
}

// cost is what a line counts towards the limits: its text and its header.
func (l *Line) cost() int { return len(l.Text) + 128 }

// fillLevel finds the level. That is done where a line is read, or kept, not
// where a function waits.
func (l *Line) fillLevel() {
	if l.Level == "" && !l.Platform {
		l.Level = LevelOf(l.Text)
	}
}

// functionLimit and totalLimit bound the lines in memory, in bytes.
const (
	functionLimit = 2 << 20
	totalLimit    = 32 << 20
)

// Book holds the latest lines of every function. It is safe for concurrent use.
type Book struct {
	mu        sync.Mutex
	functions map[string]*pages
	total     int
	last      int64 // the id of the newest line
	followers map[*Follower]struct{}
	// writer has what is to be kept; nil where nothing is. It is set once, before
	// the first line.
	writer *writer

	buffers sync.Pool // of *[drainSize]byte
}

// pages are one function's lines, the oldest first.
type pages struct {
	lines []Line
	size  int
}

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{functions: map[string]*pages{}, followers: map[*Follower]struct{}{}}
}

// addAtOnce is how many lines are added while the lock is held: one read of a
// flood brings thousands, and whoever prints a line meanwhile waits.
const addAtOnce = 128

// add appends lines, which all belong to one function.
func (b *Book) add(lines ...Line) {
	for len(lines) > 0 {
		n := min(len(lines), addAtOnce)
		b.mu.Lock()
		b.addLocked(lines[:n]...)
		b.mu.Unlock()
		lines = lines[n:]
	}
}

func (b *Book) addLocked(lines ...Line) {
	f := b.functions[lines[0].Function]
	if f == nil {
		f = &pages{}
		b.functions[lines[0].Function] = f
	}
	for i := range lines {
		l := &lines[i]
		b.last++
		l.ID = b.last
		f.size += l.cost()
		b.total += l.cost()
		b.tell(l)
		if b.writer != nil {
			b.writer.enqueue(l)
		}
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

// dropNote is the line of a log that says what was not kept of it.
func dropNote(function string, n int) Line {
	return Line{
		Time: time.Now(), Function: function, Platform: true, Level: LevelWarn,
		Text: fmt.Sprintf("%d lines before this one were not kept: they came faster than they could be written", n),
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
			f.lines[i].fillLevel()
			found = append(found, f.lines[i])
		}
	}
	slices.Reverse(found)
	return found
}

// Find is what q chooses of what is kept, what was written a moment ago included.
// Errors are those of the keeper.
func (b *Book) Find(ctx context.Context, q Query) (Page, error) {
	if q.Limit <= 0 {
		return Page{}, nil
	}
	if b.writer == nil {
		return b.findHere(q), nil
	}
	if err := b.Flush(ctx); err != nil {
		return Page{}, err
	}
	return b.writer.Keeper.FindLines(ctx, q)
}

// findHere is Find of what is in memory.
func (b *Book) findHere(q Query) Page {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []Line
	for name, f := range b.functions {
		if q.Function != "" && q.Function != name {
			continue
		}
		for _, l := range f.lines {
			if l.fillLevel(); q.Matches(&l) {
				found = append(found, l)
			}
		}
	}
	slices.SortFunc(found, func(x, y Line) int { return cmp.Compare(x.ID, y.ID) })
	if len(found) <= q.Limit {
		return Page{Lines: found}
	}
	found = found[len(found)-q.Limit:]
	return Page{Lines: found, Next: found[0].ID}
}

// Forget drops all lines of a function that was deleted, for ever.
func (b *Book) Forget(function string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.functions[function]; f != nil {
		b.total -= f.size
		delete(b.functions, function)
	}
	if b.writer != nil {
		b.writer.drop(function)
	}
}
