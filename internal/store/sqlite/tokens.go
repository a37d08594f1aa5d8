package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

var _ store.Store = (*Store)(nil)

// CreateToken implements store.Tokens.
func (s *Store) CreateToken(ctx context.Context, t store.Token) error {
	functions, err := json.Marshal(t.Functions)
	if err != nil {
		return failed("create a token", err)
	}
	return s.tx(ctx, "create a token", func(tx *sql.Tx) error {
		var taken int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM tokens WHERE id = ?`, t.ID).Scan(&taken)
		if err != nil {
			return err
		}
		if taken > 0 {
			return cove.Errorf(cove.CodeConflict, "there is a token %q already", t.ID)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO tokens (id, name, role, functions, hash, created, expires, last_used)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			t.ID, t.Name, t.Role, string(functions), t.Hash[:], toMicros(t.Created), toMicros(t.Expires), toMicros(t.LastUsed))
		return err
	})
}

// AllTokens implements store.Tokens; the oldest first.
func (s *Store) AllTokens(ctx context.Context) ([]store.Token, error) {
	rows, err := s.read.QueryContext(ctx,
		`SELECT id, name, role, functions, hash, created, expires, last_used FROM tokens ORDER BY created, id`)
	if err != nil {
		return nil, failed("read the tokens", err)
	}
	defer rows.Close()
	all := []store.Token{}
	for rows.Next() {
		var t store.Token
		var functions string
		var hash []byte
		var created, expires, used int64
		if err := rows.Scan(&t.ID, &t.Name, &t.Role, &functions, &hash, &created, &expires, &used); err != nil {
			return nil, failed("read the tokens", err)
		}
		if err := json.Unmarshal([]byte(functions), &t.Functions); err != nil {
			return nil, failed("read the tokens", err)
		}
		copy(t.Hash[:], hash)
		t.Created, t.Expires, t.LastUsed = fromMicros(created), fromMicros(expires), fromMicros(used)
		all = append(all, t)
	}
	return all, failed("read the tokens", rows.Err())
}

// DeleteToken implements store.Tokens.
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	return s.tx(ctx, "delete a token", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM tokens WHERE id = ?`, id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return cove.Errorf(cove.CodeNotFound, "there is no token %q", id)
	})
}

// TokensUsed implements store.Tokens.
func (s *Store) TokensUsed(ctx context.Context, used map[string]time.Time) error {
	return s.tx(ctx, "note the use of tokens", func(tx *sql.Tx) error {
		for id, at := range used {
			if _, err := tx.ExecContext(ctx, `UPDATE tokens SET last_used = ? WHERE id = ?`, toMicros(at), id); err != nil {
				return err
			}
		}
		return nil
	})
}
