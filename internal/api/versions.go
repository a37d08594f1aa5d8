package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/deploy"
)

func (a *API) registerVersions() {
	register(a, huma.Operation{
		OperationID: "listVersions", Method: http.MethodGet, Path: Prefix + "/functions/{name}/versions", Tags: []string{"versions"},
		Summary: "List versions", Description: "Every kept version of a function, the newest first.",
	}, wire.VersionList{Items: []cove.Version{exampleVersion()}, Active: 3}, a.listVersions, cove.CodeNotFound)
	register(a, huma.Operation{
		OperationID: "getVersion", Method: http.MethodGet, Path: Prefix + "/functions/{name}/versions/{number}", Tags: []string{"versions"},
		Summary: "Get a version", Description: "One version with its configuration.",
	}, exampleVersion(), a.getVersion, cove.CodeInvalid, cove.CodeNotFound)
	register(a, huma.Operation{
		OperationID: "rollback", Method: http.MethodPost, Path: Prefix + "/functions/{name}/rollback", Tags: []string{"versions"},
		Summary: "Roll back", Description: "Makes an existing version the active one; every request that begins after the answer is served by it. Configuration and code change together.",
	}, exampleFunction(), a.rollback, warmCodes(cove.CodeInvalid, cove.CodeNotFound, cove.CodeConflict, cove.CodePreconditionFailed)...)
}

type versionsOutput struct{ Body wire.VersionList }

func (a *API) listVersions(ctx context.Context, in *NameInput) (*versionsOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	f, err := a.Functions.Get(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	versions, err := a.Functions.Versions(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	if versions == nil {
		versions = []cove.Version{}
	}
	return &versionsOutput{Body: wire.VersionList{Items: versions, Active: f.Version.Number}}, nil
}

type versionInput struct {
	NameInput
	Number int `path:"number" minimum:"1" doc:"The version's number" example:"3"`
}

type versionOutput struct{ Body cove.Version }

func (a *API) getVersion(ctx context.Context, in *versionInput) (*versionOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	v, err := a.Functions.Version(ctx, in.Name, in.Number)
	if err != nil {
		return nil, err
	}
	return &versionOutput{Body: v}, nil
}

type rollbackInput struct {
	NameInput
	Warm    bool           `query:"warm" doc:"Load the version before it becomes the active one; if it cannot be loaded, nothing is changed"`
	IfMatch string         `header:"If-Match" doc:"Change only if the function still has this ETag" example:"\"3\""`
	Body    *wire.Rollback `required:"false"`
}

func (a *API) rollback(ctx context.Context, in *rollbackInput) (*functionOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	rev, err := revision(in.IfMatch)
	if err != nil {
		return nil, err
	}
	number := 0
	if in.Body != nil {
		number = in.Body.Version
	}
	if number == 0 {
		if number, err = a.versionBefore(ctx, in.Name); err != nil {
			return nil, err
		}
	}
	noteDetail(ctx, "to version "+strconv.Itoa(number))
	d, err := a.Functions.Rollback(ctx, in.Name, deploy.Target{Number: number, IfRevision: rev, Warm: in.Warm})
	if err != nil {
		return nil, err
	}
	return &functionOutput{ETag: etag(d.Revision), Body: a.deployed(d)}, nil
}

// versionBefore is the newest version below the active one.
func (a *API) versionBefore(ctx context.Context, name string) (int, error) {
	f, err := a.Functions.Get(ctx, name)
	if err != nil {
		return 0, err
	}
	versions, err := a.Functions.Versions(ctx, name)
	if err != nil {
		return 0, err
	}
	before := 0
	for _, v := range versions {
		if v.Number < f.Version.Number {
			before = max(before, v.Number)
		}
	}
	if before == 0 {
		return 0, cove.Invalid("version", "there is no version before %d, the active one", f.Version.Number)
	}
	return before, nil
}
