package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// sessionCookie is what the console's session is held in. Browsers do not keep the
// cookies of two ports of one host apart: what somebody who is signed in on the
// console calls on the gateway gets that cookie, too.
const sessionCookie = "cove_session"

// ownCookie says whether a cookie of a request or an answer is the console's. One
// without a name, "=cove_session=x", is sent back as if it had it.
func ownCookie(c string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(c, "= \t"), "=")
	return strings.TrimSpace(name) == sessionCookie
}

// keepFromOwnCookie takes the console's cookie from an answer's head: no function
// may sign anybody in or out.
func keepFromOwnCookie(header http.Header) {
	cookies := header["Set-Cookie"]
	if !slices.ContainsFunc(cookies, ownCookie) {
		return
	}
	if cookies = slices.DeleteFunc(slices.Clone(cookies), ownCookie); len(cookies) > 0 {
		header["Set-Cookie"] = cookies
	} else {
		delete(header, "Set-Cookie")
	}
}
