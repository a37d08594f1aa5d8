package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/api/apitest"
	"github.com/covefn/cove/internal/auth"
)

// expected says once more who may do what, apart from the code that decides it: a
// route that is not here fails the tests until somebody has thought about it.
func expected() map[string]string {
	const open, everybody, admin, developer, viewer, invoke = "open", "any", auth.RoleAdmin, auth.RoleDeveloper, auth.RoleViewer, auth.RoleInvoke
	want := map[string]string{
		"GET /healthz": open, "GET /readyz": open, "GET /metrics": viewer,
		"GET /debug/pprof/": admin, "GET /debug/pprof/profile": admin, "GET /debug/pprof/trace": admin, "GET /debug/pprof/symbol": admin,
	}
	for route, least := range map[string]string{
		"GET /openapi.json": open, "GET /openapi.yaml": open,
		"GET /session": everybody, "POST /session": open, "DELETE /session": everybody, "POST /session/links": admin, "PUT /session/password": everybody,
		"GET /users": admin, "POST /users": admin, "PATCH /users/{name}": admin, "DELETE /users/{name}": admin,
		"GET /tokens": admin, "POST /tokens": admin, "DELETE /tokens/{id}": admin, "GET /audit": admin,
		"GET /settings": viewer, "PATCH /settings": admin,
		"GET /system": viewer, "GET /host": viewer, "GET /runtimes": viewer, "GET /isolations": viewer, "GET /instances": viewer, "GET /stems": viewer,
		"GET /metrics/query": viewer, "GET /metrics/gauges": viewer, "GET /metrics/recording": viewer, "GET /events": viewer, "GET /logs": viewer,
		"GET /invocations": viewer, "GET /invocations/{id}": viewer, "GET /templates": viewer,
		"GET /bench": viewer, "POST /bench": developer, "GET /bench/{id}": viewer, "DELETE /bench/{id}": developer, "POST /costs": viewer,
		"GET /functions": viewer, "POST /functions": developer,
		"GET /functions/{name}": viewer, "PUT /functions/{name}": developer, "PATCH /functions/{name}": developer, "DELETE /functions/{name}": developer,
		"GET /functions/{name}/code": viewer, "PUT /functions/{name}/code": developer, "PATCH /functions/{name}/code": developer,
		"GET /functions/{name}/versions": viewer, "GET /functions/{name}/versions/{number}": viewer, "GET /functions/{name}/versions/{number}/files": viewer,
		"POST /functions/{name}/rollback": developer, "POST /functions/{name}/disable": developer, "POST /functions/{name}/enable": developer,
		"POST /functions/{name}/invoke": invoke, "POST /functions/{name}/request": developer, "POST /functions/{name}/ready": invoke,
		"POST /functions/{name}/warm": developer, "POST /functions/{name}/recycle": developer, "GET /functions/{name}/scaling": viewer,
		"GET /functions/{name}/logs": viewer, "GET /functions/{name}/events": viewer,
		"PUT /functions/{name}/events/{event}": developer, "DELETE /functions/{name}/events/{event}": developer,
	} {
		method, path, _ := strings.Cut(route, " ")
		want[method+" "+api.Prefix+path] = least
	}
	return want
}

// may is the table of roles, written down a second time.
func may(role, least string) bool {
	switch least {
	case "any":
		return true
	case auth.RoleInvoke:
		return role != auth.RoleViewer
	case auth.RoleViewer:
		return role != auth.RoleInvoke
	case auth.RoleDeveloper:
		return role == auth.RoleAdmin || role == auth.RoleDeveloper
	}
	return role == auth.RoleAdmin
}

