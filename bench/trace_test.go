package main

import (
	"context"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove/bench/trace"
)

func TestSlowdowns(t *testing.T) {
	t.Parallel()
	ms := func(ms ...time.Duration) (r replayed) {
		for _, d := range ms {
			r.took = append(r.took, d*time.Millisecond)
		}
		return r
	}
	calls := []trace.Call{{Function: 0}, {Function: 0}, {Function: 3}, {Function: 3}}
	each, functions := slowdowns(calls, ms(10, 40, 20, 0), ms(10, 10, 10, 1))
	if len(each) != 3 || len(functions) != 2 || math.Abs(functions[0]-2) > 1e-9 || math.Abs(functions[1]-2) > 1e-9 {
		t.Errorf("got %v and %v", each, functions)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	serve := func(late time.Duration, status int) []*target {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			time.Sleep(late)
			if status != http.StatusOK {
				body = []byte("sorry")
			}
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}))
		t.Cleanup(s.Close)
		to := newTarget(strings.TrimPrefix(s.URL, "http://"), "/", "")
		t.Cleanup(func() { _ = to.close() })
		return []*target{to}
	}
	arms := [replayCount][]*target{serve(50*time.Millisecond, http.StatusOK), serve(0, http.StatusOK), serve(0, http.StatusBadGateway)}
	calls := []trace.Call{{At: 0, Takes: time.Millisecond}, {At: 20 * time.Millisecond, Takes: time.Second}}
	t.Run("times what is answered rightly, and counts the rest", func(t *testing.T) {
		found, err := replay(t.Context(), calls, arms)
		if err != nil {
			t.Fatal(err)
		}
		cove, bare, bad := found[replayCove], found[replayBare], found[replayBareAgain]
		if cove.failed != 0 || min(cove.took[0], cove.took[1]) < 50*time.Millisecond || bare.failed != 0 || min(bare.took[0], bare.took[1]) <= 0 {
			t.Errorf("got %+v and %+v", cove, bare)
		}
		if bad.failed != 2 || bad.err == nil || bad.took[0] != 0 {
			t.Errorf("got %+v of a server that answers wrongly", bad)
		}
		rows := replayRows(isolationDocker, "", calls, found)
		if len(rows) != 2 || rows[0].Ratio.Value < 1 || !strings.Contains(rows[0].Note, "2 calls of the processes' second arm failed") {
			t.Errorf("rows %+v", rows)
		}
	})
	t.Run("ends when it is told to", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := replay(ctx, calls, arms); err == nil {
			t.Error("it went on")
		}
	})
}
