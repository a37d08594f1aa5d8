package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/covefn/cove/internal/store"
)

// sweepInterval is how often what is beyond the retention is removed.
const sweepInterval = time.Minute

// Sweeper removes records and roll-ups that are beyond the retention of the
// settings.
type Sweeper struct {
	records  store.Records
	settings func() store.Settings
	log      *slog.Logger
	loop     loop
}

// NewSweeper returns a sweeper. Start starts it.
func NewSweeper(records store.Records, settings func() store.Settings, log *slog.Logger) *Sweeper {
	s := &Sweeper{records: records, settings: settings, log: log}
	s.loop = newLoop(sweepInterval, func(ctx context.Context) {
		if n, err := s.runOnce(ctx, time.Now()); err != nil && ctx.Err() == nil {
			log.Error("old records could not be removed", "error", err)
		} else if n > 0 {
			log.Debug("removed old records", "rows", n)
		}
	})
	return s
}

// Start sweeps every minute until ctx ends or Stop.
func (s *Sweeper) Start(ctx context.Context) { s.loop.start(ctx) }

// Stop ends a sweep that is under way and waits for it. It must come after Start,
// and may be called twice.
func (s *Sweeper) Stop() { s.loop.stop() }

// runOnce removes what is beyond the retention at now, and says how many rows that
// were.
func (s *Sweeper) runOnce(ctx context.Context, now time.Time) (int64, error) {
	r := s.settings().Retention
	return s.records.TrimRecords(ctx, store.RecordLimits{
		Invocations: r.Invocations.Std(), InvocationCount: int64(r.InvocationCount), Rollups: keep(r),
	}, now)
}
