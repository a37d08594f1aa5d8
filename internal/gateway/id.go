package gateway

import (
	"crypto/rand"
	"encoding/binary"
	"net/http"
	"time"
)

// headerRequestID carries the request id, in and out.
const headerRequestID = "X-Request-Id"

const (
	minRequestID = 8
	maxRequestID = 64
)

// crockford is base 32 without the letters that look like digits.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// NewID makes a request id: 26 of 0-9 and a-z, in the order of time to the
// millisecond and with 80 random bits. It is safe for concurrent use.
func NewID() string { return idAt(time.Now()) }

func idAt(t time.Time) string {
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

// requestID is the caller's own if it brought one that is harmless in a log, a
// header and a file name, else a new one.
func (g *Gateway) requestID(r *http.Request) string {
	if own := r.Header[headerRequestID]; len(own) == 1 && saneID(own[0]) {
		return own[0]
	}
	return g.opts.NewID()
}

func saneID(s string) bool {
	if len(s) < minRequestID || len(s) > maxRequestID {
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
