package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// SaveRecords implements store.Records.
func (r *Records) SaveRecords(ctx context.Context, invocations []cove.Invocation, rollups []store.Rollup) error {
	if len(invocations) == 0 && len(rollups) == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &batch{ctx: ctx, known: r.ids, fresh: map[store.Series]seriesID{}, last: r.last, above: r.above}
	err := r.tx(ctx, "write the records", func(tx *sql.Tx) error {
		b.tx = tx
		if err := b.rollups(rollups); err != nil {
			return err
		}
		return b.invocations(invocations)
	})
	if err != nil {
		return err
	}
	// Only now: what was rolled back must not be remembered.
	maps.Copy(r.ids, b.fresh)
	r.last, r.above = b.last, b.above
	if r.count >= 0 {
		r.count += int64(len(invocations))
	}
	return nil
}

// batch is one transaction of SaveRecords.
type batch struct {
	ctx          context.Context
	tx           *sql.Tx
	known, fresh map[store.Series]seriesID
	// last and above are those of Records.
	last, above int64
	// pauses says that there is time for a breath between statements.
	pauses bool
}

func (b *batch) rollups(rollups []store.Rollup) error {
	if len(rollups) == 0 {
		return nil
	}
	put, err := b.tx.PrepareContext(b.ctx, `INSERT INTO rollups (function, resolution, time, series, data) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET data = excluded.data`)
	if err != nil {
		return err
	}
	defer put.Close()
	for i := range rollups {
		u := &rollups[i]
		id, err := b.id(u.Series)
		if err != nil {
			return err
		}
		if _, err := put.ExecContext(b.ctx, id.function, int64(u.Resolution), u.Time, id.series, u.Data); err != nil {
			return err
		}
	}
	return nil
}

// rowsPerInsert is how many records one statement writes where there are as many:
// what a statement costs is then shared by all of them.
const rowsPerInsert = 32

const (
	// breath is how many times as long as it took to write some records, 0.3 ms, the
	// pause after it is, and longestBreath how long it is at most. Requests are served
	// meanwhile where there is one processor for everything.
	breath        = 4
	longestBreath = 2 * time.Millisecond
	// unhurried is how many records are written with pauses at most: where there are
	// more they come faster than that.
	unhurried = 2048
)

