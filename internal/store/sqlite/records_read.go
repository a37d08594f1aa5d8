package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// Rollup implements store.Records. It reads where it is written, since who writes
// must not wait for those who search.
func (r *Records) Rollup(ctx context.Context, s store.Series, resolution store.Resolution, minutes int64) ([]byte, error) {
	var data []byte
	err := r.write.QueryRowContext(ctx, `SELECT data FROM rollups WHERE function = (SELECT id FROM names WHERE name = ?1)
		AND resolution = ? AND time = ? AND series = (SELECT s.id FROM series s JOIN names f ON f.id = s.function
		WHERE f.name = ?1 AND s.version = ? AND s.isolation = ?)`,
		s.Function, int64(resolution), minutes, s.Version, s.Isolation).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return data, failed("read the roll-ups", err)
}

const (
	selectRollups = `SELECT time, series, data FROM rollups
		WHERE function = ? AND resolution = ? AND time >= ? AND time < ? ORDER BY time`
	selectSeries = `SELECT s.id, s.function, s.version, s.isolation FROM series s
		WHERE s.function = (SELECT id FROM names WHERE name = ?)`
)

// Rollups implements store.Records.
func (r *Records) Rollups(ctx context.Context, q store.RollupQuery, each func(store.Rollup) error) error {
	series, function, err := r.seriesOf(ctx, q.Function)
	if err != nil || len(series) == 0 {
		return failed("read the roll-ups", err)
	}
	rows, err := r.rollups.QueryContext(ctx, function, int64(q.Resolution), q.From, q.To)
	if err != nil {
		return failed("read the roll-ups", err)
	}
	defer rows.Close()
	u := store.Rollup{Resolution: q.Resolution}
	var data sql.RawBytes
	for rows.Next() {
		var id int64
		if err := rows.Scan(&u.Time, &id, &data); err != nil {
			return failed("read the roll-ups", err)
		}
		s, known := series[id]
		if !known {
			continue // Begun since the series were read.
		}
		u.Series, u.Data = s, data
		if err := each(u); err != nil {
			return err
		}
	}
	return failed("read the roll-ups", rows.Err())
}

// seriesOf are the series of one function by their keys, and the function's own.
func (r *Records) seriesOf(ctx context.Context, function string) (map[int64]store.Series, int64, error) {
	rows, err := r.series.QueryContext(ctx, function)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	all := map[int64]store.Series{}
	var owner int64
	for rows.Next() {
		var id int64
		s := store.Series{Function: function}
		if err := rows.Scan(&id, &owner, &s.Version, &s.Isolation); err != nil {
			return nil, 0, err
		}
		all[id] = s
	}
	return all, owner, rows.Err()
}

// RecordedFunctions implements store.Records.
func (r *Records) RecordedFunctions(ctx context.Context) ([]string, error) {
	rows, err := r.read.QueryContext(ctx, `SELECT name FROM names WHERE name <> '' ORDER BY name`)
	if err != nil {
		return nil, failed("read the functions", err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, failed("read the functions", err)
		}
		names = append(names, name)
	}
	return names, failed("read the functions", rows.Err())
}

const invocationColumns = `id, function, version, isolation, instance, kind, time, start, outcome, fault, status,
	error, error_type, method, path, trace, queue, making, init, run, total, billed, bytes_in, bytes_out, cpu, peak_memory`

// selectInvocations begins every query of records. The name is looked up row by
// row, as a join would let SQLite begin at the wrong end.
var selectInvocations = `SELECT n, ` + strings.Replace(invocationColumns, "function", "(SELECT name FROM names WHERE names.id = function)", 1) + ` FROM invocations`

