package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/covefn/cove"
)

// CreateFunction implements store.Functions.
func (s *Store) CreateFunction(ctx context.Context, v cove.Version) (cove.Function, error) {
	v.Number = 1
	created := toMicros(v.Created)
	err := s.tx(ctx, "create a function", func(tx *sql.Tx) error {
		_, err := current(ctx, tx, v.Function)
		if err == nil {
			return cove.Errorf(cove.CodeConflict, "there is a function %q already", v.Function)
		}
		if cove.CodeOf(err) != cove.CodeNotFound {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO functions (name, revision, active, last, created, updated)
			VALUES (?, 1, 1, 1, ?, ?)`, v.Function, created, created)
		if err != nil {
			return err
		}
		return s.insert(ctx, tx, v)
	})
	if err != nil {
		return cove.Function{}, err
	}
	v.Created = fromMicros(created)
	return cove.Function{Name: v.Function, Revision: 1, Version: v, Created: v.Created, Updated: v.Created}, nil
}

// NextNumber implements store.Functions.
func (s *Store) NextNumber(ctx context.Context, name string) (int, error) {
	var number int
	err := s.tx(ctx, "number a version", func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `UPDATE functions SET last = last + 1 WHERE name = ? RETURNING last`, name).Scan(&number)
		if errors.Is(err, sql.ErrNoRows) {
			return noFunction(name)
		}
		return err
	})
	return number, err
}

// AddVersion implements store.Functions.
func (s *Store) AddVersion(ctx context.Context, v cove.Version, ifRevision int64) (cove.Function, error) {
	var f cove.Function
	err := s.tx(ctx, "add a version", func(tx *sql.Tx) error {
		row, err := s.expect(ctx, tx, v.Function, ifRevision)
		if err != nil {
			return err
		}
		if v.Number == 0 {
			v.Number = row.last + 1
		}
		v.Created = fromMicros(toMicros(v.Created))
		if err := s.insert(ctx, tx, v); err != nil {
			return err
		}
		f = row.function(v, v.Created)
		_, err = tx.ExecContext(ctx, `UPDATE functions SET revision = ?, active = ?, last = ?, updated = ? WHERE name = ?`,
			f.Revision, v.Number, max(row.last, v.Number), toMicros(f.Updated), v.Function)
		return err
	})
	return f, err
}

// Activate implements store.Functions.
func (s *Store) Activate(ctx context.Context, name string, number int, ifRevision int64) (cove.Function, error) {
	var f cove.Function
	err := s.tx(ctx, "activate a version", func(tx *sql.Tx) error {
		row, err := s.expect(ctx, tx, name, ifRevision)
		if err != nil {
			return err
		}
		v, err := s.version(ctx, tx, name, number)
		if err != nil {
			return err
		}
		f = row.function(v, fromMicros(toMicros(time.Now())))
		_, err = tx.ExecContext(ctx, `UPDATE functions SET revision = ?, active = ?, updated = ? WHERE name = ?`,
			f.Revision, number, toMicros(f.Updated), name)
		return err
	})
	return f, err
}

// SetDisabled implements store.Functions.
func (s *Store) SetDisabled(ctx context.Context, name string, disabled bool, ifRevision int64) (cove.Function, error) {
	var f cove.Function
	err := s.tx(ctx, "disable a function", func(tx *sql.Tx) error {
		row, err := s.expect(ctx, tx, name, ifRevision)
		if err != nil {
			return err
		}
		v, err := s.version(ctx, tx, name, row.active)
		if err != nil {
			return err
		}
		row.disabled = disabled
		f = row.function(v, fromMicros(toMicros(time.Now())))
		_, err = tx.ExecContext(ctx, `UPDATE functions SET revision = ?, disabled = ?, updated = ? WHERE name = ?`,
			f.Revision, disabled, toMicros(f.Updated), name)
		return err
	})
	return f, err
}

// DeleteFunction implements store.Functions.
func (s *Store) DeleteFunction(ctx context.Context, name string, ifRevision int64) error {
	return s.tx(ctx, "delete a function", func(tx *sql.Tx) error {
		if _, err := s.expect(ctx, tx, name, ifRevision); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM functions WHERE name = ?`, name)
		return err
	})
}

const versionColumns = `v.id, v.function, v.number, v.config, v.env, v.sha256, v.format, v.size, v.unpacked, v.files, v.created, v.note`

