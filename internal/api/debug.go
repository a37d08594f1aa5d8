package api

import (
	"net/http/pprof"
)

// debugPrefix is where Go's profiles of the daemon are: goroutines, heap,
// processor time. They are for who runs the daemon and not part of the API: the
// document does not list them, and they may change with Go.
const debugPrefix = "/debug/pprof/"

// registerDebug serves the profiles. Like all else they need a token of role
// admin.
func (a *API) registerDebug() {
	a.mux.HandleFunc("GET "+debugPrefix, pprof.Index)
	a.mux.HandleFunc("GET "+debugPrefix+"profile", pprof.Profile)
	a.mux.HandleFunc("GET "+debugPrefix+"trace", pprof.Trace)
	a.mux.HandleFunc("GET "+debugPrefix+"symbol", pprof.Symbol)
}
