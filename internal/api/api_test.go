package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/api/apitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type caller struct {
	t     *testing.T
	s     *apitest.Server
	token string
}

func setup(t *testing.T, change ...func(*api.Options)) caller {
	s := apitest.Start(t, change...)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return caller{t, s, s.Admin}
}

type answer struct {
	*http.Response
	body []byte
}

func (c caller) do(method, path, contentType, body string, header ...string) answer {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.s.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{res, data}
}

func (c caller) json(method, path, body string, header ...string) answer {
	c.t.Helper()
	return c.do(method, path, "application/json", body, header...)
}

// want checks the status and, for errors, the form of a problem.
func (c caller) want(a answer, code cove.Code) cove.Problem {
	c.t.Helper()
	var p cove.Problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		c.t.Fatalf("%s: %s", err, a.body)
	}
	if a.StatusCode != code.Status() || p.Code != code || p.Status != code.Status() || a.Header.Get("Content-Type") != "application/problem+json" ||
		p.RequestID == "" || p.RequestID != a.Header.Get("X-Request-Id") || p.Type != "urn:cove:error:"+string(code) {
		c.t.Fatalf("want a problem of code %s, got %s: %s", code, a.Status, a.body)
	}
	return p
}

func (c caller) ok(a answer, status int, v any) {
	c.t.Helper()
	if a.StatusCode != status {
		c.t.Fatalf("want %d, got %s: %s", status, a.Status, a.body)
	}
	if v != nil {
		if err := json.Unmarshal(a.body, v); err != nil {
			c.t.Fatalf("%s: %s", err, a.body)
		}
	}
}

const functions = "/api/v1/functions"

func (c caller) create(name string) wire.Function {
	c.t.Helper()
	var f wire.Function
	c.ok(c.json("POST", functions, `{"name":"`+name+`","runtime":"python","route":"/`+name+`","env":{"K":{"value":"v","secret":true}},"files":{"main.py":"x"}}`), 201, &f)
	return f
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	c := setup(t)
	t.Run("a function is created with inline files, read, replaced and deleted", func(t *testing.T) {
		f := c.create("one")
		if f.Revision != 1 || f.Version.Package.Files != 1 || f.URL != "http://gateway/one" || f.Instances.Idle != 1 {
			t.Errorf("%+v", f)
		}
		a := c.json("GET", functions+"/one", "")
		c.ok(a, 200, &f)
		if a.Header.Get("ETag") != `"1"` || strings.Contains(string(a.body), `"v"`) {
			t.Errorf("ETag %s, %s", a.Header.Get("ETag"), a.body)
		}
		c.ok(c.json("PUT", functions+"/one", `{"runtime":"node","memory":"1GiB","env":{"K":{"secret":true}}}`, "If-Match", `"1"`), 200, &f)
		if f.Version.Config.Memory != cove.GiB || f.Version.Config.Name != "one" || f.Version.Package.Files != 1 {
			t.Errorf("%+v", f.Version)
		}
		if v := c.s.Functions.Active("one").Config.Env["K"]; v.Value != "v" {
			t.Errorf("the secret was not kept: %#v", v)
		}
		c.ok(c.json("DELETE", functions+"/one", ""), 204, nil)
		c.want(c.json("GET", functions+"/one", ""), cove.CodeNotFound)
	})
	t.Run("a stale ETag changes nothing", func(t *testing.T) {
		c.create("stale")
		c.want(c.json("PUT", functions+"/stale", `{"runtime":"node"}`, "If-Match", `"7"`), cove.CodePreconditionFailed)
		c.want(c.json("PATCH", functions+"/stale", `{"cpu":2}`, "If-Match", `"7"`), cove.CodePreconditionFailed)
		c.want(c.json("DELETE", functions+"/stale", "", "If-Match", `"7"`), cove.CodePreconditionFailed)
		c.want(c.json("DELETE", functions+"/stale", "", "If-Match", `nonsense`), cove.CodeInvalid)
		c.ok(c.json("GET", functions+"/stale", ""), 200, nil)
	})
	t.Run("a patch changes the fields it names, keeps secrets and takes null for the default", func(t *testing.T) {
		c.create("patched")
		var f wire.Function
		c.ok(c.json("PATCH", functions+"/patched", `{"cpu":2,"route":null,"env":{"A":"b"},"scaling":{"max":3}}`), 200, &f)
		if cfg := f.Version.Config; cfg.CPU != 2 || cfg.Route != "" || cfg.Runtime != "python" || cfg.Scaling.Max != 3 {
			t.Errorf("%+v", cfg)
		}
		if e := c.s.Functions.Active("patched").Config.Env; e["K"].Value != "v" || e["A"].Value != "b" {
			t.Errorf("%#v", e)
		}
	})
	t.Run("what is wrong is told by field", func(t *testing.T) {
		p := c.want(c.json("POST", functions, `{"name":"x","scaling":{"max":"a"},"memroy":1}`), cove.CodeInvalid)
		if len(p.Errors) != 2 || p.Errors[0].Field != "memroy" || p.Errors[1].Field != "scaling.max" {
			t.Errorf("%+v", p.Errors)
		}
		p = c.want(c.json("GET", functions+"?limit=0&colour=red", ""), cove.CodeInvalid)
		if len(p.Errors) != 1 || p.Errors[0].Field != "colour" {
			t.Errorf("%+v", p.Errors)
		}
		p = c.want(c.json("GET", functions+"?limit=0", ""), cove.CodeInvalid)
		if p.Errors[0].Field != "limit" {
			t.Errorf("%+v", p.Errors)
		}
		p = c.want(c.json("PUT", functions+"/patched", `{"name":"other"}`), cove.CodeInvalid)
		if p.Errors[0].Field != "name" {
			t.Errorf("%+v", p.Errors)
		}
	})
	t.Run("bodies of another type, no JSON and too large ones are refused", func(t *testing.T) {
		c.want(c.do("POST", functions, "text/plain", "x"), cove.CodeUnsupportedMedia)
		c.want(c.json("POST", functions, "{"), cove.CodeInvalid)
		c.want(c.json("POST", functions, `{"name":"`+strings.Repeat("a", 17<<20)+`"}`), cove.CodeTooLarge)
		c.want(c.json("POST", "/api/v1/tokens", `{"name":"`+strings.Repeat("a", 2<<20)+`"}`), cove.CodeTooLarge)
		c.want(c.json("POST", functions, `{"name":"stale","runtime":"python"}`), cove.CodeConflict)
	})
	t.Run("unknown paths and methods are problems", func(t *testing.T) {
		c.want(c.json("GET", "/api/v1/nothing", ""), cove.CodeNotFound)
		c.want(c.json("GET", "/elsewhere", ""), cove.CodeNotFound)
		a := c.json("PUT", functions, "{}")
		c.want(a, cove.CodeMethodNotAllowed)
		if !strings.Contains(a.Header.Get("Allow"), "POST") {
			t.Error(a.Header)
		}
	})
}

