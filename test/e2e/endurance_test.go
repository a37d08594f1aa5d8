package e2e

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	enduranceRequests = 100_000
	enduranceCallers  = 8
	enduranceTime     = 8 * time.Minute
)

// 100,000 requests by 8 callers through both isolations and both languages:
// each is answered, and rightly, and what the daemon holds afterwards is what it
// held before.
func TestHundredThousandRequests(t *testing.T) {
	h := start(t, options{Plain: true, Args: []string{"--log-level", "info"}})
	// What is made once and kept (connections to Docker, files) is made first.
	h.endure(t, 200)
	before := h.holdings(t)
	began := time.Now()
	h.endure(t, enduranceRequests)
	t.Logf("%d requests in %s", enduranceRequests, time.Since(began).Round(time.Second))
	var after holdings
	eventually(t, 30*time.Second, func() string {
		after = h.holdings(t)
		return after.more(before)
	})
}

// endure deploys a function per isolation and language, sends them n requests in
// all, and removes them.
func (h *harness) endure(t *testing.T, n int) {
	var names []string
	for _, isolation := range isolations {
		for _, language := range slices.Sorted(maps.Keys(languages)) {
			name := language + "-" + isolation
			names = append(names, name)
			h.deploy(t, function(name, language, isolation), echo(language, name))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), enduranceTime)
	defer cancel()
	var sent, failed atomic.Int64
	var wg sync.WaitGroup
	for range enduranceCallers {
		wg.Go(func() {
			for ctx.Err() == nil && failed.Load() == 0 {
				i := sent.Add(1)
				if i > int64(n) {
					return
				}
				name, body := names[i%int64(len(names))], "request "+strconv.FormatInt(i, 10)
				a, err := h.try(ctx, request{Method: http.MethodPost, Path: "/" + name, Body: body})
				if err != nil || a.Status != 200 || a.Body != body || a.Header.Get("X-Mark") != name {
					failed.Add(1)
					t.Errorf("request %d to %s: %v, status %d, %v, %.500q", i, name, err, a.Status, a.Header, a.Body)
				}
			}
		})
	}
	wg.Wait()
	if sent.Load() < int64(n) && !t.Failed() {
		t.Fatalf("only %d of %d requests were sent within %s", sent.Load(), n, enduranceTime)
	}
	for _, name := range names {
		h.remove(t, name)
	}
	eventually(t, 60*time.Second, func() string { return strings.Join(h.census(t).all(), "\n") })
	h.HTTP.CloseIdleConnections()
	if t.Failed() {
		t.FailNow()
	}
}

// holdings is what a daemon without functions holds.
type holdings struct {
	descriptors map[string]int
	goroutines  map[string]int
}

func (h *harness) holdings(t testing.TB) holdings {
	t.Helper()
	h.HTTP.CloseIdleConnections()
	return holdings{descriptors: h.descriptors(t), goroutines: h.goroutines(t)}
}

// more names what there is more of than there was before, "" for nothing. A
// connection to the daemon is the asking itself.
func (n holdings) more(before holdings) string {
	var more []string
	for what, count := range n.descriptors {
		if count > before.descriptors[what] {
			more = append(more, fmt.Sprintf("%d instead of %d descriptors of %s", count, before.descriptors[what], what))
		}
	}
	for what, count := range n.goroutines {
		if count > before.goroutines[what] {
			more = append(more, fmt.Sprintf("%d instead of %d goroutines in %s", count, before.goroutines[what], what))
		}
	}
	slices.Sort(more)
	return strings.Join(more, "\n")
}

var (
	goroutineGroup = regexp.MustCompile(`(?m)^(\d+) @`)
	stackFrame     = regexp.MustCompile(`(?m)^#\s+0x[0-9a-f]+\s+(\S+?)\+0x`)
)

// goroutines are the daemon's, counted by the functions they began in: where one is
// at the moment changes.
func (h *harness) goroutines(t testing.TB) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.API+"/debug/pprof/goroutine?debug=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.Token)
	res, err := h.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("list the daemon's goroutines: status %d: %v: %.300s", res.StatusCode, err, text)
	}
	found := map[string]int{}
	for group := range strings.SplitSeq(string(text), "\n\n") {
		count := goroutineGroup.FindStringSubmatch(group)
		if count == nil {
			continue
		}
		began := ""
		for _, m := range stackFrame.FindAllStringSubmatch(group, -1) {
			began = m[1]
		}
		n, err := strconv.Atoi(count[1])
		if err != nil {
			t.Fatal(err)
		}
		found[began] += n
	}
	if len(found) == 0 {
		t.Fatalf("no goroutine was listed: %.500s", text)
	}
	return found
}
