package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/covefn/cove/internal/logs"
)

const (
	// lineWindow is how many lines are looked at for one page where no index finds
	// those that match.
	lineWindow = 100_000
	// clockSlack is how far the time of a line may be from the order of the ids: two
	// sandboxes are read side by side, and the host's clock may be set.
	clockSlack = 10 * time.Second
)

// FindLines implements logs.Keeper.
func (r *Records) FindLines(ctx context.Context, q logs.Query) (logs.Page, error) {
	page, err := r.findLines(ctx, &q)
	return page, failed("read the log", err)
}

func (r *Records) findLines(ctx context.Context, q *logs.Query) (page logs.Page, err error) {
	w := &lineWhere{}
	low, high, err := r.lineRange(ctx, q)
	if err != nil {
		return page, err
	}
	if q.Function != "" {
		var function int64
		err := r.read.QueryRowContext(ctx, `SELECT id FROM line_functions WHERE name = ?`, q.Function).Scan(&function)
		if errors.Is(err, sql.ErrNoRows) {
			return page, nil
		} else if err != nil {
			return page, err
		}
		w.add("function = ?", function)
	}
	if q.RequestID != "" {
		w.add("request = ? AND request <> ''", q.RequestID) // The index has no others.
	}
	w.add("id >= ?", low)
	w.add("id < ?", high)
	more := false
	if q.RequestID == "" && (q.Text != "" || q.Level != "" || q.Stream != "") {
		floor := high - lineWindow
		if q.Function != "" {
			if floor, err = r.lineFloor(ctx, w); err != nil {
				return page, err
			}
		}
		if more = floor > low; more {
			w.add("id >= ?", floor)
			low = floor
		}
	}
	w.filter(q)
	lines, err := r.linesWhere(ctx, w, q)
	if err != nil {
		return page, err
	}
	switch {
	case len(lines) > q.Limit:
		lines = lines[:q.Limit]
		page.Next = lines[len(lines)-1].ID
	case more:
		page.Next = low
	}
	slices.Reverse(lines)
	page.Lines = lines
	return page, nil
}

// lineWhere is a condition under way.
type lineWhere struct {
	terms []string
	args  []any
}

func (w *lineWhere) add(term string, args ...any) {
	w.terms, w.args = append(w.terms, term), append(w.args, args...)
}

func (w *lineWhere) String() string { return strings.Join(w.terms, " AND ") }

// filter adds what no index helps with.
func (w *lineWhere) filter(q *logs.Query) {
	if q.Function == "" {
		w.add(`function IN (SELECT id FROM line_functions WHERE name NOT LIKE ? || '%')`, forgotten)
	}
	switch q.Stream {
	case logs.StreamPlatform:
		w.add("stream = ?", streamPlatform)
	case logs.StreamStdout:
		w.add("stream = ?", streamStdout)
	case logs.StreamStderr:
		w.add("stream = ?", streamStderr)
	}
	if q.Level != "" {
		w.add("level >= ?", logs.LevelRank(q.Level))
	}
	if !q.From.IsZero() {
		w.add("time >= ?", q.From.UnixNano())
	}
	if !q.To.IsZero() {
		w.add("time < ?", q.To.UnixNano())
	}
	if q.Text != "" {
		w.add(`text LIKE ? ESCAPE '\'`, likePattern(q.Text))
	}
}

// likePattern finds all texts that have part in them, whatever the case. SQLite
// knows the case of ASCII only, so a letter beyond that which has one stands for any
// character, and what was found is to be looked at again.
func likePattern(part string) string {
	var b strings.Builder
	b.WriteByte('%')
	for _, r := range part {
		switch {
		case r == '\\' || r == '%' || r == '_':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= utf8.RuneSelf && unicode.SimpleFold(r) != r:
			b.WriteByte('_')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('%')
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lineRange is the range of ids that q is about, the second exclusive. Lines lie in
// the order of time, so a time is looked for by halving.
func (r *Records) lineRange(ctx context.Context, q *logs.Query) (low, high int64, err error) {
	err = r.read.QueryRowContext(ctx, `SELECT coalesce((SELECT min(id) FROM lines), 0), coalesce((SELECT max(id) FROM lines), 0) + 1`).Scan(&low, &high)
	if err != nil {
		return 0, 0, err
	}
	first, end := low, high
	if !q.From.IsZero() {
		if low, err = r.lineAt(ctx, first, end, q.From.Add(-clockSlack)); err != nil {
			return 0, 0, err
		}
	}
	if !q.To.IsZero() {
		if high, err = r.lineAt(ctx, first, end, q.To.Add(clockSlack)); err != nil {
			return 0, 0, err
		}
	}
	low = max(low, q.After+1)
	if q.Before > 0 {
		high = min(high, q.Before)
	}
	return low, high, nil
}

// lineAt is the id in [low, high] from which on lines are not older than t.
func (r *Records) lineAt(ctx context.Context, low, high int64, t time.Time) (int64, error) {
	for low < high {
		middle := low + (high-low)/2
		var id, at int64
		err := r.read.QueryRowContext(ctx, `SELECT id, time FROM lines WHERE id >= ? ORDER BY id LIMIT 1`, middle).Scan(&id, &at)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return 0, err
		}
		if err != nil || at >= t.UnixNano() {
			high = middle
		} else {
			low = id + 1
		}
	}
	return low, nil
}

// lineFloor is the id from which on a function has as many lines as one page may
// look at; 0 where there are not so many.
func (r *Records) lineFloor(ctx context.Context, w *lineWhere) (floor int64, err error) {
	err = r.read.QueryRowContext(ctx, `SELECT id FROM lines WHERE `+w.String()+` ORDER BY id DESC LIMIT 1 OFFSET ?`,
		append(slices.Clone(w.args), lineWindow)...).Scan(&floor)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return floor, err
}

// linesWhere are the newest lines, the newest first: one more than q.Limit, if
// there are.
func (r *Records) linesWhere(ctx context.Context, w *lineWhere, q *logs.Query) (lines []logs.Line, err error) {
	inGo := !isASCII(q.Text)
	limit := q.Limit + 1
	if inGo {
		limit = -1
	}
	rows, err := r.read.QueryContext(ctx, `SELECT id, (SELECT name FROM line_functions f WHERE f.id = function), time, version, instance, request, stream, level, text
		FROM lines WHERE `+w.String()+` ORDER BY id DESC LIMIT ?`, append(slices.Clone(w.args), limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for len(lines) <= q.Limit && rows.Next() {
		var l logs.Line
		var at int64
		var stream, level int
		if err := rows.Scan(&l.ID, &l.Function, &at, &l.Version, &l.Instance, &l.RequestID, &stream, &level, &l.Text); err != nil {
			return nil, err
		}
		l.Time, l.Level = time.Unix(0, at).UTC(), levelNames[level]
		switch stream {
		case streamPlatform:
			l.Platform = true
		case streamStdout:
			l.Stream = logs.StreamStdout
		case streamStderr:
			l.Stream = logs.StreamStderr
		}
		if !inGo || q.Matches(&l) {
			lines = append(lines, l)
		}
	}
	return lines, rows.Err()
}
