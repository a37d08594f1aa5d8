package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/auth"
	"github.com/covefn/cove/internal/requestid"
)

type contextKey int

const (
	keyRequestID contextKey = iota
	keyCaller
	keyAudit
	keyArrived
)

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(keyRequestID).(string)
	return id
}

// callerOf is who makes the request; never nil behind a route that is not open.
func callerOf(ctx context.Context) *auth.Caller {
	c, _ := ctx.Value(keyCaller).(*auth.Caller)
	return c
}

// chain is what every request goes through, from the outside in.
func (a *API) chain(next http.Handler) http.Handler {
	return a.observe(a.authorise(next))
}

// observe names the request, sets the headers every answer has, bounds the time
// that a caller may let pass, survives a panic and logs.
func (a *API) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived := time.Now()
		id := r.Header.Get(RequestIDHeader)
		if !requestid.Valid(id) {
			id = requestid.New()
		}
		ctx := context.WithValue(r.Context(), keyRequestID, id)
		ctx = context.WithValue(ctx, keyArrived, arrived)
		r = r.WithContext(ctx)
		h := w.Header()
		h.Set(RequestIDHeader, id)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		rec := &recorder{ResponseWriter: w, timeout: a.WriteTimeout}
		if r.ContentLength != 0 {
			// Also where nobody reads the body: net/http waits for the rest of it
			// before it answers, also a caller without a token.
			setReadDeadline(w, a.BodyTimeout)
		}
		defer func() {
			if v := recover(); v != nil && v != http.ErrAbortHandler {
				a.Log.LogAttrs(ctx, slog.LevelError, "control API handler panicked", slog.String("request_id", id),
					slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
				if rec.status != 0 {
					panic(http.ErrAbortHandler)
				}
				a.writeError(rec, r, cove.Errorf(cove.CodeInternal, "something went wrong inside Cove; its log says what"))
			} else if v != nil {
				panic(v)
			}
			a.Log.LogAttrs(ctx, slog.LevelDebug, "control API request", slog.String("request_id", id),
				slog.String("method", r.Method), slog.String("path", secretInURL.ReplaceAllString(r.URL.Path, "cove_...")),
				slog.Int("status", rec.status), slog.Duration("took", time.Since(arrived)))
		}()
		next.ServeHTTP(rec, r)
	})
}

// recheck is how often a long answer asks whether its caller still may read it.
const recheck = 2 * time.Second

// recorder remembers the status, gives each write a time, and ends an answer that
// goes on when the caller's token or session has ended.
type recorder struct {
	http.ResponseWriter
	timeout time.Duration
	status  int
	// valid says whether the caller still may; checked is when it was asked last.
	valid   func() bool
	checked time.Time
	ended   bool
}

var errEnded = errors.New("the caller's token or session has ended")

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader remembers code.
func (r *recorder) WriteHeader(code int) {
	if r.status == 0 {
		r.status = code
	}
	r.bound()
	r.ResponseWriter.WriteHeader(code)
}

// Write is a 200 if nothing was said before.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.bound()
	if now := time.Now(); r.checked.IsZero() {
		r.checked = now
	} else if r.valid != nil && now.Sub(r.checked) > recheck {
		r.checked = now
		r.ended = r.ended || !r.valid()
	}
	if r.ended {
		return 0, errEnded
	}
	return r.ResponseWriter.Write(p)
}

func (r *recorder) bound() {
	_ = http.NewResponseController(r.ResponseWriter).SetWriteDeadline(time.Now().Add(r.timeout))
}

const (
	// roleOpen marks what needs no token.
	roleOpen = "open"
	// roleAny marks what everybody may who can show who they are.
	roleAny = "any"
)

