package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/deploy"
	"github.com/covefn/cove/internal/strictjson"
)

func (a *API) registerFunctions() {
	register(a, huma.Operation{
		OperationID: "listFunctions", Method: http.MethodGet, Path: Prefix + "/functions", Tags: []string{"functions"},
		Summary: "List functions", Description: "One page of functions in the order of their names. Send `next` of one page as `after` for the one behind it.",
	}, wire.FunctionList{Items: []wire.Function{exampleFunction()}, Total: 1}, a.listFunctions, cove.CodeInvalid)
	register(a, huma.Operation{
		OperationID: "getFunction", Method: http.MethodGet, Path: Prefix + "/functions/{name}", Tags: []string{"functions"},
		Summary: "Get a function", Description: "The function with its active version. The ETag of the answer makes a later change conditional.",
	}, exampleFunction(), a.getFunction, cove.CodeNotFound)
	a.plain(huma.Operation{
		OperationID: "patchFunction", Method: http.MethodPatch, Path: Prefix + "/functions/{name}", Tags: []string{"functions"},
		Summary:     "Change fields of a function",
		Description: "A JSON merge patch (RFC 7396) of the configuration: fields that are absent stay, null sets the default. Makes a new version, which serves every request that begins after the answer.",
		Parameters:  []*huma.Param{pathName(), ifMatch(), warmParam()},
		RequestBody: &huma.RequestBody{Required: true, Content: jsonContent[cove.Config](a, map[string]any{"memory": "256MiB", "env": map[string]any{"GREETING": nil}})},
		Responses:   map[string]*huma.Response{"200": response[wire.Function](a, "Changed", exampleFunction())},
	}, a.patchFunction, warmCodes(cove.CodeInvalid, cove.CodeNotFound, cove.CodeConflict, cove.CodePreconditionFailed, cove.CodeTooLarge, cove.CodeRequestTimeout)...)
	register(a, huma.Operation{
		OperationID: "deleteFunction", Method: http.MethodDelete, Path: Prefix + "/functions/{name}", Tags: []string{"functions"},
		Summary: "Delete a function", Description: "Removes the function with all its versions. Requests that are under way are finished.",
	}, nil, a.deleteFunction, cove.CodeInvalid, cove.CodeNotFound, cove.CodePreconditionFailed)

	bodies := map[string]*huma.MediaType{
		"application/json":    jsonContent[wire.Create](a, exampleCreate())["application/json"],
		"multipart/form-data": multipartBody(a),
	}
	a.plain(huma.Operation{
		OperationID: "createFunction", Method: http.MethodPost, Path: Prefix + "/functions", Tags: []string{"functions"},
		Summary:     "Create a function",
		Description: "Makes a function, with its code if the body has it: `files` in JSON, or a multipart form with a part `config` and behind it a part `code`. Without code every invocation answers `no_code`. `name` and `runtime` are needed.",
		Parameters:  []*huma.Param{warmParam()},
		RequestBody: &huma.RequestBody{Required: true, Content: bodies},
		Responses:   map[string]*huma.Response{"201": response[wire.Function](a, "Created", exampleFunction())},
	}, a.createFunction, warmCodes(cove.CodeInvalid, cove.CodeConflict, cove.CodeTooLarge, cove.CodeUnsupportedMedia)...)
	a.plain(huma.Operation{
		OperationID: "replaceFunction", Method: http.MethodPut, Path: Prefix + "/functions/{name}", Tags: []string{"functions"},
		Summary:     "Replace a function's configuration",
		Description: "Replaces the whole configuration, and in the same step the code if the body has it, in the forms of the creation. Fields that are absent get their defaults; a secret variable without a value keeps the one it had. Makes a new version, which serves every request that begins after the answer.",
		Parameters:  []*huma.Param{pathName(), ifMatch(), warmParam()},
		RequestBody: &huma.RequestBody{Required: true, Content: bodies},
		Responses:   map[string]*huma.Response{"200": response[wire.Function](a, "Replaced", exampleFunction())},
	}, a.replaceFunction, warmCodes(cove.CodeInvalid, cove.CodeNotFound, cove.CodeConflict, cove.CodePreconditionFailed, cove.CodeTooLarge, cove.CodeUnsupportedMedia)...)
}

type functionOutput struct {
	ETag string `header:"ETag" doc:"The function's revision, for If-Match"`
	Body wire.Function
}

