package auth

import (
	"context"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// Refused is why somebody could not sign in.
type Refused struct {
	// Cause is what the caller is told.
	Cause *cove.Error
	// User is the name that was tried, if there is such a user.
	User string
	// Again is set on a refusal for too many attempts, but for the first one in a
	// row.
	Again bool
}

// Error is that of the cause.
func (r *Refused) Error() string { return r.Cause.Error() }

// Unwrap is the cause.
func (r *Refused) Unwrap() error { return r.Cause }

// SignIn begins a session for who knows a name and its password, or the code of a
// one-time link. The error is *Refused with CodeUnauthenticated, which does not
// tell a wrong name from a wrong password, nor does the time it takes; or with
// CodeTooManyRequests.
func (s *Service) SignIn(ctx context.Context, a Attempt) (SignedIn, error) {
	now, address := s.now(), addressKey(a.Address)
	if err := tooMany(s.byAddress.Take(address, now)); err != nil {
		return SignedIn{}, err
	}
	var in SignedIn
	var err error
	if a.Code != "" {
		in, err = s.signInByCode(ctx, a)
	} else {
		in, err = s.signInByPassword(ctx, a, now)
	}
	if err != nil {
		return SignedIn{}, err
	}
	s.byAddress.forgive(address, false)
	return in, nil
}

func tooMany(wait time.Duration, again bool) error {
	if wait == 0 {
		return nil
	}
	return &Refused{Again: again, Cause: &cove.Error{
		Code: cove.CodeTooManyRequests, Message: "too many attempts to sign in: wait, or use a link from cove console", RetryAfter: wait,
	}}
}

func (s *Service) signInByCode(ctx context.Context, a Attempt) (SignedIn, error) {
	s.changes.Lock()
	defer s.changes.Unlock()
	c, ok := s.redeem(a.Code)
	if !ok {
		return SignedIn{}, &Refused{Cause: cove.Errorf(cove.CodeUnauthenticated, "this link was used, or is too old: make another with cove console")}
	}
	if c.User != "" {
		if err := s.signedIn(ctx, c.User, ""); err != nil {
			return SignedIn{}, err
		}
	}
	return s.begin(ctx, c, a.Session)
}

func (s *Service) signInByPassword(ctx context.Context, a Attempt, now time.Time) (SignedIn, error) {
	u, known := s.user(a.Name)
	refused := &Refused{User: u.Name, Cause: cove.Errorf(cove.CodeUnauthenticated, "the name or the password is wrong")}
	if wait, again := s.byName.Take(a.Name, now); wait > 0 {
		refused.Again, refused.Cause = again, cove.AsError(tooMany(wait, again))
		return SignedIn{}, refused
	}
	hash := u.Password
	if !known {
		hash = s.passwords.nobody
	}
	right, stale, err := s.passwords.verify(ctx, hash, a.Password)
	if err != nil {
		return SignedIn{}, err
	}
	if !right || !known || u.Disabled {
		return SignedIn{}, refused
	}
	var again string
	if stale {
		if again, err = s.passwords.hash(ctx, a.Password); err != nil {
			return SignedIn{}, err
		}
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	// While the password was hashed the user may have been changed.
	if still, known := s.user(a.Name); !known || still.Disabled || still.Password != u.Password {
		return SignedIn{}, refused
	}
	if err := s.signedIn(ctx, u.Name, again); err != nil {
		return SignedIn{}, err
	}
	s.byName.forgive(a.Name, true)
	return s.begin(ctx, &Caller{User: u.Name}, a.Session)
}

// ChangePassword gives a user who is signed in another password, if they know the
// one they have: CodeInvalid says that they do not, CodeTooManyRequests that they
// guess. Every session of theirs ends, and a new one begins.
//
// Guesses are counted by session. So who has got hold of a session keeps its user
// neither from signing in nor from changing the password elsewhere, which ends
// that session; and who guesses at the door keeps nobody from it who is inside.
func (s *Service) ChangePassword(ctx context.Context, c *Caller, password, next string) (SignedIn, error) {
	u, known := s.user(c.User)
	if !known {
		return SignedIn{}, cove.Errorf(cove.CodeConflict, "this is the session of a token, which has no password")
	}
	session := string(c.hash[:])
	if wait, _ := s.bySession.Take(session, s.now()); wait > 0 {
		return SignedIn{}, &cove.Error{
			Code: cove.CodeTooManyRequests, Message: "too many attempts with a wrong password: wait, or sign out and in again", RetryAfter: wait,
		}
	}
	right, _, err := s.passwords.verify(ctx, u.Password, password)
	if err != nil {
		return SignedIn{}, err
	}
	if !right {
		return SignedIn{}, cove.Invalid("password", "is not the one you have")
	}
	s.bySession.forgive(session, true)
	if _, err := s.ChangeUser(ctx, u.Name, UserChange{Password: &next, from: u.Password}); err != nil {
		if cove.CodeOf(err) == cove.CodeInvalid {
			err = cove.Invalid("new_password", "%s", checkPassword(u.Name, next))
		}
		return SignedIn{}, err
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	return s.begin(ctx, c, "")
}

// signedIn notes that the user has signed in now, and the password's new hash if
// there is one. changes is held.
func (s *Service) signedIn(ctx context.Context, name, hash string) error {
	u, _ := s.user(name)
	u.LastLogin = s.stamp()
	if hash != "" {
		u.Password = hash
	}
	if err := s.store.UpdateUser(ctx, u, false); err != nil {
		return err
	}
	s.setUser(u)
	return nil
}

// noteEvery is how often what was used is written down.
const noteEvery = 30 * time.Second

// Run writes down now and then when tokens and sessions were last used, and
// deletes sessions that have ended, until ctx ends; then once more.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(noteEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.runOnce(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.runOnce(last)
			return
		}
	}
}

// runOnce is one round of Run. What cannot be written now is in the next round.
func (s *Service) runOnce(ctx context.Context) {
	tokens := map[string]time.Time{}
	for id, t := range s.tokens.Load().byID {
		if used := t.used.Load(); used > t.noted.Load() {
			tokens[id] = time.UnixMicro(used)
		}
	}
	if len(tokens) > 0 && s.store.TokensUsed(ctx, tokens) == nil {
		for id, at := range tokens {
			if t := s.tokens.Load().byID[id]; t != nil {
				t.noted.Store(at.UnixMicro())
			}
		}
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	now := s.now()
	sessions, over := map[[32]byte]time.Time{}, [][32]byte{}
	s.mu.RLock()
	for hash, h := range s.sessions {
		if ended(h, now) {
			over = append(over, hash)
		} else if used := h.used.Load(); used > h.noted {
			sessions[hash], h.noted = time.UnixMicro(used), used
		}
	}
	s.mu.RUnlock()
	if len(sessions) > 0 {
		_ = s.store.SessionsUsed(ctx, sessions) // At worst one ends too early after a restart.
	}
	_ = s.endSessions(ctx, over) // They are ended in any case.
}

// Store is what Service keeps.
type Store interface {
	store.Tokens
	store.Users
	store.Sessions
}
