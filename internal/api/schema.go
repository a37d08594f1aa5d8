package api

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

func humaConfig() huma.Config {
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	registry.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[cove.Problem]())
	registry.RegisterTypeAlias(reflect.TypeFor[cove.Duration](), reflect.TypeFor[durationSchema]())
	registry.RegisterTypeAlias(reflect.TypeFor[cove.ByteSize](), reflect.TypeFor[byteSizeSchema]())
	registry.RegisterTypeAlias(reflect.TypeFor[cove.EnvVar](), reflect.TypeFor[envVarSchema]())
	registry.RegisterTypeAlias(reflect.TypeFor[wire.File](), reflect.TypeFor[fileSchema]())
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Cove control API",
				Version:     "1",
				Description: "Manages the functions of one Cove. Every call but the health checks, signing in and this document needs `Authorization: Bearer TOKEN` or the cookie of a session. The roles are admin, developer, viewer and invoke. Errors are RFC 9457 problem documents with a `code` for programs; `errors` names each field that is wrong.",
				License:     &huma.License{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"},
			},
			Servers: []*huma.Server{{URL: "http://127.0.0.1:7070", Description: "The daemon's default address"}},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":   {Type: "http", Scheme: "bearer", Description: "An access token"},
					"session": {Type: "apiKey", In: "cookie", Name: CookieName, Description: "The session of a browser that has signed in"},
				},
			},
			Security: []map[string][]string{{"token": {}}, {"session": {}}},
			Tags: []*huma.Tag{
				{Name: "functions", Description: "What a user manages"},
				{Name: "code", Description: "The package of a function"},
				{Name: "versions", Description: "Every state a function had"},
				{Name: "run", Description: "Invoke, warm up, read logs"},
				{Name: "bench", Description: "Compare the isolations on this machine"},
				{Name: "access", Description: "Who may call and sign in, and who changed what"},
				{Name: "metrics", Description: "What happened: over time, and call by call"},
				{Name: "system", Description: "The daemon and what it can do"},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{transform},
	}
}

// schemaName gives the domain's types of several packages distinct names.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[cove.Function]():
		return "FunctionState"
	case reflect.TypeFor[wire.System]():
		return "System"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

type durationSchema string

