package app

import (
	"context"
	"fmt"
	"time"

	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/tracing"
)

// traceTimeout bounds the sending of the last traces when the daemon ends.
const traceTimeout = 3 * time.Second

// openTracing is what traces are made with, nil if they are not wanted.
func (a *App) openTracing(version string) (invoke.Tracer, error) {
	if a.cfg.OTLPEndpoint == "" {
		return nil, nil
	}
	url, err := tracing.URL(a.cfg.OTLPEndpoint)
	if err != nil {
		return nil, fmt.Errorf("otlp_endpoint: %w", err)
	}
	t := tracing.New(url, version, a.log)
	t.Run()
	a.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), traceTimeout)
		defer cancel()
		t.Close(ctx)
		return nil
	})
	return t, nil
}
