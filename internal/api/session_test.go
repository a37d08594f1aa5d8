package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/api/apitest"
	"github.com/covefn/cove/internal/auth"
)

const (
	sessionPath = api.Prefix + "/session"
	password    = "correct horse battery"
)

func user(t *testing.T, s *apitest.Server, name, role string) {
	t.Helper()
	if _, err := s.Auth.CreateUser(t.Context(), name, role, password); err != nil {
		t.Fatal(err)
	}
}

// login is the answer to a sign-in, and the session's cookie.
func login(t *testing.T, s *apitest.Server, body string, header ...string) (answer, *http.Cookie) {
	t.Helper()
	a := caller{t, s, ""}.json("POST", sessionPath, body, header...)
	for _, c := range a.Cookies() {
		if c.Name == api.CookieName {
			return a, c
		}
	}
	return a, nil
}

func byPassword(name, password string) string {
	body, _ := json.Marshal(wire.Login{Name: name, Password: password})
	return string(body)
}

// who is the name of whom the cookie stands for, "" if it is worth nothing.
func who(t *testing.T, s *apitest.Server, secret string) string {
	t.Helper()
	a := caller{t, s, ""}.json("GET", sessionPath, "", cookie(secret)...)
	if a.StatusCode == 401 {
		return ""
	}
	var w wire.Who
	if err := json.Unmarshal(a.body, &w); err != nil {
		t.Fatal(err)
	}
	return w.Name
}

func TestSignIn(t *testing.T) {
	t.Parallel()

	t.Run("a name and its password begin a session whose cookie no script and no other site gets", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t)
		user(t, s, "ada", auth.RoleDeveloper)
		a, c := login(t, s, byPassword("ada", password))
		var w wire.Who
		if err := json.Unmarshal(a.body, &w); err != nil || a.StatusCode != 200 || w.Name != "ada" || w.User != "ada" || w.Role != "developer" || w.Kind != "session" {
			t.Fatalf("%s %s", a.Status, a.body)
		}
		if c == nil || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Secure || c.Domain != "" || len(c.Value) != 43 {
			t.Errorf("the cookie is %+v", c)
		}
		if strings.Contains(string(a.body), c.Value) {
			t.Error("the answer tells the session to scripts")
		}
		if who(t, s, c.Value) != "ada" {
			t.Error("the session is worth nothing")
		}
	})

	t.Run("behind TLS the cookie is for TLS only", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t, func(o *api.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
		user(t, s, "ada", auth.RoleViewer)
		if _, c := login(t, s, byPassword("ada", password), "X-Forwarded-Proto", "https"); c == nil || !c.Secure {
			t.Errorf("the cookie is %+v", c)
		}
	})

	t.Run("a wrong name, a wrong password and a disabled user are answered alike", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t)
		user(t, s, "ada", auth.RoleViewer)
		user(t, s, "off", auth.RoleViewer)
		if _, err := s.Auth.ChangeUser(t.Context(), "off", auth.UserChange{Disabled: new(true)}); err != nil {
			t.Fatal(err)
		}
		var first string
		for _, body := range []string{byPassword("ada", "wrong"), byPassword("nobody", "wrong"), byPassword("off", password)} {
			a, c := login(t, s, body, "X-Request-Id", "the-same-one")
			if a.StatusCode != 401 || c != nil {
				t.Errorf("%s: %s, %v", body, a.Status, c)
			}
			if first == "" {
				first = string(a.body)
			}
			if string(a.body) != first {
				t.Errorf("%s is told apart: %s and %s", body, a.body, first)
			}
		}
	})

	t.Run("a session that was slipped into the browser is ended by the sign-in", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t)
		user(t, s, "ada", auth.RoleAdmin)
		slipped := session(t, s, token(t, s, auth.RoleViewer))
		_, c := login(t, s, byPassword("ada", password), cookie(slipped)...)
		if c == nil || c.Value == slipped || who(t, s, slipped) != "" || who(t, s, c.Value) != "ada" {
			t.Errorf("the cookie is %+v; the old one is %q's", c, who(t, s, slipped))
		}
		_, made := login(t, s, byPassword("ada", password), cookie("made-up-by-somebody-who-waits")...)
		if made == nil || made.Value == "made-up-by-somebody-who-waits" || who(t, s, "made-up-by-somebody-who-waits") != "" {
			t.Error("a session that somebody made up was taken over")
		}
	})

	t.Run("a body that is none is refused field by field", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t)
		for _, body := range []string{"", "{", "[]", `{"name":"ada"}`, `{"password":"x"}`, `{"code":"x","name":"ada","password":"x"}`, `{"user":"ada"}`, byPassword(strings.Repeat("a", 64), "x"), byPassword("a", strings.Repeat("x", 1025))} {
			if a, _ := login(t, s, body); a.StatusCode != 400 {
				t.Errorf("%s: %s", body, a.Status)
			}
		}
		if a, _ := login(t, s, byPassword("ada", strings.Repeat("x", 5000))); a.StatusCode != 413 {
			t.Errorf("a large body: %s", a.Status)
		}
	})
}

