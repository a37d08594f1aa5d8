// Command rollups counts the invocations that are in a store of records already, as
// if each had just been recorded: the browser tests write a million of them by SQL,
// in seconds, and want every chart of the console to show them.
//
//	rollups /path/to/records.db
//
// The daemon of that store must not run.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/metrics"
	"github.com/covefn/cove/internal/store"
	"github.com/covefn/cove/internal/store/sqlite"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: rollups RECORDS.DB")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "rollups:", err)
		os.Exit(1)
	}
}

// counted writes roll-ups and no records: those are there.
type counted struct{ *sqlite.Records }

func (c counted) SaveRecords(ctx context.Context, _ []cove.Invocation, rollups []store.Rollup) error {
	return c.Records.SaveRecords(ctx, nil, rollups)
}

func run(ctx context.Context, path string) (err error) {
	records, err := sqlite.OpenRecords(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return count(ctx, db, records)
}

// count records what db has. A recorder keeps each minute that it has counted for a
// while, so that there is another one for each hour.
func count(ctx context.Context, db *sql.DB, records *sqlite.Records) error {
	rows, err := db.QueryContext(ctx, `SELECT names.name, version, isolation, time, start, outcome, queue, making, init, run, total, billed, bytes_in, bytes_out, cpu, peak_memory
		FROM invocations JOIN names ON names.id = function ORDER BY n`)
	if err != nil {
		return err
	}
	defer rows.Close()
	recorder, hour := metrics.NewRecorder(counted{records}, nil), int64(0)
	for rows.Next() {
		var v cove.Invocation
		var began int64
		t := &v.Timings
		if err := rows.Scan(&v.Function, &v.Version, &v.Isolation, &began, &v.Start, &v.Outcome, &t.Queue, &t.Start, &t.Init, &t.Run, &t.Total,
			&v.Billed, &v.BytesIn, &v.BytesOut, &v.CPU, &v.PeakMemory); err != nil {
			return err
		}
		v.Time = time.Unix(0, began)
		if next := v.Time.Unix() / 3600; next != hour {
			if err := recorder.Flush(ctx); err != nil {
				return err
			}
			recorder, hour = metrics.NewRecorder(counted{records}, nil), next
		}
		recorder.Record(&v)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return recorder.Flush(ctx)
}
