package client_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/api/apitest"
)

func TestWhatTheConsoleDoesIsInTheClient(t *testing.T) {
	t.Parallel()
	c, _ := setup(t)
	ctx := t.Context()
	if _, err := c.Create(ctx, cove.Config{Name: "hello", Runtime: "python"}, &client.Archive{Reader: strings.NewReader("code"), Format: "zip"}); err != nil {
		t.Fatal(err)
	}
	if f, err := c.Disable(ctx, "hello", 1); err != nil || !f.Disabled {
		t.Errorf("disabled: %+v, %v", f, err)
	}
	if _, err := c.Enable(ctx, "hello", 1); cove.CodeOf(err) != cove.CodePreconditionFailed {
		t.Errorf("enabled at another revision: %v", err)
	}
	if f, err := c.Enable(ctx, "hello", 0); err != nil || f.Disabled {
		t.Errorf("enabled: %+v, %v", f, err)
	}
	if v, err := c.VersionFiles(ctx, "hello", 1); err != nil || string(v.Files["main.py"]) != "code" {
		t.Errorf("files: %+v, %v", v, err)
	}
	if all, err := c.Templates(ctx); err != nil || len(all) == 0 {
		t.Errorf("templates: %+v, %v", all, err)
	}
	if e, err := c.SaveEvent(ctx, "hello", "an event", json.RawMessage(`{"a":1}`)); err != nil || e.Name != "an event" {
		t.Errorf("saved: %+v, %v", e, err)
	}
	if all, err := c.SavedEvents(ctx, "hello"); err != nil || len(all) != 1 || string(all[0].Body) != `{"a":1}` {
		t.Errorf("events: %+v, %v", all, err)
	}
	if err := c.DeleteSavedEvent(ctx, "hello", "an event"); err != nil {
		t.Error(err)
	}
	if r, err := c.TestRoute(ctx, "hello", wire.RouteTest{Method: "POST", Path: "/hello", Body: "x"}); err != nil || r.Status != http.StatusCreated || r.Body != "x" {
		t.Errorf("request: %+v, %v", r, err)
	}
	if h, err := c.Host(ctx); err != nil || h.CPUs != 2 {
		t.Errorf("host: %+v, %v", h, err)
	}
	run, err := c.StartBench(ctx, wire.BenchStart{Quick: true})
	if err != nil || run.State != "running" {
		t.Errorf("started: %+v, %v", run, err)
	}
	if all, err := c.BenchRuns(ctx); err != nil || len(all) != 1 {
		t.Errorf("runs: %+v, %v", all, err)
	}
	if got, err := c.DeleteBenchRun(ctx, run.ID); err != nil || got.State != "cancelled" {
		t.Errorf("cancelled: %+v, %v", got, err)
	}
}

func TestCostsOfARun(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, func(o *api.Options) {
		o.Bench = apitest.NewSurface(wire.BenchRun{ID: "20260102-030405", State: "done", Report: apitest.Report()})
	})
	c, err := client.New(s.URL, s.Admin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if run, err := c.BenchRun(t.Context(), "20260102-030405"); err != nil || !json.Valid(run.Report) {
		t.Errorf("got %+v, %v", run, err)
	}
	if costs, err := c.Costs(t.Context(), wire.CostQuery{PerSecond: []float64{1}}); err != nil || len(costs.Items) != 2 {
		t.Errorf("got %+v, %v", costs, err)
	}
}
