package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// Instances are the sandboxes of all functions and what they are made of. Its
// methods answer from memory, but Warm and a measuring All. They are safe for
// concurrent use.
type Instances interface {
	// Warm makes n instances of v ready without calling the handler, counting
	// those that are there, and says how many there are then. An error says why
	// there are not n: CodeInitError, CodeSandboxStartFailed, CodeTimeout when ctx
	// ended, and their like.
	Warm(ctx context.Context, v *cove.Version, n int) (ready int, err *cove.Error)
	// Recycle ends a function's idle instances now and its busy ones after what
	// they serve, and says how many those are.
	Recycle(function string) int
	// Replace is Recycle once there are new ones for those that are in use. On an
	// error, as of Warm, nothing is ended.
	Replace(ctx context.Context, function string) (instances int, err *cove.Error)
	// Explain says why there are as many instances of v as there are.
	Explain(v *cove.Version) (wire.Explanation, *cove.Error)
	// All are those that match, by function, version and id.
	All(ctx context.Context, f InstanceFilter) []wire.Instance
	// Stems are the stem cells, by runtime and isolation.
	Stems() []wire.Stem
}

// InstanceFilter chooses instances; what is zero does not.
type InstanceFilter struct {
	Function string
	State    wire.InstanceState
	// Measure has each of them measured, process by process. It takes some
	// milliseconds for each.
	Measure bool
}

const (
	// The bounds of a wait for instances that are started on request.
	startTimeout    = time.Minute
	minStartTimeout = 100 * time.Millisecond
	maxStartTimeout = 15 * time.Minute
	// measureTimeout bounds the measuring of all instances of one request; those
	// that were not reached are answered without.
	measureTimeout = 10 * time.Second
)

func (a *API) registerInstances() {
	register(a, huma.Operation{
		OperationID: "warmFunction", Method: http.MethodPost, Path: Prefix + "/functions/{name}/warm", Tags: []string{"run"},
		Summary:     "Warm a function up",
		Description: "Makes instances of the active version ready, without calling the handler, and answers when they are; those that are there count. Instances that nobody calls end as others do: scaling.min keeps some for good. On an error, what was started stays.",
	}, wire.Warmed{Version: 3, Ready: 2, Took: 12 * time.Millisecond}, a.warmFunction, cove.CodeInvalid, cove.CodeNotFound, cove.CodeNoCode,
		cove.CodeDisabled, cove.CodeInitError, cove.CodeInitTimeout, cove.CodeTimeout, cove.CodeSandboxStartFailed, cove.CodeOverloaded, cove.CodeUnavailable, cove.CodeShuttingDown)
	register(a, huma.Operation{
		OperationID: "recycleFunction", Method: http.MethodPost, Path: Prefix + "/functions/{name}/recycle", Tags: []string{"run"},
		Summary:     "Replace a function's instances",
		Description: "Makes as many new instances as the load of late needs, then ends those that there were, the busy ones after what they serve, and answers: no request fails or waits, and those that follow the answer get new instances. For instances that hold what has changed elsewhere: a connection, a cache, a rotated key. Meanwhile there may be twice as many as scaling.max. If new ones cannot be made in time, the old ones are kept. `now` ends them at once instead, and the requests that follow wait for new ones.",
	}, wire.Recycled{Instances: 2, Took: 12 * time.Millisecond}, a.recycleFunction, cove.CodeInvalid, cove.CodeNotFound,
		cove.CodeInitError, cove.CodeInitTimeout, cove.CodeTimeout, cove.CodeSandboxStartFailed, cove.CodeOverloaded, cove.CodeUnavailable, cove.CodeShuttingDown)
	register(a, huma.Operation{
		OperationID: "explainFunction", Method: http.MethodGet, Path: Prefix + "/functions/{name}/scaling", Tags: []string{"run"},
		Summary:     "Explain a function's instances",
		Description: "Why there are as many instances of the active version as there are: what is observed, what is decided, and why, in sentences.",
	}, exampleExplanation(), a.explainFunction, cove.CodeNotFound, cove.CodeNoCode, cove.CodeShuttingDown)
	register(a, huma.Operation{
		OperationID: "listInstances", Method: http.MethodGet, Path: Prefix + "/instances", Tags: []string{"system"},
		Summary:     "List instances",
		Description: "The sandboxes that run functions now, by function, version and id; those that are still being made or already being removed are only counted, at the function. `measure=true` looks at each process of each of them, which takes some milliseconds for each; after 10 seconds the rest is answered unmeasured.",
	}, wire.InstanceList{Items: []wire.Instance{exampleInstance()}}, a.listInstances, cove.CodeInvalid)
	register(a, huma.Operation{
		OperationID: "listStems", Method: http.MethodGet, Path: Prefix + "/stems", Tags: []string{"system"},
		Summary:     "List stem cells",
		Description: "The sandboxes whose language is started and which wait for a function, counted by kind. A function without an idle instance takes one instead of waiting for a sandbox.",
	}, wire.StemList{Items: []wire.Stem{exampleStem()}}, a.listStems)
}

type warmInput struct {
	NameInput
	Body *wire.Warm `required:"false"`
}

type warmOutput struct{ Body wire.Warmed }

