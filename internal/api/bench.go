package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// Bench runs comparisons of the isolations, one at a time, and keeps what the
// last of them found. It is safe for concurrent use. Errors are *cove.Error.
type Bench interface {
	// Start begins a run: CodeConflict while another is under way.
	Start(o wire.BenchStart) (wire.BenchRun, error)
	// List is every kept run, the newest first, without reports.
	List() []wire.BenchRun
	// Get is one run, with its report if it is done.
	Get(id string) (wire.BenchRun, error)
	// Remove ends a run that is under way, with everything that it started, and
	// waits until that is gone; a run that has ended is forgotten.
	Remove(ctx context.Context, id string) (wire.BenchRun, error)
}

func (a *API) registerBench() {
	running := wire.BenchRun{ID: "20260102-030405", State: "running", Quick: true, Started: exampleTime(), Progress: 0.4, Step: "warm calls"}
	done := wire.BenchRun{ID: running.ID, State: "done", Quick: true, Started: exampleTime(), Ended: exampleTime(), Progress: 1}
	register(a, huma.Operation{
		OperationID: "listBenchRuns", Method: http.MethodGet, Path: Prefix + "/bench", Tags: []string{"bench"},
		Summary: "List bench runs", Description: "The comparisons of the isolations on this machine that are kept, the last 20, the newest first, without their reports.",
	}, wire.BenchRunList{Items: []wire.BenchRun{done}}, a.listBench)
	register(a, huma.Operation{
		OperationID: "startBench", Method: http.MethodPost, Path: Prefix + "/bench", Tags: []string{"bench"}, DefaultStatus: http.StatusAccepted,
		Summary:     "Compare the isolations",
		Description: "Starts `cove bench` beside the daemon, with a daemon of its own, and answers at once; the run tells how far it is. It shares the machine with the functions that are deployed. One runs at a time.",
	}, running, a.startBench, cove.CodeInvalid, cove.CodeConflict, cove.CodeUnavailable)
	register(a, huma.Operation{
		OperationID: "getBenchRun", Method: http.MethodGet, Path: Prefix + "/bench/{id}", Tags: []string{"bench"},
		Summary: "Get a bench run", Description: "How far it is, and when it is done its report.",
	}, done, a.getBench, cove.CodeNotFound)
	register(a, huma.Operation{
		OperationID: "deleteBenchRun", Method: http.MethodDelete, Path: Prefix + "/bench/{id}", Tags: []string{"bench"},
		Summary:     "Cancel or delete a bench run",
		Description: "Cancels a run that is under way, and answers when it and everything that it started is gone; it stays in the list. One that has ended is removed from the list.",
	}, wire.BenchRun{ID: running.ID, State: "cancelled", Quick: true, Started: exampleTime(), Ended: exampleTime(), Progress: 0.4}, a.deleteBench, cove.CodeNotFound)
	register(a, huma.Operation{
		OperationID: "reckonCosts", Method: http.MethodPost, Path: Prefix + "/costs", Tags: []string{"bench"},
		Summary:     "Reckon costs",
		Description: "What a traffic would cost in every isolation of a bench run, by what was measured on this machine and by prices for processors and memory. The model is told in docs/performance.md.",
	}, wire.CostAnswer{
		Run: done.ID, Prices: wire.Prices{VCPUHour: 0.04048, GiBHour: 0.004445, Currency: "USD"},
		Items: []wire.IsolationCost{{Isolation: "gvisor", PerMonth: 1.42, PerMillion: 0.54, Calls: 0.2, Starts: 0, Busy: 0.1, Idle: 0.92, Standing: 0.2, Instances: 1, ColdShare: 0}},
	}, a.reckonCosts, cove.CodeInvalid, cove.CodeNotFound)
}

type benchListOutput struct{ Body wire.BenchRunList }

func (a *API) listBench(context.Context, *struct{}) (*benchListOutput, error) {
	items := a.Bench.List()
	if items == nil {
		items = []wire.BenchRun{}
	}
	return &benchListOutput{Body: wire.BenchRunList{Items: items}}, nil
}

type benchStartInput struct{ Body wire.BenchStart }

type benchOutput struct{ Body wire.BenchRun }

func (a *API) startBench(ctx context.Context, in *benchStartInput) (*benchOutput, error) {
	if err := a.checkIsolations(ctx, in.Body.Isolations); err != nil {
		return nil, err
	}
	run, err := a.Bench.Start(in.Body)
	if err != nil {
		return nil, err
	}
	noteTarget(ctx, run.ID, "")
	return &benchOutput{Body: run}, nil
}

// checkIsolations refuses names of isolations that there are not, or that cannot
// be compared here.
func (a *API) checkIsolations(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	reasons := map[string]string{}
	for _, r := range a.System.Isolations(ctx) {
		if reasons[r.Isolation] = ""; !r.Available {
			reasons[r.Isolation] = r.Reason
		}
	}
	for _, name := range names {
		switch reason, ok := reasons[name]; {
		case !ok:
			return cove.Invalid("isolations", "there is no isolation %.63q", name)
		case reason != "":
			return cove.Invalid("isolations", "%s is not available: %s", name, reason)
		}
	}
	return nil
}

type benchInput struct {
	ID string `path:"id" maxLength:"40" doc:"The run's id" example:"20260102-030405"`
}

func (a *API) getBench(_ context.Context, in *benchInput) (*benchOutput, error) {
	run, err := a.Bench.Get(in.ID)
	if err != nil {
		return nil, err
	}
	return &benchOutput{Body: run}, nil
}

func (a *API) deleteBench(ctx context.Context, in *benchInput) (*benchOutput, error) {
	run, err := a.Bench.Remove(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	run.Report = nil
	return &benchOutput{Body: run}, nil
}

// newestDone is the run to reckon with that the caller did not name.
func (a *API) newestDone() (string, error) {
	for _, run := range a.Bench.List() {
		if run.State == "done" {
			return run.ID, nil
		}
	}
	return "", cove.Errorf(cove.CodeNotFound, "there is no bench run that is done: start one with POST %s/bench", Prefix)
}

// reportOf is a run's report.
func (a *API) reportOf(id string, into any) error {
	run, err := a.Bench.Get(id)
	if err != nil {
		return err
	}
	if run.Report == nil {
		return cove.Invalid("run", "the run %s has no report: it is %s", run.ID, run.State)
	}
	if err := json.Unmarshal(run.Report, into); err != nil {
		return &cove.Error{Code: cove.CodeInternal, Message: "the report of the run " + id + " cannot be read", Err: err}
	}
	return nil
}
