package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// CreateUser implements store.Users.
func (s *Store) CreateUser(ctx context.Context, u store.User) error {
	return s.tx(ctx, "create a user", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `INSERT INTO users (name, role, password, disabled, created, last_login)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
			u.Name, u.Role, u.Password, u.Disabled, toMicros(u.Created), toMicros(u.LastLogin))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		return cove.Errorf(cove.CodeConflict, "there is a user %q already", u.Name)
	})
}

// UpdateUser implements store.Users.
func (s *Store) UpdateUser(ctx context.Context, u store.User, endSessions bool) error {
	return s.tx(ctx, "change a user", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE users SET role = ?, password = ?, disabled = ?, last_login = ? WHERE name = ?`,
			u.Role, u.Password, u.Disabled, toMicros(u.LastLogin), u.Name)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return orNoUser(err, u.Name)
		}
		if endSessions {
			_, err = tx.ExecContext(ctx, `DELETE FROM sessions WHERE user = ?`, u.Name)
		}
		return err
	})
}

// DeleteUser implements store.Users.
func (s *Store) DeleteUser(ctx context.Context, name string) error {
	return s.tx(ctx, "delete a user", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM users WHERE name = ?`, name)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return orNoUser(err, name)
		}
		return nil
	})
}

func orNoUser(err error, name string) error {
	if err != nil {
		return err
	}
	return cove.Errorf(cove.CodeNotFound, "there is no user %q", name)
}

// AllUsers implements store.Users.
func (s *Store) AllUsers(ctx context.Context) ([]store.User, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT name, role, password, disabled, created, last_login FROM users ORDER BY name`)
	if err != nil {
		return nil, failed("read the users", err)
	}
	defer rows.Close()
	all := []store.User{}
	for rows.Next() {
		var u store.User
		var created, last int64
		if err := rows.Scan(&u.Name, &u.Role, &u.Password, &u.Disabled, &created, &last); err != nil {
			return nil, failed("read the users", err)
		}
		u.Created, u.LastLogin = fromMicros(created), fromMicros(last)
		all = append(all, u)
	}
	return all, failed("read the users", rows.Err())
}

// CreateSession implements store.Sessions.
func (s *Store) CreateSession(ctx context.Context, c store.Session) error {
	return s.tx(ctx, "create a session", func(tx *sql.Tx) error {
		query, owner := `SELECT count(*) FROM users WHERE name = ?`, c.User
		if c.User == "" {
			query, owner = `SELECT count(*) FROM tokens WHERE id = ?`, c.Token
		}
		var there int
		if err := tx.QueryRowContext(ctx, query, owner).Scan(&there); err != nil {
			return err
		}
		if there == 0 {
			return cove.Errorf(cove.CodeNotFound, "there is no user or token %q", owner)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO sessions (hash, user, token, created, used, expires)
			VALUES (?, nullif(?, ''), nullif(?, ''), ?, ?, ?)`,
			c.Hash[:], c.User, c.Token, toMicros(c.Created), toMicros(c.Used), toMicros(c.Expires))
		return err
	})
}

// AllSessions implements store.Sessions; the oldest first.
func (s *Store) AllSessions(ctx context.Context) ([]store.Session, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT hash, coalesce(user, ''), coalesce(token, ''), created, used, expires
		FROM sessions ORDER BY created, hash`)
	if err != nil {
		return nil, failed("read the sessions", err)
	}
	defer rows.Close()
	all := []store.Session{}
	for rows.Next() {
		var c store.Session
		var hash []byte
		var created, used, expires int64
		if err := rows.Scan(&hash, &c.User, &c.Token, &created, &used, &expires); err != nil {
			return nil, failed("read the sessions", err)
		}
		copy(c.Hash[:], hash)
		c.Created, c.Used, c.Expires = fromMicros(created), fromMicros(used), fromMicros(expires)
		all = append(all, c)
	}
	return all, failed("read the sessions", rows.Err())
}

// DeleteSessions implements store.Sessions.
func (s *Store) DeleteSessions(ctx context.Context, hashes ...[32]byte) error {
	return s.tx(ctx, "delete sessions", func(tx *sql.Tx) error {
		for _, h := range hashes {
			if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE hash = ?`, h[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

// SessionsUsed implements store.Sessions.
func (s *Store) SessionsUsed(ctx context.Context, used map[[32]byte]time.Time) error {
	return s.tx(ctx, "note the use of sessions", func(tx *sql.Tx) error {
		for h, at := range used {
			if _, err := tx.ExecContext(ctx, `UPDATE sessions SET used = ? WHERE hash = ?`, toMicros(at), h[:]); err != nil {
				return err
			}
		}
		return nil
	})
}