func TestSignInIsLimited(t *testing.T) {
	t.Parallel()

	t.Run("by name, whether there is one of it or not, and not by what is right later", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t)
		user(t, s, "ada", auth.RoleViewer)
		for _, name := range []string{"ada", "nobody"} {
			for i := range 12 {
				a, _ := login(t, s, byPassword(name, "wrong"))
				if want := map[bool]int{true: 401, false: 429}[i < 10]; a.StatusCode != want {
					t.Errorf("attempt %d as %s: %s", i+1, name, a.Status)
				} else if i >= 10 && a.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}
		}
		if a, _ := login(t, s, byPassword("ada", password)); a.StatusCode != 429 {
			t.Errorf("the right password after too many wrong ones: %s", a.Status)
		}
		if n := len(audit(t, s, "login")); n != 22 {
			t.Errorf("the audit log has %d entries: 10 attempts and the first refusal of each name are 22", n)
		}
		code, _, err := s.Auth.Link(&auth.Caller{User: "ada"})
		if err != nil {
			t.Fatal(err)
		}
		if a, _ := login(t, s, `{"code":"`+code+`"}`); a.StatusCode != 200 {
			t.Errorf("a one-time link, for who was kept out: %s", a.Status)
		}
	})

	t.Run("by address, for guesses of codes and names alike", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t)
		refused := 0
		for range 40 {
			if a, _ := login(t, s, `{"code":"guess"}`); a.StatusCode == 429 {
				refused++
			}
		}
		if refused < 8 || refused > 10 {
			t.Errorf("%d of 40 attempts were refused, want 10", refused)
		}
		if a, _ := login(t, s, byPassword("ada", password)); a.StatusCode != 429 {
			t.Errorf("a password from that address: %s", a.Status)
		}
	})

	t.Run("also when all come at once", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t)
		user(t, s, "ada", auth.RoleViewer)
		var wg sync.WaitGroup
		status := make([]int, 25)
		for i := range status {
			wg.Go(func() {
				a, _ := login(t, s, byPassword("ada", "wrong"))
				status[i] = a.StatusCode
			})
		}
		wg.Wait()
		let := 0
		for _, code := range status {
			if code == 401 {
				let++
			}
		}
		if let > 10 {
			t.Errorf("%d attempts were let through, 10 are the limit: %v", let, status)
		}
	})
}

