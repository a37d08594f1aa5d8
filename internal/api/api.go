// Package api is the control plane: it manages functions over HTTP. The OpenAPI
// document in docs/openapi.yaml is generated from it.
//
// Small bodies go through huma, which checks and documents them. Large and
// streaming ones (code, invoke, logs) are plain net/http handlers beside it,
// documented in the same place.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/auth"
	"github.com/covefn/cove/internal/deploy"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/requestid"
	"github.com/covefn/cove/internal/store"
)

// Tokens manages access tokens; *auth.Service does. Errors are *cove.Error.
type Tokens interface {
	// Create makes a token and returns its secret, which is kept nowhere.
	// Functions limits the role "invoke"; expires is zero for never.
	Create(ctx context.Context, name, role string, functions []string, expires time.Time) (string, store.Token, error)
	List(ctx context.Context) ([]store.Token, error)
	Delete(ctx context.Context, id string) error
}

// System tells about the daemon itself. Its methods answer from memory, but
// Isolations, which probes and takes at most 5 s.
type System interface {
	Isolations(ctx context.Context) []driver.Report
	Runtimes() []wire.Runtime
	// Info is everything of wire.System.
	Info() wire.System
	// Instances counts the sandboxes of one function.
	Instances(function string) wire.Instances
	// State is "ok", "starting" or "draining".
	State() string
}

// Options are what New needs. Everything but Log and the limits must be set.
type Options struct {
	Functions deploy.Functions
	Invoker   invoke.Doer
	Access    Access
	Tokens    Tokens
	Users     Users
	Audit     Audit
	Settings  Settings
	Instances Instances
	Logs      Logs
	Events    Events
	System    System
	// SavedEvents are the payloads that are kept to call functions with.
	SavedEvents store.Events
	Routes      Routes
	Host        Host
	Bench       Bench
	Metrics     Metrics
	// TrustedProxies are the addresses whose X-Forwarded-For and -Proto are
	// believed.
	TrustedProxies []netip.Prefix
	// Log gets one line per request at debug, and every internal error. Nil
	// discards.
	Log *slog.Logger
	// MaxPackage bounds an uploaded archive; 0 means 256 MiB.
	MaxPackage cove.ByteSize
	// BodyTimeout bounds the arrival of a small body, and the time an upload
	// may make no progress; 0 means 30 s. WriteTimeout is the same for answers.
	BodyTimeout  time.Duration
	WriteTimeout time.Duration
}

const (
	// Prefix is where the API begins.
	Prefix = "/api/v1"
	// RequestIDHeader names the request in answers and logs.
	RequestIDHeader = requestid.Header
	// TimeoutHeader is a caller's own bound for an invocation.
	TimeoutHeader = "Cove-Timeout"
	// OutcomeHeader repeats the outcome of an invocation in the head.
	OutcomeHeader = "Cove-Outcome"

	maxJSON    = 1 << 20
	maxInline  = 16 << 20
	maxPayload = 6 << 20
	maxLogin   = 4 << 10
)

// API is the control plane's handler. It is safe for concurrent use.
type API struct {
	Options
	mux  *router
	huma huma.API
	// roles are leastRoles, and operations the id of the operation that each
	// pattern has in the document.
	roles       map[string]string
	operations  map[string]string
	crossOrigin *http.CrossOriginProtection
	// refused counts what callers were refused.
	refused *auth.Limiter
	doc     documents
	// fileReads has an entry for each answer full of files that is being made.
	fileReads chan struct{}
}

// New builds the API. It starts nothing.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxPackage == 0 {
		o.MaxPackage = 256 * cove.MiB
	}
	if o.BodyTimeout == 0 {
		o.BodyTimeout = 30 * time.Second
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 30 * time.Second
	}
	a := &API{
		Options: o, mux: &router{ServeMux: http.NewServeMux()}, fileReads: make(chan struct{}, maxFileReads),
		roles: leastRoles(), crossOrigin: http.NewCrossOriginProtection(), refused: auth.NewLimiter(refusedAtOnce, refusedEvery),
	}
	a.huma = humago.New(a.mux, humaConfig())
	a.huma.UseMiddleware(mapStatus)
	a.registerFunctions()
	a.registerCode()
	a.registerVersions()
	a.registerEnable()
	a.registerFiles()
	a.registerTemplates()
	a.registerSavedEvents()
	a.registerRouteTest()
	a.registerHost()
	a.registerBench()
	a.registerInvoke()
	a.registerInstances()
	a.registerMetrics()
	a.registerInvocations()
	a.registerPrometheus()
	a.registerLogs()
	a.registerEvents()
	a.registerTokens()
	a.registerSession()
	a.registerUsers()
	a.registerAudit()
	a.registerSettings()
	a.registerSystem()
	a.registerHealth()
	a.registerDocument()
	a.registerDebug()
	return a
}

// ServeHTTP answers everything under /api/v1, /healthz and /readyz, and 404 for
// the rest.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.chain(http.HandlerFunc(a.route)).ServeHTTP(w, r)
}
