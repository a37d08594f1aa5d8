package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/covefn/cove/internal/store"
)

// pruneStep is how many entries of the audit log are deleted at once.
const pruneStep = 5000

// AddAudit implements store.Audit.
func (s *Store) AddAudit(ctx context.Context, e store.AuditEntry) error {
	return s.tx(ctx, "write the audit log", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO audit (time, actor, action, target, detail, status, request_id, address)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			toMicros(e.Time), e.Actor, e.Action, e.Target, e.Detail, e.Status, e.RequestID, e.Address)
		return err
	})
}

// AuditLog implements store.Audit.
func (s *Store) AuditLog(ctx context.Context, q store.AuditQuery) ([]store.AuditEntry, error) {
	before := q.Before
	if before == 0 {
		before = math.MaxInt64
	}
	// instr and not LIKE: what is looked for may have a % in it.
	rows, err := s.read.QueryContext(ctx, `SELECT id, time, actor, action, target, detail, status, request_id, address FROM audit
		WHERE id < ? AND (? = '' OR instr(lower(actor), lower(?)) > 0) AND (? = '' OR action = ?)
			AND (? = '' OR instr(lower(target), lower(?)) > 0)
		ORDER BY id DESC LIMIT ?`,
		before, q.Actor, q.Actor, q.Action, q.Action, q.Target, q.Target, q.Limit)
	if err != nil {
		return nil, failed("read the audit log", err)
	}
	defer rows.Close()
	all := []store.AuditEntry{}
	for rows.Next() {
		var e store.AuditEntry
		var at int64
		if err := rows.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Target, &e.Detail, &e.Status, &e.RequestID, &e.Address); err != nil {
			return nil, failed("read the audit log", err)
		}
		e.Time = fromMicros(at)
		all = append(all, e)
	}
	return all, failed("read the audit log", rows.Err())
}

// PruneAudit implements store.Audit.
func (s *Store) PruneAudit(ctx context.Context, before time.Time, keep int) error {
	for {
		var n int64
		// In steps, so that who deploys meanwhile does not wait for long.
		err := s.tx(ctx, "prune the audit log", func(tx *sql.Tx) error {
			result, err := tx.ExecContext(ctx, `DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE time < ?
				OR id <= (SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET ?) LIMIT ?)`, toMicros(before), keep, pruneStep)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
		if err != nil || n < pruneStep {
			return err
		}
	}
}

// Document implements store.Documents.
func (s *Store) Document(ctx context.Context, name string) ([]byte, error) {
	var data []byte
	err := s.read.QueryRowContext(ctx, `SELECT data FROM documents WHERE name = ?`, name).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return data, failed("read a document", err)
}

// SetDocument implements store.Documents.
func (s *Store) SetDocument(ctx context.Context, name string, data []byte) error {
	return s.tx(ctx, "write a document", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO documents (name, data) VALUES (?, ?)
			ON CONFLICT (name) DO UPDATE SET data = excluded.data`, name, data)
		return err
	})
}