// Invocation implements store.Records.
func (r *Records) Invocation(ctx context.Context, id string) (cove.Invocation, error) {
	v, _, err := scanInvocation(r.read.QueryRowContext(ctx, selectInvocations+` WHERE id = ? ORDER BY n DESC LIMIT 1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return v, errNoInvocation(id)
	}
	return v, failed("read a record", err)
}

// lookedAt is how many rows are looked at for one page where no index finds those
// that match.
const lookedAt = 100_000

// Invocations implements store.Records.
func (r *Records) Invocations(ctx context.Context, q store.InvocationQuery) (store.InvocationPage, error) {
	page, err := r.invocationPage(ctx, &q)
	return page, failed("read the records", err)
}

func (r *Records) invocationPage(ctx context.Context, q *store.InvocationQuery) (page store.InvocationPage, err error) {
	w, found, err := r.where(ctx, q)
	if err != nil || !found {
		return page, err
	}
	limit := q.Limit
	if q.Search != "" {
		return r.search(ctx, w, q.Search, limit)
	}
	var floor int64
	if !w.indexed {
		if floor, err = r.floor(ctx, w); err != nil {
			return page, err
		}
		w.add("n >= ?", floor)
	}
	items, keys, err := r.invocationsWhere(ctx, w, limit+1)
	if err != nil {
		return page, err
	}
	switch {
	case len(items) > limit:
		page.Items, page.Next = items[:limit], keys[limit-1]
	default:
		page.Items, page.Next = items, floor
	}
	return page, nil
}

// search finds records whose id begins with text, and failures whose message has
// it: each by an index of its own.
func (r *Records) search(ctx context.Context, w *where, text string, limit int) (page store.InvocationPage, err error) {
	byID := w.clone()
	byID.add("id >= ?", text)
	byID.add("id < ?", text+"\U0010FFFF")
	ids, idKeys, err := r.invocationsWhere(ctx, byID, limit+1)
	if err != nil {
		return page, err
	}
	byText := w.clone()
	byText.add("fault <> ''")
	floor, err := r.floor(ctx, byText)
	if err != nil {
		return page, err
	}
	byText.add("n >= ?", floor)
	byText.add("instr(lower(error), lower(?)) > 0", text)
	texts, textKeys, err := r.invocationsWhere(ctx, byText, limit+1)
	if err != nil {
		return page, err
	}
	byKey := map[int64]*cove.Invocation{}
	for i, n := range idKeys {
		byKey[n] = &ids[i]
	}
	for i, n := range textKeys {
		byKey[n] = &texts[i]
	}
	keys := append(idKeys, textKeys...)
	slices.SortFunc(keys, func(a, b int64) int { return cmp.Compare(b, a) })
	keys = slices.Compact(keys)
	// What lies below the floor is for the next page, found by its id or not.
	page.Next = floor
	for i, n := range keys {
		if n < floor {
			break
		}
		if i == limit {
			page.Next = keys[i-1]
			break
		}
		page.Items = append(page.Items, *byKey[n])
	}
	return page, nil
}

// floor is the key down to which lookedAt rows are, counted from w's upper end; 0
// where there are fewer.
func (r *Records) floor(ctx context.Context, w *where) (int64, error) {
	var n int64
	err := r.read.QueryRowContext(ctx, `SELECT n FROM invocations WHERE `+w.bounds()+` ORDER BY n DESC LIMIT 1 OFFSET ?`,
		append(slices.Clone(w.boundArgs), lookedAt)...).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

func (r *Records) invocationsWhere(ctx context.Context, w *where, limit int) (items []cove.Invocation, keys []int64, err error) {
	rows, err := r.read.QueryContext(ctx, selectInvocations+` WHERE `+w.all()+` ORDER BY n DESC LIMIT ?`, append(w.args(), limit)...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		v, n, err := scanInvocation(rows)
		if err != nil {
			return nil, nil, err
		}
		items, keys = append(items, v), append(keys, n)
	}
	return items, keys, rows.Err()
}

// where is the condition of a query. bound are those parts that an index serves,
// more the others; where there are others, indexed is not set.
type where struct {
	bound, more         []string
	boundArgs, moreArgs []any
	indexed             bool
}

// where is q as a condition; found is false if nothing can match.
func (r *Records) where(ctx context.Context, q *store.InvocationQuery) (_ *where, found bool, err error) {
	w := &where{indexed: true}
	before := q.Before
	if !q.To.IsZero() && (before == 0 || q.To.UnixMicro() < before) {
		before = q.To.UnixMicro()
	}
	if before > 0 {
		w.limit("n < ?", before)
	}
	if !q.From.IsZero() {
		w.limit("n >= ?", q.From.UnixMicro())
	}
	if q.Function != "" {
		var id int64
		err := r.read.QueryRowContext(ctx, `SELECT id FROM names WHERE name = ?`, q.Function).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		w.limit("function = ?", id)
	}
	if q.Fault != "" || q.Outcome != "" && q.Outcome != cove.OutcomeOK {
		w.limit("fault <> ''")
	}
	outcome := q.Outcome
	if outcome == store.OutcomeError {
		outcome = "" // Whatever failed has a fault.
	}
	for column, value := range map[string]string{
		"isolation": q.Isolation, "outcome": outcome, "instance": q.Instance, "fault": string(q.Fault), "start": string(q.Start),
	} {
		if value != "" {
			w.add(column+" = ?", value)
		}
	}
	if q.Version > 0 {
		w.add("version = ?", q.Version)
	}
	if q.MinTotal > 0 {
		w.add("total >= ?", int64(q.MinTotal))
	}
	return w, true, nil
}

func (w *where) limit(condition string, args ...any) {
	w.bound, w.boundArgs = append(w.bound, condition), append(w.boundArgs, args...)
}

func (w *where) add(condition string, args ...any) {
	w.more, w.moreArgs, w.indexed = append(w.more, condition), append(w.moreArgs, args...), false
}

func (w *where) clone() *where {
	return &where{slices.Clone(w.bound), slices.Clone(w.more), slices.Clone(w.boundArgs), slices.Clone(w.moreArgs), w.indexed}
}

func (w *where) bounds() string { return strings.Join(append([]string{"TRUE"}, w.bound...), " AND ") }
func (w *where) all() string    { return strings.Join(append([]string{w.bounds()}, w.more...), " AND ") }
func (w *where) args() []any    { return append(slices.Clone(w.boundArgs), w.moreArgs...) }

func scanInvocation(row interface{ Scan(...any) error }) (v cove.Invocation, n int64, err error) {
	var began int64
	t := &v.Timings
	err = row.Scan(&n, &v.ID, &v.Function, &v.Version, &v.Isolation, &v.Instance, &v.Kind, &began, &v.Start, &v.Outcome, &v.Fault, &v.Status,
		&v.Error, &v.ErrorType, &v.Method, &v.Path, &v.Trace, &t.Queue, &t.Start, &t.Init, &t.Run, &t.Total, &v.Billed,
		&v.BytesIn, &v.BytesOut, &v.CPU, &v.PeakMemory)
	v.Time = time.Unix(0, began).UTC()
	return v, n, err
}
