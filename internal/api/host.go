package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// Host looks at the machine. Its method answers from memory, and is safe for
// concurrent use.
type Host interface {
	Now() wire.Host
}

func (a *API) registerHost() {
	register(a, huma.Operation{
		OperationID: "getHost", Method: http.MethodGet, Path: Prefix + "/host", Tags: []string{"system"},
		Summary: "Describe the machine", Description: "What of the machine is used right now, by everything on it and by the sandboxes. It is looked at every two seconds.",
	}, wire.Host{
		CPUs: 4, CPU: 1.3, Memory: 16 * cove.GiB, MemoryUsed: 5 * cove.GiB, Load1: 0.8, SandboxCPU: 0.4, SandboxUsed: 300 * cove.MiB,
		DiskFree: 40 * cove.GiB, DiskTotal: 100 * cove.GiB, DaemonMem: 80 * cove.MiB, Goroutines: 40, Kernel: "6.18.0",
	}, a.getHost)
}

type hostOutput struct{ Body wire.Host }

func (a *API) getHost(context.Context, *struct{}) (*hostOutput, error) {
	return &hostOutput{Body: a.Host.Now()}, nil
}
