package api

import (
	"net/http"
	"slices"
)

// router is a ServeMux that knows what was registered.
type router struct {
	*http.ServeMux
	patterns []string
}

// HandleFunc registers and remembers.
func (r *router) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	r.patterns = append(r.patterns, pattern)
	r.ServeMux.HandleFunc(pattern, h)
}

// Patterns are those of every route there is, in the document or not, sorted. It
// is for tests of what holds for all of them.
func (a *API) Patterns() []string {
	return slices.Sorted(slices.Values(a.mux.patterns))
}
