package api

import "net/http"

// metricsPattern is where Prometheus scrapes. It is no part of the OpenAPI
// document: its format is Prometheus's own.
const metricsPattern = "GET /metrics"

func (a *API) registerPrometheus() {
	a.mux.HandleFunc(metricsPattern, func(w http.ResponseWriter, r *http.Request) {
		a.Metrics.Prometheus().ServeHTTP(w, r)
	})
}
