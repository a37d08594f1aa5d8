// Package auth knows who may call: the tokens by which programs show who they are
// to the control API, and to functions that want one, and the users who sign in on
// the console and then hold a session.
//
// A token is "cove_<id>_<secret>", where the secret is 32 random bytes. Only
// its SHA-256 is kept, and with that much chance in it a token needs no slower
// hash. Verifying is a look-up of the hash in memory: no comparison that could
// leak how much of a token was right, and no database in a request.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// Service knows who may call: tokens, users and their sessions. It is safe for
// concurrent use.
type Service struct {
	store Store
	// now is time.Now but for tests.
	now func() time.Time
	// changes makes storing something and serving it one step.
	changes sync.Mutex
	// tokens is replaced as a whole and never written to.
	tokens atomic.Pointer[tokenSet]

	passwords *passwords
	// byName and byAddress count attempts to sign in, bySession those of somebody
	// who has, to change their password.
	byName, byAddress, bySession *Limiter

	// mu guards what follows; it is never held while the disk is waited for.
	mu       sync.RWMutex
	users    map[string]*store.User
	sessions map[[32]byte]*heldSession
	links    map[[32]byte]link
}

// heldToken is a token in memory.
type heldToken struct {
	store.Token
	// used is when it was last sent, in microseconds since 1970; noted what of it
	// is on disk.
	used, noted atomic.Int64
}

type tokenSet struct {
	byHash map[[32]byte]*heldToken
	byID   map[string]*heldToken
}

func (t *tokenSet) clone() *tokenSet {
	return &tokenSet{byHash: maps.Clone(t.byHash), byID: maps.Clone(t.byID)}
}

func (t *tokenSet) add(token store.Token) {
	held := &heldToken{Token: token}
	if !token.LastUsed.IsZero() {
		held.used.Store(token.LastUsed.UnixMicro())
		held.noted.Store(token.LastUsed.UnixMicro())
	}
	t.byHash[token.Hash], t.byID[token.ID] = held, held
}

// New reads all tokens, users and sessions once; from then on it must be the only
// one to change them.
func New(ctx context.Context, s Store) (*Service, error) {
	tokens, err := s.AllTokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	users, err := s.AllUsers(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the users: %w", err)
	}
	sessions, err := s.AllSessions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the sessions: %w", err)
	}
	service := newService(s)
	set := service.tokens.Load()
	for _, t := range tokens {
		set.add(t)
	}
	for _, u := range users {
		service.users[u.Name] = &u
	}
	for _, c := range sessions {
		service.sessions[c.Hash] = hold(c)
	}
	return service, nil
}

func newService(s Store) *Service {
	service := &Service{
		store: s, now: time.Now,
		passwords: newPasswords(passwordCost()), byName: newLimiter(nameRate()), byAddress: newLimiter(addressRate()), bySession: newLimiter(nameRate()),
		users: map[string]*store.User{}, sessions: map[[32]byte]*heldSession{}, links: map[[32]byte]link{},
	}
	service.tokens.Store(&tokenSet{byHash: map[[32]byte]*heldToken{}, byID: map[string]*heldToken{}})
	return service
}

// Create makes a token. role is one of Roles; functions limits RoleInvoke to
// functions of these names, which need not exist yet; expires is when
// it ends to be valid, zero for never. secret is the token itself and cannot be had again.
// The token is on disk when Create returns.
func (s *Service) Create(ctx context.Context, name, role string, functions []string, expires time.Time) (secret string, t store.Token, err error) {
	if err := s.check(name, role, functions, expires); err != nil {
		return "", store.Token{}, err
	}
	secret, t = s.make(name, role, functions, expires)
	s.changes.Lock()
	defer s.changes.Unlock()
	if err := s.add(ctx, t); err != nil {
		return "", store.Token{}, err
	}
	return secret, t, nil
}

func (s *Service) make(name, role string, functions []string, expires time.Time) (string, store.Token) {
	random := make([]byte, 5+32)
	_, _ = rand.Read(random) // It never fails.
	id := hex.EncodeToString(random[:5])
	secret := "cove_" + id + "_" + base64.RawURLEncoding.EncodeToString(random[5:])
	t := store.Token{
		ID: id, Name: name, Role: role, Functions: slices.Clone(functions),
		Hash: sha256.Sum256([]byte(secret)), Created: s.now().UTC().Truncate(time.Microsecond),
	}
	if !expires.IsZero() {
		t.Expires = expires.UTC().Truncate(time.Microsecond)
	}
	return secret, t
}

// add keeps t and serves it. changes is held.
func (s *Service) add(ctx context.Context, t store.Token) error {
	if err := s.store.CreateToken(ctx, t); err != nil {
		return err
	}
	set := s.tokens.Load().clone()
	set.add(t)
	s.tokens.Store(set)
	return nil
}

// List is every token, the oldest first, expired ones among them. It comes from
// memory and never fails.
func (s *Service) List(context.Context) ([]store.Token, error) { return s.list(), nil }

