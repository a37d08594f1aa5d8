package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/route"
)

func TestEventHasTheShapeOfLambdas(t *testing.T) {
	t.Parallel()
	w := setup(t, Options{Invoke: echo(t), NewID: func() string { return "id-of-the-test" }}, function("shop", "/shop/{item}/{rest...}", "POST"), function("all", "/"))
	got := w.send(w.client(false), "POST", "/shop/caf%C3%A9/a%2Fb/c?x=1&y=%26&x=2&flag&bad=%zz&plus=a+b", `{"a":"ü"}`,
		"Host: api.example.com:8080", "Cookie: a=1; cove_session=secret; b=2", "User-Agent: tester/1", "X-Multi: one", "X-Multi: two", "Content-Type: application/json", "Accept-Encoding: gzip").event(t)

	rc := got["requestContext"].(map[string]any)
	if !regexp.MustCompile(`^\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d \+0000$`).MatchString(rc["time"].(string)) {
		t.Errorf("time %v", rc["time"])
	}
	if rc["timeEpoch"].(float64) < 1.7e12 {
		t.Errorf("timeEpoch %v", rc["timeEpoch"])
	}
	delete(rc, "time")
	delete(rc, "timeEpoch")
	want := map[string]any{
		"version": "2.0", "routeKey": "POST /shop/{item}/{rest...}",
		"rawPath": "/shop/caf%C3%A9/a%2Fb/c", "rawQueryString": "x=1&y=%26&x=2&flag&bad=%zz&plus=a+b",
		"cookies": []any{"a=1", "b=2"},
		"headers": map[string]any{
			"host": "api.example.com:8080", "user-agent": "tester/1", "x-multi": "one,two", "content-type": "application/json",
			"accept-encoding": "gzip", "content-length": "10", "x-request-id": "id-of-the-test",
			"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http", "x-forwarded-host": "api.example.com:8080", "x-forwarded-port": "8080",
		},
		"queryStringParameters": map[string]any{"x": "1,2", "y": "&", "flag": "", "bad": "%zz", "plus": "a b"},
		"pathParameters":        map[string]any{"item": "café", "rest": "a/b/c"},
		"requestContext": map[string]any{
			"accountId": "anonymous", "apiId": "shop", "domainName": "api.example.com", "domainPrefix": "api",
			"http": map[string]any{
				"method": "POST", "path": "/shop/caf%C3%A9/a%2Fb/c", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "tester/1",
			},
			"requestId": "id-of-the-test", "routeKey": "POST /shop/{item}/{rest...}", "stage": "$default",
		},
		"isBase64Encoded": false, "body": `{"a":"ü"}`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("event (-want +got):\n%s", d)
	}

	small := w.send(w.client(true), "GET", "/", "").event(t)
	for _, absent := range []string{"cookies", "queryStringParameters", "pathParameters", "body"} {
		if v, ok := small[absent]; ok {
			t.Errorf("%s: %v", absent, v)
		}
	}
	if small["routeKey"] != "ANY /" || small["rawQueryString"] != "" {
		t.Errorf("small event: %v", small)
	}
	if p := small["requestContext"].(map[string]any)["http"].(map[string]any)["protocol"]; p != "HTTP/2.0" {
		t.Errorf("protocol %v", p)
	}
}

func TestWhatAFunctionDoesNotSee(t *testing.T) {
	t.Parallel()
	ok := authFunc(func(r *http.Request, _ *cove.Version) *cove.Error {
		if r.Header.Get("Authorization") != "Bearer secret" {
			return cove.Errorf(cove.CodeUnauthenticated, "no token")
		}
		return nil
	})
	closed := function("closed", "/closed")
	closed.Config.Auth = cove.AuthToken
	w := setup(t, Options{Invoke: echo(t), Authorizer: ok}, closed, function("open", "/open"))
	t.Run("Cove's token is taken out, a public function's Authorization is not", func(t *testing.T) {
		t.Parallel()
		if e := w.send(w.client(false), "GET", "/closed", "", "Authorization: Bearer secret").event(t); header(e, "authorization") != nil {
			t.Errorf("headers %v", e["headers"])
		}
		if e := w.send(w.client(false), "GET", "/open", "", "Authorization: Basic x").event(t); header(e, "authorization") != "Basic x" {
			t.Errorf("headers %v", e["headers"])
		}
	})
	t.Run("headers about the hop are taken out, also those that Connection names", func(t *testing.T) {
		t.Parallel()
		c := w.raw()
		c.say("GET /open HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Kept: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: p\r\n" +
			"TE: trailers\r\nUpgrade: websocket\r\n\r\n")
		hs := c.answer("GET").event(t)["headers"].(map[string]any)
		for _, gone := range []string{"connection", "x-hop", "keep-alive", "proxy-authorization", "te", "upgrade"} {
			if v, ok := hs[gone]; ok {
				t.Errorf("%s: %v", gone, v)
			}
		}
		if hs["x-kept"] != "1" {
			t.Errorf("headers %v", hs)
		}
	})
	t.Run("a body that is not UTF-8 is announced as base64", func(t *testing.T) {
		t.Parallel()
		if e := w.send(w.client(false), "POST", "/open", "\xff\x00").event(t); e["isBase64Encoded"] != true {
			t.Errorf("event %v", e)
		}
	})
}

