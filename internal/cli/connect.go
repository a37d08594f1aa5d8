package cli

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/internal/cli/local"
)

// completionTimeout bounds a look-up that a shell waits for.
const completionTimeout = 2 * time.Second

// client finds the daemon: flags, then the environment, then what cove serve
// left for this user. A token is never taken from the note for another address.
func (a *app) client() (*client.Client, error) {
	api, token := first(a.api, env("COVE_API")), first(a.token, env("COVE_TOKEN"))
	if api == "" || token == "" {
		note, err := local.Read()
		switch {
		case err == nil && (api == "" || sameAddress(api, note.API)):
			api = note.API
			if token == "" {
				token = readToken(note.TokenFile)
			}
		case api == "" && (err == nil || errors.Is(err, fs.ErrNotExist)):
			return nil, &cove.Error{Code: cove.CodeUnavailable, Message: "no Cove is known here: it cannot be reached"}
		case api == "":
			return nil, &cove.Error{Code: cove.CodeUnavailable, Message: "no Cove is known here: it cannot be reached: " + err.Error(), Err: err}
		}
	}
	return client.New(api, token, client.WithUserAgent("cove/"+a.backend.Version))
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func sameAddress(a, b string) bool {
	trim := func(s string) string { return strings.TrimSuffix(strings.TrimPrefix(s, "http://"), "/") }
	return trim(a) == trim(b)
}

// readToken is the token in the file, "" if it cannot be read: the daemon then
// says what is needed.
func readToken(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
