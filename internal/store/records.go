package store

import (
	"context"
	"time"

	"github.com/covefn/cove"
)

// Resolution is the span of time that one roll-up covers. Spans begin at whole
// multiples of their length since 1970, UTC.
type Resolution uint8

// The resolutions, the finest first.
const (
	Minute Resolution = iota
	Hour
	Day
)

// Resolutions are all of them, the finest first.
var Resolutions = [...]Resolution{Minute, Hour, Day}

// Length is how long one span is.
func (r Resolution) Length() time.Duration {
	return [...]time.Duration{time.Minute, time.Hour, 24 * time.Hour}[r]
}

// Series is what a roll-up is of: one version of one function in one isolation.
// An empty Function is the whole system; version 0 with an empty Isolation is the
// function, or the system, as a whole.
type Series struct {
	Function  string
	Version   int
	Isolation string
}

// Rollup is what happened to one series in one span. What Data means is known to
// package metrics alone.
type Rollup struct {
	Series     Series
	Resolution Resolution
	// Time is when the span begins, in minutes since 1970.
	Time int64
	Data []byte
}

// RollupQuery chooses the roll-ups of one function (of the whole system, where
// Function is empty) that begin in [From, To), in minutes since 1970.
type RollupQuery struct {
	Function   string
	Resolution Resolution
	From, To   int64
}

// OutcomeError as an InvocationQuery's Outcome chooses every one that failed.
const OutcomeError = "error"

// InvocationQuery chooses records of invocations; what is zero does not. From and
// To bound when an invocation ended.
type InvocationQuery struct {
	Function, Isolation, Outcome, Instance string
	Version                                int
	Fault                                  cove.Fault
	Start                                  cove.StartClass
	// MinTotal is the least time that it took.
	MinTotal time.Duration
	// Search is the beginning of an id, or a part of an error's message.
	Search   string
	From, To time.Time
	// Before is the cursor of the page before this one, 0 for the newest.
	Before int64
	// Limit is how many at most; it must be set.
	Limit int
}

// InvocationPage is one page of records, the newest first. Next is the cursor of
// the next one, 0 on the last. A page may be short, or even empty, and not be the
// last: where few records match, only so many are looked at for one page.
type InvocationPage struct {
	Items []cove.Invocation
	Next  int64
}

// RecordLimits says what may stay. What is beyond any of them goes, the oldest
// first. A limit of 0 is none.
type RecordLimits struct {
	// Invocations is how long ago an invocation may have ended, InvocationCount how
	// many are kept. What lies in the future, as the clock was wrong, goes when it is
	// as far from now, and before what does not where there are too many.
	Invocations     time.Duration
	InvocationCount int64
	// Rollups are how long ago the span of a roll-up may have ended.
	Rollups [len(Resolutions)]time.Duration
}

// Records keeps what invocations leave: a record of each, and the roll-ups of
// what happened. It is safe for concurrent use; nothing of it waits for Store.
// What SaveRecords was given survives the end of the process, and the loss of
// power but for the last moments. Errors are *cove.Error: CodeNotFound,
// CodeInternal.
type Records interface {
	// SaveRecords keeps both in one transaction. A roll-up takes the place of the
	// one of the same series, resolution and time.
	SaveRecords(ctx context.Context, invocations []cove.Invocation, rollups []Rollup) error
	// Rollup is the data of one roll-up, nil where there is none.
	Rollup(ctx context.Context, s Series, r Resolution, minutes int64) ([]byte, error)
	// Rollups hands those that match to each, in the order of time. Rollup.Data is
	// valid during the call only.
	Rollups(ctx context.Context, q RollupQuery, each func(Rollup) error) error
	// RecordedFunctions are the names of all functions of which roll-ups may be kept,
	// also of those that were deleted.
	RecordedFunctions(ctx context.Context) ([]string, error)
	Invocations(ctx context.Context, q InvocationQuery) (InvocationPage, error)
	// Invocation is the newest record with that id: callers choose ids, and may
	// choose one twice.
	Invocation(ctx context.Context, id string) (cove.Invocation, error)
	// TrimRecords removes what is beyond the limits, in small transactions, and
	// says how many rows that were.
	TrimRecords(ctx context.Context, limits RecordLimits, now time.Time) (int64, error)
	// RecordBytes is what the records take on disk.
	RecordBytes() int64
}
