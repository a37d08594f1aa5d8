package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/api/apitest"
)

// body decodes an answer that must have the status.
func body[T any](c caller, a answer, status int) (out T) {
	c.t.Helper()
	if err := json.Unmarshal(a.body, &out); err != nil || a.StatusCode != status {
		c.t.Fatalf("answered %s %s: %v", a.Status, a.body, err)
	}
	return out
}

// deployed makes a function with code.
func (c caller) deployed(name string) {
	c.t.Helper()
	body[wire.Function](c, c.json("POST", "/api/v1/functions", `{"name": "`+name+`", "runtime": "python", "files": {"main.py": "x = 1\n"}}`), http.StatusCreated)
}

const one = "/api/v1/functions/hello"

func TestDisabling(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.deployed("hello")
	f := body[wire.Function](c, c.do("POST", one+"/disable", "", "", "If-Match", `"1"`), http.StatusOK)
	if !f.Disabled || f.Revision != 2 {
		t.Errorf("got %+v", f)
	}
	for _, path := range []string{"/invoke", "/ready", "/warm"} {
		c.want(c.do("POST", one+path, "", ""), cove.CodeDisabled)
	}
	if e := body[wire.Explanation](c, c.do("GET", one+"/scaling", "", ""), http.StatusOK); len(e.Reasons) != 1 || !strings.Contains(e.Reasons[0], "disabled") {
		t.Errorf("explained as %v", e.Reasons)
	}
	c.want(c.do("POST", one+"/enable", "", "", "If-Match", `"1"`), cove.CodePreconditionFailed)
	a := c.do("POST", one+"/enable", "", "", "If-Match", `"2"`)
	if f := body[wire.Function](c, a, http.StatusOK); f.Disabled || a.Header.Get("ETag") != `"3"` {
		t.Errorf("got %+v, %v", f, a.Header)
	}
	body[wire.Result](c, c.do("POST", one+"/invoke", "", ""), http.StatusOK)
	c.want(c.do("POST", "/api/v1/functions/nobody/disable", "", ""), cove.CodeNotFound)
}

func TestFilesOfAVersion(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.deployed("hello")
	got := body[wire.VersionFiles](c, c.do("GET", one+"/versions/1/files", "", ""), http.StatusOK)
	if got.Version != 1 || string(got.Files["main.py"]) != "x = 1\n" {
		t.Errorf("got %+v", got)
	}
	c.want(c.do("GET", one+"/versions/2/files", "", ""), cove.CodeNotFound)
	c.want(c.do("GET", one+"/versions/0/files", "", ""), cove.CodeInvalid)
	c.json("POST", "/api/v1/functions", `{"name": "empty", "runtime": "python"}`)
	c.want(c.do("GET", "/api/v1/functions/empty/versions/1/files", "", ""), cove.CodeNoCode)
}

func TestEveryTemplateCanBeCreated(t *testing.T) {
	t.Parallel()
	c := setup(t)
	list := body[wire.TemplateList](c, c.do("GET", "/api/v1/templates", "", ""), http.StatusOK)
	if len(list.Items) < 5 {
		t.Errorf("there are %d templates", len(list.Items))
	}
	for _, tmpl := range list.Items {
		document, err := json.Marshal(wire.Create{Config: tmpl.Config, Files: tmpl.Files})
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(tmpl.Event) || tmpl.Title == "" || tmpl.Description == "" || tmpl.Config.Name != tmpl.Name || tmpl.Config.Runtime != tmpl.Runtime {
			t.Errorf("the template %+v", tmpl)
		}
		if route := tmpl.Config.Route; route != "" && !strings.HasPrefix(route, "/"+tmpl.Name) {
			t.Errorf("the route of %s is %s", tmpl.Name, route)
		}
		body[wire.Function](c, c.json("POST", "/api/v1/functions", string(document)), http.StatusCreated)
	}
}