// leastRoles is the one place that says who may do what: for each pattern of the
// router the least role it takes. A pattern that is not here is for role admin
// only, so a new route is closed until somebody opens it.
func leastRoles() map[string]string {
	const developer, viewer = auth.RoleDeveloper, auth.RoleViewer
	functions := Prefix + "/functions"
	one := functions + "/{name}"
	return map[string]string{
		"GET /healthz": roleOpen, "GET /readyz": roleOpen,
		"GET " + Prefix + "/openapi.json": roleOpen, "GET " + Prefix + "/openapi.yaml": roleOpen,

		"POST " + Prefix + "/session": roleOpen, "GET " + Prefix + "/session": roleAny, "DELETE " + Prefix + "/session": roleAny,
		"PUT " + Prefix + "/session/password": roleAny,
		"POST " + one + "/invoke":             auth.RoleInvoke, "POST " + one + "/ready": auth.RoleInvoke,

		"GET " + functions: viewer, "POST " + functions: developer,
		"GET " + one: viewer, "PUT " + one: developer, "PATCH " + one: developer, "DELETE " + one: developer,
		"GET " + one + "/code": viewer, "PUT " + one + "/code": developer, "PATCH " + one + "/code": developer,
		"GET " + one + "/versions": viewer, "GET " + one + "/versions/{number}": viewer,
		"GET " + one + "/versions/{number}/files": viewer, "POST " + one + "/rollback": developer,
		"POST " + one + "/disable": developer, "POST " + one + "/enable": developer,
		"POST " + one + "/warm": developer, "POST " + one + "/recycle": developer,
		"GET " + one + "/scaling": viewer,
		"GET " + one + "/events":  viewer, "PUT " + one + "/events/{event}": developer, "DELETE " + one + "/events/{event}": developer,
		"POST " + one + "/request": developer,
		"GET " + one + "/logs":     viewer, "GET " + Prefix + "/logs": viewer,
		"GET " + Prefix + "/templates": viewer,

		"GET " + Prefix + "/system": viewer, "GET " + Prefix + "/host": viewer, "GET " + Prefix + "/runtimes": viewer,
		"GET " + Prefix + "/isolations": viewer, "GET " + Prefix + "/instances": viewer, "GET " + Prefix + "/stems": viewer,
		"GET /metrics": viewer, "GET " + Prefix + "/metrics/query": viewer, "GET " + Prefix + "/metrics/gauges": viewer,
		"GET " + Prefix + "/metrics/recording": viewer, "GET " + Prefix + "/events": viewer,
		"GET " + Prefix + "/invocations": viewer, "GET " + Prefix + "/invocations/{id}": viewer,
		"GET " + Prefix + "/bench": viewer, "GET " + Prefix + "/bench/{id}": viewer, "POST " + Prefix + "/bench": developer,
		"DELETE " + Prefix + "/bench/{id}": developer, "POST " + Prefix + "/costs": viewer,
		"GET " + Prefix + "/settings": viewer,
	}
}

// leastRole is what the router's pattern takes.
func (a *API) leastRole(pattern string) string {
	if least, ok := a.roles[pattern]; ok {
		return least
	}
	return auth.RoleAdmin
}

// authorise refuses whoever may not do what the request asks. It is decided
// here for every route at once.
func (a *API) authorise(next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		w := out.(*recorder) // It is always behind observe.
		_, pattern := a.mux.Handler(r)
		least := a.leastRole(pattern)
		if err := a.checkRequest(r); err != nil {
			a.writeError(w, r, err)
			return
		}
		if least == roleOpen || pattern == "" && !strings.HasPrefix(r.URL.Path, "/api/") {
			a.audited(w, r, pattern, nil, next)
			return
		}
		caller, err := a.identify(r)
		if err != nil {
			a.writeError(w, r, err)
			return
		}
		w.valid = func() bool { return a.Access.Valid(caller) }
		r = r.WithContext(context.WithValue(r.Context(), keyCaller, caller))
		if least != roleAny && !auth.AtLeast(caller.Role, least) {
			next = a.deny(caller, least)
		}
		a.audited(w, r, pattern, caller, next)
	})
}

// checkRequest is what holds whoever asks.
func (a *API) checkRequest(r *http.Request) *cove.Error {
	if err := checkURL(r.URL); err != nil {
		return err
	}
	return a.checkOrigin(r)
}

// deny answers that the caller may not.
func (a *API) deny(c *auth.Caller, least string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.writeError(w, r, cove.Errorf(cove.CodeDenied, "%s has role %s; this needs role %s", c.Actor(), c.Role, least))
	})
}

// route is the mux, but with problems for what it does not know.
func (a *API) route(w http.ResponseWriter, r *http.Request) {
	h, pattern := a.mux.Handler(r)
	if pattern != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	head := &headOnly{header: http.Header{}}
	h.ServeHTTP(head, r)
	if head.status != http.StatusMethodNotAllowed {
		a.writeError(w, r, cove.Errorf(cove.CodeNotFound, "there is nothing at %s; %s/openapi.yaml lists what there is", r.URL.Path, Prefix))
		return
	}
	allow := head.header.Get("Allow")
	w.Header().Set("Allow", allow)
	a.writeError(w, r, cove.Errorf(cove.CodeMethodNotAllowed, "%s does not answer %s; it answers %s", r.URL.Path, r.Method, allow))
}

// headOnly keeps the head of an answer and drops its body.
type headOnly struct {
	header http.Header
	status int
}

func (h *headOnly) Header() http.Header         { return h.header }
func (h *headOnly) WriteHeader(code int)        { h.status = code }
func (h *headOnly) Write(p []byte) (int, error) { return len(p), nil }

var namePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// functionName is the path's {name}. What cannot be a name is told as unknown.
func functionName(r *http.Request) (string, error) {
	name := r.PathValue("name")
	if !namePattern.MatchString(name) {
		return "", cove.Errorf(cove.CodeNotFound, "there is no function %q", name)
	}
	return name, nil
}
