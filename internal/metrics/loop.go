package metrics

import (
	"context"
	"sync"
	"time"
)

// loop calls runOnce at an interval. Stop ends it, waits, and may be called twice.
type loop struct {
	interval time.Duration
	runOnce  func(context.Context)

	once sync.Once
	end  context.CancelFunc
	done chan struct{}
}

func newLoop(interval time.Duration, runOnce func(context.Context)) loop {
	return loop{interval: interval, runOnce: runOnce, end: func() {}, done: make(chan struct{})}
}

// start begins the loop, which ends with ctx too.
func (l *loop) start(ctx context.Context) {
	ctx, l.end = context.WithCancel(ctx)
	go func() {
		defer close(l.done)
		tick := time.NewTicker(l.interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				l.runOnce(ctx)
			}
		}
	}()
}

func (l *loop) stop() {
	l.once.Do(func() {
		l.end()
		<-l.done
	})
}