func (s *Service) list() []store.Token {
	byID := s.tokens.Load().byID
	all := make([]store.Token, 0, len(byID))
	for _, held := range byID {
		t := held.Token
		if used := held.used.Load(); used > 0 {
			t.LastUsed = time.UnixMicro(used).UTC()
		}
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b store.Token) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// Delete makes a token worthless at once, with the sessions that it signed in, for
// every request that comes after. The last token of role admin cannot be deleted
// where no user has that role: nobody could make another.
func (s *Service) Delete(ctx context.Context, id string) error {
	s.changes.Lock()
	defer s.changes.Unlock()
	if t := s.tokens.Load().byID[id]; t != nil && IsAdmin(&t.Token) && !s.expired(&t.Token) {
		if err := s.notLast(id, ""); err != nil {
			return err
		}
	}
	return s.remove(ctx, id)
}

// remove is Delete without its care. changes is held.
func (s *Service) remove(ctx context.Context, id string) error {
	if err := s.store.DeleteToken(ctx, id); err != nil {
		return err
	}
	set := s.tokens.Load().clone()
	if t := set.byID[id]; t != nil {
		delete(set.byHash, t.Hash)
		delete(set.byID, id)
	}
	s.tokens.Store(set)
	s.dropAccess(func(_, token string) bool { return token == id })
	return nil
}

func (s *Service) expired(t *store.Token) bool {
	return !t.Expires.IsZero() && !s.now().Before(t.Expires)
}

// Verify is the token that secret is. The error is CodeUnauthenticated; the
// caller sets WWW-Authenticate. What it returns must not be changed.
func (s *Service) Verify(secret string) (*store.Token, *cove.Error) {
	if secret == "" {
		return nil, cove.Errorf(cove.CodeUnauthenticated, "a token is needed: send it as Authorization: Bearer cove_...")
	}
	t := s.tokens.Load().byHash[sha256.Sum256([]byte(secret))]
	if t == nil {
		return nil, cove.Errorf(cove.CodeUnauthenticated, "this token is not known: it is mistyped, was deleted, or belongs to another Cove")
	}
	now := s.now()
	if !t.Expires.IsZero() && !now.Before(t.Expires) {
		return nil, cove.Errorf(cove.CodeUnauthenticated, "the token %s expired on %s", t.ID, t.Expires.Format(time.RFC3339))
	}
	// Seldom, so that a token that is used by many at once is not written to by all.
	if micros := now.UnixMicro(); micros-t.used.Load() >= int64(time.Second/time.Microsecond) {
		t.used.Store(micros)
	}
	return &t.Token, nil
}

// TokenCaller is who the token is. The error is CodeUnauthenticated.
func (s *Service) TokenCaller(secret string) (*Caller, *cove.Error) {
	t, err := s.Verify(secret)
	if err != nil {
		return nil, err
	}
	return tokenCaller(t), nil
}

// Authorize says whether r may call v by its route: CodeUnauthenticated without
// a valid token where one is needed, CodeDenied with one for other functions.
func (s *Service) Authorize(r *http.Request, v *cove.Version) *cove.Error {
	// Anything but public is held to need a token, whatever it says.
	if v.Config.Auth == cove.AuthPublic || v.Config.Auth == "" {
		return nil
	}
	t, err := s.Verify(Bearer(r))
	if err != nil {
		return err
	}
	if !MayInvoke(t, v.Function) {
		return cove.Errorf(cove.CodeDenied, "the token %s may not invoke %s", t.ID, v.Function)
	}
	return nil
}

// Bearer is the token that r carries, "" for none. A request with several
// Authorization headers carries none: which one counts would be a guess.
func Bearer(r *http.Request) string {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return ""
	}
	scheme, token, ok := strings.Cut(strings.TrimSpace(headers[0]), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

var functionName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (s *Service) check(name, role string, functions []string, expires time.Time) error {
	var wrong []cove.FieldError
	bad := func(field, format string, args ...any) {
		wrong = append(wrong, cove.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if n := utf8.RuneCountInString(name); n < 1 || n > 100 || strings.TrimSpace(name) != name ||
		!utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		bad("name", "say in 1 to 100 printable characters what the token is for")
	}
	if !slices.Contains(Roles(), role) {
		bad("role", "%q is no role: use one of %s", role, strings.Join(Roles(), ", "))
	}
	if role != RoleInvoke && len(functions) > 0 {
		bad("functions", "only the role %s can be limited to functions", RoleInvoke)
	}
	if len(functions) > 1000 {
		bad("functions", "there are %d; the limit is 1000", len(functions))
	}
	for i, f := range functions {
		if !functionName.MatchString(f) {
			bad(fmt.Sprintf("functions[%d]", i), "%q is no name of a function", f)
		}
	}
	if !expires.IsZero() && !expires.After(s.now()) {
		bad("expires", "%s is not in the future", expires.Format(time.RFC3339))
	}
	if wrong != nil {
		return cove.InvalidFields(wrong)
	}
	return nil
}
