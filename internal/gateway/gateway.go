// Package gateway is the data plane: it matches a request with a function's
// route, authorises it, hands it to invoke as a Lambda HTTP event, and writes
// what the function answered. It serves the functions' routes and nothing else.
//
// Requests to functions are untrusted, and so are their answers. What a caller
// sends never reaches a function before head and body were checked; what a
// function answers never reaches a caller unless it is one well-formed answer.
package gateway

import (
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/requestid"
	"github.com/covefn/cove/internal/route"
)

// Defaults of Options.
const (
	DefaultHeadTimeout  = 10 * time.Second
	DefaultBodyTimeout  = 30 * time.Second
	DefaultWriteTimeout = 30 * time.Second
	DefaultIdleTimeout  = 2 * time.Minute
	DefaultMaxHead      = 64 * cove.KiB
	DefaultMaxHeaders   = 200
	DefaultMaxBody      = 6 * cove.MiB
	DefaultBodyMemory   = 512 * cove.MiB

	DefaultMaxConnections = 10_000
)

// Options is what a Gateway needs. Zero limits and timeouts are the defaults.
type Options struct {
	// Routes says which version answers what. It may change at any time; a
	// request stays with the version it was matched with.
	Routes *route.Table[*cove.Version]
	// Invoke runs the requests. When its Do has returned it must hold neither
	// Request.Event nor the Sink any more: the memory is used again.
	Invoke invoke.Doer
	// Authorizer decides about functions that are not public.
	Authorizer Authorizer
	// Log gets what the gateway alone knows: panics. Nil is silent.
	Log *slog.Logger
	// TrustedProxies are the addresses whose X-Forwarded-* are believed.
	TrustedProxies []netip.Prefix
	// HeadTimeout bounds the time for a request's head, BodyTimeout that from
	// the head to the end of the body, WriteTimeout the time in which a caller
	// must take the next 32 KiB of an answer, IdleTimeout that between requests.
	HeadTimeout, BodyTimeout, WriteTimeout, IdleTimeout time.Duration
	// MaxHead bounds the size of a request's head, MaxHeaders the number of its
	// header lines.
	MaxHead    cove.ByteSize
	MaxHeaders int
	// BodyMemory bounds the bodies that are held at once, those of requests and
	// the whole ones of answers, all together. One function may have half.
	BodyMemory cove.ByteSize
	// MaxConnections is how many connections may be open at once. Where there are
	// as many, those without a request are closed, the longest idle first.
	MaxConnections int
	// NewID makes request ids; nil is requestid.New.
	NewID func() string
}

// Authorizer decides who may call a function that is not public. It must be
// safe for concurrent use.
type Authorizer interface {
	// Authorize says whether r may call v: nil, or an error of
	// CodeUnauthenticated or CodeDenied. The body is not read yet.
	Authorize(r *http.Request, v *cove.Version) *cove.Error
}

// Gateway is the http.Handler of the data plane. It is safe for concurrent use.
type Gateway struct {
	opts   Options
	bodies *bodies
	events sync.Pool // *[]byte
	// exchanges are those that no request uses.
	exchanges sync.Pool // *exchange
}

