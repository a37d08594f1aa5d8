package app

import (
	"context"

	"github.com/covefn/cove/internal/logs"
)

// keepLogs has every line of a log kept with the records from now on.
func (a *App) keepLogs(ctx context.Context) error {
	return a.logs.Keep(ctx, logs.Keeping{
		Keeper: a.records, Log: a.log,
		Limits: func() logs.Limits {
			r := a.settings.Settings().Retention
			return logs.Limits{Age: r.Logs.Std(), Function: int64(r.LogFunction), Total: int64(r.LogTotal)}
		},
		Exists: func(function string) bool { return a.deploy.Active(function) != nil },
	})
}

// keptLines is what the metrics say of logs. What they take on disk is counted with
// the records.
func (a *App) keptLines() (kept, dropped, bytes int64) {
	kept, dropped = a.logs.Recorded()
	return kept, dropped, 0
}
