package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/route"
)

// preflight answers a browser that asks whether it may send a request, if the
// function it is for has cors configured. No token is asked for: a browser
// sends none with a preflight.
func (x *exchange) preflight(path string) bool {
	if x.r.Method != http.MethodOptions {
		return false
	}
	origin, method := x.r.Header.Get("Origin"), x.r.Header.Get("Access-Control-Request-Method")
	if origin == "" || !validToken(method) {
		return false
	}
	v, found := x.g.opts.Routes.Match(method, path, &x.params)
	if found.Outcome != route.Found || v.Config.CORS == nil {
		return false
	}
	x.version, x.route = v, found
	c := v.Config.CORS
	h := x.w.Header()
	h["Vary"] = []string{"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"}
	if allowed := allowedOrigin(c, origin); allowed != "" {
		x.setOrigin(allowed)
		methods := c.Methods
		if len(methods) == 0 {
			methods = v.Config.Methods
		}
		if len(methods) == 0 || slices.Contains(methods, "*") {
			methods = []string{method}
		}
		h.Set("Access-Control-Allow-Methods", join(methods))
		headers := join(c.Headers)
		if slices.Contains(c.Headers, "*") {
			headers = x.r.Header.Get("Access-Control-Request-Headers")
		}
		if headers != "" {
			h.Set("Access-Control-Allow-Headers", headers)
		}
		if c.MaxAge > 0 {
			h.Set("Access-Control-Max-Age", strconv.FormatInt(int64(c.MaxAge.Std().Seconds()), 10))
		}
	}
	x.empty(http.StatusNoContent)
	return true
}

// allowOrigin sets what a browser needs to hand the answer, whatever it will
// be, to a page of another origin.
func (x *exchange) allowOrigin() {
	c := x.version.Config.CORS
	if c == nil {
		return
	}
	h := x.w.Header()
	// Also without an Origin: a cache must not give this answer to one with.
	h["Vary"] = []string{"Origin"}
	allowed := allowedOrigin(c, x.r.Header.Get("Origin"))
	if allowed == "" {
		return
	}
	x.setOrigin(allowed)
	// The request id is the gateway's own, so it may always be read.
	h.Set("Access-Control-Expose-Headers", join(append([]string{headerRequestID}, c.ExposeHeaders...)))
}

func (x *exchange) setOrigin(allowed string) {
	h := x.w.Header()
	h.Set("Access-Control-Allow-Origin", allowed)
	if x.version.Config.CORS.Credentials && allowed != "*" {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// allowedOrigin is what to answer to origin: itself, "*", or "" if it is not
// allowed.
func allowedOrigin(c *cove.CORS, origin string) string {
	if origin == "" {
		return ""
	}
	for _, o := range c.Origins {
		if o == "*" {
			return "*"
		}
		if strings.EqualFold(o, origin) {
			return origin
		}
	}
	return ""
}