func TestOneTimeLinks(t *testing.T) {
	t.Parallel()
	link := func(t *testing.T, s *apitest.Server, header ...string) string {
		t.Helper()
		var l wire.LoginLink
		a := caller{t, s, ""}.json("POST", sessionPath+"/links", "", header...)
		if err := json.Unmarshal(a.body, &l); err != nil || a.StatusCode != 201 {
			t.Fatalf("%s: %s", a.Status, a.body)
		}
		address, code, found := strings.Cut(l.URL, "#code=")
		if address != s.URL+"/login" || !found || time.Until(l.Expires) > 10*time.Minute || time.Until(l.Expires) < 9*time.Minute {
			t.Fatalf("the link is %+v", l)
		}
		return code
	}

	t.Run("a link signs in its maker once", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t)
		code := link(t, s, bearer(s.Admin)...)
		_, c := login(t, s, `{"code":"`+code+`"}`)
		if c == nil || who(t, s, c.Value) != "admin" {
			t.Fatalf("the cookie is %+v", c)
		}
		if a, again := login(t, s, `{"code":"`+code+`"}`); a.StatusCode != 401 || again != nil {
			t.Errorf("the second time: %s", a.Status)
		}
		var w wire.Who
		caller{t, s, ""}.ok(caller{t, s, ""}.json("GET", sessionPath, "", cookie(c.Value)...), 200, &w)
		if w.Role != "admin" || w.Kind != "session" || w.User != "" || w.Expires.IsZero() {
			t.Errorf("%+v", w)
		}
	})

	t.Run("of two who open it at once one is signed in", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t)
		code := link(t, s, bearer(s.Admin)...)
		var wg sync.WaitGroup
		in := make([]bool, 8)
		for i := range in {
			wg.Go(func() { _, c := login(t, s, `{"code":"`+code+`"}`); in[i] = c != nil })
		}
		wg.Wait()
		if n := len(slices.DeleteFunc(in, func(b bool) bool { return !b })); n != 1 {
			t.Errorf("%d were signed in", n)
		}
	})

	t.Run("its session ends with the token that made it", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t)
		made := token(t, s, auth.RoleAdmin)
		_, c := login(t, s, `{"code":"`+link(t, s, bearer(made)...)+`"}`)
		late := link(t, s, cookie(c.Value)...)
		id := strings.Split(made, "_")[1]
		caller{t, s, s.Admin}.ok(caller{t, s, s.Admin}.json("DELETE", "/api/v1/tokens/"+id, ""), 204, nil)
		if who(t, s, c.Value) != "" {
			t.Error("the session outlived its token")
		}
		if a, _ := login(t, s, `{"code":"`+late+`"}`); a.StatusCode != 401 {
			t.Errorf("a link that waited: %s", a.Status)
		}
	})

	t.Run("a name of the host that is none makes no link", func(t *testing.T) {
		t.Parallel()
		s := apitest.Start(t)
		req := request(t, s, "POST "+sessionPath+"/links", bearer(s.Admin)...)
		req.Host = "evil.example/x?"
		if res, _ := head(t, req); res.StatusCode != 400 {
			t.Error(res.Status)
		}
	})
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	for _, name := range []string{"out", "changed", "off", "gone", "demoted"} {
		user(t, s, name, auth.RoleAdmin)
	}
	in := func(name string) string {
		_, c := login(t, s, byPassword(name, password))
		if c == nil {
			t.Fatalf("%s cannot sign in", name)
		}
		return c.Value
	}
	admin := caller{t, s, s.Admin}
	t.Run("by signing out, which ends no other", func(t *testing.T) {
		one, other := in("out"), in("out")
		a := caller{t, s, ""}.json("DELETE", sessionPath, "", cookie(one)...)
		if a.StatusCode != 204 || len(a.Cookies()) != 1 || a.Cookies()[0].MaxAge >= 0 || a.Cookies()[0].Value != "" {
			t.Errorf("%s %v", a.Status, a.Header)
		}
		if who(t, s, one) != "" || who(t, s, other) != "out" {
			t.Errorf("after signing out: %q and %q", who(t, s, one), who(t, s, other))
		}
	})
	t.Run("by a new password", func(t *testing.T) {
		one := in("changed")
		admin.ok(admin.json("PATCH", "/api/v1/users/changed", `{"password":"another good one"}`), 200, nil)
		if who(t, s, one) != "" {
			t.Error("the session outlived its password")
		}
	})
	t.Run("by being disabled, and they do not come back", func(t *testing.T) {
		one := in("off")
		admin.ok(admin.json("PATCH", "/api/v1/users/off", `{"disabled":true}`), 200, nil)
		admin.ok(admin.json("PATCH", "/api/v1/users/off", `{"disabled":false}`), 200, nil)
		if who(t, s, one) != "" {
			t.Error("the session is back")
		}
	})
	t.Run("by deletion, also where there is a new user of the name", func(t *testing.T) {
		one := in("gone")
		admin.ok(admin.json("DELETE", "/api/v1/users/gone", ""), 204, nil)
		user(t, s, "gone", auth.RoleViewer)
		if who(t, s, one) != "" {
			t.Error("the session is another's now")
		}
	})
	t.Run("but another role holds at once without a new sign-in", func(t *testing.T) {
		one := in("demoted")
		admin.ok(admin.json("PATCH", "/api/v1/users/demoted", `{"role":"viewer"}`), 200, nil)
		if res, _ := head(t, request(t, s, "GET /api/v1/users", cookie(one)...)); res.StatusCode != 403 {
			t.Errorf("users as a viewer: %s", res.Status)
		}
		if res, _ := head(t, request(t, s, "GET /api/v1/functions", cookie(one)...)); res.StatusCode != 200 {
			t.Errorf("functions as a viewer: %s", res.Status)
		}
	})
}

