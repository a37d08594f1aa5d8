package sqlite

import (
	"context"
	"testing"
	"time"

	"github.com/covefn/cove/internal/store"
)

// TestWhoWritesDoesNotWaitForWhoSearches holds every connection that searches use.
func TestWhoWritesDoesNotWaitForWhoSearches(t *testing.T) {
	t.Parallel()
	l := openLines(t)
	for range l.read.Stats().MaxOpenConnections {
		c, err := l.read.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	series := store.Series{Function: "hello", Version: 1}
	if _, err := l.Rollup(ctx, series, store.Minute, 1); err != nil {
		t.Error(err)
	}
	if err := l.SaveRecords(ctx, nil, []store.Rollup{{Series: series, Resolution: store.Minute, Time: 1, Data: []byte{1}}}); err != nil {
		t.Error(err)
	}
}
