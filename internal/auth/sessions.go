package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

const (
	// sessionIdle is how long a session lasts that is not used, sessionMost how
	// long one lasts that is.
	sessionIdle = 12 * time.Hour
	sessionMost = 7 * 24 * time.Hour
	// sessionsEach bounds those of one user or token; the oldest goes.
	sessionsEach = 50
	// linkTime is how long a one-time link works, maxLinks how many wait; the
	// oldest goes.
	linkTime = 10 * time.Minute
	maxLinks = 100
)

// heldSession is a session in memory.
type heldSession struct {
	store.Session
	// used is when it was last seen, in microseconds since 1970; noted what of it
	// is on disk.
	used  atomic.Int64
	noted int64
}

func hold(c store.Session) *heldSession {
	h := &heldSession{Session: c, noted: c.Used.UnixMicro()}
	h.used.Store(h.noted)
	return h
}

// link is a one-time link that waits: whom it signs in, and until when.
type link struct {
	user, token string
	expires     time.Time
}

func (s *Service) stamp() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// secret is 32 random bytes as text, and its hash. With that much chance in it, a
// secret needs no slower hash, and no comparison in constant time: the hash is
// looked up.
func secret() (string, [32]byte) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // It never fails.
	text := base64.RawURLEncoding.EncodeToString(random)
	return text, sha256.Sum256([]byte(text))
}

// SessionCaller is whose session the secret is. The error is CodeUnauthenticated.
func (s *Service) SessionCaller(secret string) (*Caller, *cove.Error) {
	return s.sessionCaller(sha256.Sum256([]byte(secret)), true)
}

func (s *Service) sessionCaller(hash [32]byte, use bool) (*Caller, *cove.Error) {
	now := s.now()
	s.mu.RLock()
	defer s.mu.RUnlock()
	h := s.sessions[hash]
	if h == nil || ended(h, now) {
		return nil, cove.Errorf(cove.CodeUnauthenticated, "the session has ended: sign in again")
	}
	c := s.subject(h.User, h.Token)
	if c == nil {
		return nil, cove.Errorf(cove.CodeUnauthenticated, "the session has ended: sign in again")
	}
	if use {
		h.used.Store(now.UnixMicro())
	}
	c.Kind, c.hash = KindSession, hash
	if c.Expires.IsZero() || h.Expires.Before(c.Expires) {
		c.Expires = h.Expires
	}
	return c, nil
}

func ended(h *heldSession, now time.Time) bool {
	return !now.Before(h.Expires) || now.Sub(time.UnixMicro(h.used.Load())) >= sessionIdle
}

// subject is the user or, if that is empty, the token as a caller; nil if they may
// not call any more. mu is held.
func (s *Service) subject(user, token string) *Caller {
	if user != "" {
		u := s.users[user]
		if u == nil || u.Disabled {
			return nil
		}
		return &Caller{User: u.Name, Name: u.Name, Role: u.Role}
	}
	t := s.tokens.Load().byID[token]
	if t == nil || s.expired(&t.Token) {
		return nil
	}
	return tokenCaller(&t.Token)
}

// Valid says whether the caller could make another request now, in the role they
// had.
func (s *Service) Valid(c *Caller) bool {
	if c.Kind == KindSession {
		now, err := s.sessionCaller(c.hash, false)
		return err == nil && now.Role == c.Role
	}
	t := s.tokens.Load().byID[c.Token]
	return t != nil && !s.expired(&t.Token)
}

// Link makes the code of a link that signs in once, within 10 minutes, as the
// caller. It is only in memory, as its hash.
func (s *Service) Link(c *Caller) (code string, expires time.Time, err error) {
	code, hash := secret()
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest, at := [32]byte{}, time.Time{}
	for h, l := range s.links {
		if !now.Before(l.expires) {
			delete(s.links, h)
		} else if at.IsZero() || l.expires.Before(at) {
			oldest, at = h, l.expires
		}
	}
	if len(s.links) >= maxLinks {
		delete(s.links, oldest)
	}
	expires = now.Add(linkTime).UTC().Truncate(time.Second)
	s.links[hash] = link{user: c.User, token: c.Token, expires: expires}
	return code, expires, nil
}

// redeem is whom the code signs in. Whatever comes of it, the code is used up.
func (s *Service) redeem(code string) (*Caller, bool) {
	hash := sha256.Sum256([]byte(code))
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	l, known := s.links[hash]
	delete(s.links, hash)
	if !known || !now.Before(l.expires) {
		return nil, false
	}
	c := s.subject(l.user, l.token)
	return c, c != nil
}

// begin makes a session for c and ends the one that the browser showed before:
// what somebody slipped into it is worth nothing after a sign-in. changes is held.
func (s *Service) begin(ctx context.Context, c *Caller, before string) (SignedIn, error) {
	text, hash := secret()
	now := s.stamp()
	session := store.Session{Hash: hash, User: c.User, Created: now, Used: now, Expires: now.Add(sessionMost)}
	if c.User == "" {
		session.Token = c.Token
	}
	if err := s.store.CreateSession(ctx, session); err != nil {
		return SignedIn{}, err
	}
	s.mu.Lock()
	s.sessions[hash] = hold(session)
	s.mu.Unlock()
	end := s.surplus(session.User, session.Token)
	if before != "" {
		end = append(end, sha256.Sum256([]byte(before)))
	}
	if err := s.endSessions(ctx, end); err != nil {
		return SignedIn{}, err
	}
	caller, err := s.sessionCaller(hash, false)
	if err != nil {
		return SignedIn{}, err
	}
	return SignedIn{Secret: text, Caller: caller}, nil
}

// surplus are the sessions of a user or token that are too many, the oldest.
func (s *Service) surplus(user, token string) [][32]byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var theirs []*heldSession
	for _, h := range s.sessions {
		if h.User == user && h.Token == token {
			theirs = append(theirs, h)
		}
	}
	slices.SortFunc(theirs, func(a, b *heldSession) int { return a.Created.Compare(b.Created) })
	var hashes [][32]byte
	for _, h := range theirs[:max(0, len(theirs)-sessionsEach)] {
		hashes = append(hashes, h.Hash)
	}
	return hashes
}

// SignOut ends the caller's session, for every request that comes after.
func (s *Service) SignOut(ctx context.Context, c *Caller) error {
	if c.Kind != KindSession {
		return nil
	}
	s.changes.Lock()
	defer s.changes.Unlock()
	return s.endSessions(ctx, [][32]byte{c.hash})
}

// endSessions ends sessions in memory and on disk. changes is held.
func (s *Service) endSessions(ctx context.Context, hashes [][32]byte) error {
	if len(hashes) == 0 {
		return nil
	}
	s.mu.Lock()
	for _, h := range hashes {
		delete(s.sessions, h)
	}
	s.mu.Unlock()
	return s.store.DeleteSessions(ctx, hashes...)
}

// dropAccess forgets the sessions that the store has ended by itself, and the
// links that would begin others.
func (s *Service) dropAccess(which func(user, token string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.sessions, func(_ [32]byte, h *heldSession) bool { return which(h.User, h.Token) })
	maps.DeleteFunc(s.links, func(_ [32]byte, l link) bool { return which(l.user, l.token) })
}