func TestForwarded(t *testing.T) {
	t.Parallel()
	sent := []string{
		"X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example.com",
		"X-Forwarded-Port: 443", "Forwarded: for=6.6.6.6", "X-Real-Ip: 6.6.6.6", "X-Forwarded-Prefix: /p",
	}
	t.Run("from anybody it is thrown away", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: echo(t)}, function("f", "/"))
		e := w.send(w.client(false), "GET", "/", "", append(sent, "Host: direct:99")...).event(t)
		for name, want := range map[string]any{
			"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http", "x-forwarded-host": "direct:99", "x-forwarded-port": "99",
			"forwarded": nil, "x-real-ip": nil, "x-forwarded-prefix": nil,
		} {
			if got := header(e, name); got != want {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	})
	t.Run("from a trusted proxy it is believed up to the first stranger", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: echo(t), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}}, function("f", "/"))
		e := w.send(w.client(false), "GET", "/", "", sent...).event(t)
		for name, want := range map[string]any{
			"x-forwarded-for": "6.6.6.6, 203.0.113.7, 10.0.0.9, 127.0.0.1", "x-forwarded-proto": "https", "x-forwarded-host": "shop.example.com",
			"x-forwarded-port": "443", "forwarded": "for=6.6.6.6", "x-real-ip": "6.6.6.6", "x-forwarded-prefix": "/p",
		} {
			if got := header(e, name); got != want {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
		rc := e["requestContext"].(map[string]any)
		if rc["domainName"] != "shop.example.com" || rc["http"].(map[string]any)["sourceIp"] != "203.0.113.7" {
			t.Errorf("context %v", rc)
		}
	})
}

func FuzzAppendJSON(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\r\t\x00\x1f\x7f", "ü\u2028\U0001F600", "\xff\xc3", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		std, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var want, got string
		if err := json.Unmarshal(std, &want); err != nil {
			t.Fatal(err)
		}
		b := appendJSON([]byte("x"), s)[1:]
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if got != want || !utf8.Valid(b) {
			t.Fatalf("%q became %q, want %q", s, got, want)
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add("/a/b", "x=1&x=2", "X-A", "v\xff", "a=1; b", []byte("body"), "1.2.3.4", "h:1")
	f.Add("/%zz", "&&=&%", "Connection", "x-a", ";;", []byte{0xff}, "[::1]:2, x", "[::1]")
	f.Fuzz(func(t *testing.T, path, query, name, value, cookie string, body []byte, forwarded, host string) {
		r := httptest.NewRequest("POST", "/", nil)
		r.URL.Path, r.URL.RawQuery, r.Host = "/"+path, query, host
		r.Header[name] = []string{value, value}
		r.Header["Cookie"] = []string{cookie}
		r.Header["X-Forwarded-For"] = []string{forwarded}
		r.RemoteAddr = "10.1.1.1:5"
		g := New(Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
		table := route.NewTable[*cove.Version]()
		p, _ := route.Parse("/{a...}")
		if err := table.Set("f", p, nil, function("f", "/{a...}")); err != nil {
			t.Fatal(err)
		}
		x := &exchange{g: g, r: r, id: "id"}
		x.version, x.route = table.Match("POST", r.URL.EscapedPath(), &x.params)
		b := x.appendEvent(nil, body)
		var e map[string]any
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if e["rawQueryString"] != strings.ToValidUTF8(query, "\uFFFD") && utf8.ValidString(query) {
			t.Fatalf("query %q became %q", query, e["rawQueryString"])
		}
		if e["isBase64Encoded"] == utf8.Valid(body) {
			t.Fatalf("body %q: %v", body, e["isBase64Encoded"])
		}
	})
}
