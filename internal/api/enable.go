package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
)

func (a *API) registerEnable() {
	disabled := exampleFunction()
	disabled.Disabled, disabled.Instances.Idle = true, 0
	register(a, huma.Operation{
		OperationID: "disableFunction", Method: http.MethodPost, Path: Prefix + "/functions/{name}/disable", Tags: []string{"functions"},
		Summary:     "Disable a function",
		Description: "Every request that begins after the answer is answered `function_disabled`, on the route and here; what is under way is finished, and idle instances are ended. The function keeps its route and versions, and can be changed. Disabling what is disabled changes nothing.",
	}, disabled, a.disableFunction, cove.CodeInvalid, cove.CodeNotFound, cove.CodePreconditionFailed)
	register(a, huma.Operation{
		OperationID: "enableFunction", Method: http.MethodPost, Path: Prefix + "/functions/{name}/enable", Tags: []string{"functions"},
		Summary:     "Enable a function",
		Description: "Every request that begins after the answer is served again. Enabling what is enabled changes nothing.",
	}, exampleFunction(), a.enableFunction, cove.CodeInvalid, cove.CodeNotFound, cove.CodePreconditionFailed)
}

type enableInput struct {
	NameInput
	IfMatch string `header:"If-Match" doc:"Change only if the function still has this ETag" example:"\"3\""`
}

func (a *API) disableFunction(ctx context.Context, in *enableInput) (*functionOutput, error) {
	return a.setDisabled(ctx, in, true)
}

func (a *API) enableFunction(ctx context.Context, in *enableInput) (*functionOutput, error) {
	return a.setDisabled(ctx, in, false)
}

func (a *API) setDisabled(ctx context.Context, in *enableInput, disabled bool) (*functionOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	rev, err := revision(in.IfMatch)
	if err != nil {
		return nil, err
	}
	f, err := a.Functions.SetDisabled(ctx, in.Name, disabled, rev)
	if err != nil {
		return nil, err
	}
	return a.output(f), nil
}

// errDisabled is what who asks for instances of a disabled function is told.
func errDisabled(name string) *cove.Error {
	return cove.Errorf(cove.CodeDisabled, "function %q is disabled: enable it with POST %s/functions/%s/enable", name, Prefix, name)
}
