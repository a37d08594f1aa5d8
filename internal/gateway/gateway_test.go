package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/runtime"
)

func TestRouting(t *testing.T) {
	t.Parallel()
	w := setup(t, Options{Invoke: text("ok")}, function("get", "/get/{x}", "GET"), function("tree", "/tree/"))
	both(t, func(t *testing.T, http2 bool) {
		c := w.client(http2)
		for _, rule := range []struct {
			name, method, path string
			status             int
			header, value      string
		}{
			{"a route answers", "GET", "/get/1", 200, "", ""},
			{"HEAD goes where GET goes", "HEAD", "/get/1", 200, "", ""},
			{"no route is 404", "GET", "/none", 404, "Content-Type", "application/problem+json"},
			{"another method is 405 with what there is", "POST", "/get/1", 405, "Allow", "GET, HEAD"},
			{"OPTIONS where no route has it tells what there is", "OPTIONS", "/get/1", 204, "Allow", "GET, HEAD, OPTIONS"},
			{"OPTIONS goes to a function of all methods", "OPTIONS", "/tree/x", 200, "", ""},
			{"a subtree without its slash is redirected", "GET", "/tree?a=b", 307, "Location", "/tree/?a=b"},
			{"a dot segment is refused", "GET", "/tree/%2e%2e/x", 400, "", ""},
			{"so is one behind an encoded slash", "GET", "/tree/a%2f..%2fx", 400, "", ""},
			{"two slashes stay two slashes", "GET", "/tree//x", 200, "", ""},
			{"two slashes are not one", "GET", "//get/1", 404, "", ""},
			{"an error for HEAD has no body", "HEAD", "/none", 404, "", ""},
		} {
			res := w.send(c, rule.method, rule.path, "")
			if res.StatusCode != rule.status || rule.header != "" && res.Header.Get(rule.header) != rule.value {
				t.Errorf("%s: %s %v", rule.name, res.Status, res.Header)
			}
			if res.Header.Get("X-Request-Id") == "" || rule.method == "HEAD" && res.text != "" {
				t.Errorf("%s: %v %q", rule.name, res.Header, res.text)
			}
		}
	})
}

func TestErrorsAreProblems(t *testing.T) {
	t.Parallel()
	for code, want := range map[cove.Code]string{cove.CodeTimeout: "3s", cove.CodeInitTimeout: "4s", cove.CodeOverloaded: "5s", cove.CodeFunctionError: ""} {
		w := setup(t, Options{Invoke: doFunc(func(context.Context, *invoke.Request, invoke.Sink) *cove.Error {
			return &cove.Error{Code: code, Message: "said", RetryAfter: 1100 * time.Millisecond, Function: &cove.FunctionError{Type: "E"}}
		})}, function("f", "/"))
		res := w.send(w.client(false), "GET", "/", "")
		p := res.problem(t)
		timeout := ""
		if p.Timeout != nil {
			timeout = p.Timeout.String()
		}
		said := "said"
		if code == cove.CodeOverloaded {
			said = publicly(code)
		}
		if p.Code != code || p.Detail != said || p.Function != "f" || p.Fault != code.Fault() || timeout != want ||
			p.Error == nil || p.Error.Type != "E" || res.Header.Get("Retry-After") != "2" {
			t.Errorf("%s: %s %v", code, res.text, res.Header)
		}
	}
}