const selectFunctions = `SELECT f.name, f.revision, f.disabled, f.created, f.updated, ` + versionColumns + `
	FROM functions f JOIN versions v ON v.function = f.name AND v.number = f.active`

// Function implements store.Functions.
func (s *Store) Function(ctx context.Context, name string) (cove.Function, error) {
	f, err := s.scanFunction(s.read.QueryRowContext(ctx, selectFunctions+` WHERE f.name = ?`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return f, noFunction(name)
	}
	return f, failed("read a function", err)
}

// AllFunctions implements store.Functions.
func (s *Store) AllFunctions(ctx context.Context) ([]cove.Function, error) {
	rows, err := s.read.QueryContext(ctx, selectFunctions+` ORDER BY f.name`)
	if err != nil {
		return nil, failed("read the functions", err)
	}
	defer rows.Close()
	all := []cove.Function{}
	for rows.Next() {
		f, err := s.scanFunction(rows)
		if err != nil {
			return nil, failed("read the functions", err)
		}
		all = append(all, f)
	}
	return all, failed("read the functions", rows.Err())
}

// Version implements store.Functions.
func (s *Store) Version(ctx context.Context, name string, number int) (cove.Version, error) {
	v, err := s.version(ctx, s.read, name, number)
	return v, failed("read a version", err)
}

// Versions implements store.Functions.
func (s *Store) Versions(ctx context.Context, name string) ([]cove.Version, error) {
	rows, err := s.read.QueryContext(ctx,
		`SELECT `+versionColumns+` FROM versions v WHERE v.function = ? ORDER BY v.number DESC`, name)
	if err != nil {
		return nil, failed("read the versions", err)
	}
	defer rows.Close()
	all := []cove.Version{}
	for rows.Next() {
		v, err := s.scanVersion(rows)
		if err != nil {
			return nil, failed("read the versions", err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, failed("read the versions", err)
	}
	if len(all) == 0 { // A function that is there has one at least.
		return nil, noFunction(name)
	}
	return all, nil
}

// PruneVersions implements store.Functions.
func (s *Store) PruneVersions(ctx context.Context, name string, keep int) error {
	return s.tx(ctx, "prune the versions", func(tx *sql.Tx) error {
		row, err := current(ctx, tx, name)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM versions WHERE function = ?1 AND number <> ?2 AND number NOT IN
			(SELECT number FROM versions WHERE function = ?1 ORDER BY number DESC LIMIT ?3)`, name, row.active, max(keep, 0))
		return err
	})
}

// Packages implements store.Functions.
func (s *Store) Packages(ctx context.Context) (map[string]bool, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT DISTINCT sha256 FROM versions WHERE sha256 <> ''`)
	if err != nil {
		return nil, failed("read the packages", err)
	}
	defer rows.Close()
	all := map[string]bool{}
	for rows.Next() {
		var sha string
		if err := rows.Scan(&sha); err != nil {
			return nil, failed("read the packages", err)
		}
		all[sha] = true
	}
	return all, failed("read the packages", rows.Err())
}

// head is a row of functions.
type head struct {
	name             string
	revision         int64
	active, last     int
	disabled         bool
	created, updated int64
}

func (h head) function(v cove.Version, updated time.Time) cove.Function {
	return cove.Function{Name: h.name, Revision: h.revision + 1, Version: v, Disabled: h.disabled, Created: fromMicros(h.created), Updated: updated}
}

func current(ctx context.Context, tx *sql.Tx, name string) (head, error) {
	h := head{name: name}
	err := tx.QueryRowContext(ctx, `SELECT revision, active, last, disabled, created, updated FROM functions WHERE name = ?`, name).
		Scan(&h.revision, &h.active, &h.last, &h.disabled, &h.created, &h.updated)
	if errors.Is(err, sql.ErrNoRows) {
		return h, noFunction(name)
	}
	return h, err
}

// expect is current, and an error if the revision is not the one expected.
func (s *Store) expect(ctx context.Context, tx *sql.Tx, name string, revision int64) (head, error) {
	h, err := current(ctx, tx, name)
	if err == nil && revision != 0 && revision != h.revision {
		err = cove.Errorf(cove.CodePreconditionFailed,
			"the function %q is at revision %d, not %d: somebody changed it meanwhile; read it again", name, h.revision, revision)
	}
	return h, err
}

func noFunction(name string) error {
	return cove.Errorf(cove.CodeNotFound, "there is no function %q", name)
}

func (s *Store) insert(ctx context.Context, tx *sql.Tx, v cove.Version) error {
	config, env, err := s.encode(v)
	if err != nil {
		return err
	}
	p := v.Package
	_, err = tx.ExecContext(ctx, `INSERT INTO versions
		(id, function, number, config, env, sha256, format, size, unpacked, files, created, note)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		v.ID, v.Function, v.Number, config, env, p.SHA256, p.Format, p.Size, p.Unpacked, p.Files, toMicros(v.Created), v.Note)
	return err
}

// rowQuerier is a *sql.DB or a *sql.Tx.
type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (s *Store) version(ctx context.Context, db rowQuerier, name string, number int) (cove.Version, error) {
	v, err := s.scanVersion(db.QueryRowContext(ctx,
		`SELECT `+versionColumns+` FROM versions v WHERE v.function = ? AND v.number = ?`, name, number))
	if errors.Is(err, sql.ErrNoRows) {
		return v, cove.Errorf(cove.CodeNotFound, "the function %q has no version %d", name, number)
	}
	return v, err
}

// scanner is a *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

func (s *Store) scanVersion(row scanner, before ...any) (cove.Version, error) {
	var v cove.Version
	var config string
	var env []byte
	var created int64
	p := &v.Package
	err := row.Scan(append(before, &v.ID, &v.Function, &v.Number, &config, &env,
		&p.SHA256, &p.Format, &p.Size, &p.Unpacked, &p.Files, &created, &v.Note)...)
	if err != nil {
		return cove.Version{}, err
	}
	v.Created = fromMicros(created)
	if err := s.decode(&v, config, env); err != nil {
		return cove.Version{}, fmt.Errorf("version %d of %s: %w", v.Number, v.Function, err)
	}
	return v, nil
}

func (s *Store) scanFunction(row scanner) (cove.Function, error) {
	var f cove.Function
	var created, updated int64
	v, err := s.scanVersion(row, &f.Name, &f.Revision, &f.Disabled, &created, &updated)
	if err != nil {
		return cove.Function{}, err
	}
	f.Version, f.Created, f.Updated = v, fromMicros(created), fromMicros(updated)
	return f, nil
}

// sealedVar is an environment variable as it is encrypted. cove.EnvVar hides
// secret values from whatever marshals it, so it cannot be used here.
type sealedVar struct {
	Value  string `json:"v"`
	Secret bool   `json:"s,omitempty"`
}

// encode is the configuration as it is kept: without a value of the
// environment in clear, and the environment sealed for this version alone.
func (s *Store) encode(v cove.Version) (config string, env []byte, err error) {
	cfg := v.Config
	sealed := make(map[string]sealedVar, len(cfg.Env))
	names := make(cove.Env, len(cfg.Env))
	for name, value := range cfg.Env {
		sealed[name] = sealedVar{value.Value, value.Secret}
		names[name] = cove.EnvVar{Secret: true}
	}
	cfg.Env = names
	text, err := json.Marshal(cfg)
	if err != nil {
		return "", nil, err
	}
	if len(sealed) == 0 {
		return string(text), []byte{}, nil
	}
	plain, err := json.Marshal(sealed)
	if err != nil {
		return "", nil, err
	}
	return string(text), s.key.seal(plain, v.ID), nil
}

func (s *Store) decode(v *cove.Version, config string, env []byte) error {
	if err := json.Unmarshal([]byte(config), &v.Config); err != nil {
		return fmt.Errorf("read its configuration: %w", err)
	}
	if len(env) == 0 {
		return nil
	}
	plain, err := s.key.open(env, v.ID)
	if err != nil {
		return fmt.Errorf("decrypt its environment: %w", err)
	}
	var sealed map[string]sealedVar
	if err := json.Unmarshal(plain, &sealed); err != nil {
		return fmt.Errorf("read its environment: %w", err)
	}
	v.Config.Env = make(cove.Env, len(sealed))
	for name, value := range sealed {
		v.Config.Env[name] = cove.EnvVar{Value: value.Value, Secret: value.Secret}
	}
	return nil
}

func toMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