func TestSavedEvents(t *testing.T) {
	t.Parallel()
	t.Run("an event is kept as it was sent", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		c.deployed("hello")
		if all := body[wire.EventList](c, c.do("GET", one+"/events", "", ""), http.StatusOK); all.Items == nil || len(all.Items) != 0 {
			t.Errorf("at first: %+v", all)
		}
		path := one + "/events/Gr%C3%BC%C3%9Fe%201"
		e := body[wire.Event](c, c.json("PUT", path, ` {"a": [1, "ü"]} `), http.StatusOK)
		if e.Name != "Grüße 1" || string(e.Body) != `{"a":[1,"ü"]}` && string(e.Body) != `{"a": [1, "ü"]}` || time.Since(e.Updated) > time.Minute {
			t.Errorf("got %+v", e)
		}
		all := body[wire.EventList](c, c.do("GET", one+"/events", "", ""), http.StatusOK)
		if len(all.Items) != 1 || all.Items[0].Name != e.Name {
			t.Errorf("got %+v", all)
		}
		if a := c.do("DELETE", path, "", ""); a.StatusCode != http.StatusNoContent {
			t.Errorf("deleted: %s", a.Status)
		}
		c.want(c.do("DELETE", path, "", ""), cove.CodeNotFound)
	})
	t.Run("what cannot be kept is refused with the limit", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		c.deployed("hello")
		c.want(c.json("PUT", one+"/events/a", `{"a"`), cove.CodeInvalid)
		c.want(c.json("PUT", one+"/events/a", ``), cove.CodeInvalid)
		c.want(c.json("PUT", one+"/events/a%2Fb", `1`), cove.CodeInvalid)
		c.want(c.json("PUT", one+"/events/%20a", `1`), cove.CodeInvalid)
		c.want(c.json("PUT", one+"/events/"+strings.Repeat("a", 64), `1`), cove.CodeInvalid)
		c.want(c.json("PUT", one+"/events/a", `"`+strings.Repeat("a", 256<<10)+`"`), cove.CodeTooLarge)
		c.want(c.json("PUT", "/api/v1/functions/nobody/events/a", `1`), cove.CodeNotFound)
		c.want(c.do("GET", "/api/v1/functions/nobody/events", "", ""), cove.CodeNotFound)
		for n := range 50 {
			body[wire.Event](c, c.json("PUT", fmt.Sprint(one, "/events/e", n), `1`), http.StatusOK)
		}
		c.want(c.json("PUT", one+"/events/one-more", `1`), cove.CodeConflict)
		body[wire.Event](c, c.json("PUT", one+"/events/e7", `2`), http.StatusOK)
	})
}

