package api

import (
	"context"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/auth"
)

// Access knows who a caller is; *auth.Service does. What answers a *cove.Error
// does not wait for the disk.
type Access interface {
	// TokenCaller is who the token is, or CodeUnauthenticated.
	TokenCaller(secret string) (*auth.Caller, *cove.Error)
	// SessionCaller is whose session it is, or CodeUnauthenticated.
	SessionCaller(secret string) (*auth.Caller, *cove.Error)
	// Valid says whether the caller could make another request now.
	Valid(c *auth.Caller) bool
	// SignIn begins a session. The error is CodeUnauthenticated, or
	// CodeTooManyRequests with when to try again.
	SignIn(ctx context.Context, a auth.Attempt) (auth.SignedIn, error)
	// SignOut ends the caller's session.
	SignOut(ctx context.Context, c *auth.Caller) error
	// ChangePassword gives the user whose session it is another password, and ends
	// every session but the one that it begins.
	ChangePassword(ctx context.Context, c *auth.Caller, password, next string) (auth.SignedIn, error)
	// Link makes the code of a link that signs in once as the caller.
	Link(c *auth.Caller) (code string, expires time.Time, err error)
}

// CookieName is the cookie that holds a session.
const CookieName = "cove_session"

// identify says who makes the request: by the token it carries, or, where it
// carries none, by the cookie of a session.
func (a *API) identify(r *http.Request) (*auth.Caller, *cove.Error) {
	if len(r.Header["Authorization"]) > 0 {
		secret := auth.Bearer(r)
		if secret == "" {
			return nil, cove.Errorf(cove.CodeUnauthenticated, "send one header Authorization: Bearer TOKEN")
		}
		return a.Access.TokenCaller(secret)
	}
	secret, err := sessionCookie(r)
	if err != nil {
		return nil, err
	}
	if secret == "" {
		return nil, cove.Errorf(cove.CodeUnauthenticated, "send the header Authorization: Bearer TOKEN; the first start of cove serve wrote one to admin.token in its data directory")
	}
	// A cookie comes along with what a page of another origin asks for, too, also
	// where nothing changes: it could keep the daemon at work, or hold what is
	// limited. "none" is who types the address.
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" && from != "none" {
		return nil, cove.Errorf(cove.CodeDenied, "this request comes from a page of another origin: a session is for the console itself")
	}
	return a.Access.SessionCaller(secret)
}

// sessionCookie is the session that r shows, "" for none. Two cookies of the name
// are an error: a page of another port of this host can add one with a longer
// path, which a browser sends first, and so slip somebody else's session in.
func sessionCookie(r *http.Request) (string, *cove.Error) {
	cookies := r.CookiesNamed(CookieName)
	switch len(cookies) {
	case 0:
		return "", nil
	case 1:
		return cookies[0].Value, nil
	}
	return "", cove.Errorf(cove.CodeUnauthenticated, "the request has %d cookies named %s: delete the cookies of this host and sign in again", len(cookies), CookieName)
}

// secretInURL finds a token or a sign-in code where it must never be: URLs end up
// in logs and histories.
var secretInURL = regexp.MustCompile(`cove_[0-9a-fA-F]{10}_[A-Za-z0-9_-]{20,}`)

func checkURL(u *url.URL) *cove.Error {
	query := u.Query()
	if query.Has("token") || query.Has("access_token") || secretInURL.MatchString(u.Path) || secretInURL.MatchString(u.RawQuery) {
		return cove.Errorf(cove.CodeInvalid, "a token must never be in a URL, where logs and histories keep it: send it as Authorization: Bearer, and if this was a real one, delete it and make another")
	}
	return nil
}

// safeMethod says whether a request of this method changes nothing.
func safeMethod(method string) bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, method)
}

// checkOrigin refuses what a page of another origin makes a browser send: cookies
// go along with it, and so it must not change anything. Tokens are not sent by a
// browser of itself, and need no such care; other schemes are, of an address with a
// name and a password in it.
func (a *API) checkOrigin(r *http.Request) *cove.Error {
	if safeMethod(r.Method) || auth.Bearer(r) != "" {
		return nil
	}
	if err := a.crossOrigin.Check(r); err != nil {
		return cove.Errorf(cove.CodeDenied, "this request comes from a page of another origin, which may not change anything here")
	}
	if r.ContentLength == 0 {
		return nil
	}
	// What a form of any page can send without asking is refused, as a second wall.
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil || media == "text/plain" || media == "application/x-www-form-urlencoded",
		media == "multipart/form-data" && r.Header.Get("Origin") == "":
		return cove.Errorf(cove.CodeUnsupportedMedia, "with a session's cookie, the body must have a content type such as application/json")
	}
	return nil
}

// address is the caller's: the connection's or, behind a proxy that is trusted,
// the last one in X-Forwarded-For that is none.
func (a *API) address(r *http.Request) netip.Addr {
	at := parseAddress(r.RemoteAddr)
	if !a.trustedProxy(at) {
		return at
	}
	chain := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for _, text := range slices.Backward(chain) {
		next := parseAddress(strings.TrimSpace(text))
		if !next.IsValid() {
			return at
		}
		if at = next; !a.trustedProxy(at) {
			return at
		}
	}
	return at
}

// overTLS says whether the caller's connection is encrypted.
func (a *API) overTLS(r *http.Request) bool {
	return r.TLS != nil || a.trustedProxy(parseAddress(r.RemoteAddr)) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

func (a *API) trustedProxy(at netip.Addr) bool {
	return at.IsValid() && slices.ContainsFunc(a.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(at) })
}

// parseAddress reads an address with or without a port; what is none is the zero
// Addr.
func parseAddress(text string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap()
	}
	at, _ := netip.ParseAddr(strings.Trim(text, "[]"))
	return at.Unmap().WithZone("")
}
