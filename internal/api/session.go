package api

import (
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/auth"
	"github.com/covefn/cove/internal/strictjson"
)

func (a *API) registerSession() {
	who := wire.Who{Kind: auth.KindSession, Name: "ada", ID: "ada", User: "ada", Role: auth.RoleAdmin, Expires: exampleTime()}
	path := Prefix + "/session"
	a.plain(huma.Operation{
		OperationID: "getSession", Method: http.MethodGet, Path: path, Tags: []string{"access"},
		Summary: "Who am I?", Description: "Who the token or the session of this request is, and what they may do.",
		Responses: map[string]*huma.Response{"200": response[wire.Who](a, "The caller", who)},
	}, func(w http.ResponseWriter, r *http.Request) error {
		writeJSON(w, http.StatusOK, "application/json", wireWho(callerOf(r.Context())))
		return nil
	})
	a.plain(huma.Operation{
		OperationID: "login", Method: http.MethodPost, Path: path, Tags: []string{"access"}, Security: []map[string][]string{{}},
		Summary: "Sign in", Description: "With a name and a password, or with the code of a one-time link. Sets the cookie `" + CookieName + "`, which a browser shows from then on; any session it showed before is ended. Attempts are limited by name and by address.",
		RequestBody: &huma.RequestBody{Required: true, Content: jsonContent[wire.Login](a, map[string]any{"name": "ada", "password": "..."})},
		Responses:   map[string]*huma.Response{"200": response[wire.Who](a, "Signed in", who)},
	}, a.login, cove.CodeInvalid, cove.CodeUnauthenticated, cove.CodeDenied, cove.CodeTooLarge, cove.CodeUnsupportedMedia, cove.CodeTooManyRequests)
	a.plain(huma.Operation{
		OperationID: "logout", Method: http.MethodDelete, Path: path, Tags: []string{"access"},
		Summary: "Sign out", Description: "Ends the session of this request. A token is not ended by it: that is deleteToken.",
		Responses: map[string]*huma.Response{"204": {Description: "Signed out"}},
	}, a.logout)
	a.plain(huma.Operation{
		OperationID: "changeOwnPassword", Method: http.MethodPut, Path: path + "/password", Tags: []string{"access"},
		Summary: "Change my password", Description: "Gives the user who is signed in another password. Every session of theirs ends, and a new one begins, in the cookie of the answer.",
		RequestBody: &huma.RequestBody{Required: true, Content: jsonContent[wire.PasswordChange](a, map[string]any{"password": "...", "new_password": "..."})},
		Responses:   map[string]*huma.Response{"200": response[wire.Who](a, "Changed", who)},
	}, a.changeOwnPassword, cove.CodeInvalid, cove.CodeConflict, cove.CodeTooLarge, cove.CodeTooManyRequests)
	a.plain(huma.Operation{
		OperationID: "createLoginLink", Method: http.MethodPost, Path: path + "/links", Tags: []string{"access"},
		Summary: "Make a link that signs in once", Description: "Makes a link to the console that signs in who opens it first, within 10 minutes, as the caller of this request. The session ends with the caller's token or user.",
		Responses: map[string]*huma.Response{"201": response[wire.LoginLink](a, "Made", wire.LoginLink{URL: "http://127.0.0.1:7070/login#code=...", Expires: exampleTime()})},
	}, a.createLoginLink, cove.CodeInvalid, cove.CodeTooManyRequests)
}

func wireWho(c *auth.Caller) wire.Who {
	return wire.Who{Kind: c.Kind, Name: c.Name, ID: c.ID(), User: c.User, Role: c.Role, Functions: c.Functions, Expires: c.Expires}
}

func (a *API) login(w http.ResponseWriter, r *http.Request) error {
	// What is no attempt to sign in is not counted, and so must not fill the audit log.
	noteOf(r.Context()).skip = true
	body, err := a.readJSON(w, r, maxLogin)
	if err != nil {
		return err
	}
	var in wire.Login
	if fields := strictjson.Decode(body, &in); len(fields) > 0 {
		return cove.InvalidFields(fields)
	}
	switch {
	case in.Code != "" && in.Name+in.Password != "":
		return cove.Invalid("code", "send either a code, or a name and a password")
	case in.Code == "" && (in.Name == "" || in.Password == ""):
		return cove.InvalidFields([]cove.FieldError{{Field: "name", Message: "is needed, with a password"}, {Field: "password", Message: "is needed, with a name"}})
	case len(in.Name) > 63 || len(in.Password) > 1024 || len(in.Code) > 200:
		return cove.Errorf(cove.CodeInvalid, "a name has at most 63 bytes, a password 1024 and a code 200")
	}
	// A wrong cookie is no reason not to sign in: it is replaced.
	before, _ := sessionCookie(r)
	signed, err := a.Access.SignIn(r.Context(), auth.Attempt{
		Name: in.Name, Password: in.Password, Code: in.Code, Address: a.address(r), Session: before,
	})
	noteLogin(r.Context(), in, signed.Caller, err)
	if err != nil {
		return err
	}
	http.SetCookie(w, a.cookie(r, signed.Secret, signed.Caller.Expires))
	writeJSON(w, http.StatusOK, "application/json", wireWho(signed.Caller))
	return nil
}

func (a *API) changeOwnPassword(w http.ResponseWriter, r *http.Request) error {
	body, err := a.readJSON(w, r, maxLogin)
	if err != nil {
		return err
	}
	var in wire.PasswordChange
	if fields := strictjson.Decode(body, &in); len(fields) > 0 {
		return cove.InvalidFields(fields)
	}
	if len(in.Password) > 1024 {
		return cove.Invalid("password", "is not the one you have")
	}
	caller := callerOf(r.Context())
	noteTarget(r.Context(), caller.ID(), "")
	signed, err := a.Access.ChangePassword(r.Context(), caller, in.Password, in.NewPassword)
	if err != nil {
		return err
	}
	http.SetCookie(w, a.cookie(r, signed.Secret, signed.Caller.Expires))
	writeJSON(w, http.StatusOK, "application/json", wireWho(signed.Caller))
	return nil
}

// cookie holds a session; one without a secret takes the cookie away.
func (a *API) cookie(r *http.Request, secret string, expires time.Time) *http.Cookie {
	c := &http.Cookie{
		Name: CookieName, Value: secret, Path: "/", HttpOnly: true, Secure: a.overTLS(r), SameSite: http.SameSiteStrictMode,
		Expires: expires,
	}
	if secret == "" {
		c.MaxAge = -1
	}
	return c
}

func (a *API) logout(w http.ResponseWriter, r *http.Request) error {
	caller := callerOf(r.Context())
	if caller.Kind == auth.KindSession {
		if err := a.Access.SignOut(r.Context(), caller); err != nil {
			return err
		}
		http.SetCookie(w, a.cookie(r, "", time.Time{}))
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// hostPattern is what may stand in a link: the caller says by which name it
// reached the daemon.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9._-]+(:[0-9]{1,5})?$|^\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?$`)

func (a *API) createLoginLink(w http.ResponseWriter, r *http.Request) error {
	if !hostPattern.MatchString(r.Host) {
		return cove.Invalid("Host", "the link needs the name by which the daemon is reached")
	}
	code, expires, err := a.Access.Link(callerOf(r.Context()))
	if err != nil {
		return err
	}
	link := url.URL{Scheme: "http", Host: r.Host, Path: "/login", Fragment: "code=" + code}
	if a.overTLS(r) {
		link.Scheme = "https"
	}
	writeJSON(w, http.StatusCreated, "application/json", wire.LoginLink{URL: link.String(), Expires: expires})
	return nil
}
