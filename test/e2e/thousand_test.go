package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
)

// slower is by how much an operation may take longer with 1,000 functions than
// with 10. It is far above what a machine's noise makes, and far below the 100
// of an operation that looks at every function.
const slower = 12

// With 1,000 functions the list, a route's look-up and a call are still what
// they are with 10.
func TestThousandFunctions(t *testing.T) {
	h := start(t, options{Plain: true, Args: []string{"--log-level", "info"}})
	h.deployMany(t, 0, 10)
	few := h.measure(t, 10)
	began := time.Now()
	h.deployMany(t, 10, 1000)
	t.Logf("990 functions were deployed in %s", time.Since(began).Round(time.Millisecond))
	many := h.measure(t, 1000)
	for what, took := range few {
		t.Logf("%-8s with 10: %s, with 1,000: %s", what, took, many[what])
		if many[what] > slower*took {
			t.Errorf("%s takes %s with 1,000 functions and %s with 10", what, many[what], took)
		}
	}
}

func manyName(i int) string { return fmt.Sprintf("many-%04d", i) }

// deployMany makes the functions from to to, in turn on both isolations.
func (h *harness) deployMany(t *testing.T, from, to int) {
	t.Helper()
	next := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range next {
				cfg := function(manyName(i), "python", isolations[i%2])
				cfg.Route = fmt.Sprintf("/many/%04d/{rest...}", i)
				if _, err := h.Client.Create(t.Context(), cfg, echo("python", cfg.Name).archive()); err != nil {
					t.Errorf("create %s: %v", cfg.Name, err)
				}
			}
		})
	}
	for i := from; i < to; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// measure checks the answers and takes the median times of a page of the list,
// of a request that no route matches, and of a call.
func (h *harness) measure(t *testing.T, total int) map[string]time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*requestTime)
	defer cancel()
	took := map[string]time.Duration{}
	took["list"] = median(t, 31, func() error {
		page, err := h.Client.Functions(ctx, client.Query{Limit: 10})
		if err == nil && (page.Total != total || len(page.Items) != 10 || page.Items[9].Name != manyName(9)) {
			err = fmt.Errorf("the first page has %d functions of %d", len(page.Items), page.Total)
		}
		return err
	})
	took["route"] = median(t, 101, func() error {
		a, err := h.try(ctx, request{Path: "/many/none/at/all"})
		if err == nil && a.Status != http.StatusNotFound {
			err = fmt.Errorf("the status is %d", a.Status)
		}
		return err
	})
	for _, i := range []int{0, total/2 - 1, total - 1} {
		name, path := manyName(i), fmt.Sprintf("/many/%04d/some/thing", i)
		call := func() error {
			a, err := h.try(ctx, request{Method: http.MethodPost, Path: path, Body: name})
			if err == nil && (a.Status != http.StatusOK || a.Body != name || a.Header.Get("X-Mark") != name) {
				err = fmt.Errorf("%s: status %d by %q: %.300q", path, a.Status, a.Header.Get("X-Mark"), a.Body)
			}
			return err
		}
		if err := call(); err != nil { // The first one starts an instance.
			t.Fatal(err)
		}
		if i == 0 {
			took["call"] = median(t, 101, call)
		}
	}
	var all []string
	for f, err := range h.Client.AllFunctions(ctx, client.Query{Limit: 500}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f.Name)
	}
	if len(all) != total || !slices.IsSorted(all) || all[total-1] != manyName(total-1) {
		t.Errorf("the pages of the list have %d functions", len(all))
	}
	if _, err := h.Client.Create(ctx, cove.Config{Name: "clash", Runtime: "python", Route: "/many/0003/{other...}"}, nil); cove.CodeOf(err) != cove.CodeConflict {
		t.Errorf("a route that is taken gave %v", err)
	}
	return took
}

func median(t *testing.T, times int, f func() error) time.Duration {
	t.Helper()
	all := make([]time.Duration, times)
	for i := range all {
		began := time.Now()
		if err := f(); err != nil {
			t.Fatal(err)
		}
		all[i] = time.Since(began)
	}
	slices.Sort(all)
	return all[times/2]
}
