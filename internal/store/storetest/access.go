package storetest

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// accessCases are the rules of who may call, and of what is known of it.
func accessCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"tokens are kept with their hash and last use":            tokens,
		"users are kept by their names":                           users,
		"a session is kept for a user or a token that is there":   sessions,
		"sessions end with their user, their token and on demand": endedSessions,
		"the audit log is read from the newest on":                auditLog,
		"the audit log is pruned by age and by count":             pruneAudit,
		"documents are kept by their names":                       documents,
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func tokens(t *testing.T, s store.Store) {
	at := now()
	a := store.Token{ID: "a", Name: "for ever", Role: "admin", Hash: sha256.Sum256([]byte("a")), Created: at}
	b := store.Token{ID: "b", Name: "limited", Role: "invoke", Functions: []string{"x", "y"}, Hash: sha256.Sum256([]byte("b")),
		Created: at.Add(time.Second), Expires: at.Add(time.Hour)}
	for _, token := range []store.Token{b, a} {
		ok(t, s.CreateToken(t.Context(), token))
	}
	wantCode(t, s.CreateToken(t.Context(), a), cove.CodeConflict, "a")
	same(t, must[[]store.Token](t)(s.AllTokens(t.Context())), []store.Token{a, b})
	b.LastUsed = at.Add(time.Minute)
	ok(t, s.TokensUsed(t.Context(), map[string]time.Time{"b": b.LastUsed, "gone": at}))
	ok(t, s.DeleteToken(t.Context(), "a"))
	same(t, must[[]store.Token](t)(s.AllTokens(t.Context())), []store.Token{b})
	if text, _ := json.Marshal(b); strings.Contains(strings.ToLower(string(text)), "hash") {
		t.Errorf("a token in JSON tells its hash: %s", text)
	}
}

func users(t *testing.T, s store.Store) {
	at := now()
	grace := store.User{Name: "grace", Role: "viewer", Password: "$argon2id$1", Created: at}
	ada := store.User{Name: "ada", Role: "admin", Password: "$argon2id$2", Disabled: true, Created: at, LastLogin: at.Add(time.Second)}
	ok(t, s.CreateUser(t.Context(), grace))
	ok(t, s.CreateUser(t.Context(), ada))
	wantCode(t, s.CreateUser(t.Context(), ada), cove.CodeConflict, "ada")
	same(t, must[[]store.User](t)(s.AllUsers(t.Context())), []store.User{ada, grace})
	grace.Role, grace.Password, grace.LastLogin, grace.Disabled = "developer", "$argon2id$3", at, true
	ok(t, s.UpdateUser(t.Context(), grace, false))
	wantCode(t, s.UpdateUser(t.Context(), store.User{Name: "nobody"}, false), cove.CodeNotFound, "nobody")
	ok(t, s.DeleteUser(t.Context(), "ada"))
	wantCode(t, s.DeleteUser(t.Context(), "ada"), cove.CodeNotFound, "ada")
	same(t, must[[]store.User](t)(s.AllUsers(t.Context())), []store.User{grace})
}

// session is kept for a user or a token of that name, made where need be.
func session(t *testing.T, s store.Store, user, token, secret string) store.Session {
	t.Helper()
	at := now()
	if user != "" {
		if err := s.CreateUser(t.Context(), store.User{Name: user, Role: "viewer", Created: at}); cove.CodeOf(err) != cove.CodeConflict {
			ok(t, err)
		}
	} else if err := s.CreateToken(t.Context(), store.Token{ID: token, Hash: sha256.Sum256([]byte(token)), Created: at}); cove.CodeOf(err) != cove.CodeConflict {
		ok(t, err)
	}
	c := store.Session{Hash: sha256.Sum256([]byte(secret)), User: user, Token: token, Created: at, Used: at, Expires: at.Add(time.Hour)}
	ok(t, s.CreateSession(t.Context(), c))
	return c
}

