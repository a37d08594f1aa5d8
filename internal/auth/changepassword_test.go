package auth

import (
	"testing"
	"time"

	"github.com/covefn/cove"
)

func TestChangingThePassword(t *testing.T) {
	t.Parallel()
	const wrong, next = "not the one they have", "another secret"
	// Each attempt takes its time; a few make the point.
	few := rate{burst: 2, every: time.Minute}
	setup := func(t *testing.T) *fixture {
		f := setup(t)
		f.byName, f.bySession = newLimiter(few), newLimiter(few)
		f.user(t, "ada", RoleViewer)
		return f
	}
	// use tries a wrong password in a session until no more may be tried.
	use := func(t *testing.T, f *fixture, c *Caller) {
		t.Helper()
		for range int(few.burst) {
			_, err := f.ChangePassword(t.Context(), c, wrong, next)
			wantCode(t, err, cove.CodeInvalid)
		}
		_, err := f.ChangePassword(t.Context(), c, password, next)
		wantCode(t, err, cove.CodeTooManyRequests)
	}

	t.Run("who guesses in a session is stopped, and nobody else is", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		stolen := f.signIn(t, Attempt{Name: "ada", Password: password})
		own := f.signIn(t, Attempt{Name: "ada", Password: password})
		use(t, f, stolen.Caller)
		f.signIn(t, Attempt{Name: "ada", Password: password})
		now, err := f.ChangePassword(t.Context(), own.Caller, password, next)
		if err != nil {
			t.Fatal(err)
		}
		f.wantIn(t, stolen, false)
		f.wantIn(t, own, false)
		f.wantIn(t, now, true)
	})

	t.Run("who guesses at the door keeps nobody from it who is inside", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		in := f.signIn(t, Attempt{Name: "ada", Password: password})
		for range int(few.burst) {
			_, err := f.SignIn(t.Context(), Attempt{Name: "ada", Password: wrong})
			wantCode(t, err, cove.CodeUnauthenticated)
		}
		_, err := f.SignIn(t.Context(), Attempt{Name: "ada", Password: password})
		wantCode(t, err, cove.CodeTooManyRequests)
		if _, err := f.ChangePassword(t.Context(), in.Caller, password, next); err != nil {
			t.Error(err)
		}
	})

	t.Run("a right password with a new one that is none does not count, and time gives attempts back", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		in := f.signIn(t, Attempt{Name: "ada", Password: password})
		for range int(few.burst) + 1 {
			_, err := f.ChangePassword(t.Context(), in.Caller, password, "short")
			wantCode(t, err, cove.CodeInvalid, "new_password")
		}
		use(t, f, in.Caller)
		f.later(few.every + time.Second)
		if _, err := f.ChangePassword(t.Context(), in.Caller, password, next); err != nil {
			t.Error(err)
		}
	})
}
