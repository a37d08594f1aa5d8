package api

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"time"
)

// progressWriter gives each write of an answer a time.
type progressWriter struct {
	w       http.ResponseWriter
	timeout time.Duration
}

// Write sets the deadline and writes.
func (p progressWriter) Write(b []byte) (int, error) {
	_ = http.NewResponseController(p.w).SetWriteDeadline(time.Now().Add(p.timeout))
	return p.w.Write(b)
}

// flush sends what is buffered.
func (p progressWriter) flush() error { return http.NewResponseController(p.w).Flush() }

// reprDigest is a hexadecimal SHA-256 in the form of RFC 9530.
func reprDigest(sha256 string) string {
	raw, err := hex.DecodeString(sha256)
	if err != nil {
		return ""
	}
	return "sha-256=:" + base64.StdEncoding.EncodeToString(raw) + ":"
}
