package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/runtime"
)

func TestWarm(t *testing.T) {
	t.Parallel()
	c := setup(t)
	for _, name := range []string{"hello", "broken", "hangs", "large"} {
		c.create(name)
	}
	c.ok(c.json("PATCH", functions+"/large", `{"scaling":{"max":5}}`), 200, nil)

	t.Run("one instance is made ready unless more are asked for", func(t *testing.T) {
		for body, want := range map[string]int{"": 1, "{}": 1, `{"instances":3}`: 3} {
			var got wire.Warmed
			c.ok(c.json("POST", functions+"/hello/warm", body), 200, &got)
			if got.Ready != want || got.Version != 1 {
				t.Errorf("%s: %+v", body, got)
			}
		}
	})
	t.Run("why it could not be loaded is told with the stack", func(t *testing.T) {
		p := c.want(c.json("POST", functions+"/broken/warm", ""), cove.CodeInitError)
		if p.Error == nil || p.Error.Type != "Runtime.ImportError" || len(p.Error.Stack) == 0 {
			t.Errorf("%+v", p)
		}
	})
	t.Run("how many there are is told when there are too few", func(t *testing.T) {
		p := c.want(c.json("POST", functions+"/large/warm", `{"instances":4}`), cove.CodeOverloaded)
		if !strings.Contains(p.Detail, "2 of 4 instances are ready") {
			t.Errorf("%+v", p)
		}
	})
	t.Run("the wait has a bound", func(t *testing.T) {
		p := c.want(c.json("POST", functions+"/hangs/warm", `{"timeout":"100ms"}`), cove.CodeTimeout)
		if !strings.Contains(p.Detail, "1 of 1") {
			t.Errorf("%+v", p)
		}
	})
	t.Run("what is beyond a limit is refused by its field", func(t *testing.T) {
		for body, field := range map[string]string{
			`{"instances":6}`: "instances", `{"instances":-1}`: "instances", `{"instances":1001}`: "instances",
			`{"timeout":"99ms"}`: "timeout", `{"timeout":"16m"}`: "timeout", `{"timeout":"soon"}`: "timeout", `{"count":1}`: "count",
		} {
			p := c.want(c.json("POST", functions+"/large/warm", body), cove.CodeInvalid)
			if len(p.Errors) != 1 || p.Errors[0].Field != field {
				t.Errorf("%s: %+v", body, p)
			}
		}
	})
	t.Run("what is not there, or has no code, cannot be warmed up", func(t *testing.T) {
		c.want(c.json("POST", functions+"/nobody/warm", ""), cove.CodeNotFound)
		c.ok(c.json("POST", functions, `{"name":"bare","runtime":"python"}`), 201, nil)
		c.want(c.json("POST", functions+"/bare/warm", ""), cove.CodeNoCode)
		c.want(c.json("GET", functions+"/bare/scaling", ""), cove.CodeNoCode)
		c.want(c.json("POST", functions+"/nobody/recycle", ""), cove.CodeNotFound)
		c.want(c.json("GET", functions+"/nobody/scaling", ""), cove.CodeNotFound)
	})
	t.Run("a token that may only invoke may do none of this", func(t *testing.T) {
		invoker := caller{c.t, c.s, c.s.Invoker}
		for _, path := range []string{"POST /functions/hello/warm", "POST /functions/hello/recycle", "GET /functions/hello/scaling", "GET /instances", "GET /stems"} {
			method, path, _ := strings.Cut(path, " ")
			invoker.want(invoker.json(method, "/api/v1"+path, ""), cove.CodeDenied)
		}
	})
}

