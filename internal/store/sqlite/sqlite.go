// Package sqlite keeps Cove's state in one SQLite file.
//
// It speaks SQL by hand: a dozen statements in two files, each next to what it
// is for, are easier to follow than generated code.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // The driver, registered as "sqlite".

	"github.com/covefn/cove"
)

//go:embed migrations/*.sql
var migrations embed.FS

// handles are the connections to one file: one that writes and several that read.
type handles struct{ write, read *sql.DB }

// Store is a store.Store in an SQLite file. One daemon may have it open.
//
// There is one connection that writes, so that writers queue in Go instead of
// failing with SQLITE_BUSY, and several that only read; in WAL mode neither
// waits for the other. Every commit is synced to disk before it returns.
type Store struct {
	handles
	key *Key
}

// Open opens the database at path and the key of its encrypted values at
// keyPath, and brings the tables up to date. It makes both at the first start;
// but it never makes a new key for a database that had another, and says what
// to do instead. The caller closes the Store.
func Open(ctx context.Context, path, keyPath string) (_ *Store, err error) {
	// Made beforehand, for its mode; SQLite gives its other files the same.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s := &Store{}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.write, err = sql.Open("sqlite", dsn(path, "_txlock=immediate")); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, s.write, migrations, "migrations"); err != nil {
		return nil, err
	}
	if s.read, err = sql.Open("sqlite", dsn(path, "_pragma=query_only(1)")); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	s.read.SetMaxOpenConns(4)
	s.read.SetMaxIdleConns(4)
	if s.key, err = openKeyOf(ctx, s.write, path, keyPath); err != nil {
		return nil, err
	}
	return s, nil
}

// dsn is the data source with what every connection needs, and more. busy_timeout
// comes first, since the pragmas behind it may themselves have to wait; those of
// first come next, before the file is made.
func dsn(path, more string, first ...string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	text := u.String() + "?_pragma=busy_timeout(10000)"
	for _, pragma := range first {
		text += "&_pragma=" + pragma
	}
	return text + "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&" + more
}

// migrate brings the tables up to date with the migrations in a directory of
// all.
func migrate(ctx context.Context, db *sql.DB, all embed.FS, dir string) error {
	files, err := fs.Sub(all, dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	current, newest, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the database: %w", err)
	}
	if current > newest {
		return cove.Errorf(cove.CodeUnavailable,
			"the database is of version %d and this Cove knows up to %d: a newer Cove has used it; start that one", current, newest)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the database up to date: %w", err)
	}
	return nil
}

// keyCheck is the row of meta by which a key is known to be the right one.
const keyCheck = "key check"

// openKeyOf opens the key that this database was written with, or makes one if
// nothing was written yet.
func openKeyOf(ctx context.Context, db *sql.DB, path, keyPath string) (*Key, error) {
	var sealed []byte
	err := db.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = ?`, keyCheck).Scan(&sealed)
	fresh := errors.Is(err, sql.ErrNoRows)
	if err != nil && !fresh {
		return nil, fmt.Errorf("read the database: %w", err)
	}
	key, err := OpenKey(keyPath, fresh)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cove.Errorf(cove.CodeUnavailable,
			"the key file %s is missing, and without it the environment variables in %s cannot be read: restore it from a backup", keyPath, path)
	}
	if err != nil {
		return nil, err
	}
	if fresh {
		_, err := db.ExecContext(ctx, `INSERT INTO meta (name, value) VALUES (?, ?)`, keyCheck, key.seal(nil, keyCheck))
		if err != nil {
			return nil, fmt.Errorf("write the database: %w", err)
		}
		return key, nil
	}
	if _, err := key.open(sealed, keyCheck); err != nil {
		return nil, cove.Errorf(cove.CodeUnavailable,
			"the key file %s is not the one that %s was written with: restore the right one from a backup", keyPath, path)
	}
	return key, nil
}

// Close waits for what is under way and closes the file.
func (h *handles) Close() error {
	var errs []error
	for _, db := range []*sql.DB{h.read, h.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// tx runs do in a transaction that is written when tx returns nil. Errors of do's
// own are returned as they are.
func (h *handles) tx(ctx context.Context, what string, do func(*sql.Tx) error) error {
	tx, err := h.write.BeginTx(ctx, nil)
	if err != nil {
		return failed(what, err)
	}
	defer func() { _ = tx.Rollback() }() // After a commit it does nothing.
	if err := do(tx); err != nil {
		return failed(what, err)
	}
	return failed(what, tx.Commit())
}

// failed is err as a *cove.Error; one that is one already stays what it is.
func failed(what string, err error) error {
	if err == nil {
		return nil
	}
	var known *cove.Error
	if errors.As(err, &known) {
		return known
	}
	return &cove.Error{Code: cove.CodeInternal, Message: "the database failed; the log says how", Err: fmt.Errorf("%s: %w", what, err)}
}
