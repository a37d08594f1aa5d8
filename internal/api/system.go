package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

func (a *API) registerSystem() {
	register(a, huma.Operation{
		OperationID: "getSystem", Method: http.MethodGet, Path: Prefix + "/system", Tags: []string{"system"},
		Summary: "Describe the daemon", Description: "Version, addresses, memory and the sandboxes there are.",
	}, wire.System{Version: "0.1.0", Started: exampleTime(), Data: "/var/lib/cove", Gateway: "http://127.0.0.1:8080", Isolation: "gvisor", Functions: 1,
		MemoryBudget: 6 * cove.GiB, MemoryReserved: 160 * cove.MiB, Instances: wire.Instances{Idle: 1}, Stems: []wire.Stem{exampleStem()}}, a.getSystem)
	register(a, huma.Operation{
		OperationID: "listRuntimes", Method: http.MethodGet, Path: Prefix + "/runtimes", Tags: []string{"system"},
		Summary: "List runtimes", Description: "The language environments that functions can name, and whether their images are there.",
	}, wire.RuntimeList{Items: []wire.Runtime{{Name: "python3.13", Language: "python", Version: "3.13.5", Extension: ".py", Handler: "main.handler", Aliases: []string{"python"}, Available: true, Image: "cove/python3.13:0123456789ab"}}}, a.listRuntimes)
	register(a, huma.Operation{
		OperationID: "listIsolations", Method: http.MethodGet, Path: Prefix + "/isolations", Tags: []string{"system"},
		Summary: "Probe isolations", Description: "Which isolations this host can run, with which features; and if not, why and which command mends it. Takes up to 5 seconds.",
	}, wire.IsolationList{Items: []wire.Isolation{{Name: "gvisor", Default: true, Available: true, Version: "runsc release-20260905", Features: []string{"mount", "pause"}, Overhead: 32 * cove.MiB}}}, a.listIsolations)
}

type systemOutput struct{ Body wire.System }

func (a *API) getSystem(context.Context, *struct{}) (*systemOutput, error) {
	info := a.System.Info()
	info.Stems = a.stems()
	return &systemOutput{Body: info}, nil
}

type runtimesOutput struct{ Body wire.RuntimeList }

func (a *API) listRuntimes(context.Context, *struct{}) (*runtimesOutput, error) {
	runtimes := a.System.Runtimes()
	if runtimes == nil {
		runtimes = []wire.Runtime{}
	}
	return &runtimesOutput{Body: wire.RuntimeList{Items: runtimes}}, nil
}

type isolationsOutput struct{ Body wire.IsolationList }

func (a *API) listIsolations(ctx context.Context, _ *struct{}) (*isolationsOutput, error) {
	out := &isolationsOutput{Body: wire.IsolationList{Items: []wire.Isolation{}}}
	def := a.System.Info().Isolation
	for _, r := range a.System.Isolations(ctx) {
		features := make([]string, 0, len(r.Features))
		for _, f := range r.Features {
			features = append(features, string(f))
		}
		out.Body.Items = append(out.Body.Items, wire.Isolation{
			Name: r.Isolation, Default: r.Isolation == def, Available: r.Available, Version: r.Version,
			Reason: r.Reason, Fix: r.Fix, Features: features, Overhead: r.Overhead, Notes: r.Notes,
		})
	}
	return out, nil
}