func TestListPages(t *testing.T) {
	t.Parallel()
	c := setup(t)
	for i := range 5 {
		c.create("f" + strconv.Itoa(i))
	}
	var names []string
	after := ""
	for {
		var page wire.FunctionList
		c.ok(c.json("GET", functions+"?limit=2&after="+after, ""), 200, &page)
		if page.Total != 5 {
			t.Fatalf("%+v", page)
		}
		for _, f := range page.Items {
			names = append(names, f.Name)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if strings.Join(names, " ") != "f0 f1 f2 f3 f4" {
		t.Error(names)
	}
}

func TestCode(t *testing.T) {
	t.Parallel()
	c := setup(t, func(o *api.Options) { o.MaxPackage = 1000 })
	c.create("hello")
	t.Run("an archive comes back byte for byte, with its digest and name", func(t *testing.T) {
		c.ok(c.do("PUT", functions+"/hello/code", "application/zip", "PK..."), 200, nil)
		a := c.json("GET", functions+"/hello/code", "")
		if string(a.body) != "PK..." || a.Header.Get("Content-Type") != "application/zip" || !strings.Contains(a.Header.Get("Content-Disposition"), "hello-2.zip") ||
			!strings.HasPrefix(a.Header.Get("Repr-Digest"), "sha-256=:") {
			t.Errorf("%s %v", a.body, a.Header)
		}
		if a := c.json("GET", functions+"/hello/code?version=1", ""); string(a.body) != "x" {
			t.Errorf("%s", a.body)
		}
	})
	t.Run("content types tell the format", func(t *testing.T) {
		for _, ct := range []string{"application/gzip", "application/x-gzip", "application/x-tar+gzip"} {
			c.ok(c.do("PUT", functions+"/hello/code", ct, "x"), 200, nil)
		}
		c.want(c.do("PUT", functions+"/hello/code", "image/png", "x"), cove.CodeUnsupportedMedia)
		c.ok(c.json("PUT", functions+"/hello/code", `{"files":{"main.py":"x","a.bin":{"base64":"AAE="}}}`), 200, nil)
		c.want(c.json("PUT", functions+"/hello/code", `{"files":{}}`), cove.CodeInvalid)
	})
	t.Run("too large an upload is refused", func(t *testing.T) {
		c.want(c.do("PUT", functions+"/hello/code", "application/zip", strings.Repeat("x", 2<<20)), cove.CodeTooLarge)
	})
	t.Run("a multipart form has the config first and then the code", func(t *testing.T) {
		form := func(parts ...string) string {
			var b strings.Builder
			for i := 0; i < len(parts); i += 2 {
				b.WriteString("--B\r\nContent-Disposition: form-data; name=\"" + parts[i] + "\"; filename=\"x.zip\"\r\n\r\n" + parts[i+1] + "\r\n")
			}
			return b.String() + "--B--\r\n"
		}
		const ct = "multipart/form-data; boundary=B"
		var f wire.Function
		c.ok(c.do("POST", functions, ct, form("config", `{"name":"multi","runtime":"python"}`, "code", "zip!")), 201, &f)
		if f.Version.Package.Format != "zip" || f.Version.Package.Size != 4 {
			t.Errorf("%+v", f.Version.Package)
		}
		c.want(c.do("POST", functions, ct, form("code", "zip!")), cove.CodeInvalid)
		c.want(c.do("POST", functions, ct, form("config", `{"name":"m2"}`, "other", "zip!")), cove.CodeInvalid)
		c.want(c.do("POST", functions, ct, "garbage"), cove.CodeInvalid)
		c.want(c.do("POST", functions, ct, form("config", `{"name":"m3"}`, "code", strings.Repeat("x", 3<<20))), cove.CodeTooLarge)
	})
}

func TestVersions(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.create("hello")
	c.want(c.json("POST", functions+"/hello/rollback", ""), cove.CodeInvalid)
	c.ok(c.json("PATCH", functions+"/hello", `{"cpu":2}`), 200, nil)
	var list wire.VersionList
	c.ok(c.json("GET", functions+"/hello/versions", ""), 200, &list)
	if len(list.Items) != 2 || list.Active != 2 {
		t.Errorf("%+v", list)
	}
	var f wire.Function
	c.ok(c.json("POST", functions+"/hello/rollback", `{}`), 200, &f)
	if f.Version.Number != 1 {
		t.Errorf("%+v", f)
	}
	c.ok(c.json("POST", functions+"/hello/rollback", `{"version":2}`), 200, &f)
	c.ok(c.json("GET", functions+"/hello/versions/2", ""), 200, nil)
	c.want(c.json("GET", functions+"/hello/versions/9", ""), cove.CodeNotFound)
	c.want(c.json("POST", functions+"/hello/rollback", `{"version":9}`), cove.CodeNotFound)
	c.want(c.json("GET", functions+"/hello/versions/x", ""), cove.CodeInvalid)
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	c := setup(t)
	for _, name := range []string{"hello", "raises", "slow", "busy", "streams", "broken"} {
		c.create(name)
	}
	invoke := func(name, body string, header ...string) answer {
		return c.json("POST", functions+"/"+name+"/invoke", body, header...)
	}
	t.Run("the answer comes with its logs and record", func(t *testing.T) {
		var r wire.Result
		a := invoke("hello", `{"a":1}`)
		c.ok(a, 200, &r)
		if r.Outcome != "ok" || string(r.Answer) != `{"a":1}` || len(r.Logs) != 1 || r.Logs[0].RequestID != r.RequestID || r.Invocation.Start != cove.StartWarm || a.Header.Get("Cove-Outcome") != "ok" {
			t.Errorf("%s", a.body)
		}
	})
	t.Run("a function's error is a result, the platform's a problem", func(t *testing.T) {
		var r wire.Result
		c.ok(invoke("raises", ""), 200, &r)
		if r.Outcome != "function_error" || r.Error == nil || r.Error.Error.Type != "ValueError" || r.Answer != nil {
			t.Errorf("%+v", r)
		}
		c.ok(invoke("slow", ""), 200, &r)
		if r.Outcome != "timeout" || r.Error.Status != 504 {
			t.Errorf("%+v", r)
		}
		a := invoke("busy", "")
		c.want(a, cove.CodeOverloaded)
		if a.Header.Get("Retry-After") != "1" {
			t.Error(a.Header)
		}
	})
	t.Run("a streamed answer is joined", func(t *testing.T) {
		var r wire.Result
		c.ok(invoke("streams", ""), 200, &r)
		if string(r.Answer) != `"a piece, another"` {
			t.Errorf("%s", r.Answer)
		}
	})
	t.Run("events that are no JSON or too large and bad timeouts are refused", func(t *testing.T) {
		c.want(invoke("hello", "{"), cove.CodeInvalid)
		c.want(invoke("hello", strings.Repeat(" ", 6<<20+1)), cove.CodeTooLarge)
		c.want(invoke("hello", "1", "Cove-Timeout", "fast"), cove.CodeInvalid)
		c.want(invoke("nobody", "1"), cove.CodeNotFound)
		c.ok(c.json("POST", functions, `{"name":"empty","runtime":"python"}`), 201, nil)
		c.want(invoke("empty", "1"), cove.CodeNoCode)
	})
	t.Run("readiness tells the error of loading", func(t *testing.T) {
		c.ok(c.json("POST", functions+"/hello/ready", ""), 200, nil)
		if p := c.want(c.json("POST", functions+"/broken/ready", ""), cove.CodeInitError); p.Error.Type != "Runtime.ImportError" {
			t.Errorf("%+v", p)
		}
	})
	t.Run("logs are read and followed", func(t *testing.T) {
		var list wire.LogList
		c.ok(c.json("GET", functions+"/raises/logs?tail=5", ""), 200, &list)
		if len(list.Items) != 1 {
			t.Errorf("%+v", list)
		}
		a := c.json("GET", functions+"/raises/logs?follow=true", "")
		if n := bytes.Count(a.body, []byte("\n")); n != 2 || a.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%d lines: %s", n, a.body)
		}
		c.want(c.json("GET", functions+"/raises/logs?tail=-1", ""), cove.CodeInvalid)
		c.want(c.json("GET", functions+"/nobody/logs", ""), cove.CodeNotFound)
	})
}

func TestHealth(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.token = ""
	c.ok(c.json("GET", "/healthz", ""), 200, nil)
	c.ok(c.json("GET", "/readyz", ""), 200, nil)
	c.s.SetState("draining")
	c.ok(c.json("GET", "/readyz", ""), 503, nil)
	c.ok(c.json("GET", "/healthz", ""), 200, nil)
}

func TestEveryAnswerHasItsHeaders(t *testing.T) {
	t.Parallel()
	c := setup(t)
	for _, path := range []string{functions, "/healthz", "/api/v1/nothing", functions + "/x"} {
		a := c.json("GET", path, "", "Origin", "https://evil.example", "X-Request-Id", "mine-0001")
		h := a.Header
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Access-Control-Allow-Origin") != "" || h.Get("X-Request-Id") != "mine-0001" {
			t.Errorf("%s: %v", path, h)
		}
	}
	if a := c.json("GET", "/healthz", "", "X-Request-Id", `a"b`); a.Header.Get("X-Request-Id") == `a"b` {
		t.Error("a request id that could do harm was taken")
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	c := setup(t)
	var made wire.NewToken
	c.ok(c.json("POST", "/api/v1/tokens", `{"name":"ci","functions":["hello"],"ttl":"1h"}`), 201, &made)
	if made.Secret == "" || made.Role != "invoke" || made.Expires.IsZero() {
		t.Errorf("%+v", made)
	}
	a := c.json("GET", "/api/v1/tokens", "")
	if strings.Contains(string(a.body), made.Secret) || !strings.Contains(string(a.body), made.ID) {
		t.Errorf("%s", a.body)
	}
	c.ok(c.json("DELETE", "/api/v1/tokens/"+made.ID, ""), 204, nil)
	c.want(c.json("DELETE", "/api/v1/tokens/"+made.ID, ""), cove.CodeNotFound)
	for _, body := range []string{`{}`, `{"name":"x","role":"root"}`, `{"name":"x","ttl":"soon"}`, `{"name":"x","ttl":5}`, `{"name":"x","role":"admin","functions":["a"]}`} {
		c.want(c.json("POST", "/api/v1/tokens", body), cove.CodeInvalid)
	}
	for _, path := range []string{"/system", "/runtimes", "/isolations"} {
		c.ok(c.json("GET", "/api/v1"+path, ""), 200, nil)
	}
}
