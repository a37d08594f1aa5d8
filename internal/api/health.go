package api

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove/client/wire"
)

func (a *API) registerHealth() {
	open := []map[string][]string{{}}
	a.plain(huma.Operation{
		OperationID: "healthz", Method: http.MethodGet, Path: "/healthz", Tags: []string{"system"}, Security: open,
		Summary: "Is the process alive?", Description: "200 as long as the daemon answers at all. Needs no token.",
		Responses: map[string]*huma.Response{"200": response[wire.Health](a, "Alive", wire.Health{Status: "ok"})},
	}, func(w http.ResponseWriter, _ *http.Request) error {
		writeJSON(w, http.StatusOK, "application/json", wire.Health{Status: "ok"})
		return nil
	})
	a.plain(huma.Operation{
		OperationID: "readyz", Method: http.MethodGet, Path: "/readyz", Tags: []string{"system"}, Security: open,
		Summary: "Does it take requests?", Description: "200 while the doors are open, 503 while the daemon starts or drains. Needs no token.",
		Responses: map[string]*huma.Response{
			"200": response[wire.Health](a, "The doors are open", wire.Health{Status: "ok"}),
			"503": response[wire.Health](a, "Starting or draining", wire.Health{Status: "draining"}),
		},
	}, func(w http.ResponseWriter, _ *http.Request) error {
		state, status := a.System.State(), http.StatusOK
		if state != "ok" {
			status = http.StatusServiceUnavailable
			w.Header().Set("Retry-After", "1")
		}
		writeJSON(w, status, "application/json", wire.Health{Status: state})
		return nil
	})
}