const (
	insertInvocations = `INSERT INTO invocations (n, ` + invocationColumns + `) VALUES `
	invocationRow     = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

func (b *batch) invocations(invocations []cove.Invocation) error {
	b.pauses = len(invocations) <= unhurried
	for len(invocations) > 0 {
		run := invocations[:sameClock(invocations)]
		invocations = invocations[len(run):]
		for _, rows := range []int{rowsPerInsert, 1} {
			n := len(run) / rows * rows
			if err := b.insert(run[:n], rows); err != nil {
				return err
			}
			run = run[n:]
		}
	}
	return nil
}

// endedAt is when an invocation ended, in microseconds since 1970.
func endedAt(v *cove.Invocation) int64 { return toMicros(v.Time.Add(v.Timings.Total)) }

// sameClock is how many of the invocations, which come as they ended, come before
// the clock was set back.
func sameClock(invocations []cove.Invocation) int {
	var newest int64
	for i := range invocations {
		ended := endedAt(&invocations[i])
		if ended < newest-clockSlack.Microseconds() {
			return i
		}
		newest = max(newest, ended)
	}
	return len(invocations)
}

// key is that of an invocation that ended then, and comes behind those that have
// one already. It is the time, or the next microsecond that is free. A clock that
// goes back a little leaves the order as it was; where it was set back by more,
// what comes from then on has its own time again, in front of what is of the future.
func (b *batch) key(ended int64) (int64, error) {
	if ended < b.last-clockSlack.Microseconds() {
		b.last, b.above = ended-1, 0
	}
	n := max(b.last+1, ended)
	for b.above <= n {
		if b.above == n {
			n++
		}
		err := b.tx.QueryRowContext(b.ctx, `SELECT coalesce(min(n), ?) FROM invocations WHERE n >= ?`, int64(math.MaxInt64), n).Scan(&b.above)
		if err != nil {
			return 0, err
		}
	}
	b.last = n
	return n, nil
}

// insert writes invocations, so many with each statement.
func (b *batch) insert(invocations []cove.Invocation, rows int) error {
	if len(invocations) == 0 {
		return nil
	}
	put, err := b.tx.PrepareContext(b.ctx, insertInvocations+strings.Repeat(invocationRow+", ", rows-1)+invocationRow)
	if err != nil {
		return err
	}
	defer put.Close()
	var args []any
	var took time.Duration // by the statement before
	for chunk := range slices.Chunk(invocations, rows) {
		if b.pauses && rows > 1 {
			time.Sleep(min(breath*took, longestBreath))
		}
		began := time.Now()
		args = args[:0]
		for i := range chunk {
			v := &chunk[i]
			id, err := b.id(store.Series{Function: v.Function})
			if err != nil {
				return err
			}
			n, err := b.key(endedAt(v))
			if err != nil {
				return err
			}
			t := &v.Timings
			args = append(args, n, v.ID, id.function, v.Version, v.Isolation, v.Instance, string(v.Kind), v.Time.UnixNano(),
				string(v.Start), v.Outcome, string(v.Fault), v.Status, v.Error, v.ErrorType, v.Method, v.Path, v.Trace,
				int64(t.Queue), int64(t.Start), int64(t.Init), int64(t.Run), int64(t.Total), int64(v.Billed),
				v.BytesIn, v.BytesOut, int64(v.CPU), int64(v.PeakMemory))
		}
		if _, err := put.ExecContext(b.ctx, args...); err != nil {
			return err
		}
		took = time.Since(began)
	}
	return nil
}

// id is the key of a series, made if it is new.
func (b *batch) id(s store.Series) (seriesID, error) {
	if id, ok := b.known[s]; ok {
		return id, nil
	}
	if id, ok := b.fresh[s]; ok {
		return id, nil
	}
	var id seriesID
	err := b.tx.QueryRowContext(b.ctx, `INSERT INTO names (name) VALUES (?) ON CONFLICT DO UPDATE SET name = name RETURNING id`,
		s.Function).Scan(&id.function)
	if err != nil {
		return id, err
	}
	err = b.tx.QueryRowContext(b.ctx, `INSERT INTO series (function, version, isolation) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET version = version RETURNING id`, id.function, s.Version, s.Isolation).Scan(&id.series)
	b.fresh[s] = id
	return id, err
}

// trimStep is how many rows one transaction removes at most, so that what is to
// be recorded does not wait long.
const trimStep = 5_000

// TrimRecords implements store.Records.
func (r *Records) TrimRecords(ctx context.Context, limits store.RecordLimits, now time.Time) (removed int64, err error) {
	for _, resolution := range store.Resolutions {
		keep := limits.Rollups[resolution]
		if keep <= 0 {
			continue
		}
		// One span more, so that the oldest that is asked for is whole.
		n, err := r.trimRollups(ctx, resolution, now.Add(-keep-2*resolution.Length()).Unix()/60)
		if removed += n; err != nil {
			return removed, err
		}
	}
	if limits.Invocations > 0 {
		n, err := r.trimAge(ctx, limits.Invocations, now)
		if removed += n; err != nil {
			return removed, err
		}
	}
	n, err := r.trimCount(ctx, limits.InvocationCount, now)
	if removed += n; err != nil {
		return removed, err
	}
	return removed, r.trimNames(ctx)
}

// trimRollups removes those that begin at or before upTo, function by function,
// as the table is sorted.
func (r *Records) trimRollups(ctx context.Context, resolution store.Resolution, upTo int64) (removed int64, err error) {
	rows, err := r.read.QueryContext(ctx, `SELECT id FROM names`)
	if err != nil {
		return 0, failed("trim the roll-ups", err)
	}
	functions, err := scanInts(rows)
	if err != nil {
		return 0, failed("trim the roll-ups", err)
	}
	for _, f := range functions {
		for {
			n, err := r.remove(ctx, `DELETE FROM rollups WHERE (function, resolution, time, series) IN
				(SELECT function, resolution, time, series FROM rollups WHERE function = ? AND resolution = ? AND time <= ? LIMIT ?)`,
				f, int64(resolution), upTo, trimStep)
			removed += n
			if err != nil {
				return removed, err
			}
			if n < trimStep {
				break
			}
		}
	}
	return removed, nil
}

// trimAge removes what ended longer ago than keep.
//
// And it removes what is as far in the future, from a time in which the clock was
// wrong: that would stay for as long as that was, and be the newest all the while.
// But the clock may as well be wrong now, as that of a machine that starts without
// the time; then everything is of the future. So that goes only together with
// something old: there is none where the clock has gone back beyond all there is.
func (r *Records) trimAge(ctx context.Context, keep time.Duration, now time.Time) (int64, error) {
	removed, err := r.trimInvocations(ctx, 0, now.Add(-keep).UnixMicro())
	if err != nil || removed == 0 {
		return removed, err
	}
	n, err := r.trimInvocations(ctx, now.Add(keep).UnixMicro(), math.MaxInt64)
	return removed + n, err
}

// trimInvocations removes those whose key is above one and at most the other.
func (r *Records) trimInvocations(ctx context.Context, above, upTo int64) (removed int64, err error) {
	for {
		n, err := r.remove(ctx, `DELETE FROM invocations WHERE n IN (SELECT n FROM invocations WHERE n > ? AND n <= ? ORDER BY n LIMIT ?)`, above, upTo, trimStep)
		removed += n
		r.mu.Lock()
		if r.count >= 0 {
			r.count -= n
		}
		r.mu.Unlock()
		if err != nil || n < trimStep {
			return removed, err
		}
	}
}

// trimCount removes the oldest beyond keep: first those of the future, which were
// recorded before the clock was set back, and then those of the past.
func (r *Records) trimCount(ctx context.Context, keep int64, now time.Time) (removed int64, err error) {
	if keep <= 0 {
		return 0, nil
	}
	for _, above := range []int64{now.Add(clockSlack).UnixMicro(), 0} {
		excess, err := r.excess(ctx, keep)
		if err != nil || excess <= 0 {
			return removed, err
		}
		upTo := int64(math.MaxInt64)
		err = r.read.QueryRowContext(ctx, `SELECT n FROM invocations WHERE n > ? ORDER BY n LIMIT 1 OFFSET ?`, above, excess-1).Scan(&upTo)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return removed, failed("trim the records", err)
		}
		n, err := r.trimInvocations(ctx, above, upTo)
		if removed += n; err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// excess is how many invocations there are beyond keep. How many there are is
// counted once and then kept in mind: counting reads an index from end to end.
func (r *Records) excess(ctx context.Context, keep int64) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count < 0 {
		// Under the lock, so that nothing is added meanwhile.
		if err := r.read.QueryRowContext(ctx, `SELECT count(*) FROM invocations`).Scan(&r.count); err != nil {
			r.count = -1
			return 0, failed("count the records", err)
		}
	}
	return r.count - keep, nil
}

// trimNames forgets series and functions of which nothing is left.
func (r *Records) trimNames(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.remove(ctx, `DELETE FROM names WHERE NOT EXISTS (SELECT 1 FROM rollups WHERE rollups.function = names.id)
		AND NOT EXISTS (SELECT 1 FROM invocations WHERE invocations.function = names.id)`)
	if n > 0 {
		clear(r.ids)
	}
	return err
}

// remove runs a DELETE in a transaction of its own.
func (r *Records) remove(ctx context.Context, statement string, args ...any) (int64, error) {
	result, err := r.write.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, failed("trim the records", err)
	}
	n, err := result.RowsAffected()
	return n, failed("trim the records", err)
}

func scanInts(rows *sql.Rows) (list []int64, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, rows.Err()
}
