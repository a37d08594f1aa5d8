package client_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/api/apitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T) (*client.Client, *apitest.Server) {
	s := apitest.Start(t, func(o *api.Options) { o.MaxPackage = 1 << 20 })
	c, err := client.New(s.URL, s.Admin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, s
}

func TestClient(t *testing.T) {
	t.Parallel()
	c, s := setup(t)
	ctx := t.Context()
	cfg := cove.Config{Name: "hello", Runtime: "python", Env: cove.Env{"K": {Value: "v", Secret: true}, "P": {Value: "p"}}}
	f, err := c.Create(ctx, cfg, &client.Archive{Reader: strings.NewReader("code"), Format: "zip"})
	if err != nil || f.Version.Package.Format != "zip" {
		t.Fatal(f, err)
	}
	if e := s.Functions.Active("hello").Config.Env; e["K"].Value != "v" || !e["K"].Secret || e["P"].Value != "p" {
		t.Errorf("the variables did not arrive: %#v", e)
	}
	steps := map[string]func() error{
		"function": func() error { _, err := c.Function(ctx, "hello"); return err },
		"replace":  func() error { _, err := c.Replace(ctx, "hello", cfg, nil, 0); return err },
		"patch":    func() error { _, err := c.Patch(ctx, "hello", map[string]any{"cpu": 2}, 0); return err },
		"files":    func() error { _, err := c.PutFiles(ctx, "hello", wire.Files{"b": {0xff, 0}}, 0); return err },
		"put code": func() error {
			_, err := c.PutCode(ctx, "hello", client.Archive{Reader: strings.NewReader("x")}, 0)
			return err
		},
		"versions": func() error { _, err := c.Versions(ctx, "hello"); return err },
		"version":  func() error { _, err := c.Version(ctx, "hello", 1); return err },
		"rollback": func() error { _, err := c.Rollback(ctx, "hello", 1, 0); return err },
		"ready":    func() error { _, err := c.Ready(ctx, "hello"); return err },
		"warm":     func() error { _, err := c.Warm(ctx, "hello", wire.Warm{Instances: 2}); return err },
		"recycle":  func() error { _, err := c.Recycle(ctx, "hello", wire.Recycle{Now: true}); return err },
		"explain":  func() error { _, err := c.Explain(ctx, "hello"); return err },
		"instances": func() error {
			got, err := c.Instances(ctx, client.InstanceQuery{Function: "hello", State: wire.InstanceIdle, Measure: true})
			if err == nil && (len(got) != 1 || got[0].Measured == nil) {
				t.Errorf("got %+v", got)
			}
			return err
		},
		"stems":      func() error { _, err := c.Stems(ctx); return err },
		"logs":       func() error { _, err := c.Logs(ctx, "hello", client.LogQuery{Tail: 1}); return err },
		"system":     func() error { _, err := c.System(ctx); return err },
		"runtimes":   func() error { _, err := c.Runtimes(ctx); return err },
		"isolations": func() error { _, err := c.Isolations(ctx); return err },
		"tokens":     func() error { _, err := c.Tokens(ctx); return err },
	}
	for name, step := range steps {
		if err := step(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	archive, format, err := c.Code(ctx, "hello", 1)
	if err != nil || format != "zip" {
		t.Fatal(format, err)
	}
	data, err := io.ReadAll(archive)
	archive.Close()
	if err != nil || string(data) != "code" {
		t.Errorf("%s %v", data, err)
	}
	lines := 0
	for _, err := range c.FollowLogs(ctx, "hello", client.LogQuery{}) {
		if err != nil {
			t.Error(err)
		}
		lines++
	}
	if lines != 1 {
		t.Errorf("%d lines", lines)
	}
	token, err := c.CreateToken(ctx, wire.TokenCreate{Name: "x", Role: "invoke"})
	if err != nil || c.DeleteToken(ctx, token.ID) != nil {
		t.Error(err)
	}
	if r, err := c.Invoke(ctx, "hello", []byte("[1]")); err != nil || string(r.Answer) != "[1]" {
		t.Errorf("%+v %v", r, err)
	}
	if err := c.Delete(ctx, "hello", 0); err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	c, s := setup(t)
	t.Run("what the server answered is a cove.Error with its fields", func(t *testing.T) {
		_, err := c.CreateToken(t.Context(), wire.TokenCreate{Name: "x", Role: "root"})
		if e := cove.AsError(err); e.Code != cove.CodeInvalid || len(e.Fields) != 1 || e.Fields[0].Field != "role" {
			t.Errorf("%#v", err)
		}
	})
	t.Run("an upload that is refused half way ends", func(t *testing.T) {
		endless := io.LimitReader(zeros{}, 1<<30)
		_, err := c.Create(t.Context(), cove.Config{Name: "big", Runtime: "python"}, &client.Archive{Reader: endless, Format: "zip"})
		if err == nil {
			t.Error("it was taken")
		}
	})
	t.Run("a server that is not there is unavailable", func(t *testing.T) {
		gone, err := client.New("127.0.0.1:1", "x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := gone.System(t.Context()); cove.CodeOf(err) != cove.CodeUnavailable {
			t.Error(err)
		}
	})
	t.Run("a request that was given up says so", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.System(ctx); err == nil || !strings.Contains(err.Error(), "given up") {
			t.Error(err)
		}
	})
	t.Run("the token is taken nowhere else", func(t *testing.T) {
		elsewhere := httptest.NewServer(http.RedirectHandler(s.URL, http.StatusTemporaryRedirect))
		defer elsewhere.Close()
		r, err := client.New(elsewhere.URL, "x")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := r.System(t.Context()); err == nil || !strings.Contains(err.Error(), "no answer of Cove") {
			t.Error(err)
		}
	})
	t.Run("nonsense addresses are refused", func(t *testing.T) {
		for _, u := range []string{"", "ftp://x", "http://", "::"} {
			if _, err := client.New(u, ""); err == nil {
				t.Errorf("%q was taken", u)
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestWarmFirst(t *testing.T) {
	t.Parallel()
	plain, _ := setup(t)
	c, ctx := plain.WarmFirst(), t.Context()
	cfg := cove.Config{Name: "hello", Runtime: "python"}
	zip := func(text string) *client.Archive {
		return &client.Archive{Reader: strings.NewReader(text), Format: "zip"}
	}
	for _, step := range []struct {
		name   string
		change func() (wire.Function, error)
	}{
		{"create", func() (wire.Function, error) { return c.Create(ctx, cfg, zip("1")) }},
		{"replace", func() (wire.Function, error) { return c.Replace(ctx, "hello", cfg, nil, 0) }},
		{"replace with code", func() (wire.Function, error) { return c.Replace(ctx, "hello", cfg, zip("2"), 0) }},
		{"patch", func() (wire.Function, error) { return c.Patch(ctx, "hello", map[string]any{"cpu": 2}, 0) }},
		{"code", func() (wire.Function, error) { return c.PutCode(ctx, "hello", *zip("3"), 0) }},
		{"files", func() (wire.Function, error) { return c.PutFiles(ctx, "hello", wire.Files{"a": nil}, 0) }},
		{"rollback", func() (wire.Function, error) { return c.Rollback(ctx, "hello", 1, 0) }},
	} {
		if f, err := step.change(); err != nil || f.Warmed == nil || f.Warmed.Ready != 1 {
			t.Errorf("%s: %+v, %v", step.name, f.Warmed, err)
		}
	}
	if f, err := plain.Rollback(ctx, "hello", 2, 0); err != nil || f.Warmed != nil {
		t.Errorf("%+v, %v", f.Warmed, err)
	}
	cfg.Name = "broken"
	_, err := c.Create(ctx, cfg, zip("1"))
	if e := cove.AsError(err); e == nil || e.Code != cove.CodeInitError || e.Function == nil || len(e.Function.Stack) == 0 {
		t.Errorf("%+v", err)
	}
}