// heavy are routes that work for half a minute when they are let in.
var heavy = []string{"GET /debug/pprof/profile", "GET /debug/pprof/trace"}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// request is one to the pattern, for the function "hello".
func request(t *testing.T, s *apitest.Server, pattern string, header ...string) *http.Request {
	t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	path = parameter.ReplaceAllString(strings.Replace(path, "/functions/{name}", "/functions/hello", 1), "1")
	body := io.Reader(http.NoBody)
	if method != http.MethodGet {
		body = strings.NewReader("{}")
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// head is the head of the answer, with the code of its problem. What streams is
// cut off.
func head(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(req.Context(), 20*time.Second)
	defer cancel()
	res, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var problem struct{ Code string }
	if res.Header.Get("Content-Type") == "application/problem+json" {
		if err := json.NewDecoder(res.Body).Decode(&problem); err != nil {
			t.Fatal(err)
		}
	}
	return res, problem.Code
}

// token makes one of the role.
func token(t *testing.T, s *apitest.Server, role string, functions ...string) string {
	t.Helper()
	secret, _, err := s.Auth.Create(t.Context(), role, role, functions, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// session signs in whoever the token is, as a one-time link does.
func session(t *testing.T, s *apitest.Server, token string) string {
	t.Helper()
	c, refused := s.Auth.TokenCaller(token)
	if refused != nil {
		t.Fatal(refused)
	}
	code, _, err := s.Auth.Link(c)
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.Auth.SignIn(t.Context(), auth.Attempt{Code: code, Address: netip.MustParseAddr("192.0.2.1")})
	if err != nil {
		t.Fatal(err)
	}
	return in.Secret
}

func bearer(token string) []string  { return []string{"Authorization", "Bearer " + token} }
func cookie(secret string) []string { return []string{"Cookie", api.CookieName + "=" + secret} }

func TestEveryRouteIsKnownHere(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	want := slices.Sorted(maps.Keys(expected()))
	if got := s.API.Patterns(); !slices.Equal(got, want) {
		for _, p := range got {
			if !slices.Contains(want, p) {
				t.Errorf("%s is new: say in expected() who may ask for it", p)
			}
		}
		for _, p := range want {
			if !slices.Contains(got, p) {
				t.Errorf("%s is not registered", p)
			}
		}
	}
	var doc struct {
		Paths map[string]map[string]struct{ Summary, Description string } `json:"paths"`
	}
	if err := yaml.Unmarshal(api.Document(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.Summary == "" || op.Description == "" {
				t.Errorf("%s %s has no summary or description", method, path)
			}
			if _, ok := expected()[strings.ToUpper(method)+" "+path]; !ok {
				t.Errorf("%s %s is in the document, but not registered", method, path)
			}
		}
	}
}

func TestNobodyGetsInWithoutShowingWhoTheyAre(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	expired, _, err := s.Auth.Create(t.Context(), "short", auth.RoleAdmin, nil, time.Now().Add(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	for pattern, least := range expected() {
		if least == "open" {
			continue
		}
		for what, header := range map[string][]string{
			"nothing": nil, "an unknown token": bearer("cove_0000000000_x"), "an empty token": {"Authorization", "Bearer "},
			"another scheme": {"Authorization", "Basic " + s.Admin}, "two tokens": append(bearer(s.Admin), bearer(s.Admin)...),
			"an expired token": bearer(expired), "an unknown session": cookie("x"), "an empty session": cookie(""),
			"a token as a session": cookie(s.Admin), "a wrong token beside a right session": append(bearer("x"), cookie(session(t, s, s.Admin))...),
			"two sessions": {"Cookie", api.CookieName + "=" + session(t, s, s.Admin) + "; " + api.CookieName + "=x"},
		} {
			res, code := head(t, request(t, s, pattern, header...))
			if res.StatusCode != 401 || code != "unauthenticated" || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s with %s: %s %s", pattern, what, res.Status, code)
			}
		}
	}
	for _, path := range []string{"/api/v1/nothing", "/api/", "/api/v1/functions/hello/nothing"} {
		if res, _ := head(t, request(t, s, "GET "+path)); res.StatusCode != 401 {
			t.Errorf("%s without a token: %s", path, res.Status)
		}
	}
}

func TestEveryRoleMayWhatItMayAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, role := range auth.Roles() {
		for _, kind := range []string{auth.KindToken, auth.KindSession} {
			t.Run(role+" by "+kind, func(t *testing.T) {
				t.Parallel()
				s := apitest.Start(t)
				caller{t, s, s.Admin}.create("hello")
				mine := token(t, s, role)
				for pattern, least := range expected() {
					if least == "open" || slices.Contains(heavy, pattern) && may(role, least) {
						continue
					}
					header := bearer(mine)
					if kind == auth.KindSession {
						header = cookie(session(t, s, mine))
					}
					res, code := head(t, request(t, s, pattern, header...))
					if res.StatusCode == 401 {
						t.Errorf("%s: %s", pattern, res.Status)
					}
					if got := code != "denied"; got != may(role, least) {
						t.Errorf("%s: %s %s, but %s may do that: %v", pattern, res.Status, code, role, may(role, least))
					}
				}
			})
		}
	}
}

func TestATokenOfOtherFunctionsMayNotInvokeOrLoadThisOne(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	caller{t, s, s.Admin}.create("hello")
	other := token(t, s, auth.RoleInvoke, "other")
	for _, what := range []string{"/invoke", "/ready"} {
		pattern := "POST " + api.Prefix + "/functions/{name}" + what
		for by, header := range map[string][]string{"token": bearer(other), "session": cookie(session(t, s, other))} {
			if res, code := head(t, request(t, s, pattern, header...)); res.StatusCode != 403 || code != "denied" {
				t.Errorf("%s by %s: %s %s", what, by, res.Status, code)
			}
		}
		if res, _ := head(t, request(t, s, pattern, bearer(s.Invoker)...)); res.StatusCode != 200 {
			t.Errorf("%s by the token of this function: %s", what, res.Status)
		}
	}
}

func TestATokenInAURLIsRefused(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := apitest.Start(t, func(o *api.Options) {
		o.Log = slog.New(slog.NewJSONHandler(&locked{w: &log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	for pattern := range expected() {
		for _, query := range []string{"token=" + s.Admin, "access_token=x", "x=" + s.Admin} {
			for what, header := range map[string][]string{"without": nil, "with": bearer(s.Admin)} {
				req := request(t, s, pattern, header...)
				req.URL.RawQuery = query
				if res, code := head(t, req); res.StatusCode != 400 || code != "invalid" {
					t.Errorf("%s?%.12s... %s a token: %s %s", pattern, query, what, res.Status, code)
				}
			}
		}
	}
	req := request(t, s, "GET "+api.Prefix+"/functions/hello")
	req.URL.Path = api.Prefix + "/functions/" + s.Admin
	if res, _ := head(t, req); res.StatusCode != 400 {
		t.Errorf("in the path: %s", res.Status)
	}
	s.Close() // Every request is logged by then.
	if strings.Contains(log.String(), s.Admin) {
		t.Error("the token is in the log")
	}
}

// locked makes a writer safe for concurrent use.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestAPageOfAnotherOriginChangesNothing(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	caller{t, s, s.Admin}.create("hello")
	mine := cookie(session(t, s, s.Admin))
	own := []string{"Origin", s.URL}
	for pattern, least := range expected() {
		if strings.HasPrefix(pattern, "GET ") {
			if res, code := head(t, request(t, s, pattern, append([]string{"Sec-Fetch-Site", "same-site"}, mine...)...)); least != "open" && (res.StatusCode != 403 || code != "denied") {
				t.Errorf("%s from another port: %s %s", pattern, res.Status, code)
			}
			continue
		}
		for what, foreign := range map[string][]string{
			"another site":                     {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
			"another port":                     {"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:8080"},
			"another origin alone":             {"Origin", "https://evil.example"},
			"no origin at all":                 {"Origin", "null"},
			"an address with a password in it": {"Origin", "https://evil.example", "Authorization", "Basic eDp5"},
		} {
			res, code := head(t, request(t, s, pattern, append(foreign, mine...)...))
			if res.StatusCode != 403 || code != "denied" {
				t.Errorf("%s from %s: %s %s", pattern, what, res.Status, code)
			}
			if h := res.Header; h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s from %s: %v", pattern, what, h)
			}
		}
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded; charset=utf-8", "", "multipart/form-data; boundary=x", "nonsense/"} {
			req := request(t, s, pattern, mine...)
			req.Header.Set("Content-Type", kind)
			if res, _ := head(t, req); res.StatusCode != 415 {
				t.Errorf("%s with the content type %q: %s", pattern, kind, res.Status)
			}
		}
		if least == "open" || strings.HasSuffix(pattern, "/session") {
			continue
		}
		if _, code := head(t, request(t, s, pattern, append(own, mine...)...)); code == "denied" || code == "unauthenticated" {
			t.Errorf("%s from the console itself: %s", pattern, code)
		}
		if _, code := head(t, request(t, s, pattern, append([]string{"Origin", "https://elsewhere.example"}, bearer(s.Admin)...)...)); code == "denied" {
			t.Errorf("%s with a token, which no browser sends of itself: %s", pattern, code)
		}
	}
	req := request(t, s, "OPTIONS "+api.Prefix+"/functions", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST")
	if res, _ := head(t, req); res.Header.Get("Access-Control-Allow-Origin") != "" || res.StatusCode < 400 {
		t.Errorf("a preflight: %s %v", res.Status, res.Header)
	}
}

func TestNoAnswerCanBeFramedCachedOrGuessed(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	for pattern := range expected() {
		if slices.Contains(heavy, pattern) {
			continue
		}
		for _, header := range [][]string{nil, bearer(s.Admin)} {
			res, _ := head(t, request(t, s, pattern, header...))
			for name, want := range map[string]string{
				"X-Frame-Options": "DENY", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options": "nosniff",
				"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
			} {
				if got := res.Header.Get(name); !strings.Contains(got, want) {
					t.Errorf("%s: %s is %q", pattern, name, got)
				}
			}
		}
	}
}

func TestNoAnswerLeadsElsewhere(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, target := range []string{
		"//evil.example/", "//evil.example/..", "/\\evil.example", "/%2f/evil.example", "//evil.example/api/v1/functions/", "/api/v1//evil.example/..//",
		"/login?next=//evil.example", "/api/v1/session?next=https://evil.example", "/.//evil.example", "/debug/pprof?next=//evil.example", "/api/v1/../..//evil.example",
	} {
		req := request(t, s, "GET /", bearer(s.Admin)...)
		req.URL.Opaque = target
		if path, query, ok := strings.Cut(target, "?"); ok {
			req.URL.Opaque, req.URL.RawQuery = path, query
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		at := res.Header.Get("Location")
		if strings.HasPrefix(at, "//") || strings.HasPrefix(at, "/\\") || at != "" && !strings.HasPrefix(at, "/") {
			t.Errorf("%s leads to %s", target, at)
		}
	}
}

func TestWhoCallsIsTheProxysCallerOnlyBehindAProxyThatIsTrusted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trusted   string
		forwarded []string
		want      string
	}{
		{"192.0.2.0/24", []string{"198.51.100.7"}, "127.0.0.1"},
		{"127.0.0.0/8", []string{"198.51.100.7"}, "198.51.100.7"},
		{"127.0.0.0/8", []string{"6.6.6.6, 198.51.100.7"}, "198.51.100.7"},
		{"127.0.0.0/8", []string{"198.51.100.7", "127.0.0.2"}, "198.51.100.7"},
		{"127.0.0.0/8", []string{"nonsense"}, "127.0.0.1"},
		{"127.0.0.0/8", nil, "127.0.0.1"},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			s := apitest.Start(t, func(o *api.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(c.trusted)} })
			req := request(t, s, "POST "+api.Prefix+"/tokens", bearer(s.Admin)...)
			req.Header["X-Forwarded-For"] = c.forwarded
			head(t, req)
			if entries := audit(t, s, ""); len(entries) != 1 || entries[0].Address != c.want {
				t.Errorf("%+v", entries)
			}
		})
	}
}
