package logs

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/covefn/cove"
)

const (
	// followBuffer is how many lines a follower may lag behind before it
	// misses some.
	followBuffer = 1024
	// maxFollowers bounds who follows at once: each new line is offered to all.
	maxFollowers = 64
)

// Follower gets new lines as they come.
type Follower struct {
	query, cheap Query
	lines        chan Line
	missed       atomic.Int64
}

// Lines is where the lines come, the oldest first. It is closed when the context
// of Book.Follow ends. Only those that Wanted says yes to are what was asked for:
// what costs time is looked at by the follower, not by the function that logs.
func (f *Follower) Lines() <-chan Line { return f.lines }

// Wanted says whether the query chooses l, and fills in its level.
func (f *Follower) Wanted(l *Line) bool {
	l.fillLevel()
	return f.query.Matches(l)
}

// Missed is how many lines were left out since it was asked last, because the
// reader of Lines was too slow.
func (f *Follower) Missed() int64 { return f.missed.Swap(0) }

// Follow sends every new line that q chooses (but for its ranges and Limit) until ctx ends. A reader that lags behind misses lines, and is told how
// many; it never holds up a function. Beyond 64 followers the error is
// CodeTooManyRequests.
func (b *Book) Follow(ctx context.Context, q Query) (*Follower, error) {
	q.From, q.To, q.After, q.Before, q.Limit = time.Time{}, time.Time{}, 0, 0, 0
	f := &Follower{query: q, cheap: Query{Function: q.Function, RequestID: q.RequestID, Stream: q.Stream}, lines: make(chan Line, followBuffer)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.followers) >= maxFollowers {
		return nil, cove.Errorf(cove.CodeTooManyRequests, "%d logs are being followed already; end one of them", maxFollowers)
	}
	b.followers[f] = struct{}{}
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.followers, f)
		close(f.lines)
	})
	return f, nil
}

// tell offers a new line to who follows. The lock is held.
func (b *Book) tell(l *Line) {
	for f := range b.followers {
		if !f.cheap.Matches(l) {
			continue
		}
		select {
		case f.lines <- *l:
		default: // The follower is too slow; it misses lines, others do not wait.
			f.missed.Add(1)
		}
	}
}
