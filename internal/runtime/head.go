package runtime

import (
	"bytes"
	"encoding/json"

	"github.com/covefn/cove"
)

// maxFields bounds the fields of an answer's head, each value of a header and each
// cookie being one. That is far more than clients take: each costs the gateway time
// and memory, however short it is.
const maxFields = 256

// check says what of h HTTP cannot carry. The handler's code is not trusted to
// leave line ends out of a header.
func (h *Head) check() error {
	if h.Status < 200 || h.Status > 599 {
		return cove.Errorf(cove.CodeInvalidResponse, "statusCode is %d; it must be 200 to 599", h.Status)
	}
	if n := h.fields(); n > maxFields {
		return cove.Errorf(cove.CodeInvalidResponse, "the answer has %d headers and cookies; at most %d are allowed", n, maxFields)
	}
	for name, values := range h.Headers {
		if !validName(name) {
			return cove.Errorf(cove.CodeInvalidResponse, "%.100q is no name of an HTTP header in lower case", name)
		}
		for _, v := range values {
			if !validValue(v) {
				return cove.Errorf(cove.CodeInvalidResponse, "the value of header %s has characters that HTTP does not allow", name)
			}
		}
	}
	for _, v := range h.Cookies {
		if !validValue(v) {
			return cove.Errorf(cove.CodeInvalidResponse, "a cookie has characters that HTTP does not allow")
		}
	}
	return nil
}

// fields is how many fields h has; a header without a value counts as one.
func (h *Head) fields() int {
	n := len(h.Cookies)
	for _, values := range h.Headers {
		n += max(1, len(values))
	}
	return n
}

// validName says whether s is a token of RFC 9110 in lower case.
func validName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '.', c == '!', c == '#', c == '$', c == '%', c == '&',
			c == '\'', c == '*', c == '+', c == '^', c == '`', c == '|', c == '~':
		default:
			return false
		}
	}
	return s != ""
}

// validValue says whether s has no control character but the tab.
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// plainJSON is the head of an answer that says nothing: a value as JSON.
func plainJSON() *Head {
	return &Head{Status: 200, Headers: map[string][]string{"content-type": {"application/json"}}}
}

// decodeHead decodes and checks the head of an HTTP answer. The error is a
// *cove.Error where the handler said something that HTTP cannot carry.
func decodeHead(b []byte) (*Head, error) {
	if len(b) == 0 || bytes.Equal(b, []byte("{}")) {
		return plainJSON(), nil
	}
	h := &Head{}
	if !scanHead(b, h) {
		*h = Head{}
		if err := json.Unmarshal(b, h); err != nil {
			return nil, cove.Errorf(cove.CodeInvalidResponse, "the head of the answer is not valid: %v", err)
		}
	}
	if h.Status == 0 {
		h.Status = 200
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	return h, nil
}
