package app

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/covefn/cove/internal/deploy"
	"github.com/covefn/cove/internal/driver/host"
)

const (
	// sandboxesTimeout bounds the end of all sandboxes after the drain timeout. The
	// pool gives up earlier where none ends any more; Docker removes five to ten a
	// second.
	sandboxesTimeout = time.Minute
	// closeTimeout bounds the end of the calls whose sandbox was ended, and that of
	// connections and of what is written at the end.
	closeTimeout = 10 * time.Second
	// endTimeout bounds the end of calls that have neither a sandbox nor a caller any
	// more.
	endTimeout = 2 * time.Second
)

// Serve opens both doors until ctx ends or one of them fails, then drains and
// closes everything.
func (a *App) Serve(ctx context.Context) error {
	if err := host.Favour(); err != nil {
		a.log.Debug("the daemon competes with what starts sandboxes for processors", "error", err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	loops.Go(func() { a.pool.Run(background) })
	loops.Go(func() { a.compiler.run(background) })
	loops.Go(func() { a.auth.Run(background) })
	loops.Go(func() { a.pruneAudit(background) })
	loops.Go(func() { a.machine.Run(background) })
	loops.Go(func() { a.events.Run(background) })
	loops.Go(func() { a.logs.Run(background) })
	stopMetrics := a.startMetrics(background)
	sweeper := deploy.NewSweeper(a.deploy, 0)
	sweeper.Start(background)
	if err := a.startMinimum(ctx); err != nil {
		a.log.Error("functions with scaling.min could not be started", "error", err)
	}
	failed := make(chan error, 2)
	go func() { failed <- serveError(a.gateway.Serve(a.gatewayListener)) }()
	go func() { failed <- serveError(a.api.Serve(a.apiListener)) }()
	a.setState("ok")
	a.log.Info("Cove is ready", "gateway", a.GatewayURL(), "api", a.APIURL(), "data", a.cfg.Data)

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	drained := a.drain(context.WithoutCancel(ctx))
	stop()
	loops.Wait()
	sweeper.Stop()
	return errors.Join(err, drained, stopMetrics(), a.close())
}

// startMinimum starts the instances that functions want kept.
func (a *App) startMinimum(ctx context.Context) error {
	after := ""
	for {
		page, _, err := a.deploy.List(ctx, deploy.Query{After: after, Limit: 1000})
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if v := enabled(a.deploy.Active(page[i].Name)); v != nil {
				a.pool.Switch(nil, v)
			}
		}
		after = page[len(page)-1].Name
	}
}

func serveError(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// drain lets requests that run finish, for the drain timeout at most, and then
// ends every sandbox. Requests still running then are answered 503. The control
// API stays until the end, so that who watches sees what happens.
func (a *App) drain(ctx context.Context) error {
	a.setState("draining")
	a.bench.Stop()
	a.log.Info("shutting down: no new requests are taken", "drain_timeout", a.cfg.DrainTimeout)
	patience, cancel := context.WithTimeout(ctx, a.cfg.DrainTimeout)
	defer cancel()
	gatewayDone := make(chan error, 1)
	last, cancelLast := context.WithTimeout(ctx, a.cfg.DrainTimeout+sandboxesTimeout+closeTimeout)
	defer cancelLast()
	go func() { gatewayDone <- a.gateway.Shutdown(last) }()
	if a.invoker.Drain(patience) != nil {
		a.log.Warn("requests were still running at the end of the drain timeout")
	}
	poolErr := a.closePool(ctx)
	final, cancelFinal := context.WithTimeout(ctx, closeTimeout)
	defer cancelFinal()
	_ = a.invoker.Drain(final) // Those whose sandbox was ended just now.
	// Whoever is still connected reads an answer slowly, or sends nothing.
	soon, cancelSoon := context.WithTimeout(ctx, time.Second)
	defer cancelSoon()
	if a.api.Shutdown(soon) != nil {
		_ = a.api.Close()
	}
	select {
	case <-gatewayDone:
	case <-soon.Done():
		_ = a.gateway.Close()
		<-gatewayDone
	}
	// Each leaves a record, which is written next. What was waited for until now may
	// have been another's sandbox, that could not be ended.
	end, cancelEnd := context.WithTimeout(ctx, endTimeout)
	defer cancelEnd()
	if a.invoker.Drain(end) != nil {
		a.log.Warn("calls were still running at the very end: they leave no record")
	}
	return poolErr
}

// closePool ends every sandbox, where there is a pool.
func (a *App) closePool(ctx context.Context) error {
	if a.pool == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sandboxesTimeout)
	defer cancel()
	return a.pool.Close(ctx)
}

// close gives back what New took, the last taken first.
func (a *App) close() error {
	var errs []error
	for _, f := range slices.Backward(a.closers) {
		errs = append(errs, f())
	}
	a.closers = nil
	return errors.Join(errs...)
}
