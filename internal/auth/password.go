package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/covefn/cove"
)

// cost is what hashing a password takes.
type cost struct {
	// memory is in KiB.
	memory, passes uint32
	threads        uint8
}

// passwordCost is the first of the equally strong settings for Argon2id that
// OWASP's Password Storage Cheat Sheet recommends: 19 MiB, two passes, one thread.
// It takes some 30 ms.
func passwordCost() cost { return cost{memory: 19 << 10, passes: 2, threads: 1} }

const (
	saltSize = 16
	hashSize = 32
	// hashers is how many passwords are hashed at once, and hashQueue how many
	// more may wait: sign-ins cannot take the machine's memory and processors.
	hashers   = 2
	hashQueue = 16

	minPassword = 10
	maxPassword = 1024
)

// passwords hashes passwords and compares them. It is safe for concurrent use.
type passwords struct {
	cost    cost
	turns   chan struct{}
	waiting atomic.Int32
	// nobody is the hash of a password that nobody knows: a name that is not
	// known is answered no sooner than one that is.
	nobody string
}

func newPasswords(c cost) *passwords {
	p := &passwords{cost: c, turns: make(chan struct{}, hashers)}
	random := make([]byte, saltSize+hashSize)
	_, _ = rand.Read(random) // It never fails.
	p.nobody = c.encode(random[:saltSize], random[saltSize:])
	return p
}

// turn waits for one of the few turns to hash.
func (p *passwords) turn(ctx context.Context) (giveBack func(), err error) {
	if p.waiting.Add(1) > hashers+hashQueue {
		p.waiting.Add(-1)
		return nil, &cove.Error{Code: cove.CodeTooManyRequests, Message: "too many are signing in at once", RetryAfter: time.Second}
	}
	select {
	case p.turns <- struct{}{}:
		return func() { <-p.turns; p.waiting.Add(-1) }, nil
	case <-ctx.Done():
		p.waiting.Add(-1)
		return nil, ctx.Err()
	}
}

// hash is password in the PHC string format, with a salt of its own.
func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	giveBack, err := p.turn(ctx)
	if err != nil {
		return "", err
	}
	defer giveBack()
	return p.cost.hash(password), nil
}

func (c cost) hash(password string) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // It never fails.
	return c.encode(salt, c.key(password, salt, hashSize))
}

func (c cost) key(password string, salt []byte, size uint32) []byte {
	return argon2.IDKey([]byte(password), salt, c.passes, c.memory, c.threads, size)
}

func (c cost) encode(salt, key []byte) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.passes, c.threads, b64(salt), b64(key))
}

// verify says whether password is that of encoded; stale, whether it was hashed at
// another cost than is taken now.
func (p *passwords) verify(ctx context.Context, encoded, password string) (right, stale bool, err error) {
	c, salt, key, err := parseHash(encoded)
	if err != nil {
		return false, false, err
	}
	giveBack, err := p.turn(ctx)
	if err != nil {
		return false, false, err
	}
	defer giveBack()
	got := c.key(password, salt, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1, c != p.cost, nil
}

// parseHash reads what encode wrote. A cost that would take the machine down is an
// error, whoever wrote it.
func parseHash(encoded string) (c cost, salt, key []byte, err error) {
	parts := strings.Split(encoded, "$")
	var version int
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return c, nil, nil, fmt.Errorf("a password's hash has the wrong form")
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &c.memory, &c.passes, &c.threads); err != nil {
		return c, nil, nil, fmt.Errorf("the cost of a password's hash: %w", err)
	}
	if version != argon2.Version || c.memory < 8 || c.memory > 1<<20 || c.passes < 1 || c.passes > 16 || c.threads < 1 || c.threads > 16 {
		return c, nil, nil, fmt.Errorf("the cost of a password's hash is out of bounds")
	}
	if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(salt) < 8 || len(salt) > 64 {
		return c, nil, nil, fmt.Errorf("the salt of a password's hash has the wrong form")
	}
	if key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(key) < 16 || len(key) > 64 {
		return c, nil, nil, fmt.Errorf("a password's hash has the wrong form")
	}
	return c, salt, key, nil
}

// checkPassword says what is wrong with a new password of the user, "" for
// nothing. It never repeats it.
func checkPassword(name, password string) string {
	switch {
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		return "must be text without control characters"
	case utf8.RuneCountInString(password) < minPassword:
		return fmt.Sprintf("must have %d characters at least", minPassword)
	case len(password) > maxPassword:
		return fmt.Sprintf("must have %d bytes at most", maxPassword)
	case strings.EqualFold(password, name) || len(strings.Trim(password, password[:1])) == 0:
		return "is too easy to guess"
	}
	return ""
}
