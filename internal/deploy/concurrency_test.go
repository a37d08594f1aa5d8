package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// breaking is a store that dies in the place of the commit.
type breaking struct{ store.Functions }

func (breaking) AddVersion(context.Context, cove.Version, int64) (cove.Function, error) {
	return cove.Function{}, errors.New("killed")
}

func TestCrash(t *testing.T) {
	t.Parallel()

	t.Run("a package whose version was never kept is swept after the restart", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		first := f.create(t, config("hello"))
		f.restart(t, breaking{f.db})
		if _, err := f.Update(t.Context(), "hello", Change{Code: files("lost")}); err == nil {
			t.Fatal("the update was confirmed")
		}
		if f.Active("hello").ID != first.Version.ID {
			t.Error("what was not kept is served")
		}
		f.restart(t, f.db)
		if n, err := NewSweeper(f.Service, 0).RunOnce(t.Context()); n != 1 || err != nil || !f.Code.Present(first.Version.Package) {
			t.Errorf("removed %d, %v", n, err)
		}
	})

	t.Run("a function that cannot be served does not stop the start", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		gone := f.create(t, config("gone"))
		f.create(t, config("fine"))
		bad := cove.Version{ID: "x", Function: "bad", Config: cove.Config{Name: "bad", Route: "no slash"}}
		if _, err := f.db.CreateFunction(t.Context(), bad); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(f.Code.Dir(gone.Version.Package)); err != nil {
			t.Fatal(err)
		}
		f.restart(t, f.db)
		if f.routed("/fine") == nil || f.Active("bad") == nil || f.Active("gone") == nil {
			t.Error("not everything is there")
		}
		for _, name := range []string{"function=bad", "function=gone"} {
			if !strings.Contains(f.log.String(), name) {
				t.Errorf("the log does not tell of %s:\n%s", name, f.log)
			}
		}
	})
}

func TestConcurrency(t *testing.T) {
	t.Parallel()

	t.Run("an upload that stands still holds up nobody else", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("slow"))
		r, w := io.Pipe()
		done := make(chan error)
		go func() {
			_, err := f.Update(t.Context(), "slow", Change{Code: Code{Archive: r}})
			done <- err
		}()
		if _, err := w.Write([]byte("PK")); err != nil { // It is being read now.
			t.Fatal(err)
		}
		f.create(t, config("quick"))
		w.CloseWithError(errors.New("gone"))
		wantCode(t, <-done, cove.CodeInvalid)
	})

	t.Run("no reader sees a version older than one confirmed before", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		var confirmed sync.Map
		confirmed.Store("n", 1)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for ctx.Err() == nil {
					n, _ := confirmed.Load("n")
					if v := f.routed("/hello"); v == nil || v.Number < n.(int) {
						t.Errorf("got %v after %d was confirmed", v, n)
						return
					}
				}
			})
		}
		wg.Go(func() {
			defer cancel()
			sweeper := NewSweeper(f.Service, 0)
			for i := range 30 {
				confirmed.Store("n", f.update(t, "hello", Change{Code: files(fmt.Sprint(i))}).Version.Number)
				if _, err := sweeper.RunOnce(ctx); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Wait()
	})

	t.Run("of two functions that want one route exactly one gets it", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				cfg := config(fmt.Sprint("f", i))
				cfg.Route = "/same"
				_, errs[i] = f.Create(t.Context(), cfg, files("x"))
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			wantCode(t, err, cove.CodeConflict)
		}
		if all, _ := f.db.AllFunctions(t.Context()); won != 1 || len(all) != 1 {
			t.Errorf("%d won, %d are kept", won, len(all))
		}
	})

	t.Run("the sweeper starts, stops, and stops again", func(t *testing.T) {
		t.Parallel()
		w := NewSweeper(setup(t).Service, time.Millisecond)
		w.Start(t.Context())
		w.Stop()
		w.Stop()
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, name := range []string{"c", "a", "b-two", "b"} {
		cfg := config(name)
		cfg.Description = "The " + strings.ToUpper(name)
		if name == "c" {
			cfg.Runtime, cfg.Isolation = "node", "docker"
		}
		if _, err := f.Create(t.Context(), cfg, Code{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Delete(t.Context(), "a", 0); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		q     Query
		want  string
		total int
	}{
		"all in the order of names":      {Query{}, "b b-two c", 3},
		"a page":                         {Query{Limit: 1}, "b", 3},
		"the page behind":                {Query{Limit: 1, After: "b"}, "b-two", 3},
		"behind a name that is gone":     {Query{After: "a"}, "b b-two c", 3},
		"behind the last":                {Query{After: "c"}, "", 3},
		"by a part of the name":          {Query{Search: "B-"}, "b-two", 1},
		"by the description":             {Query{Search: "the c"}, "c", 1},
		"by the route":                   {Query{Search: "/b"}, "b b-two", 2},
		"by runtime, an alias too":       {Query{Runtime: "nodejs"}, "c", 1},
		"by isolation":                   {Query{Isolation: "gvisor"}, "b b-two", 2},
		"by a runtime that is not known": {Query{Runtime: "cobol"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page, total, err := f.List(t.Context(), c.q)
			var names []string
			for _, fn := range page {
				names = append(names, fn.Name)
			}
			if got := strings.Join(names, " "); got != c.want || total != c.total || err != nil {
				t.Errorf("got %q of %d, %v; want %q of %d", got, total, err, c.want, c.total)
			}
		})
	}
	_, _, err := f.List(t.Context(), Query{Limit: 1001})
	wantCode(t, err, cove.CodeInvalid, "limit")
}