// Schema describes a cove.Duration.
func (durationSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`,
		PatternDescription: "a number with a unit, such as 500ms, 10s or 5m", Examples: []any{"10s", "1m30s"},
		Description: "A number with a unit: ms, s, m, h",
	}
}

type byteSizeSchema string

// Schema describes a cove.ByteSize.
func (byteSizeSchema) Schema(huma.Registry) *huma.Schema {
	zero := 0.0
	return &huma.Schema{
		OneOf: []*huma.Schema{
			{Type: huma.TypeString, Pattern: `^[0-9]+(\.[0-9]+)? *([KkMmGgTt]([Ii]?[Bb])?|[Bb])?$`},
			{Type: huma.TypeInteger, Format: "int64", Minimum: &zero},
		},
		Examples: []any{"128MiB", 134217728}, Description: "A number with a unit (KiB, MiB, GiB of 1024; KB, MB, GB of 1000), or a number of bytes. Answers use the text form",
	}
}

type envVarSchema string

// Schema describes a cove.EnvVar.
func (envVarSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		OneOf: []*huma.Schema{
			{Type: huma.TypeString}, {Type: huma.TypeNumber}, {Type: huma.TypeBoolean},
			{Type: huma.TypeObject, AdditionalProperties: false, Properties: map[string]*huma.Schema{
				"value":  {Type: huma.TypeString, Description: "Never answered for a secret; absent in an update keeps the value it had"},
				"secret": {Type: huma.TypeBoolean, Description: "Makes the variable write-only"},
			}},
		},
		Examples: []any{"hello", map[string]any{"value": "s3cr3t", "secret": true}},
	}
}

type fileSchema string

// Schema describes a wire.File.
func (fileSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		OneOf: []*huma.Schema{
			{Type: huma.TypeString, Description: "Text"},
			{Type: huma.TypeObject, AdditionalProperties: false, Required: []string{"base64"}, Properties: map[string]*huma.Schema{
				"base64": {Type: huma.TypeString, ContentEncoding: "base64"},
			}},
		},
		Examples: []any{"def handler(event, context):\n    return 'hello'\n"},
	}
}

// describe adds to the schemas of the domain what its plain Go types cannot
// say. A name that is not there would be a mistake, so it panics at the start.
func (a *API) describe() {
	schemas := a.huma.OpenAPI().Components.Schemas.Map()
	for name, fields := range descriptions() {
		schema := schemas[name]
		if schema == nil {
			panic("api: no schema " + name)
		}
		for field, text := range fields {
			p := schema.Properties[field]
			if p == nil {
				panic("api: no field " + name + "." + field)
			}
			p.Description = text
		}
	}
	for _, schema := range schemas {
		for _, p := range schema.Properties {
			// Our lists are absent or lists, never null.
			p.Nullable = false
		}
	}
	for name, enums := range map[string]map[string][]any{
		"Config":  {"network": {"none", "egress"}, "auth": {"public", "token"}},
		"Create":  {"network": {"none", "egress"}, "auth": {"public", "token"}},
		"Scaling": {"policy": {"adaptive", "fixed"}},
	} {
		for field, values := range enums {
			schemas[name].Properties[field].Enum = values
		}
	}
}

func descriptions() map[string]map[string]string {
	config := map[string]string{
		"name":          "Unique: 1 to 63 of a-z, 0-9 and '-', beginning with a letter, not ending with '-'",
		"description":   "For people",
		"runtime":       "A language environment: python3.13, node26; python or node for the newest",
		"handler":       "file.function; the runtime has a default",
		"route":         "A path pattern of Go's net/http: /hello/{name}, /files/{path...}; absent for none",
		"methods":       "HTTP methods of the route; absent for all",
		"timeout":       "Bounds one run of the handler: 100ms to 15m",
		"init_timeout":  "Bounds the loading of the handler",
		"queue_timeout": "Bounds the wait for an instance",
		"memory":        "Bounds the whole sandbox, /tmp included",
		"cpu":           "How many processors the sandbox may use; 0.5 is half of one",
		"tmp":           "Size of /tmp, which lives in memory",
		"max_body":      "Bounds the body of one request on the route",
		"env":           "Environment variables by name",
		"isolation":     "What walls the function in: gvisor, docker; absent for the server's default",
		"network":       "none, or egress: out to the world but not to the host",
		"auth":          "Who may call the route: public, or token",
		"cors":          "Answers browsers of other origins; absent adds nothing",
		"scaling":       "How many instances there are and how long they stay",
	}
	create := maps.Clone(config)
	return map[string]map[string]string{
		"Config": config,
		"Create": create,
		"Scaling": {"min": "Instances kept even when idle: 0 to max", "max": "Instances at once at most: 1 to 1000",
			"idle": "How long an instance without work is kept: 1s to 24h", "queue": "Requests that may wait: 1 to 10000; one more gets 429",
			"concurrency": "Requests that one instance serves at once: 1 to 100", "reserved": "Instances for which memory is kept that no other function can take: 0 to max",
			"pause":  "How long an instance idles until it is frozen: 10ms to 24h; longer than idle for never",
			"policy": "adaptive learns from the times between requests how long to keep an instance; fixed keeps it for idle"},
		"CORS": {"origins": "https://app.example.com, or *", "methods": "Those of the route if absent", "headers": "Request headers a caller may send",
			"expose_headers": "Response headers a caller may read", "credentials": "Allows cookies; not with origin *", "max_age": "How long a browser may keep a preflight's answer"},
		"Package": {"sha256": "Digest of the archive as uploaded, in lower-case hexadecimal", "format": "zip or tar.gz", "size": "Of the archive, in bytes",
			"unpacked": "Of its files, in bytes", "files": "How many"},
		"Version": {"id": "Unique for ever", "function": "Whose version this is", "number": "Counts from 1", "config": "With every default filled in",
			"package": "The code; absent while none was uploaded", "created": "When it was made", "note": "What made it: code, config, rollback to 3"},
		"Function": {"name": "Unique", "revision": "Counts changes from 1; it is the ETag", "version": "The active one", "created": "When it was made", "updated": "When it last changed"},
		"Problem": {"type": "urn:cove:error: and the code", "title": "The code in words", "status": "The HTTP status", "detail": "What happened and what to do next",
			"code": "For programs; never changes its meaning", "fault": "Who can mend it: caller, function or platform", "function": "The function concerned",
			"request_id": "Names the request in logs", "timeout": "The bound that was passed", "errors": "Each field that is wrong", "error": "What the function itself said"},
		"FieldError":    {"field": "Path of the field: scaling.max", "message": "What is wrong, and the limit"},
		"FunctionError": {"errorType": "Class of the error: ValueError, Runtime.ImportError", "errorMessage": "What it says", "stackTrace": "Frames of the user's own code, outermost first"},
		"Invocation": {"id": "The request id", "start": "warm, thawed, stem or cold; absent if it never got an instance", "outcome": "ok, caller_gone or the code of the error",
			"fault": "Who can mend the error", "status": "The HTTP status that a route would have answered",
			"error": "The error's message, cut at 1 KiB", "error_type": "Its class in the function's own language", "method": "Of the request on the route", "path": "Of the request on the route, without its query, cut at 256 bytes",
			"trace": "W3C trace id, 32 hexadecimal digits", "billed_ns": "Loading the function and running it, rounded up to a millisecond", "kind": "http through a route, direct through the API", "bytes_in": "Of the payload", "bytes_out": "Of the answer", "cpu_ns": "Processor time of the whole sandbox", "peak_memory": "Most memory the sandbox has had"},
		"Timings": {"queue_ns": "Wait for an instance", "start_ns": "Making the sandbox", "init_ns": "Loading the handler", "run_ns": "The handler", "total_ns": "All together"},
	}
}

// answers adds to op the errors of codes as documented answers, beside those
// that every operation has.
func (a *API) answers(op *huma.Operation, codes ...cove.Code) {
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	if len(op.Security) == 0 && op.Security == nil {
		codes = append(codes, cove.CodeUnauthenticated, cove.CodeDenied)
	}
	codes = append(codes, cove.CodeInternal)
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[cove.Problem](), true, "")
	for _, code := range slices.Compact(slices.Sorted(slices.Values(codes))) {
		e := &cove.Error{Code: code, Message: code.Title()}
		status := strconv.Itoa(code.Status())
		if r := op.Responses[status]; r != nil {
			r.Description += "; " + string(code) + ": " + code.Title()
			continue
		}
		op.Responses[status] = &huma.Response{
			Description: string(code) + ": " + code.Title(),
			Content:     map[string]*huma.MediaType{problemJSON: {Schema: schema, Example: e.Problem()}},
		}
	}
}

// jsonContent is a body of T in JSON, with an example.
func jsonContent[T any](a *API, example any) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {
		Schema:  a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, ""),
		Example: example,
	}}
}

// response is an answer of T in JSON.
func response[T any](a *API, description string, example any) *huma.Response {
	return &huma.Response{Description: description, Content: jsonContent[T](a, example)}
}

// plain registers a net/http handler and its operation.
func (a *API) plain(op huma.Operation, h func(http.ResponseWriter, *http.Request) error, codes ...cove.Code) {
	a.answers(&op, codes...)
	a.huma.OpenAPI().AddOperation(&op)
	a.mux.HandleFunc(op.Method+" "+op.Path, func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			a.writeError(w, r, err)
		}
	})
}

func pathName() *huma.Param {
	return &huma.Param{Name: "name", In: "path", Required: true, Description: "The function's name", Example: "hello",
		Schema: &huma.Schema{Type: huma.TypeString, Pattern: namePattern.String()}}
}

func ifMatch() *huma.Param {
	return &huma.Param{Name: "If-Match", In: "header", Description: "Change only if the function still has this ETag", Example: `"3"`,
		Schema: &huma.Schema{Type: huma.TypeString}}
}

func binary(description string) *huma.MediaType {
	return &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary", Description: description}}
}