func (a *API) warmFunction(ctx context.Context, in *warmInput) (*warmOutput, error) {
	v, err := a.enabled(in.Name)
	if err != nil {
		return nil, err
	}
	want := wire.Warm{}
	if in.Body != nil {
		want = *in.Body
	}
	n := max(1, want.Instances)
	timeout, err := startPatience(want.Timeout)
	if err != nil {
		return nil, err
	}
	if most := v.Config.Scaling.Max; most > 0 && n > most {
		return nil, cove.Invalid("instances", "is %d; it must be from 1 to scaling.max, %d", n, most)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ready, failed := a.Instances.Warm(ctx, v, n)
	if failed != nil {
		return nil, short(failed, ready, n)
	}
	return &warmOutput{Body: wire.Warmed{Version: v.Number, Ready: ready, Took: time.Since(began)}}, nil
}

// startPatience is how long a request waits for instances to be started that
// asked for this; 0 means that it did not say.
func startPatience(asked cove.Duration) (time.Duration, error) {
	if asked == 0 {
		return startTimeout, nil
	}
	if d := asked.Std(); d < minStartTimeout || d > maxStartTimeout {
		return 0, cove.Invalid("timeout", "is %s; it must be from %s to %s", asked, cove.Duration(minStartTimeout), cove.Duration(maxStartTimeout))
	}
	return asked.Std(), nil
}

// short is err with how many of the instances there are, where there are some.
func short(err *cove.Error, ready, wanted int) *cove.Error {
	if ready == 0 || err.Code == cove.CodeTimeout {
		return err
	}
	e := *err
	e.Message = fmt.Sprintf("%s; %d of %d instances are ready", err.Message, ready, wanted)
	return &e
}

type recycleInput struct {
	NameInput
	Body *wire.Recycle `required:"false"`
}

type recycleOutput struct{ Body wire.Recycled }

func (a *API) recycleFunction(ctx context.Context, in *recycleInput) (*recycleOutput, error) {
	if a.Functions.Active(in.Name) == nil {
		return nil, cove.Errorf(cove.CodeNotFound, "there is no function %q", in.Name)
	}
	want := wire.Recycle{}
	if in.Body != nil {
		want = *in.Body
	}
	timeout, err := startPatience(want.Timeout)
	if err != nil {
		return nil, err
	}
	if want.Now {
		return &recycleOutput{Body: wire.Recycled{Instances: a.Instances.Recycle(in.Name)}}, nil
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	n, failed := a.Instances.Replace(ctx, in.Name)
	if failed != nil {
		return nil, kept(failed)
	}
	return &recycleOutput{Body: wire.Recycled{Instances: n, Took: time.Since(began)}}, nil
}

// kept is err with what became of the instances.
func kept(err *cove.Error) *cove.Error {
	if err.Code == cove.CodeShuttingDown {
		return err
	}
	e := *err
	e.Message += "; the instances that there were are kept (`now` ends them all the same)"
	return &e
}

type explainOutput struct{ Body wire.Explanation }

func (a *API) explainFunction(_ context.Context, in *NameInput) (*explainOutput, error) {
	v, err := a.active(in.Name)
	if err != nil {
		return nil, err
	}
	var out wire.Explanation
	if v.Disabled {
		out.Reasons = []string{"The function is disabled: it is given no requests, and no instances are kept."}
	} else {
		var failed *cove.Error
		if out, failed = a.Instances.Explain(v); failed != nil {
			return nil, failed
		}
	}
	out.Function, out.Version, out.Policy = v.Function, v.Number, v.Config.Scaling
	if out.Reasons == nil {
		out.Reasons = []string{}
	}
	return &explainOutput{Body: out}, nil
}

type instancesInput struct {
	Function string `query:"function" maxLength:"63" doc:"Only those of this function"`
	State    string `query:"state" enum:"idle,paused,busy" doc:"Only those in this state"`
	Measure  bool   `query:"measure" doc:"Measure the processes of each of them"`
}

type instancesOutput struct{ Body wire.InstanceList }

func (a *API) listInstances(ctx context.Context, in *instancesInput) (*instancesOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	items := a.Instances.All(ctx, InstanceFilter{Function: in.Function, State: wire.InstanceState(in.State), Measure: in.Measure})
	if items == nil {
		items = []wire.Instance{}
	}
	return &instancesOutput{Body: wire.InstanceList{Items: items}}, nil
}

type stemsOutput struct{ Body wire.StemList }

func (a *API) listStems(context.Context, *struct{}) (*stemsOutput, error) {
	return &stemsOutput{Body: wire.StemList{Items: a.stems()}}, nil
}

func (a *API) stems() []wire.Stem {
	if items := a.Instances.Stems(); items != nil {
		return items
	}
	return []wire.Stem{}
}

func exampleInstance() wire.Instance {
	return wire.Instance{
		ID: "hello-0123456789ab", Function: "hello", Version: 3, Runtime: "python3.13", Isolation: "gvisor", State: wire.InstanceIdle,
		Since: exampleTime(), Start: cove.StartStem, Reserved: 176 * cove.MiB, Memory: 24 * cove.MiB,
	}
}

func exampleStem() wire.Stem {
	return wire.Stem{
		Runtime: "python3.13", Isolation: "gvisor", Network: cove.NetworkNone, Tmp: 64 * cove.MiB, Functions: 2,
		Ready: 1, Target: 1, Taken: 12, Missed: 1, Refill: 250 * time.Millisecond,
	}
}

func exampleExplanation() wire.Explanation {
	return wire.Explanation{
		Function: "hello", Version: 3, Policy: exampleConfig().Scaling, Reasons: []string{"1 instance is idle, and nobody waits."},
		Observed: wire.Observed{Instances: wire.Instances{Idle: 1}, Stems: 1, UseStems: true, StartTook: 6 * time.Millisecond, RunTook: 2 * time.Millisecond},
	}
}
