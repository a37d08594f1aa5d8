package settings

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
	"github.com/covefn/cove/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var prices = store.Prices{VCPUHour: 1, GiBHour: 2, Currency: "EUR", Source: "a list"}

func setup(t *testing.T) (*Service, *sqlite.Store) {
	t.Helper()
	dir := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "cove.db"), filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return restart(t, db), db
}

func restart(t *testing.T, db *sqlite.Store) *Service {
	t.Helper()
	s, err := New(t.Context(), db, prices)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSettings(t *testing.T) {
	t.Parallel()

	t.Run("the defaults are within their own limits", func(t *testing.T) {
		t.Parallel()
		s, _ := setup(t)
		if wrong := check(s.Settings()); wrong != nil {
			t.Error(wrong)
		}
	})

	t.Run("a patch changes what it names, also after a restart", func(t *testing.T) {
		t.Parallel()
		s, db := setup(t)
		want := s.Settings()
		want.Retention.Logs, want.Retention.LogTotal, want.Prices.GiBHour = cove.Duration(24*time.Hour), 2*cove.GiB, 0.5
		got, err := s.Change(t.Context(), []byte(`{"retention":{"logs":"24h","log_total":"2GiB"},"prices":{"gib_hour":0.5}}`))
		if err != nil || got != want || s.Settings() != want || restart(t, db).Settings() != want {
			t.Errorf("got %+v, %v", got, err)
		}
	})

	t.Run("null sets the default, of one field and of all", func(t *testing.T) {
		t.Parallel()
		s, _ := setup(t)
		want := s.Settings()
		for _, patch := range []string{`{"retention":{"logs":"24h","audit":"48h"},"prices":{"currency":"USD"}}`, `{"retention":{"logs":null},"prices":null}`} {
			if _, err := s.Change(t.Context(), []byte(patch)); err != nil {
				t.Fatal(err)
			}
		}
		want.Retention.Audit = cove.Duration(48 * time.Hour)
		if s.Settings() != want {
			t.Errorf("got %+v, want %+v", s.Settings(), want)
		}
	})

	t.Run("every wrong field is named with its limit, and nothing changes", func(t *testing.T) {
		t.Parallel()
		s, _ := setup(t)
		before := s.Settings()
		for patch, mentions := range map[string][]string{
			`{"retention":{"logs":"1s","log_function":1,"invocation_count":5},"prices":{"vcpu_hour":-1,"currency":"euro"}}`: {
				"retention.logs: must be between 1h and 8760h", "retention.log_function: must be between 1MiB and 100GiB",
				"retention.invocation_count: must be between 1,000 and 100,000,000", "prices.vcpu_hour: must be between 0", "prices.currency: must be three"},
			`{"retention":{"log":"24h"},"price":{}}`:    {"retention.log: ", "did you mean", "price: "},
			`{"retention":{"logs":24}}`:                 {"retention.logs"},
			`{"retention":5}`:                           {"retention: must be an object"},
			`{"prices":{"source":"a\u0000b"}}`:          {"prices.source"},
			`[]`:                                        {"JSON object"},
			`null`:                                      {"JSON object"},
			`{"retention":{"logs":"24h"}`:               {"JSON object"},
			`{"prices":{"vcpu_hour":1e300}}`:            {"prices.vcpu_hour"},
			`{"retention":{"days":"87601h"}}`:           {"87600h"},
			`{"prices":{"as_of":"` + long(31) + `"}}`:   {"prices.as_of: must have 30"},
			`{"prices":{"source":"` + long(301) + `"}}`: {"300 characters"},
		} {
			_, err := s.Change(t.Context(), []byte(patch))
			if cove.CodeOf(err) != cove.CodeInvalid {
				t.Errorf("%s: got %v, want invalid", patch, err)
				continue
			}
			for _, m := range mentions {
				if !strings.Contains(err.Error(), m) {
					t.Errorf("%s: the error %q does not mention %q", patch, err, m)
				}
			}
		}
		if s.Settings() != before {
			t.Error("a refused patch changed something")
		}
	})
}

func long(n int) string { return strings.Repeat("x", n) }