func sessions(t *testing.T, s store.Store) {
	a := session(t, s, "ada", "", "a")
	b := session(t, s, "", "token", "b")
	b.Used = b.Used.Add(time.Minute)
	ok(t, s.SessionsUsed(t.Context(), map[[32]byte]time.Time{b.Hash: b.Used, {1}: b.Used}))
	same(t, must[[]store.Session](t)(s.AllSessions(t.Context())), []store.Session{a, b})
	wantCode(t, s.CreateSession(t.Context(), store.Session{User: "nobody"}), cove.CodeNotFound, "nobody")
	wantCode(t, s.CreateSession(t.Context(), store.Session{Token: "nothing"}), cove.CodeNotFound, "nothing")
}

func endedSessions(t *testing.T, s store.Store) {
	session(t, s, "ada", "", "1")
	session(t, s, "", "token", "2")
	grace := session(t, s, "grace", "", "3")
	one, two := session(t, s, "alan", "", "4"), session(t, s, "alan", "", "5")
	ok(t, s.DeleteUser(t.Context(), "ada"))
	ok(t, s.DeleteToken(t.Context(), "token"))
	ok(t, s.UpdateUser(t.Context(), store.User{Name: "grace", Role: "admin"}, false))
	ok(t, s.DeleteSessions(t.Context(), one.Hash, [32]byte{1}))
	same(t, must[[]store.Session](t)(s.AllSessions(t.Context())), []store.Session{grace, two})
	ok(t, s.UpdateUser(t.Context(), store.User{Name: "grace", Role: "admin"}, true))
	same(t, must[[]store.Session](t)(s.AllSessions(t.Context())), []store.Session{two})
}

// entries are the targets of the entries that q selects.
func entries(t *testing.T, s store.Store, q store.AuditQuery) string {
	t.Helper()
	var targets []string
	for _, e := range must[[]store.AuditEntry](t)(s.AuditLog(t.Context(), q)) {
		targets = append(targets, e.Target)
	}
	return strings.Join(targets, " ")
}

func auditLog(t *testing.T, s store.Store) {
	e := store.AuditEntry{Time: now(), Actor: "user Ada", Action: "createFunction", Target: "a", Detail: "d", Status: 201, RequestID: "r", Address: "::1"}
	for i, target := range []string{"a", "b%", "c"} {
		e.Target, e.Time = target, e.Time.Add(time.Duration(i)*time.Second)
		ok(t, s.AddAudit(t.Context(), e))
		e.Action = "deleteFunction"
	}
	all := must[[]store.AuditEntry](t)(s.AuditLog(t.Context(), store.AuditQuery{Limit: 10}))
	if len(all) != 3 {
		t.Fatalf("got %d entries, want 3", len(all))
	}
	e.ID = all[0].ID
	same(t, all[0], e)
	for want, q := range map[string]store.AuditQuery{
		"c b%":   {Limit: 2},
		"a":      {Action: "createFunction", Limit: 10},
		"b%":     {Target: "%", Limit: 10},
		"c b% a": {Actor: "aDA", Limit: 10},
		"b% a":   {Before: all[0].ID, Limit: 10},
		"":       {Actor: "somebody", Limit: 10},
	} {
		if got := entries(t, s, q); got != want {
			t.Errorf("%+v selects %q, want %q", q, got, want)
		}
	}
}

func pruneAudit(t *testing.T, s store.Store) {
	at := now()
	for i, target := range []string{"a", "b", "c", "d"} {
		ok(t, s.AddAudit(t.Context(), store.AuditEntry{Time: at.Add(time.Duration(i) * time.Hour), Target: target}))
	}
	ok(t, s.PruneAudit(t.Context(), at.Add(30*time.Minute), 10))
	if got := entries(t, s, store.AuditQuery{Limit: 10}); got != "d c b" {
		t.Errorf("by age %q is left", got)
	}
	ok(t, s.PruneAudit(t.Context(), time.Time{}, 2))
	if got := entries(t, s, store.AuditQuery{Limit: 10}); got != "d c" {
		t.Errorf("by count %q is left", got)
	}
}

func documents(t *testing.T, s store.Store) {
	if got := must[[]byte](t)(s.Document(t.Context(), "settings")); got != nil {
		t.Errorf("an unknown document is %q", got)
	}
	ok(t, s.SetDocument(t.Context(), "settings", []byte("one")))
	ok(t, s.SetDocument(t.Context(), "settings", []byte("two")))
	same(t, must[[]byte](t)(s.Document(t.Context(), "settings")), []byte("two"))
}
