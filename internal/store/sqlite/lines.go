package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/covefn/cove/internal/logs"
)

var _ logs.Keeper = (*Records)(nil)

// lineCost is what a line counts towards the limits beside its text, about what
// the rest of it takes on disk.
const lineCost = 128

// The streams as the table has them.
const (
	streamPlatform = iota
	streamStdout
	streamStderr
)

func streamNumber(l *logs.Line) int {
	switch {
	case l.Platform:
		return streamPlatform
	case l.Stream == logs.StreamStderr:
		return streamStderr
	}
	return streamStdout
}

// levelNames are levels by their rank.
var levelNames = [...]string{"", logs.LevelDebug, logs.LevelInfo, logs.LevelWarn, logs.LevelError}

// LastLine implements logs.Keeper.
func (r *Records) LastLine(ctx context.Context) (id int64, err error) {
	err = r.read.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM lines`).Scan(&id)
	return id, failed("read the log", err)
}

// rowsAtOnce is how many lines one statement inserts: much of what a row costs is
// the way to the database.
const rowsAtOnce = 50

// insertLines is a statement that inserts n lines.
func insertLines(n int) string {
	return `INSERT INTO lines (id, function, time, version, instance, request, stream, level, text) VALUES ` +
		strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?, ?), ", n-1) + "(?, ?, ?, ?, ?, ?, ?, ?, ?)"
}

// SaveLines implements logs.Keeper.
func (r *Records) SaveLines(ctx context.Context, lines []logs.Line) error {
	if len(lines) == 0 {
		return nil
	}
	// A context that can end costs each statement a goroutine; a batch is short.
	ctx = context.WithoutCancel(ctx)
	return r.tx(ctx, "write the log", func(tx *sql.Tx) error {
		put, err := tx.PrepareContext(ctx, insertLines(rowsAtOnce))
		if err != nil {
			return err
		}
		defer put.Close()
		b := lineBatch{ctx: ctx, tx: tx, ids: map[string]int64{}, sizes: map[int64]int64{}}
		for len(lines) > 0 {
			n := min(len(lines), rowsAtOnce)
			if err := b.add(lines[:n]); err != nil {
				return err
			}
			if n == rowsAtOnce {
				_, err = put.ExecContext(ctx, b.args...)
			} else {
				_, err = tx.ExecContext(ctx, insertLines(n), b.args...)
			}
			if err != nil {
				return err
			}
			lines = lines[n:]
		}
		return addSizes(ctx, tx, b.sizes, 1)
	})
}

// lineBatch is one transaction of SaveLines.
type lineBatch struct {
	ctx   context.Context
	tx    *sql.Tx
	ids   map[string]int64 // of functions
	sizes map[int64]int64  // by function
	args  []any            // of the next statement
}

// add makes lines the arguments of the next statement.
func (b *lineBatch) add(lines []logs.Line) error {
	b.args = b.args[:0]
	for i := range lines {
		l := &lines[i]
		function, known := b.ids[l.Function]
		if !known {
			err := b.tx.QueryRowContext(b.ctx, `INSERT INTO line_functions (name) VALUES (?) ON CONFLICT DO UPDATE SET name = name RETURNING id`, l.Function).Scan(&function)
			if err != nil {
				return err
			}
			b.ids[l.Function] = function
		}
		b.sizes[function] += int64(len(l.Text)) + lineCost
		b.args = append(b.args, l.ID, function, l.Time.UnixNano(), l.Version, l.Instance, l.RequestID,
			streamNumber(l), logs.LevelRank(l.Level), l.Text)
	}
	return nil
}

// addSizes counts bytes by function, times sign.
func addSizes(ctx context.Context, tx *sql.Tx, sizes map[int64]int64, sign int64) error {
	for function, size := range sizes {
		if _, err := tx.ExecContext(ctx, `UPDATE line_functions SET bytes = bytes + ? WHERE id = ?`, sign*size, function); err != nil {
			return err
		}
	}
	return nil
}

// forgotten is what the name of a function begins with whose lines are not to be
// found any more. No function's own name does.
const forgotten = "-"

// ForgetLines implements logs.Keeper.
func (r *Records) ForgetLines(ctx context.Context, function string) error {
	_, err := r.write.ExecContext(ctx, `UPDATE line_functions SET name = ? || id WHERE name = ?`, forgotten, function)
	return failed("forget a log", err)
}

// LineFunctions implements logs.Keeper.
func (r *Records) LineFunctions(ctx context.Context) (map[string]time.Time, error) {
	rows, err := r.read.QueryContext(ctx, `SELECT name, coalesce((SELECT time FROM lines WHERE function = f.id ORDER BY id DESC LIMIT 1), 0)
		FROM line_functions f WHERE name NOT LIKE ? || '%'`, forgotten)
	if err != nil {
		return nil, failed("read the log", err)
	}
	defer rows.Close()
	all := map[string]time.Time{}
	for rows.Next() {
		var name string
		var last int64
		if err := rows.Scan(&name, &last); err != nil {
			return nil, failed("read the log", err)
		}
		all[name] = time.Unix(0, last)
	}
	return all, failed("read the log", rows.Err())
}

// TrimLines implements logs.Keeper.
func (r *Records) TrimLines(ctx context.Context, limits logs.Limits, now time.Time) (removed int64, err error) {
	functions, err := r.lineFunctions(ctx)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, f := range functions {
		excess := f.bytes - limits.Function
		switch {
		case f.name[:1] == forgotten:
			excess = f.bytes
		case limits.Function <= 0:
			excess = 0
		}
		n, bytes, err := r.trimLines(ctx, "function = "+fmt.Sprint(f.id), excess, time.Time{})
		removed, total = removed+n, total+f.bytes-bytes
		if err != nil {
			return removed, err
		}
		if f.name[:1] == forgotten {
			if _, err := r.write.ExecContext(ctx, `DELETE FROM line_functions WHERE id = ? AND NOT EXISTS (SELECT 1 FROM lines WHERE function = ?1)`, f.id); err != nil {
				return removed, failed("trim the log", err)
			}
		}
	}
	var before time.Time
	if limits.Age > 0 {
		before = now.Add(-limits.Age)
	}
	excess := total - limits.Total
	if limits.Total <= 0 {
		excess = 0
	}
	n, _, err := r.trimLines(ctx, "true", excess, before)
	return removed + n, err
}

// lineFunction is a row of line_functions.
type lineFunction struct {
	id, bytes int64
	name      string
}

func (r *Records) lineFunctions(ctx context.Context) (all []lineFunction, err error) {
	rows, err := r.read.QueryContext(ctx, `SELECT id, bytes, name FROM line_functions`)
	if err != nil {
		return nil, failed("read the log", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f lineFunction
		if err := rows.Scan(&f.id, &f.bytes, &f.name); err != nil {
			return nil, failed("read the log", err)
		}
		all = append(all, f)
	}
	return all, failed("read the log", rows.Err())
}

// trimLines removes the oldest of the lines that where chooses: as many as make up
// excess bytes, and those written before then.
func (r *Records) trimLines(ctx context.Context, where string, excess int64, before time.Time) (removed, bytes int64, err error) {
	for excess > bytes || !before.IsZero() {
		n, size, err := r.trimLinesOnce(ctx, where, excess-bytes, before)
		removed, bytes = removed+n, bytes+size
		if err != nil || n == 0 {
			return removed, bytes, failed("trim the log", err)
		}
	}
	return removed, bytes, nil
}

// trimLinesOnce is one transaction of trimLines.
func (r *Records) trimLinesOnce(ctx context.Context, where string, excess int64, before time.Time) (removed, bytes int64, err error) {
	err = r.tx(ctx, "trim the log", func(tx *sql.Tx) error {
		sizes, upTo, err := oldestLines(ctx, tx, where, excess, before)
		if err != nil || len(sizes) == 0 {
			return err
		}
		result, err := tx.ExecContext(ctx, `DELETE FROM lines WHERE `+where+` AND id <= ?`, upTo)
		if err != nil {
			return err
		}
		if removed, err = result.RowsAffected(); err != nil {
			return err
		}
		for _, size := range sizes {
			bytes += size
		}
		return addSizes(ctx, tx, sizes, -1)
	})
	return removed, bytes, err
}

// oldestLines are those of one step that are to go: their bytes by function, and
// the id of the last.
func oldestLines(ctx context.Context, tx *sql.Tx, where string, excess int64, before time.Time) (sizes map[int64]int64, upTo int64, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, function, time, octet_length(text) FROM lines WHERE `+where+` ORDER BY id LIMIT ?`, trimStep)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	sizes = map[int64]int64{}
	for rows.Next() {
		var id, function, at, size int64
		if err := rows.Scan(&id, &function, &at, &size); err != nil {
			return nil, 0, err
		}
		if excess <= 0 && (before.IsZero() || at >= before.UnixNano()) {
			break
		}
		size += lineCost
		excess -= size
		sizes[function] += size
		upTo = id
	}
	return sizes, upTo, rows.Err()
}
