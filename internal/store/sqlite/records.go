package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

//go:embed records/*.sql
var recordMigrations embed.FS

// Records keeps what invocations leave, in an SQLite file of its own: a batch of
// records never holds up a change of a function, and the other way round. It is a
// store.Records. One daemon may have it open.
//
// A commit is not synced to disk by itself: what was committed survives the end
// of the process, but not surely the loss of power.
type Records struct {
	handles
	path string
	// rollups and series are prepared, as one question may need them for each of
	// hundreds of functions. They end with their connections.
	rollups, series *sql.Stmt

	// mu guards what follows. ids remembers what is in the tables names and series.
	// last is the key of the invocation that was written last, and above the lowest
	// that is higher, if it is not 0: then it is not known. Nearly always there is
	// none.
	mu          sync.Mutex
	ids         map[store.Series]seriesID
	last, above int64
	// count is how many invocations there are; -1 while that is not known.
	count int64
}

var _ store.Records = (*Records)(nil)

// seriesID are the keys of a series and of its function.
type seriesID struct{ series, function int64 }

// recordPages is the size of the file's pages. A roll-up lies within its page up
// to a quarter of that.
const recordPages = 8 << 10

// OpenRecords opens the database at path, or makes it, and brings its tables up
// to date. The caller closes it.
func OpenRecords(ctx context.Context, path string) (_ *Records, err error) {
	// Made beforehand, for its mode; SQLite gives its other files the same.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the records: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open the records: %w", err)
	}
	r := &Records{path: path, ids: map[store.Series]seriesID{}, count: -1}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	// The last of several settings of one pragma counts.
	if r.write, err = sql.Open("sqlite", dsn(path, fmt.Sprintf("_pragma=synchronous(NORMAL)&_pragma=journal_size_limit(%d)&_txlock=immediate", 16<<20), fmt.Sprintf("page_size(%d)", recordPages))); err != nil {
		return nil, fmt.Errorf("open the records: %w", err)
	}
	r.write.SetMaxOpenConns(1)
	if err := migrate(ctx, r.write, recordMigrations, "records"); err != nil {
		return nil, err
	}
	if r.read, err = sql.Open("sqlite", dsn(path, "_pragma=query_only(1)")); err != nil {
		return nil, fmt.Errorf("open the records: %w", err)
	}
	r.read.SetMaxOpenConns(4)
	r.read.SetMaxIdleConns(4)
	if r.rollups, err = r.read.PrepareContext(ctx, selectRollups); err != nil {
		return nil, fmt.Errorf("read the records: %w", err)
	}
	if r.series, err = r.read.PrepareContext(ctx, selectSeries); err != nil {
		return nil, fmt.Errorf("read the records: %w", err)
	}
	err = r.read.QueryRowContext(ctx, `SELECT coalesce(max(n), 0) FROM invocations`).Scan(&r.last)
	if err != nil {
		return nil, fmt.Errorf("read the records: %w", err)
	}
	return r, nil
}

// RecordBytes implements store.Records.
func (r *Records) RecordBytes() int64 {
	var sum int64
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(r.path + suffix); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// errNoInvocation is told where no record of that id is kept.
func errNoInvocation(id string) error {
	return cove.Errorf(cove.CodeNotFound, "there is no record of an invocation %q: it may be older than what is kept", id)
}
