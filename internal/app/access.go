package app

import (
	"context"
	"fmt"
	"time"

	"github.com/covefn/cove/internal/auth"
	"github.com/covefn/cove/internal/bench"
	"github.com/covefn/cove/internal/settings"
	"github.com/covefn/cove/internal/store"
	"github.com/covefn/cove/internal/store/sqlite"
)

const (
	// auditRows bounds the audit log beside its age: some 200 MB.
	auditRows = 1_000_000
	// auditEvery is how often what is too old goes.
	auditEvery = time.Hour
)

// openAccess opens who may call, the settings and the audit log.
func (a *App) openAccess(ctx context.Context, db *sqlite.Store) (err error) {
	a.store = db
	if a.auth, err = auth.New(ctx, db); err != nil {
		return err
	}
	p := bench.DefaultPrices()
	a.settings, err = settings.New(ctx, db, store.Prices{VCPUHour: p.VCPUHour, GiBHour: p.GiBHour, Currency: p.Currency, Source: p.Source, AsOf: p.AsOf})
	return err
}

// ensureAdmin sees to it that somebody can administer this Cove, and says in the
// log and in the audit log where a token was made for that.
func (a *App) ensureAdmin(ctx context.Context, file string) error {
	made, note, err := a.auth.EnsureAdmin(ctx, file)
	if err != nil {
		return err
	}
	if made {
		a.log.Info("made an admin token, readable by its owner only", "file", file)
		err := a.store.AddAudit(ctx, store.AuditEntry{Time: time.Now(), Actor: "cove", Action: "createToken", Detail: "the token in " + file, Status: 201})
		if err != nil {
			return fmt.Errorf("write the audit log: %w", err)
		}
	}
	if note != "" {
		a.log.Info(note)
	}
	return nil
}

// pruneAudit keeps the audit log within its bounds until ctx ends.
func (a *App) pruneAudit(ctx context.Context) {
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for {
		before := time.Now().Add(-a.settings.Settings().Retention.Audit.Std())
		if err := a.store.PruneAudit(ctx, before, auditRows); err != nil && ctx.Err() == nil {
			a.log.Error("the audit log could not be pruned", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
