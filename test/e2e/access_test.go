package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

// signIn sends a sign-in and gives the cookie of the session.
func (h *harness) signIn(t *testing.T, login wire.Login) *http.Cookie {
	t.Helper()
	body, err := json.Marshal(login)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.API+"/api/v1/session", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := h.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || len(res.Cookies()) != 1 {
		t.Fatalf("signing in is answered %s: %s", res.Status, text)
	}
	return res.Cookies()[0]
}

// who is whom the control API takes a session for, "" for nobody.
func (h *harness) who(t *testing.T, c *http.Cookie) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.API+"/api/v1/session", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(c)
	res, err := h.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var who wire.Who
	if err := json.NewDecoder(res.Body).Decode(&who); err != nil {
		t.Fatal(err)
	}
	return who.Name
}

// Sessions outlive the daemon, whatever ends it, and nothing else than the browser
// holds them in clear: no file, no log, no function that is called from the same
// browser, which sends its cookies to every port.
func TestSessionsOutliveTheDaemonAndReachNoFunction(t *testing.T) {
	h := start(t, options{})
	const password = "correct horse battery"
	if _, err := h.Client.CreateUser(t.Context(), wire.UserCreate{Name: "ada", Role: "viewer", Password: password}); err != nil {
		t.Fatal(err)
	}
	link, err := h.Client.LoginLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(link.URL, "#code=")
	ada, admin := h.signIn(t, wire.Login{Name: "ada", Password: password}), h.signIn(t, wire.Login{Code: code})

	h.deploy(t, function("nosy", "python", isolations[0]), files{"main.py": `
def handler(event, context):
    return {"statusCode": 200, "cookies": ["cove_session=mine; Path=/", "own=1"], "body": repr(event)}
`})
	a := h.do(t, request{Path: "/nosy", Header: http.Header{"Cookie": {"a=1; cove_session=" + ada.Value + "; b=2"}}})
	if strings.Contains(a.Body, ada.Value) || !strings.Contains(a.Body, "'a=1', 'b=2'") {
		t.Errorf("the function was sent %s", a.Body)
	}
	if got := a.Header["Set-Cookie"]; len(got) != 1 || got[0] != "own=1" {
		t.Errorf("the function set %v", got)
	}

	h.kill(t)
	h.launch(t)
	if h.who(t, ada) != "ada" || h.who(t, admin) == "" {
		t.Error("the sessions are gone after the daemon was killed")
	}
	if err := h.Client.DeleteUser(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	h.stop(t)
	h.launch(t)
	if h.who(t, ada) != "" || h.who(t, admin) == "" {
		t.Error("after a restart the deleted user is signed in, or the other is not")
	}
	log, err := h.Client.Audit(t.Context(), client.AuditQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range log.Items {
		actions = append(actions, e.Action)
	}
	if got := strings.Join(actions, " "); got != "deleteUser createFunction replaceFunction login login createLoginLink createUser createToken" {
		t.Errorf("the audit log has %s", got)
	}
	h.searchFiles(t, password, ada.Value, admin.Value, code)
	for _, secret := range []string{password, ada.Value, admin.Value, code} {
		if strings.Contains(h.log.String(), secret) {
			t.Error("the daemon's log holds a secret")
		}
	}
}