func TestInstances(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.create("hello")

	t.Run("they are told by function and state, and measured only if asked", func(t *testing.T) {
		for query, want := range map[string]string{
			"": "hello-1 hello-2 other-1", "?function=hello": "hello-1 hello-2", "?state=busy": "other-1", "?function=nobody": "",
		} {
			var got wire.InstanceList
			c.ok(c.json("GET", "/api/v1/instances"+query, ""), 200, &got)
			var ids []string
			for _, i := range got.Items {
				ids = append(ids, i.ID)
				if i.Measured != nil {
					t.Errorf("%s is measured", i.ID)
				}
			}
			if strings.Join(ids, " ") != want || got.Items == nil {
				t.Errorf("%s: %v", query, ids)
			}
		}
		var got wire.InstanceList
		c.ok(c.json("GET", "/api/v1/instances?measure=true&state=idle", ""), 200, &got)
		if len(got.Items) != 1 || got.Items[0].Measured == nil || got.Items[0].Measured.Processes != 4 {
			t.Errorf("%+v", got)
		}
		c.want(c.json("GET", "/api/v1/instances?state=lazy", ""), cove.CodeInvalid)
	})
	t.Run("a recycling tells how many end", func(t *testing.T) {
		var got wire.Recycled
		for _, body := range []string{"", "{}", `{"now":true}`, `{"timeout":"10s"}`} {
			c.ok(c.json("POST", functions+"/hello/recycle", body), 200, &got)
			if got.Instances != 2 || (got.Took == 0) != strings.Contains(body, "now") {
				t.Errorf("%s: %+v", body, got)
			}
		}
	})
	t.Run("what cannot be replaced is kept, and the error says so", func(t *testing.T) {
		c.create("broken")
		p := c.want(c.json("POST", functions+"/broken/recycle", ""), cove.CodeInitError)
		if p.Error == nil || !strings.Contains(p.Detail, "are kept") {
			t.Errorf("%+v", p)
		}
		p = c.want(c.json("POST", functions+"/hello/recycle", `{"timeout":"16m"}`), cove.CodeInvalid)
		if !strings.Contains(p.Detail+fmt.Sprint(p.Errors), "timeout") {
			t.Errorf("%+v", p)
		}
	})
	t.Run("an explanation has the settings and reasons", func(t *testing.T) {
		var got wire.Explanation
		c.ok(c.json("GET", functions+"/hello/scaling", ""), 200, &got)
		if got.Function != "hello" || got.Version != 1 || len(got.Reasons) != 2 || got.Observed.Stems != 2 || got.Decided.Next.IsZero() {
			t.Errorf("%+v", got)
		}
	})
	t.Run("stem cells are told alone and with the daemon", func(t *testing.T) {
		var list wire.StemList
		var system wire.System
		c.ok(c.json("GET", "/api/v1/stems", ""), 200, &list)
		c.ok(c.json("GET", "/api/v1/system", ""), 200, &system)
		if len(list.Items) != 1 || list.Items[0].Target != 2 || len(system.Stems) != 1 {
			t.Errorf("%+v %+v", list, system)
		}
	})
}

// patient is an Instances whose warming up takes a while, unless the caller
// leaves.
type patient struct {
	api.Instances
	takes time.Duration
	left  chan struct{}
}

func (p patient) Warm(ctx context.Context, _ *cove.Version, n int) (int, *cove.Error) {
	select {
	case <-time.After(p.takes):
		return n, nil
	case <-ctx.Done():
		close(p.left)
		return 0, cove.Errorf(cove.CodeTimeout, "given up")
	}
}

func TestAnAnswerMayTakeLongerThanABody(t *testing.T) {
	t.Parallel()
	const bodyTimeout = 50 * time.Millisecond
	t.Run("who waits is not taken for gone", func(t *testing.T) {
		t.Parallel()
		c := setup(t, func(o *api.Options) {
			o.BodyTimeout, o.Instances = bodyTimeout, patient{o.Instances, 4 * bodyTimeout, make(chan struct{})}
		})
		c.create("hello")
		c.ok(c.json("POST", functions+"/hello/warm", `{"instances":2}`), 200, nil)
	})
	t.Run("nor is who waits for a handler", func(t *testing.T) {
		t.Parallel()
		c := setup(t, func(o *api.Options) { o.BodyTimeout, o.Invoker = bodyTimeout, slow{4 * bodyTimeout} })
		c.create("hello")
		c.ok(c.json("POST", functions+"/hello/invoke", `{}`), 200, nil)
	})
	t.Run("who leaves is noticed", func(t *testing.T) {
		t.Parallel()
		p := patient{takes: time.Minute, left: make(chan struct{})}
		c := setup(t, func(o *api.Options) { o.BodyTimeout, o.Instances = bodyTimeout, p })
		c.create("hello")
		ctx, cancel := context.WithTimeout(t.Context(), 4*bodyTimeout)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "POST", c.s.URL+functions+"/hello/warm", strings.NewReader(`{"instances":2}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		req.Header.Set("Content-Type", "application/json")
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			t.Error(res.Status)
		}
		select {
		case <-p.left:
		case <-time.After(10 * time.Second):
			t.Error("it was not")
		}
	})
}

// slow is an invoke.Doer that takes a while, unless the caller leaves.
type slow struct{ takes time.Duration }

func (s slow) Do(ctx context.Context, r *invoke.Request, sink invoke.Sink) (*cove.Invocation, *cove.Error) {
	select {
	case <-time.After(s.takes):
		_ = sink.Answer(&runtime.Answer{Payload: []byte("1")})
		return &cove.Invocation{ID: r.ID}, nil
	case <-ctx.Done():
		return &cove.Invocation{ID: r.ID}, cove.Errorf(cove.CodeInternal, "the caller is thought to be gone")
	}
}
