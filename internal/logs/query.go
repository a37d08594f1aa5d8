package logs

import (
	"strings"
	"time"
)

// The streams that a query may name; a line of the platform has none of its own.
const (
	StreamStdout   = "stdout"
	StreamStderr   = "stderr"
	StreamPlatform = "platform"
)

// Query chooses lines of logs. Its zero value chooses all lines of all functions.
type Query struct {
	// Function and RequestID limit the lines to those of one function and of one
	// invocation; "" is all.
	Function  string
	RequestID string
	// Text is a part of the line, whatever its case.
	Text string
	// Level is the least level: LevelWarn chooses warnings and errors. Lines
	// without a level are chosen by "" only.
	Level string
	// Stream is StreamStdout, StreamStderr, StreamPlatform, or "" for all.
	Stream string
	// From and To are the range of time, To exclusive; zero is without end.
	From, To time.Time
	// After and Before limit the lines to those with a larger and a smaller ID; 0
	// does not.
	After, Before int64
	// Limit is how many lines at most, the latest that match.
	Limit int
}

// Page is what a query found.
type Page struct {
	// Lines are the oldest first.
	Lines []Line
	// Next is the Query.Before with which the search goes on into the past; 0 when
	// there is nothing more. A search that took long ends early: then Next is set
	// though fewer lines than Limit were found.
	Next int64
}

// Matches says whether the query chooses l, of which the level is known, but for
// Limit.
func (q *Query) Matches(l *Line) bool {
	switch {
	case q.Function != "" && l.Function != q.Function,
		q.RequestID != "" && l.RequestID != q.RequestID,
		l.ID <= q.After,
		q.Before != 0 && l.ID >= q.Before,
		!q.From.IsZero() && l.Time.Before(q.From),
		!q.To.IsZero() && !l.Time.Before(q.To),
		q.Level != "" && LevelRank(l.Level) < LevelRank(q.Level):
		return false
	}
	return q.matchesStream(l) && (q.Text == "" || containsFold(l.Text, q.Text))
}

func (q *Query) matchesStream(l *Line) bool {
	switch q.Stream {
	case "":
		return true
	case StreamPlatform:
		return l.Platform
	default:
		return !l.Platform && l.Stream == q.Stream
	}
}

// containsFold says whether part is in text, whatever the case of either.
func containsFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
