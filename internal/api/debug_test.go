package api_test

import (
	"strings"
	"testing"

	"github.com/covefn/cove"
)

// The profiles are for who runs the daemon.
func TestProfiles(t *testing.T) {
	t.Parallel()
	c := setup(t)
	t.Run("tell an administrator what the daemon does", func(t *testing.T) {
		a := c.do("GET", "/debug/pprof/goroutine?debug=1", "", "")
		if a.StatusCode != 200 || !strings.Contains(string(a.body), "goroutine profile: total") {
			t.Errorf("%s: %.300s", a.Status, a.body)
		}
	})
	t.Run("nobody without a token", func(t *testing.T) {
		for _, path := range []string{"", "goroutine", "profile", "trace", "symbol", "heap"} {
			anonymous := caller{t, c.s, ""}
			anonymous.want(anonymous.do("GET", "/debug/pprof/"+path, "", ""), cove.CodeUnauthenticated)
		}
	})
	t.Run("and not how the daemon was started", func(t *testing.T) {
		if a := c.do("GET", "/debug/pprof/cmdline", "", ""); a.StatusCode != 404 {
			t.Errorf("%s: %.300s", a.Status, a.body)
		}
	})
}
