package gateway

import (
	"net/http"

	"github.com/covefn/cove/internal/requestid"
)

// headerRequestID carries the request id, in and out.
const headerRequestID = requestid.Header

// requestID is the caller's own if it brought a valid one, else a new one.
func (g *Gateway) requestID(r *http.Request) string {
	if own := r.Header[headerRequestID]; len(own) == 1 && requestid.Valid(own[0]) {
		return own[0]
	}
	return g.opts.NewID()
}