func TestWhatTheHostLacksIsToldToNobodyWhoMayOnlyCall(t *testing.T) {
	t.Parallel()
	const secret = "/var/lib/cove/images/python3.13 is missing; all sandboxes may reserve 2GiB"
	for _, code := range []cove.Code{cove.CodeSandboxStartFailed, cove.CodeUnavailable, cove.CodeOverloaded, cove.CodeInternal} {
		fail := doFunc(func(context.Context, *invoke.Request, invoke.Sink) *cove.Error { return cove.Errorf(code, secret) })
		w := setup(t, Options{Invoke: fail}, function("f", "/f"))
		res := w.send(w.client(false), "GET", "/f", "")
		if p := res.problem(t); p.Code != code || p.Detail == "" || p.Function != "f" || strings.Contains(res.text, "/var") || strings.Contains(res.text, "GiB") {
			t.Errorf("%s: %s", code, res.text)
		}
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	w := setup(t, Options{Invoke: echo(t)}, function("f", "/"))
	for _, own := range []string{"short", strings.Repeat("x", 65), "-leading-dash", "has space in it", "quote\"quote\"", "<script>alert"} {
		res := w.send(w.client(false), "GET", "/", "", "X-Request-Id: "+own)
		id := res.Header.Get("X-Request-Id")
		if !regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{26}$`).MatchString(id) || header(res.event(t), "x-request-id") != id {
			t.Errorf("%q became %q: %s", own, id, res.text)
		}
	}
}

func TestCoveTimeoutAndTrace(t *testing.T) {
	t.Parallel()
	requests := make(chan *invoke.Request, 1)
	w := setup(t, Options{Invoke: doFunc(func(_ context.Context, r *invoke.Request, sink invoke.Sink) *cove.Error {
		requests <- r
		return sinkOK(sink)
	})}, function("f", "/"))
	c := w.client(false)
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	w.send(c, "GET", "/", "", "Cove-Timeout: 2s", "Traceparent: "+trace)
	if r := <-requests; r.Deadline.Sub(r.Arrived) != 2*time.Second || r.Trace != trace || r.Kind != cove.KindHTTP || r.Version.Function != "f" {
		t.Errorf("request %+v", r)
	}
	w.send(c, "GET", "/", "", "Traceparent: nonsense")
	if r := <-requests; !r.Deadline.IsZero() || r.Trace != "" {
		t.Errorf("request %+v", r)
	}
	for _, bad := range []string{"2", "-1s", "0s", "soon"} {
		p := w.send(c, "GET", "/", "", "Cove-Timeout: "+bad).problem(t)
		if p.Code != cove.CodeInvalid || len(p.Errors) != 1 || p.Errors[0].Field != "Cove-Timeout" {
			t.Errorf("%q: %+v", bad, p)
		}
	}
}

func sinkOK(sink invoke.Sink) *cove.Error {
	_ = sink.Answer(&runtime.Answer{Head: &runtime.Head{}})
	return nil
}

func TestAuth(t *testing.T) {
	t.Parallel()
	closed := function("closed", "/closed")
	closed.Config.Auth = cove.AuthToken
	odd := function("odd", "/odd")
	odd.Config.Auth = ""
	deny := authFunc(func(*http.Request, *cove.Version) *cove.Error {
		return cove.Errorf(cove.CodeUnauthenticated, "bring a token")
	})
	w := setup(t, Options{Invoke: never(t), Authorizer: deny}, closed, odd)
	for _, path := range []string{"/closed", "/odd"} {
		if res := w.send(w.client(false), "POST", path, "body"); res.problem(t).Code != cove.CodeUnauthenticated || res.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s %v", res.Status, res.Header)
		}
	}
	w = setup(t, Options{Invoke: never(t)}, closed)
	if res := w.send(w.client(false), "GET", "/closed", ""); res.StatusCode != 403 {
		t.Errorf("without an authorizer: %s", res.Status)
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	v := function("f", "/f", "GET", "PUT")
	v.Config.CORS = &cove.CORS{
		Origins: []string{"https://app.example.com"}, Headers: []string{"Content-Type", "Authorization"}, ExposeHeaders: []string{"X-Total"},
		Credentials: true, MaxAge: cove.Duration(time.Hour),
	}
	v.Config.Auth = cove.AuthToken
	anyone := function("any", "/any")
	anyone.Config.CORS = &cove.CORS{Origins: []string{"*"}, Headers: []string{"*"}}
	deny := authFunc(func(*http.Request, *cove.Version) *cove.Error {
		return cove.Errorf(cove.CodeUnauthenticated, "bring a token")
	})
	w := setup(t, Options{Authorizer: deny, Invoke: answer(runtime.Answer{Head: &runtime.Head{Headers: map[string][]string{
		"access-control-allow-origin": {"https://evil.example"}, "vary": {"Accept"},
	}}})}, v, anyone, function("plain", "/plain"))
	c := w.client(false)
	check := func(t *testing.T, res response, status int, want map[string]string) {
		t.Helper()
		if res.StatusCode != status {
			t.Errorf("%s", res.Status)
		}
		for name, value := range want {
			if got := strings.Join(res.Header[name], "; "); got != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}
	}
	t.Run("a preflight is answered without a token and without the function", func(t *testing.T) {
		t.Parallel()
		check(t, w.send(c, "OPTIONS", "/f", "", "Origin: https://app.example.com", "Access-Control-Request-Method: PUT"), 204, map[string]string{
			"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Allow-Methods": "GET, PUT", "Access-Control-Allow-Headers": "Content-Type, Authorization",
			"Access-Control-Allow-Credentials": "true", "Access-Control-Max-Age": "3600",
		})
	})
	t.Run("an origin that is not listed gets no leave", func(t *testing.T) {
		t.Parallel()
		check(t, w.send(c, "OPTIONS", "/f", "", "Origin: https://evil.example", "Access-Control-Request-Method: PUT"), 204, map[string]string{
			"Access-Control-Allow-Origin": "", "Access-Control-Allow-Methods": "", "Access-Control-Allow-Credentials": "",
		})
	})
	t.Run("errors carry the headers too", func(t *testing.T) {
		t.Parallel()
		check(t, w.send(c, "GET", "/f", "", "Origin: https://app.example.com"), 401, map[string]string{
			"Access-Control-Allow-Origin": "https://app.example.com", "Vary": "Origin", "Access-Control-Expose-Headers": "X-Request-Id, X-Total",
		})
	})
	t.Run("the function's own are replaced, its Vary is kept", func(t *testing.T) {
		t.Parallel()
		check(t, w.send(c, "GET", "/any", "", "Origin: https://x.example"), 200, map[string]string{"Access-Control-Allow-Origin": "*", "Vary": "Origin; Accept"})
		check(t, w.send(c, "OPTIONS", "/any", "", "Origin: https://x.example", "Access-Control-Request-Method: BREW", "Access-Control-Request-Headers: x-a, x-b"), 204,
			map[string]string{"Access-Control-Allow-Methods": "BREW", "Access-Control-Allow-Headers": "x-a, x-b", "Access-Control-Allow-Credentials": ""})
	})
	t.Run("without cors the function speaks for itself", func(t *testing.T) {
		t.Parallel()
		check(t, w.send(c, "OPTIONS", "/plain", "", "Origin: https://x.example", "Access-Control-Request-Method: PUT"), 200,
			map[string]string{"Access-Control-Allow-Origin": "https://evil.example"})
	})
}

func TestPanics(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := setup(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Invoke: doFunc(func(context.Context, *invoke.Request, invoke.Sink) *cove.Error {
		panic("a bug")
	})}, function("f", "/"))
	if p := w.send(w.client(false), "GET", "/", "").problem(t); p.Code != cove.CodeInternal || strings.Contains(p.Detail, "bug") {
		t.Errorf("problem %+v", p)
	}
	if err := w.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "a bug"); n != 1 {
		t.Errorf("logged %d times: %s", n, log.String())
	}
}
