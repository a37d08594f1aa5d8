package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// documents are the OpenAPI document in both forms, made once.
type documents struct{ json, yaml []byte }

// registerDocument must come last: it writes down what was registered.
func (a *API) registerDocument() {
	a.describe()
	a.operations = map[string]string{}
	for path, item := range a.huma.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
		} {
			if op != nil {
				a.operations[method+" "+path] = op.OperationID
			}
		}
	}
	var err error
	if a.doc.json, err = a.huma.OpenAPI().MarshalJSON(); err != nil {
		panic("api: the OpenAPI document: " + err.Error())
	}
	if a.doc.yaml, err = a.huma.OpenAPI().YAML(); err != nil {
		panic("api: the OpenAPI document: " + err.Error())
	}
	a.mux.HandleFunc("GET "+Prefix+"/openapi.json", serve("application/openapi+json", a.doc.json))
	a.mux.HandleFunc("GET "+Prefix+"/openapi.yaml", serve("application/openapi+yaml", a.doc.yaml))
}

func serve(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body)
	}
}

// Document is the OpenAPI 3.1 document in YAML, as docs/openapi.yaml has it.
func Document() []byte { return New(Options{}).doc.yaml }
