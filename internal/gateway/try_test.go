package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/route"
	"github.com/covefn/cove/internal/runtime"
)

func TestTry(t *testing.T) {
	t.Parallel()
	// try sends a request to a gateway with a function that needs a token.
	try := func(t *testing.T, do doFunc, path string) (*httptest.ResponseRecorder, *cove.Invocation, bool) {
		t.Helper()
		v := function("closed", "/closed")
		v.Config.Auth = cove.AuthToken
		routes := route.NewTable[*cove.Version]()
		p, err := route.Parse(v.Config.Route)
		if err != nil {
			t.Fatal(err)
		}
		if err := routes.Set(v.Function, p, nil, v); err != nil {
			t.Fatal(err)
		}
		g := New(Options{Routes: routes, Invoke: do, Authorizer: authFunc(func(*http.Request, *cove.Version) *cove.Error {
			return cove.Errorf(cove.CodeUnauthenticated, "a token is needed")
		})})
		w := httptest.NewRecorder()
		record, broken := g.Try(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w, record, broken
	}
	t.Run("no token is asked for, and the record is told", func(t *testing.T) {
		t.Parallel()
		awaited := false
		w, record, broken := try(t, func(_ context.Context, r *invoke.Request, sink invoke.Sink) *cove.Error {
			awaited = r.AwaitLog
			_ = sink.Answer(&runtime.Answer{Payload: []byte("hello")})
			return nil
		}, "/closed")
		if w.Code != 200 || w.Body.String() != "hello" || record == nil || record.ID != w.Header().Get("X-Request-Id") || broken || !awaited {
			t.Errorf("%d %q, %+v, %v, %v", w.Code, w.Body, record, broken, awaited)
		}
	})
	t.Run("where no function is called there is no record", func(t *testing.T) {
		t.Parallel()
		w, record, broken := try(t, never(t), "/other")
		if w.Code != http.StatusNotFound || record != nil || broken {
			t.Errorf("%d, %+v, %v", w.Code, record, broken)
		}
	})
	t.Run("an answer that broke off is told and is no panic", func(t *testing.T) {
		t.Parallel()
		w, _, broken := try(t, func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
			_ = sink.Begin(&runtime.Head{})
			_ = sink.Chunk([]byte("half"))
			sink.End(cove.Errorf(cove.CodeTimeout, "too long"))
			return nil
		}, "/closed")
		if w.Body.String() != "half" || !broken {
			t.Errorf("%q, %v", w.Body, broken)
		}
	})
}

func TestWhoComesOverTheNetworkIsStillAskedForAToken(t *testing.T) {
	t.Parallel()
	v := function("closed", "/closed")
	v.Config.Auth = cove.AuthToken
	w := setup(t, Options{Invoke: never(t), Authorizer: authFunc(func(*http.Request, *cove.Version) *cove.Error {
		return cove.Errorf(cove.CodeUnauthenticated, "a token is needed")
	})}, v)
	res, err := w.client(false).Get("http://" + w.addr + "/closed")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("answered %d", res.StatusCode)
	}
}
