package api

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
)

// wantsWarm says whether a change asks that the new version is loaded before it
// becomes the active one.
func wantsWarm(r *http.Request) (bool, error) {
	s := r.URL.Query().Get("warm")
	if s == "" {
		return false, nil
	}
	warm, err := strconv.ParseBool(s)
	if err != nil {
		return false, cove.Invalid("warm", "must be true or false")
	}
	return warm, nil
}

func warmParam() *huma.Param {
	return &huma.Param{Name: "warm", In: "query", Schema: &huma.Schema{Type: huma.TypeBoolean},
		Description: "Load the new version before it becomes the active one. If it cannot be loaded, nothing is changed, and the error is the function's own; if the host has no memory or no image for it now, it becomes active all the same, and `warmed` says so."}
}

// warmCodes are codes with those that warming up can end in.
func warmCodes(codes ...cove.Code) []cove.Code {
	return append(codes, cove.CodeInitError, cove.CodeInitTimeout, cove.CodeSandboxStartFailed, cove.CodeShuttingDown)
}
