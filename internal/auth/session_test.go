package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
)

const password = "correct horse battery"

func (f *fixture) user(t *testing.T, name, role string) {
	t.Helper()
	if _, err := f.CreateUser(t.Context(), name, role, password); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) signIn(t *testing.T, a Attempt) SignedIn {
	t.Helper()
	in, err := f.SignIn(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func (f *fixture) byLink(t *testing.T, c *Caller) SignedIn {
	t.Helper()
	code, _, err := f.Link(c)
	if err != nil {
		t.Fatal(err)
	}
	return f.signIn(t, Attempt{Code: code})
}

// later moves the clock.
func (f *fixture) later(d time.Duration) {
	at := f.now().Add(d)
	f.now = func() time.Time { return at }
}

func (f *fixture) wantIn(t *testing.T, in SignedIn, want bool) {
	t.Helper()
	if _, err := f.SessionCaller(in.Secret); (err == nil) != want {
		t.Errorf("the session is valid: %v, want %v: %v", err == nil, want, err)
	}
	if f.Valid(in.Caller) != want {
		t.Errorf("the caller is valid: %v, want %v", !want, want)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()

	t.Run("a user signs in, also after a restart, and no password is kept", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.user(t, "ada", RoleDeveloper)
		in := f.signIn(t, Attempt{Name: "ada", Password: password})
		if c := in.Caller; c.Name != "ada" || c.Role != RoleDeveloper || c.Kind != KindSession || c.ID() != "ada" || c.Actor() != "user ada" {
			t.Errorf("%+v", c)
		}
		f.restart(t)
		f.wantIn(t, in, true)
		f.signIn(t, Attempt{Name: "ada", Password: password})
		all, err := f.db.AllUsers(t.Context())
		if err != nil || len(all) != 1 || !strings.HasPrefix(all[0].Password, "$argon2id$v=19$m=19456,t=2,p=1$") || all[0].LastLogin.IsZero() {
			t.Errorf("%+v, %v", all, err)
		}
	})

	t.Run("every wrong field is named, and no password repeated", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		_, err := f.CreateUser(t.Context(), "Ada Lovelace", "root", "hush")
		wantCode(t, err, cove.CodeInvalid, "name", "role", "password")
		f.user(t, "ada", RoleAdmin)
		_, err = f.ChangeUser(t.Context(), "ada", UserChange{Role: new(RoleInvoke), Password: new("hush")})
		wantCode(t, err, cove.CodeInvalid, "role", "password")
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("the error repeats the password: %v", err)
		}
		for _, bad := range []string{"aaaaaaaaaaaa", "ninechars", strings.Repeat("x", 500) + strings.Repeat("y", 525), "with\x00control", "\xff\xfe\xfd not text at all"} {
			_, err := f.CreateUser(t.Context(), "grace", RoleViewer, bad)
			wantCode(t, err, cove.CodeInvalid, "password")
		}
		_, err = f.CreateUser(t.Context(), "a-long-name", RoleViewer, "A-Long-Name")
		wantCode(t, err, cove.CodeInvalid, "guess")
	})

	t.Run("the last who can administer stays one who can", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.user(t, "ada", RoleAdmin)
		for _, change := range []UserChange{{Role: new(RoleViewer)}, {Disabled: new(true)}} {
			_, err := f.ChangeUser(t.Context(), "ada", change)
			wantCode(t, err, cove.CodeConflict, "last")
		}
		wantCode(t, f.DeleteUser(t.Context(), "ada"), cove.CodeConflict, "last")
		_, token := f.token(t, RoleAdmin)
		if _, err := f.ChangeUser(t.Context(), "ada", UserChange{Role: new(RoleViewer)}); err != nil {
			t.Error(err)
		}
		wantCode(t, f.Delete(t.Context(), token.ID), cove.CodeConflict, "last")
		f.user(t, "grace", RoleAdmin)
		if err := f.Delete(t.Context(), token.ID); err != nil {
			t.Error(err)
		}
		if made, _, _ := f.ensure(t); made {
			t.Error("a start made a token though a user administers")
		}
	})

	t.Run("an unknown name is an error", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		wantCode(t, f.DeleteUser(t.Context(), "nobody"), cove.CodeNotFound, "nobody")
		_, err := f.ChangeUser(t.Context(), "nobody", UserChange{Password: new(password)})
		wantCode(t, err, cove.CodeNotFound, "nobody")
	})

	t.Run("a name that is not known, and one that is disabled, take the same work as a wrong password", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.user(t, "ada", RoleViewer)
		f.user(t, "off", RoleViewer)
		if _, err := f.ChangeUser(t.Context(), "off", UserChange{Disabled: new(true)}); err != nil {
			t.Fatal(err)
		}
		for range hashers { // Nobody gets a turn to hash.
			f.passwords.turns <- struct{}{}
		}
		names := []string{"ada", "nobody", "off"}
		got := make(chan error, len(names))
		for _, name := range names {
			go func() {
				_, err := f.SignIn(t.Context(), Attempt{Name: name, Password: "wrong password"})
				got <- err
			}()
		}
		for int(f.passwords.waiting.Load()) < len(names) {
			select {
			case err := <-got:
				t.Fatalf("somebody was answered without any work: %v", err)
			case <-time.After(time.Millisecond):
			}
		}
		for range hashers {
			<-f.passwords.turns
		}
		for range names {
			wantCode(t, <-got, cove.CodeUnauthenticated, "the name or the password is wrong")
		}
	})

	t.Run("a user who is disabled while the password is checked does not get in", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.user(t, "ada", RoleViewer)
		for range hashers { // Nobody gets a turn to hash.
			f.passwords.turns <- struct{}{}
		}
		got := make(chan error)
		go func() {
			_, err := f.SignIn(t.Context(), Attempt{Name: "ada", Password: password})
			got <- err
		}()
		for f.passwords.waiting.Load() == 0 {
			time.Sleep(time.Millisecond)
		}
		if _, err := f.ChangeUser(t.Context(), "ada", UserChange{Disabled: new(true)}); err != nil {
			t.Fatal(err)
		}
		for range hashers {
			<-f.passwords.turns
		}
		wantCode(t, <-got, cove.CodeUnauthenticated)
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	admin := func(t *testing.T, f *fixture) *Caller {
		t.Helper()
		_, token := f.token(t, RoleAdmin)
		return tokenCaller(&token)
	}

	t.Run("a session that is not used ends after 12 hours", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		in := f.byLink(t, admin(t, f))
		f.later(sessionIdle - time.Second)
		f.wantIn(t, in, true)
		f.later(sessionIdle - time.Second)
		f.wantIn(t, in, true)
		f.later(sessionIdle)
		f.wantIn(t, in, false)
	})

	t.Run("what only looks whether a session is valid does not keep it alive", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		in := f.byLink(t, admin(t, f))
		f.later(sessionIdle / 2)
		if !f.Valid(in.Caller) {
			t.Error("it has ended")
		}
		f.later(sessionIdle / 2)
		f.wantIn(t, in, false)
	})

	t.Run("a session that is used all the time ends after a week", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		in := f.byLink(t, admin(t, f))
		for range 27 {
			f.later(sessionMost / 28)
			f.wantIn(t, in, true)
		}
		f.later(sessionMost / 28)
		f.wantIn(t, in, false)
		f.runOnce(t.Context())
		if kept, err := f.db.AllSessions(t.Context()); err != nil || len(kept) != 0 {
			t.Errorf("%d sessions are kept, %v", len(kept), err)
		}
	})

	t.Run("a session ends no later than the token that made its link", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		_, token, err := f.Create(t.Context(), "short", RoleAdmin, nil, f.now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		in := f.byLink(t, tokenCaller(&token))
		if !in.Caller.Expires.Equal(token.Expires) {
			t.Errorf("it says that it ends at %s, the token at %s", in.Caller.Expires, token.Expires)
		}
		f.later(time.Hour)
		f.wantIn(t, in, false)
	})

	t.Run("the use of tokens and sessions is written down, and read again at the start", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		secret, token := f.token(t, RoleAdmin)
		in := f.byLink(t, tokenCaller(&token))
		f.later(time.Hour)
		f.wantValid(t, secret, true)
		f.wantIn(t, in, true)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		f.Run(ctx) // Once, at the end.
		now := f.now()
		f.restart(t)
		if list := f.list(); !list[0].LastUsed.Equal(now.UTC().Truncate(time.Microsecond)) {
			t.Errorf("last used at %s, want %s", list[0].LastUsed, now)
		}
		f.now = func() time.Time { return now.Add(sessionIdle - time.Second) }
		f.wantIn(t, in, true)
	})

	t.Run("of too many sessions the oldest goes", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		c := admin(t, f)
		first := f.byLink(t, c)
		var last SignedIn
		for range sessionsEach {
			f.later(time.Second)
			last = f.byLink(t, c)
		}
		f.wantIn(t, first, false)
		f.wantIn(t, last, true)
		if kept, err := f.db.AllSessions(t.Context()); err != nil || len(kept) != sessionsEach {
			t.Errorf("%d sessions are kept, %v", len(kept), err)
		}
	})

	t.Run("a link ends after 10 minutes, and of too many the oldest goes", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		c := admin(t, f)
		old, _, _ := f.Link(c)
		f.later(linkTime)
		_, err := f.SignIn(t.Context(), Attempt{Code: old})
		wantCode(t, err, cove.CodeUnauthenticated)
		first, _, _ := f.Link(c)
		for range maxLinks {
			f.later(time.Second)
			_, _, _ = f.Link(c)
		}
		_, err = f.SignIn(t.Context(), Attempt{Code: first})
		wantCode(t, err, cove.CodeUnauthenticated)
		if len(f.links) != maxLinks {
			t.Errorf("%d links wait", len(f.links))
		}
	})

	t.Run("a password that was reset meanwhile is not changed again by who knew the old one", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.user(t, "ada", RoleAdmin)
		verified, _ := f.Service.user("ada")
		if _, err := f.ChangeUser(t.Context(), "ada", UserChange{Password: new("set by an admin")}); err != nil {
			t.Fatal(err)
		}
		_, err := f.ChangeUser(t.Context(), "ada", UserChange{Password: new("another secret"), from: verified.Password})
		wantCode(t, err, cove.CodeConflict, "meanwhile")
		f.signIn(t, Attempt{Name: "ada", Password: "set by an admin"})
	})

	t.Run("a link of a user ends with the password", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.user(t, "ada", RoleAdmin)
		in := f.signIn(t, Attempt{Name: "ada", Password: password})
		code, _, _ := f.Link(in.Caller)
		_, err := f.ChangeUser(t.Context(), "ada", UserChange{Password: new("another secret")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.SignIn(t.Context(), Attempt{Code: code})
		wantCode(t, err, cove.CodeUnauthenticated)
	})

	t.Run("sessions come and go while others are used", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		c := admin(t, f)
		in := f.byLink(t, c)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				f.wantIn(t, in, true)
			}
		})
		for range 10 {
			if err := f.SignOut(t.Context(), f.byLink(t, c).Caller); err != nil {
				t.Error(err)
			}
			f.runOnce(t.Context())
		}
		stop()
		wg.Wait()
	})
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)

	t.Run("a burst is let through, and then one each time", func(t *testing.T) {
		t.Parallel()
		a := newLimiter(rate{burst: 3, every: time.Minute})
		for range 3 {
			if wait, _ := a.Take("x", start); wait != 0 {
				t.Error("refused too early")
			}
		}
		wait, again := a.Take("x", start.Add(20*time.Second))
		if wait != 40*time.Second || again {
			t.Errorf("wait %s, again %v", wait, again)
		}
		if _, again := a.Take("x", start.Add(30*time.Second)); !again {
			t.Error("the second refusal in a row is not told as one")
		}
		if wait, _ := a.Take("y", start); wait != 0 {
			t.Error("another key is refused")
		}
		if wait, _ := a.Take("x", start.Add(time.Minute)); wait != 0 {
			t.Error("refused after the time that was told")
		}
	})

	t.Run("what was right does not count", func(t *testing.T) {
		t.Parallel()
		a := newLimiter(rate{burst: 2, every: time.Minute})
		for range 10 {
			if wait, _ := a.Take("x", start); wait != 0 {
				t.Fatal("refused")
			}
			a.forgive("x", false)
		}
		a.Take("x", start)
		a.Take("x", start)
		a.forgive("x", true)
		if len(a.buckets) != 0 {
			t.Error("a key without attempts is remembered")
		}
	})

	t.Run("many keys do not grow it without bound, nor forget who is refused", func(t *testing.T) {
		t.Parallel()
		a := newLimiter(rate{burst: 3, every: time.Hour})
		for range 4 {
			a.Take("guessed", start)
		}
		for i := range 2 * maxBuckets {
			a.Take(fmt.Sprint(i), start)
		}
		if len(a.buckets) > maxBuckets {
			t.Errorf("%d keys", len(a.buckets))
		}
		if wait, _ := a.Take("guessed", start); wait == 0 {
			t.Error("the key that was refused is forgotten")
		}
	})

	t.Run("one customer's addresses are one", func(t *testing.T) {
		t.Parallel()
		key := func(s string) string { return addressKey(netip.MustParseAddr(s)) }
		if key("2001:db8::1") != key("2001:db8::ffff:1") || key("2001:db8::1") == key("2001:db8:0:1::1") || key("192.0.2.1") == key("192.0.2.2") {
			t.Error("wrong keys")
		}
	})
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	cheap := cost{memory: 8, passes: 1, threads: 1}

	t.Run("the right password is right, and another is not", func(t *testing.T) {
		t.Parallel()
		p := newPasswords(cheap)
		hash, err := p.hash(t.Context(), password)
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]bool{password: true, password + " ": false, "": false} {
			if right, stale, err := p.verify(t.Context(), hash, text); right != want || stale || err != nil {
				t.Errorf("%q: %v, %v, %v", text, right, stale, err)
			}
		}
		if again, _ := p.hash(t.Context(), password); again == hash {
			t.Error("two hashes are the same: there is no salt")
		}
		if right, _, _ := p.verify(t.Context(), p.nobody, password); right {
			t.Error("nobody's password was guessed")
		}
	})

	t.Run("a hash of another cost is made anew at the next sign-in", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.user(t, "ada", RoleViewer)
		u, _ := f.Service.user("ada")
		u.Password = cheap.hash(password)
		f.setUser(u)
		f.signIn(t, Attempt{Name: "ada", Password: password})
		if u, _ := f.Service.user("ada"); !strings.Contains(u.Password, "m=19456,t=2,p=1") {
			t.Errorf("the hash is %s", u.Password)
		}
		f.signIn(t, Attempt{Name: "ada", Password: password})
	})

	t.Run("more than may wait are refused at once, and who goes gives the place back", func(t *testing.T) {
		t.Parallel()
		p := newPasswords(cheap)
		for range hashers {
			p.turns <- struct{}{}
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		errs := make([]error, hashers+hashQueue)
		for i := range errs {
			wg.Go(func() { _, errs[i] = p.hash(ctx, password) })
		}
		for p.waiting.Load() < hashers+hashQueue {
			time.Sleep(time.Millisecond)
		}
		_, err := p.hash(t.Context(), password)
		wantCode(t, err, cove.CodeTooManyRequests)
		stop()
		wg.Wait()
		for _, err := range errs {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if n := p.waiting.Load(); n != 0 {
			t.Errorf("%d places were not given back", n)
		}
	})
}

func FuzzParseHash(f *testing.F) {
	for _, seed := range []string{"", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2id$v=19$m=4294967295,t=1,p=1$$", "$argon2i$v=19$m=8,t=1,p=1$YQ$YQ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		c, salt, key, err := parseHash(encoded)
		if err != nil {
			return
		}
		if c.memory > 1<<20 || c.passes > 16 || c.threads > 16 || len(salt) > 64 || len(key) > 64 {
			t.Errorf("%q costs %+v", encoded, c)
		}
		again, salt2, key2, err := parseHash(c.encode(salt, key))
		if err != nil || again != c || string(salt2) != string(salt) || string(key2) != string(key) {
			t.Errorf("%q is read as another: %v", encoded, err)
		}
	})
}

func BenchmarkPassword(b *testing.B) {
	p := newPasswords(passwordCost())
	for b.Loop() {
		if _, err := p.hash(b.Context(), password); err != nil {
			b.Fatal(err)
		}
	}
}