func TestComposedRequests(t *testing.T) {
	t.Parallel()
	send := func(t *testing.T, document string) (caller, answer) {
		t.Helper()
		c := setup(t)
		c.deployed("hello")
		return c, c.json("POST", one+"/request", document)
	}
	t.Run("a request arrives as it was composed, without the caller's token", func(t *testing.T) {
		t.Parallel()
		c, a := send(t, `{"method": "PUT", "path": "/hello/a%20b?x=1", "headers": {"x-own": "ä b", "host": "example.com"}, "body": "text"}`)
		got := body[wire.RouteResult](c, a, http.StatusOK)
		if got.Status != http.StatusCreated || got.Body != "text" || got.BodyBase64 || got.RequestID != "r-1" || got.Invocation == nil || got.Headers["X-Request-Id"][0] != "r-1" {
			t.Errorf("got %+v", got)
		}
		r := c.s.Surface.Tried
		if r.Method != "PUT" || r.RequestURI != "/hello/a%20b?x=1" || r.URL.Path != "/hello/a b" || r.URL.RawQuery != "x=1" || r.Header.Get("X-Own") != "ä b" ||
			r.Host != "example.com" || r.Header.Get("Authorization") != "" || len(r.Header) != 1 || r.RemoteAddr == "" || r.ContentLength != 4 {
			t.Errorf("it arrived as %+v", r)
		}
	})
	t.Run("a request needs a path only", func(t *testing.T) {
		t.Parallel()
		c, a := send(t, `{"path": "/"}`)
		body[wire.RouteResult](c, a, http.StatusOK)
		if r := c.s.Surface.Tried; r.Method != "GET" || r.Host != "gateway" || r.ContentLength != 0 {
			t.Errorf("it arrived as %+v", r)
		}
	})
	t.Run("bodies that are no text go both ways in base64", func(t *testing.T) {
		t.Parallel()
		c, a := send(t, `{"method": "POST", "path": "/binary", "body": "/w==", "body_base64": true}`)
		got := body[wire.RouteResult](c, a, http.StatusOK)
		if raw, err := base64.StdEncoding.DecodeString(got.Body); err != nil || !got.BodyBase64 || string(raw) != "\xff\xfe\x00" || c.s.Surface.Tried.ContentLength != 1 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("a large answer is cut between characters", func(t *testing.T) {
		t.Parallel()
		c, a := send(t, `{"path": "/large"}`)
		got := body[wire.RouteResult](c, a, http.StatusOK)
		if !got.Cut || got.BodyBase64 || len(got.Body) < 1<<20-3 || len(got.Body) > 1<<20 || !utf8.ValidString(got.Body) {
			t.Errorf("%d bytes, %v, %v", len(got.Body), got.Cut, got.BodyBase64)
		}
	})
	t.Run("an answer that broke off and one of no function are told as such", func(t *testing.T) {
		t.Parallel()
		c, a := send(t, `{"path": "/broken"}`)
		if got := body[wire.RouteResult](c, a, http.StatusOK); !got.Broken || got.Body != "half" {
			t.Errorf("got %+v", got)
		}
		if got := body[wire.RouteResult](c, c.json("POST", one+"/request", `{"path": "/none"}`), http.StatusOK); got.Status != 404 || got.Invocation != nil || got.Logs == nil {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("what is of the connection, or no request, is refused by its field", func(t *testing.T) {
		t.Parallel()
		c := setup(t)
		c.deployed("hello")
		for field, document := range map[string]string{
			"method":                    `{"path": "/", "method": "GET /"}`,
			"path":                      `{"path": "//example.com/"}`,
			"headers.Connection":        `{"path": "/", "headers": {"Connection": "x-own"}}`,
			"headers.transfer-encoding": `{"path": "/", "headers": {"transfer-encoding": "chunked"}}`,
			"headers.Content-Length":    `{"path": "/", "headers": {"Content-Length": "1"}}`,
			"headers.upgrade":           `{"path": "/", "headers": {"upgrade": "websocket"}}`,
			"headers.x":                 `{"path": "/", "headers": {"x": "a\r\nb: c"}}`,
			"headers.a b":               `{"path": "/", "headers": {"a b": "c"}}`,
			"headers":                   `{"path": "/", "headers": {"x": "` + strings.Repeat("a", 65<<10) + `"}}`,
			"body":                      `{"path": "/", "body": "*", "body_base64": true}`,
			"pathh":                     `{"pathh": "/"}`,
		} {
			if p := c.want(c.json("POST", one+"/request", document), cove.CodeInvalid); len(p.Errors) == 0 || p.Errors[len(p.Errors)-1].Field != field {
				t.Errorf("%s: told %+v", field, p.Errors)
			}
		}
		for _, path := range []string{"", "x", "http://example.com/", "/a b", "/#a", "/%zz", "/\\u000a"} {
			c.want(c.json("POST", one+"/request", `{"path": "`+path+`"}`), cove.CodeInvalid)
		}
		if c.s.Surface.Tried != nil {
			t.Errorf("it arrived: %+v", c.s.Surface.Tried)
		}
		c.want(c.json("POST", "/api/v1/functions/nobody/request", `{"path": "/"}`), cove.CodeNotFound)
	})
}

func TestHost(t *testing.T) {
	t.Parallel()
	c := setup(t)
	if h := body[wire.Host](c, c.do("GET", "/api/v1/host", "", ""), http.StatusOK); h.CPUs != 2 || h.Memory != 8*cove.GiB {
		t.Errorf("got %+v", h)
	}
}

func TestBench(t *testing.T) {
	t.Parallel()
	c := setup(t)
	run := body[wire.BenchRun](c, c.json("POST", "/api/v1/bench", `{"quick": true, "isolations": ["gvisor"]}`), http.StatusAccepted)
	c.want(c.json("POST", "/api/v1/bench", `{}`), cove.CodeConflict)
	for _, isolation := range []string{"docker", "nosuch"} {
		if p := c.want(c.json("POST", "/api/v1/bench", `{"isolations": ["`+isolation+`"]}`), cove.CodeInvalid); p.Errors[0].Field != "isolations" {
			t.Errorf("told %+v", p)
		}
	}
	if list := body[wire.BenchRunList](c, c.do("GET", "/api/v1/bench", "", ""), http.StatusOK); len(list.Items) != 1 || list.Items[0].ID != run.ID {
		t.Errorf("got %+v", list)
	}
	if got := body[wire.BenchRun](c, c.do("GET", "/api/v1/bench/"+run.ID, "", ""), http.StatusOK); got.State != "running" {
		t.Errorf("got %+v", got)
	}
	if got := body[wire.BenchRun](c, c.do("DELETE", "/api/v1/bench/"+run.ID, "", ""), http.StatusOK); got.State != "cancelled" {
		t.Errorf("got %+v", got)
	}
	c.do("DELETE", "/api/v1/bench/"+run.ID, "", "")
	c.want(c.do("GET", "/api/v1/bench/"+run.ID, "", ""), cove.CodeNotFound)
}

func TestCosts(t *testing.T) {
	t.Parallel()
	c := setup(t, func(o *api.Options) {
		o.Bench = apitest.NewSurface(
			wire.BenchRun{ID: "20260102-030406", State: "failed"},
			wire.BenchRun{ID: "20260102-030405", State: "done", Report: apitest.Report()})
	})
	const path = "/api/v1/costs"
	t.Run("every isolation of the newest run has its bill", func(t *testing.T) {
		t.Parallel()
		got := body[wire.CostAnswer](c, c.json("POST", path, `{"per_second": [1, 2], "keep_alive": "1m"}`), http.StatusOK)
		if got.Run != "20260102-030405" || len(got.Items) != 2 || got.Prices.VCPUHour == 0 || got.Items[0].Isolation != "docker" || got.Items[1].PerMonth <= got.Items[0].PerMonth || got.Items[0].Instances <= 0 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("prices can be given", func(t *testing.T) {
		t.Parallel()
		got := body[wire.CostAnswer](c, c.json("POST", path, `{"per_second": [1], "prices": {"vcpu_hour": 0, "gib_hour": 1, "currency": "EUR"}}`), http.StatusOK)
		if got.Prices.Currency != "EUR" || got.Items[0].Calls != 0 || got.Items[0].Idle == 0 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("what cannot be reckoned is refused", func(t *testing.T) {
		t.Parallel()
		for _, document := range []string{
			`{}`, `{"per_second": []}`, `{"per_second": [-1]}`, `{"per_second": [1e9]}`, `{"per_second": [1], "keep_alive": "1000h"}`, `{"per_second": [1], "min": 5000}`,
			`{"per_second": [1], "workload": "nosuch"}`, `{"per_second": [1], "run": "20260102-030406"}`, `{"per_second": [1], "prices": {"vcpu_hour": -1, "gib_hour": 1, "currency": "EUR"}}`,
		} {
			c.want(c.json("POST", path, document), cove.CodeInvalid)
		}
		c.want(c.json("POST", path, `{"per_second": [1], "run": "20990101-000000"}`), cove.CodeNotFound)
		none := setup(t)
		none.want(none.json("POST", path, `{"per_second": [1]}`), cove.CodeNotFound)
	})
}

func TestEditingFiles(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.deployed("hello")
	f := body[wire.Function](c, c.json("PATCH", one+"/code", `{"files": {"main.py": "y = 2\n", "old.py": null, "bin": {"base64": "/w=="}}}`, "If-Match", `"1"`), http.StatusOK)
	if f.Revision != 2 || f.Version.Package.SHA256 == "" {
		t.Errorf("got %+v", f)
	}
	c.want(c.json("PATCH", one+"/code", `{"files": {"main.py": ""}}`, "If-Match", `"1"`), cove.CodePreconditionFailed)
	for _, document := range []string{`{}`, `{"files": {}}`, `{"files": {"main.py": 7}}`, `{"file": {"main.py": ""}}`, `[]`} {
		c.want(c.json("PATCH", one+"/code", document), cove.CodeInvalid)
	}
	c.want(c.json("PATCH", "/api/v1/functions/nobody/code", `{"files": {"main.py": ""}}`), cove.CodeNotFound)
}
