package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/api/apitest"
	"github.com/covefn/cove/internal/auth"
	"github.com/covefn/cove/internal/store"
)

// audit are the entries of an action, the newest first.
func audit(t *testing.T, s *apitest.Server, action string) []store.AuditEntry {
	t.Helper()
	entries, err := s.Store.AuditLog(t.Context(), store.AuditQuery{Action: action, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestTheAuditLogHasEveryChangeAndNoSecret(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := apitest.Start(t, func(o *api.Options) {
		o.Log = slog.New(slog.NewJSONHandler(&locked{w: &log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	admin := caller{t, s, s.Admin}
	user(t, s, "ada", auth.RoleAdmin)
	const hush = "hush-hush-hush-hush"
	var made wire.NewToken
	admin.ok(admin.json("POST", "/api/v1/tokens", `{"name":"ci","role":"viewer"}`), 201, &made)
	admin.ok(admin.json("POST", "/api/v1/users", `{"name":"grace","role":"viewer","password":"`+hush+`"}`), 201, nil)
	admin.json("POST", "/api/v1/users", `{"name":"grace","role":"viewer","password":"`+hush+`"}`)
	admin.ok(admin.json("PATCH", "/api/v1/users/grace", `{"password":"`+hush+`2"}`), 200, nil)
	admin.create("hello")
	admin.ok(admin.json("PATCH", "/api/v1/functions/hello", `{"memory":"256MiB","env":{"KEY":{"value":"`+hush+`","secret":true}}}`), 200, nil)
	admin.ok(admin.json("PATCH", "/api/v1/settings", `{"retention":{"logs":"24h"}}`), 200, nil)
	admin.ok(admin.json("POST", "/api/v1/functions/hello/invoke", `{"x":"`+hush+`"}`), 200, nil)
	viewer := caller{t, s, made.Secret}
	viewer.json("DELETE", "/api/v1/functions/hello", "")
	login(t, s, byPassword("ada", hush))
	login(t, s, byPassword(hush, "x"))
	_, c := login(t, s, byPassword("ada", password))
	caller{t, s, ""}.json("DELETE", "/api/v1/functions/hello", "", cookie(c.Value)...)
	caller{t, s, ""}.json("DELETE", sessionPath, "", cookie(c.Value)...)

	var got []string
	var list wire.AuditList
	admin.ok(admin.json("GET", "/api/v1/audit?limit=500", ""), 200, &list)
	for _, e := range slices.Backward(list.Items) {
		if e.Address != "127.0.0.1" || e.RequestID == "" || time.Since(e.Time) > time.Minute {
			t.Errorf("%+v", e)
		}
		by, _, _ := strings.Cut(e.Actor, " ")
		got = append(got, strings.Join([]string{by, e.Action, e.Target, e.Detail, http.StatusText(e.Status)}, "|"))
	}
	want := []string{
		"token|createToken|" + made.ID + "|role viewer: ci|Created",
		"token|createUser|grace|role viewer|Created",
		"token|createUser|grace|role viewer|Conflict",
		"token|patchUser|grace|password|OK",
		"token|createFunction|hello||Created",
		"token|patchFunction|hello|env.KEY.secret, env.KEY.value, memory|OK",
		"token|patchSettings|settings|retention.logs|OK",
		"token|deleteFunction|hello||Forbidden",
		"somebody|login|ada|with a password|Unauthorized",
		"somebody|login||with a password|Unauthorized",
		"user|login|ada|with a password|OK",
		"user|deleteFunction|hello||No Content",
		"user|logout|||No Content",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	everything, _ := json.Marshal(list)
	s.Close() // Every request is logged by then.
	for what, text := range map[string]string{"audit log": string(everything), "log": log.String()} {
		for _, secret := range []string{hush, password, s.Admin, made.Secret, c.Value, "argon2"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in the %s", secret, what)
			}
		}
	}
}

func TestNobodyPushesOthersOutOfTheAuditLog(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	viewer := caller{t, s, token(t, s, auth.RoleViewer)}
	for range 120 {
		viewer.json("DELETE", "/api/v1/users/nobody", "")
	}
	if n := len(audit(t, s, "deleteUser")); n != 100 {
		t.Errorf("there are %d entries about what one caller was refused, want 100", n)
	}
	admin := caller{t, s, s.Admin}
	admin.json("DELETE", "/api/v1/users/nobody", "")
	if n := len(audit(t, s, "deleteUser")); n != 101 {
		t.Errorf("another caller's entry is missing: there are %d", n)
	}
	for _, body := range []string{"", "{", "{}", `{"name":"ada"}`, `{"code":"x","name":"ada"}`, `{"name":"ada","password":"` + strings.Repeat("x", 2000) + `"}`} {
		if a := (caller{t, s, ""}).json("POST", sessionPath, body); a.StatusCode != 400 {
			t.Errorf("%s: %s", body, a.Status)
		}
	}
	if entries := audit(t, s, "login"); len(entries) != 0 {
		t.Errorf("what was no attempt to sign in is in the audit log: %+v", entries)
	}
}

func TestTheAuditLogIsReadPageByPage(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	admin := caller{t, s, s.Admin}
	for range 5 {
		admin.json("DELETE", "/api/v1/users/nobody", "")
	}
	var ids []int64
	next := ""
	for range 5 {
		var page wire.AuditList
		admin.ok(admin.json("GET", "/api/v1/audit?limit=2&action=deleteUser&target=nobo&actor=TOKEN&before="+next, ""), 200, &page)
		for _, e := range page.Items {
			ids = append(ids, e.ID)
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if len(ids) != 5 || !slices.IsSortedFunc(ids, func(a, b int64) int { return int(b - a) }) {
		t.Errorf("%v", ids)
	}
	for _, query := range []string{"limit=0", "limit=501", "before=x", "before=-1", "what=x"} {
		if a := admin.json("GET", "/api/v1/audit?"+query, ""); a.StatusCode != 400 {
			t.Errorf("%s: %s", query, a.Status)
		}
	}
}

// breaking is what breaks inside of a change.
type breaking struct{ api.Instances }

func (breaking) Replace(context.Context, string) (int, *cove.Error) { panic("recycling broke") }

func TestAChangeThatBreaksInsideIsAnsweredAndAudited(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t, func(o *api.Options) { o.Instances = breaking{o.Instances} })
	admin := caller{t, s, s.Admin}
	admin.create("hello")
	admin.ok(admin.json("POST", "/api/v1/functions/hello/recycle", ""), http.StatusInternalServerError, nil)
	if entries := audit(t, s, "recycleFunction"); len(entries) != 1 || entries[0].Status != http.StatusInternalServerError {
		t.Errorf("audited %+v", entries)
	}
}
