package apitest

import (
	"context"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
)

// BrokenImport is why the function "broken" cannot be loaded.
func BrokenImport() *cove.Error {
	return &cove.Error{
		Code: cove.CodeInitError, Message: "the function could not be loaded",
		Function: &cove.FunctionError{Type: "Runtime.ImportError", Message: "No module named 'x'", Stack: []string{`File "main.py", line 1`}},
	}
}

// Warm fails for a function named "broken", waits for the end of ctx for one
// named "hangs", and has room for two instances of one named "large".
func (s *Server) Warm(ctx context.Context, v *cove.Version, n int) (ready int, err *cove.Error) {
	switch {
	case v.Function == "broken":
		return 0, BrokenImport()
	case v.Function == "hangs":
		<-ctx.Done()
		return 1, cove.Errorf(cove.CodeTimeout, "1 of %d instances were ready when the time was over", n)
	case v.Function == "large" && n > 2:
		return 2, cove.Errorf(cove.CodeOverloaded, "no memory got free for another instance within 10s")
	}
	return n, nil
}

// Recycle ends two instances of every function.
func (s *Server) Recycle(string) int { return 2 }

// Replace is Recycle, and fails for a function named "broken".
func (s *Server) Replace(_ context.Context, function string) (int, *cove.Error) {
	if function == "broken" {
		return 0, BrokenImport()
	}
	return 2, nil
}

// Explain is the same for every function.
func (s *Server) Explain(*cove.Version) (wire.Explanation, *cove.Error) {
	return wire.Explanation{
		Reasons:  []string{"1 instance is idle, and nobody waits.", "It is kept for 5m0s."},
		Observed: wire.Observed{Instances: wire.Instances{Idle: 1}, Stems: 2, UseStems: true, StartTook: 6 * time.Millisecond},
		Decided:  wire.Decided{Keep: 1, Next: time.Unix(1_700_000_000, 0)},
	}, nil
}

// All are an idle and a paused instance of "hello", and a busy one of "other".
func (s *Server) All(_ context.Context, f api.InstanceFilter) []wire.Instance {
	var out []wire.Instance
	for _, i := range []wire.Instance{
		{ID: "hello-1", Function: "hello", Version: 1, Runtime: "python3.13", Isolation: "gvisor", State: wire.InstanceIdle, Start: cove.StartStem, Reserved: 176 * cove.MiB, Memory: 24 * cove.MiB},
		{ID: "hello-2", Function: "hello", Version: 1, Runtime: "python3.13", Isolation: "gvisor", State: wire.InstancePaused, Start: cove.StartCold, Reserved: 176 * cove.MiB},
		{ID: "other-1", Function: "other", Version: 7, Runtime: "node26", Isolation: "docker", State: wire.InstanceBusy, InFlight: 3, Draining: true, Start: cove.StartCold, Reserved: 140 * cove.MiB},
	} {
		if f.Function != "" && f.Function != i.Function || f.State != "" && f.State != i.State {
			continue
		}
		i.Since = time.Now().Add(-90 * time.Second)
		if f.Measure {
			i.Measured = &wire.Measured{PSS: 31 * cove.MiB, Processes: 4}
		}
		out = append(out, i)
	}
	return out
}

// Stems are those of one kind.
func (s *Server) Stems() []wire.Stem {
	return []wire.Stem{{Runtime: "python3.13", Isolation: "gvisor", Network: cove.NetworkNone, Tmp: 64 * cove.MiB, Functions: 2, Ready: 1, Starting: 1, Target: 2, Taken: 12, Missed: 1, Refill: 250 * time.Millisecond}}
}
