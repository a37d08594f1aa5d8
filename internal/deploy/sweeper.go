package deploy

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/covefn/cove"
)

// Sweeper removes, in the background, versions beyond those that are kept and
// packages that no version refers to.
type Sweeper struct {
	service  *Service
	interval time.Duration
	stop     context.CancelFunc
	done     sync.WaitGroup
}

// NewSweeper makes a sweeper that runs every interval; 0 means every minute.
func NewSweeper(s *Service, interval time.Duration) *Sweeper {
	if interval <= 0 {
		interval = time.Minute
	}
	return &Sweeper{service: s, interval: interval, stop: func() {}}
}

// Start runs it until ctx ends or Stop is called. It is called once.
func (w *Sweeper) Start(ctx context.Context) {
	ctx, w.stop = context.WithCancel(ctx)
	w.done.Go(func() {
		ticker := time.NewTicker(w.interval)
		defer ticker.Stop()
		for {
			if removed, err := w.RunOnce(ctx); err != nil && ctx.Err() == nil {
				w.service.Log.Error("old versions and packages could not be removed; it is tried again", "error", err)
			} else if removed > 0 {
				w.service.Log.Info("packages that nothing needs were removed", "count", removed)
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
}

// Stop waits until it has ended. It may be called more than once.
func (w *Sweeper) Stop() {
	w.stop()
	w.done.Wait()
}

// RunOnce does the work once and says how many packages it removed.
func (w *Sweeper) RunOnce(ctx context.Context) (removed int, err error) {
	s := w.service
	s.changes.Lock()
	names := slices.Sorted(maps.Keys(s.grown))
	clear(s.grown)
	s.changes.Unlock()
	for i, name := range names {
		err := s.Store.PruneVersions(ctx, name, s.KeepVersions)
		if err != nil && cove.CodeOf(err) != cove.CodeNotFound {
			s.changes.Lock()
			for _, rest := range names[i:] {
				s.grown[rest] = true
			}
			s.changes.Unlock()
			return 0, err
		}
	}
	return s.Code.Sweep(ctx, s.Store.Packages)
}