func (a *API) output(f cove.Function) *functionOutput {
	return &functionOutput{ETag: etag(f.Revision), Body: a.function(f)}
}

// function is f with what the daemon knows of it.
func (a *API) function(f cove.Function) wire.Function {
	out := wire.Function{Function: f, Instances: a.System.Instances(f.Name)}
	if route := f.Version.Config.Route; route != "" {
		out.URL = a.System.Info().Gateway + route
	}
	return out
}

// deployed is a function after a change.
func (a *API) deployed(d deploy.Deployed) wire.Function {
	out := a.function(d.Function)
	out.Note = d.Note
	if w := d.Warmed; w != nil {
		out.Warmed = &wire.Warmed{Version: d.Version.Number, Ready: w.Ready, Took: w.Took, Note: w.Note}
	}
	return out
}

type listInput struct {
	Limit     int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"How many at most"`
	After     string `query:"after" maxLength:"63" doc:"The name behind which the page begins"`
	Search    string `query:"search" maxLength:"200" doc:"A part of the name, the description or the route"`
	Runtime   string `query:"runtime" maxLength:"63" doc:"Only those of this runtime"`
	Isolation string `query:"isolation" maxLength:"63" doc:"Only those of this isolation"`
}

type listOutput struct{ Body wire.FunctionList }

func (a *API) listFunctions(ctx context.Context, in *listInput) (*listOutput, error) {
	page, total, err := a.Functions.List(ctx, deploy.Query{
		Search: in.Search, Runtime: in.Runtime, Isolation: in.Isolation, After: in.After, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	out := &listOutput{Body: wire.FunctionList{Items: make([]wire.Function, 0, len(page)), Total: total}}
	if len(page) > in.Limit {
		page = page[:in.Limit]
		out.Body.Next = page[in.Limit-1].Name
	}
	for _, f := range page {
		out.Body.Items = append(out.Body.Items, a.function(f))
	}
	return out, nil
}

func (a *API) getFunction(ctx context.Context, in *NameInput) (*functionOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	f, err := a.Functions.Get(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	return a.output(f), nil
}

type deleteInput struct {
	NameInput
	IfMatch string `header:"If-Match" doc:"Delete only if the function still has this ETag" example:"\"3\""`
}

func (a *API) deleteFunction(ctx context.Context, in *deleteInput) (*struct{}, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	rev, err := revision(in.IfMatch)
	if err != nil {
		return nil, err
	}
	return nil, a.Functions.Delete(ctx, in.Name, rev)
}

// changeOf is what every request that changes a function says: which one, the
// revision that it must have (0 for any), and whether to warm up first.
func changeOf(r *http.Request) (name string, revisionWanted int64, warm bool, err error) {
	if name, err = functionName(r); err != nil {
		return "", 0, false, err
	}
	if revisionWanted, err = revision(r.Header.Get("If-Match")); err != nil {
		return "", 0, false, err
	}
	warm, err = wantsWarm(r)
	return name, revisionWanted, warm, err
}

// patchFunction tries again when somebody else changed the function between
// the reading and the writing, unless the caller said what it must be.
func (a *API) patchFunction(w http.ResponseWriter, r *http.Request) error {
	name, rev, warm, err := changeOf(r)
	if err != nil {
		return err
	}
	body, err := a.readJSON(w, r, maxJSON)
	if err != nil {
		return err
	}
	noteDetail(r.Context(), changedFields(body))
	const attempts = 5
	for attempt := 1; ; attempt++ {
		f, err := a.patch(r.Context(), name, rev, warm, body)
		if err == nil {
			return a.writeFunction(w, http.StatusOK, f)
		}
		if rev != 0 || attempt == attempts || !errors.Is(err, &cove.Error{Code: cove.CodePreconditionFailed}) {
			return err
		}
	}
}

// writeFunction answers a plain handler's request with f.
func (a *API) writeFunction(w http.ResponseWriter, status int, d deploy.Deployed) error {
	w.Header().Set("ETag", etag(d.Revision))
	writeJSON(w, status, "application/json", a.deployed(d))
	return nil
}

func (a *API) patch(ctx context.Context, name string, rev int64, warm bool, body []byte) (d deploy.Deployed, err error) {
	f, err := a.Functions.Get(ctx, name)
	if err != nil {
		return d, err
	}
	var patch map[string]any
	if err := json.Unmarshal(body, &patch); err != nil || patch == nil {
		return d, cove.Errorf(cove.CodeInvalid, "the body must be a JSON object of the fields to change")
	}
	current, err := json.Marshal(f.Version.Config)
	if err != nil {
		return d, err
	}
	var document map[string]any
	if err := json.Unmarshal(current, &document); err != nil {
		return d, err
	}
	merged, err := json.Marshal(merge(document, patch))
	if err != nil {
		return d, err
	}
	var cfg cove.Config
	if err := decodeConfig(merged, name, &cfg); err != nil {
		return d, err
	}
	if rev == 0 {
		rev = f.Revision
	}
	return a.Functions.Update(ctx, name, deploy.Change{Config: &cfg, IfRevision: rev, Warm: warm})
}

// merge is RFC 7396.
func merge(document, patch map[string]any) map[string]any {
	if document == nil {
		document = map[string]any{}
	}
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(document, k)
		case map[string]any:
			below, _ := document[k].(map[string]any)
			document[k] = merge(below, v)
		default:
			document[k] = v
		}
	}
	return document
}

// decodeConfig reads a configuration for the function of the path.
func decodeConfig(data []byte, name string, cfg *cove.Config) error {
	if fields := strictjson.Decode(data, cfg); len(fields) > 0 {
		return cove.InvalidFields(fields)
	}
	return sameName(name, cfg)
}

func sameName(name string, cfg *cove.Config) error {
	if cfg.Name != "" && cfg.Name != name {
		return cove.Invalid("name", "a function cannot be renamed: its name is %q", name)
	}
	cfg.Name = name
	return nil
}

func (a *API) createFunction(w http.ResponseWriter, r *http.Request) error {
	warm, err := wantsWarm(r)
	if err != nil {
		return err
	}
	cfg, code, err := a.readDeploy(w, r)
	if err != nil {
		return err
	}
	noteTarget(r.Context(), cfg.Name, "")
	f, err := a.Functions.Create(r.Context(), deploy.Change{Config: &cfg, Code: code, Warm: warm})
	if err != nil {
		return bodyCause(err)
	}
	w.Header().Set("Location", Prefix+"/functions/"+f.Name)
	return a.writeFunction(w, http.StatusCreated, f)
}

func (a *API) replaceFunction(w http.ResponseWriter, r *http.Request) error {
	name, rev, warm, err := changeOf(r)
	if err != nil {
		return err
	}
	cfg, code, err := a.readDeploy(w, r)
	if err != nil {
		return err
	}
	if err := sameName(name, &cfg); err != nil {
		return err
	}
	f, err := a.Functions.Update(r.Context(), name, deploy.Change{Config: &cfg, Code: code, IfRevision: rev, Warm: warm})
	if err != nil {
		return bodyCause(err)
	}
	noteDetail(r.Context(), "version "+strconv.Itoa(f.Version.Number))
	return a.writeFunction(w, http.StatusOK, f)
}

func exampleConfig() cove.Config {
	return cove.Config{
		Name: "hello", Runtime: "python3.13", Handler: "main.handler", Route: "/hello/{name}", Methods: []string{"GET"},
		Timeout: cove.Duration(10 * time.Second), Memory: 128 * cove.MiB, CPU: 1, Isolation: "gvisor",
		Env: cove.Env{"GREETING": {Value: "hello"}}, Scaling: cove.Scaling{Max: 20, Idle: cove.Duration(5 * time.Minute), Queue: 100, Concurrency: 1, Pause: cove.Duration(10 * time.Second), Policy: cove.PolicyAdaptive},
	}
}

func exampleCreate() wire.Create {
	return wire.Create{
		Config: cove.Config{Name: "hello", Runtime: "python", Route: "/hello/{name}"},
		Files:  wire.Files{"main.py": wire.File("def handler(event, context):\n    return 'hello'\n")},
	}
}

func exampleTime() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func exampleVersion() cove.Version {
	const digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	return cove.Version{
		ID: "v-" + strconv.Itoa(1234), Function: "hello", Number: 3, Config: exampleConfig(), Created: exampleTime(), Note: "code",
		Package: cove.Package{SHA256: digest, Format: "tar.gz", Size: 412, Unpacked: 1024, Files: 2},
	}
}

func exampleFunction() wire.Function {
	return wire.Function{
		Function: cove.Function{Name: "hello", Revision: 3, Version: exampleVersion(), Created: exampleTime(), Updated: exampleTime()},
		URL:      "http://127.0.0.1:8080/hello/{name}", Instances: wire.Instances{Idle: 1},
	}
}
