package auth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
	"github.com/covefn/cove/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixture struct {
	*Service
	db   *sqlite.Store
	file string
}

func setup(t *testing.T) *fixture {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "cove.db"), filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	f := &fixture{db: db, file: filepath.Join(dir, "admin.token")}
	f.restart(t)
	return f
}

func (f *fixture) restart(t *testing.T) {
	t.Helper()
	s, err := New(t.Context(), f.db)
	if err != nil {
		t.Fatal(err)
	}
	f.Service = s
}

func (f *fixture) token(t *testing.T, role string, functions ...string) (string, store.Token) {
	t.Helper()
	secret, token, err := f.Create(t.Context(), "test", role, functions, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return secret, token
}

func (f *fixture) ensure(t *testing.T) (made bool, note, secret string) {
	t.Helper()
	made, note, err := f.EnsureAdmin(t.Context(), f.file)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(f.file)
	return made, note, strings.TrimSpace(string(text))
}

func wantCode(t *testing.T, err error, code cove.Code, mentions ...string) {
	t.Helper()
	if cove.CodeOf(err) != code {
		t.Fatalf("got error %v, want code %s", err, code)
	}
	for _, m := range mentions {
		if !strings.Contains(err.Error(), m) {
			t.Errorf("the error %q does not mention %q", err, m)
		}
	}
}

func (f *fixture) wantValid(t *testing.T, secret string, valid bool) {
	t.Helper()
	if _, err := f.Verify(secret); (err == nil) != valid {
		t.Errorf("valid is %v, want %v: %v", err == nil, valid, err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()

	t.Run("a token is valid at once and after a restart", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		secret, token := f.token(t, RoleInvoke, "hello")
		if !regexp.MustCompile(`^cove_[0-9a-f]{10}_[A-Za-z0-9_-]{43}$`).MatchString(secret) {
			t.Errorf("the token has the form %q", secret)
		}
		f.restart(t)
		got, err := f.Verify(secret)
		if err != nil || got.ID != token.ID || got.Functions[0] != "hello" {
			t.Errorf("got %+v, %v", got, err)
		}
	})

	t.Run("an unknown, a changed and an empty token are refused", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		secret, _ := f.token(t, RoleAdmin)
		for _, bad := range []string{"", "x", secret + " ", secret[:len(secret)-1], strings.ToUpper(secret)} {
			_, err := f.Verify(bad)
			wantCode(t, err, cove.CodeUnauthenticated)
		}
	})

	t.Run("a token ends to be valid at its time", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		end := time.Now().Add(time.Hour)
		secret, _, err := f.Create(t.Context(), "short", RoleAdmin, nil, end)
		if err != nil {
			t.Fatal(err)
		}
		f.wantValid(t, secret, true)
		f.now = func() time.Time { return end }
		_, expired := f.Verify(secret)
		wantCode(t, expired, cove.CodeUnauthenticated, "expired")
	})

	t.Run("a deleted token is worthless at once", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		secret, token := f.token(t, RoleInvoke)
		if err := f.Delete(t.Context(), token.ID); err != nil {
			t.Fatal(err)
		}
		f.wantValid(t, secret, false)
		wantCode(t, f.Delete(t.Context(), token.ID), cove.CodeNotFound)
	})

	t.Run("the last admin token cannot be deleted", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		_, first := f.token(t, RoleAdmin)
		wantCode(t, f.Delete(t.Context(), first.ID), cove.CodeConflict, "last")
		f.token(t, RoleAdmin)
		if err := f.Delete(t.Context(), first.ID); err != nil {
			t.Error(err)
		}
	})

	t.Run("every wrong field is named", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		_, _, err := f.Create(t.Context(), "", "root", []string{"Bad"}, time.Unix(1, 0))
		wantCode(t, err, cove.CodeInvalid, "name", "role", "functions[0]", "expires")
		_, _, err = f.Create(t.Context(), "x", RoleAdmin, []string{"hello"}, time.Time{})
		wantCode(t, err, cove.CodeInvalid, "functions")
	})

	t.Run("verifying goes on while tokens change", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		secret, _ := f.token(t, RoleAdmin)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				f.wantValid(t, secret, true)
			}
		})
		for range 20 {
			_, token := f.token(t, RoleInvoke)
			if err := f.Delete(t.Context(), token.ID); err != nil {
				t.Error(err)
			}
		}
		cancel()
		wg.Wait()
	})
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	f := setup(t)
	admin, _ := f.token(t, RoleAdmin)
	all, _ := f.token(t, RoleInvoke)
	one, _ := f.token(t, RoleInvoke, "hello")
	other, _ := f.token(t, RoleInvoke, "other")
	for name, c := range map[string]struct {
		auth    cove.Auth
		headers []string
		want    cove.Code
	}{
		"a public function needs nothing":           {cove.AuthPublic, nil, ""},
		"no token":                                  {cove.AuthToken, nil, cove.CodeUnauthenticated},
		"an admin may call":                         {cove.AuthToken, []string{"Bearer " + admin}, ""},
		"a token for all functions":                 {cove.AuthToken, []string{"bearer " + all}, ""},
		"a token for this function":                 {cove.AuthToken, []string{"Bearer  " + one}, ""},
		"a token for another function":              {cove.AuthToken, []string{"Bearer " + other}, cove.CodeDenied},
		"another scheme":                            {cove.AuthToken, []string{"Basic " + admin}, cove.CodeUnauthenticated},
		"two headers":                               {cove.AuthToken, []string{"Bearer " + admin, "Bearer " + admin}, cove.CodeUnauthenticated},
		"an unknown way of access needs a token":    {"maybe", nil, cove.CodeUnauthenticated},
		"an unknown way of access with a right one": {"maybe", []string{"Bearer " + one}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["Authorization"] = c.headers
			err := f.Authorize(r, &cove.Version{Function: "hello", Config: cove.Config{Auth: c.auth}})
			if (err == nil) != (c.want == "") || err != nil && err.Code != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestEnsureAdmin(t *testing.T) {
	t.Parallel()

	t.Run("the first start makes a token for its owner only, the second keeps it", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		made, _, secret := f.ensure(t)
		if info, err := os.Stat(f.file); err != nil || info.Mode().Perm() != 0o600 || !made {
			t.Errorf("made %v, file %v, %v", made, info, err)
		}
		if token, err := f.Verify(secret); err != nil || !IsAdmin(token) {
			t.Errorf("the token in the file: %v", err)
		}
		f.restart(t)
		if made, note, again := f.ensure(t); made || note != "" || again != secret {
			t.Errorf("the second start: made %v, note %q, same %v", made, note, again == secret)
		}
	})

	t.Run("an empty file asks for a new token and ends the old", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		_, _, old := f.ensure(t)
		own, _ := f.token(t, RoleAdmin)
		if err := os.Truncate(f.file, 0); err != nil {
			t.Fatal(err)
		}
		made, _, secret := f.ensure(t)
		if !made {
			t.Error("no token was made")
		}
		f.wantValid(t, old, false)
		f.wantValid(t, secret, true)
		f.wantValid(t, own, true)
	})

	t.Run("a removed file makes no token and says how to get one", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		_, _, old := f.ensure(t)
		if err := os.Remove(f.file); err != nil {
			t.Fatal(err)
		}
		made, note, _ := f.ensure(t)
		if _, err := os.Stat(f.file); made || !strings.Contains(note, "empty file") || err == nil {
			t.Errorf("made %v, note %q, file %v", made, note, err)
		}
		f.wantValid(t, old, true)
	})

	t.Run("a file that others could read is protected again", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.ensure(t)
		if err := os.Chmod(f.file, 0o644); err != nil {
			t.Fatal(err)
		}
		f.ensure(t)
		if info, err := os.Stat(f.file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file has %v, %v", info, err)
		}
	})

	t.Run("a start that died after writing the file is made good", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		if err := os.WriteFile(f.file, []byte("cove_0_never-kept\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		made, _, secret := f.ensure(t)
		if !made {
			t.Error("no token was made")
		}
		f.wantValid(t, secret, true)
	})
}

func BenchmarkVerify(b *testing.B) {
	s := newService(nil)
	secret, token := s.make("x", RoleAdmin, nil, time.Time{})
	s.tokens.Load().add(token)
	for b.Loop() {
		if _, err := s.Verify(secret); err != nil {
			b.Fatal(err)
		}
	}
}