func TestUsersDoNotLockThemselvesOut(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	user(t, s, "ada", auth.RoleAdmin)
	_, c := login(t, s, byPassword("ada", password))
	self := caller{t, s, ""}
	for method, body := range map[string]string{"DELETE": "", "PATCH": `{"role":"viewer"}`} {
		if a := self.json(method, "/api/v1/users/ada", body, cookie(c.Value)...); a.StatusCode != 409 {
			t.Errorf("%s of oneself: %s", method, a.Status)
		}
	}
	var own string
	for _, t := range s.Auth.Users() {
		own = t.Name
	}
	if own != "ada" {
		t.Error("ada is gone")
	}
	id := strings.Split(s.Admin, "_")[1]
	self.ok(self.json("DELETE", "/api/v1/tokens/"+id, "", cookie(c.Value)...), 204, nil)
	if err := s.Auth.DeleteUser(t.Context(), "ada"); err == nil {
		t.Error("the last who could administer was deleted")
	}
}

func TestAUserChangesTheirOwnPassword(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	user(t, s, "ada", auth.RoleViewer)
	_, one := login(t, s, byPassword("ada", password))
	_, other := login(t, s, byPassword("ada", password))
	const next = "another good one"
	change := func(header []string, password, next string) answer {
		body, _ := json.Marshal(wire.PasswordChange{Password: password, NewPassword: next})
		return caller{t, s, ""}.json("PUT", sessionPath+"/password", string(body), header...)
	}
	for what, a := range map[string]answer{"a wrong password": change(cookie(one.Value), "wrong", next), "a short one": change(cookie(one.Value), password, "short")} {
		if a.StatusCode != 400 || strings.Contains(string(a.body), "short\"") {
			t.Errorf("%s: %s %s", what, a.Status, a.body)
		}
	}
	a := change(cookie(one.Value), password, next)
	if a.StatusCode != 200 || len(a.Cookies()) != 1 || who(t, s, a.Cookies()[0].Value) != "ada" {
		t.Fatalf("%s %s %v", a.Status, a.body, a.Cookies())
	}
	if who(t, s, one.Value) != "" || who(t, s, other.Value) != "" {
		t.Error("a session outlived its password")
	}
	if _, c := login(t, s, byPassword("ada", next)); c == nil {
		t.Error("the new password is not taken")
	}
	if a := change(bearer(s.Admin), "x", next); a.StatusCode != 409 {
		t.Errorf("a token: %s", a.Status)
	}
	mine := cookie(a.Cookies()[0].Value)
	status := 0
	for range 12 {
		status = change(mine, "wrong", next).StatusCode
	}
	if status != 429 {
		t.Errorf("the twelfth guess: %d", status)
	}
}

func TestALongAnswerEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	s := apitest.Start(t)
	caller{t, s, s.Admin}.create("hello")
	mine := token(t, s, auth.RoleViewer)
	req := request(t, s, "GET /api/v1/events", bearer(mine)...)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	if err := s.Auth.Delete(t.Context(), strings.Split(mine, "_")[1]); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = bytes.NewBuffer(nil).ReadFrom(res.Body)
	}()
	for {
		select {
		case <-ended:
			return
		case <-time.After(50 * time.Millisecond):
			s.Events.Function(wire.FunctionEvent{Name: "hello"})
		case <-t.Context().Done():
			t.Fatal("the events go on")
		}
	}
}
