// Package requestid makes and judges the names of requests, which are the same
// on both doors, in answers, logs and what a handler sees.
package requestid

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// Header carries the request id, in and out.
const Header = "X-Request-Id"

const (
	minLength = 8
	maxLength = 64
)

// crockford is base 32 without the letters that look like digits.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// New makes a request id: 26 of 0-9 and a-z, in the order of time to the
// millisecond and with 80 random bits, as a ULID is. It is safe for concurrent
// use.
func New() string { return at(time.Now()) }

func at(t time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(t.UnixMilli())<<16)
	rand.Read(b[6:]) // never fails
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var id [26]byte
	for i := len(id) - 1; i >= 0; i-- {
		id[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(id[:])
}

// Valid says whether a caller may name its request s: harmless in a log, a
// header and a file name, and long enough to tell requests apart.
func Valid(s string) bool {
	if len(s) < minLength || len(s) > maxLength {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case (c == '-' || c == '_' || c == '.') && i > 0:
		default:
			return false
		}
	}
	return true
}