// New makes a Gateway.
func New(o Options) *Gateway {
	setDefault(&o.HeadTimeout, DefaultHeadTimeout)
	setDefault(&o.BodyTimeout, DefaultBodyTimeout)
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	setDefault(&o.IdleTimeout, DefaultIdleTimeout)
	setDefault(&o.MaxHead, DefaultMaxHead)
	setDefault(&o.MaxHeaders, DefaultMaxHeaders)
	setDefault(&o.BodyMemory, DefaultBodyMemory)
	setDefault(&o.MaxConnections, DefaultMaxConnections)
	if o.NewID == nil {
		o.NewID = requestid.New
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{opts: o, bodies: newBodies(int64(o.BodyMemory))}
	g.events.New = func() any { return new(make([]byte, 0, 4096)) }
	g.exchanges.New = func() any { return &exchange{g: g} }
	return g
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// ServeHTTP answers one request. An answer that broke off after it had begun
// ends in a panic with http.ErrAbortHandler, which is how net/http is told to
// cut the connection, or the HTTP/2 stream, so that the caller notices.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := g.exchanges.Get().(*exchange)
	*x = exchange{g: g, w: w, r: r, arrived: time.Now()}
	x.id = g.requestID(r)
	w.Header()[headerRequestID] = []string{x.id}
	abort, clean := x.run()
	if clean {
		*x = exchange{}
		g.exchanges.Put(x)
	}
	if abort {
		panic(http.ErrAbortHandler)
	}
}

// Try answers r as ServeHTTP would, for a caller who may call every function: no
// token is asked for. It says what was recorded, nil if no function was called, and
// whether the answer broke off after it had begun, which a caller over the network
// would notice by a connection that is cut.
func (g *Gateway) Try(w http.ResponseWriter, r *http.Request) (record *cove.Invocation, broken bool) {
	x := &exchange{g: g, w: w, r: r, arrived: time.Now(), trusted: true}
	x.id = g.requestID(r)
	w.Header()[headerRequestID] = []string{x.id}
	broken, _ = x.run()
	return x.record, broken
}

// run serves and says whether what was sent must be cut off. clean is not set
// after a panic: nobody knows then who still holds x.
func (x *exchange) run() (abort, clean bool) {
	defer func() {
		x.release()
		p := recover()
		if p == nil {
			return
		}
		x.g.opts.Log.Error("a request ended in a panic", "panic", p, "request_id", x.id, "stack", string(debug.Stack()))
		clean = false
		if x.started {
			abort = true
			return
		}
		x.fail(cove.Errorf(cove.CodeInternal, "something went wrong inside Cove; its log says what"))
	}()
	if err := x.serve(); err != nil && !x.started {
		x.fail(err)
	}
	return x.broken, true
}

// serve takes the request through its stations. If it returns an error and
// nothing was written yet, the error is the answer.
func (x *exchange) serve() *cove.Error {
	x.boundBody()
	if err := x.checkHead(); err != nil {
		return err
	}
	done, err := x.findRoute()
	if done || err != nil {
		return err
	}
	if err := x.authorize(); err != nil {
		return err
	}
	if err := x.readTimeout(); err != nil {
		return err
	}
	body, err := x.readBody()
	if err != nil {
		return err
	}
	buf := x.g.events.Get().(*[]byte)
	*buf = x.appendEvent((*buf)[:0], body)
	x.record, err = x.g.opts.Invoke.Do(x.r.Context(), &invoke.Request{
		ID: x.id, Version: x.version, Kind: cove.KindHTTP, Event: *buf, Payload: body,
		Method: x.r.Method, Path: x.r.URL.EscapedPath(), Trace: traceparent(x.r.Header), Arrived: x.arrived, Deadline: x.deadline, AwaitLog: x.trusted,
	}, x)
	// Not in a defer: after a panic nobody knows who still holds it.
	if cap(*buf) <= maxPooledEvent {
		x.g.events.Put(buf)
	}
	return err
}

const maxPooledEvent = 64 << 10

// findRoute sets x.version, or answers by itself: redirects to a subtree's
// slash, preflights, and OPTIONS where no route has it.
func (x *exchange) findRoute() (done bool, err *cove.Error) {
	path := x.r.URL.EscapedPath()
	if path == "" {
		path = "/" // the absolute form may leave it out
	}
	if x.preflight(path) {
		return true, nil
	}
	v, found := x.g.opts.Routes.Match(x.r.Method, path, &x.params)
	switch found.Outcome {
	case route.Found:
		x.version, x.route = v, found
		x.allowOrigin()
		return false, nil
	case route.AddSlash:
		to := path + "/"
		if x.r.URL.RawQuery != "" {
			to += "?" + x.r.URL.RawQuery
		}
		x.w.Header().Set("Location", to)
		x.empty(http.StatusTemporaryRedirect)
		return true, nil
	case route.MethodNotAllowed:
		if x.r.Method == http.MethodOptions {
			x.w.Header().Set("Allow", join(append(found.Allow, http.MethodOptions)))
			x.empty(http.StatusNoContent)
			return true, nil
		}
		x.w.Header().Set("Allow", join(found.Allow))
		return false, cove.Errorf(cove.CodeMethodNotAllowed, "%s has no %s; there is %s", path, x.r.Method, join(found.Allow))
	}
	return false, cove.Errorf(cove.CodeNotFound, "no function has a route for %s", path)
}

// authorize asks the Authorizer unless the function is public.
func (x *exchange) authorize() *cove.Error {
	if x.trusted || x.public() {
		return nil
	}
	if x.g.opts.Authorizer == nil {
		return cove.Errorf(cove.CodeDenied, "this Cove has no tokens")
	}
	return x.g.opts.Authorizer.Authorize(x.r, x.version)
}

// public says whether everybody may call the function. Whatever is not known
// to be public is not.
func (x *exchange) public() bool { return x.version.Config.Auth == cove.AuthPublic }

func join(methods []string) string { return strings.Join(methods, ", ") }
