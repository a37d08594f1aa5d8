package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// Events implements store.Events.
func (s *Store) Events(ctx context.Context, function string) ([]store.Event, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT name, body, updated FROM events WHERE function = ? ORDER BY name`, function)
	if err != nil {
		return nil, failed("read the events", err)
	}
	defer rows.Close()
	all := []store.Event{}
	for rows.Next() {
		var e store.Event
		var body string
		var updated int64
		if err := rows.Scan(&e.Name, &body, &updated); err != nil {
			return nil, failed("read the events", err)
		}
		e.Body, e.Updated = json.RawMessage(body), fromMicros(updated)
		all = append(all, e)
	}
	return all, failed("read the events", rows.Err())
}

// PutEvent implements store.Events.
func (s *Store) PutEvent(ctx context.Context, function string, e store.Event, limit int) error {
	return s.tx(ctx, "keep an event", func(tx *sql.Tx) error {
		if _, err := current(ctx, tx, function); err != nil {
			return err
		}
		var others int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM events WHERE function = ? AND name <> ?`, function, e.Name).Scan(&others)
		if err != nil {
			return err
		}
		if others >= limit {
			return cove.Errorf(cove.CodeConflict, "the function %q has %d saved events, which is the limit: delete one first", function, others)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO events (function, name, body, updated) VALUES (?, ?, ?, ?)
			ON CONFLICT (function, name) DO UPDATE SET body = excluded.body, updated = excluded.updated`,
			function, e.Name, string(e.Body), toMicros(e.Updated))
		return err
	})
}

// DeleteEvent implements store.Events.
func (s *Store) DeleteEvent(ctx context.Context, function, name string) error {
	return s.tx(ctx, "delete an event", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM events WHERE function = ? AND name = ?`, function, name)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return cove.Errorf(cove.CodeNotFound, "the function %q has no event %q", function, name)
	})
}
