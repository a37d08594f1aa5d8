package gateway

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// head reads the heads of requests as nearly all are: HTTP/1.1, a path, one
// host, a body with a length or none. What is written in any other way, be it
// allowed or not, is not read here but left to net/http: this one reads nothing
// that net/http would not read in the same way (FuzzHead holds it).
//
// The memory of the headers is used again for the next request.
type head struct {
	header http.Header
	values []string
}

// headEnd ends every head.
var headEnd = []byte("\r\n\r\n")

// read fills r from b, which begins with a request, and says how long its head
// is. It is 0 for what net/http shall read.
func (h *head) read(b []byte, r *http.Request) int {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		return 0
	}
	line, rest, _ := bytes.Cut(b[:end+2], headEnd[:2])
	// A record of the request keeps the path, and with it this text alone.
	if !readLine(string(line), r) || !h.readFields(string(rest), r) {
		return 0
	}
	return end + len(headEnd)
}

// readLine reads the first line, without its end.
func readLine(line string, r *http.Request) bool {
	method, rest, _ := strings.Cut(line, " ")
	target, proto, _ := strings.Cut(rest, " ")
	if proto != "HTTP/1.1" || !validToken(method) || method == http.MethodConnect || !plainTarget(target) {
		return false
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return false
	}
	r.Method, r.URL, r.RequestURI = method, u, target
	r.Proto, r.ProtoMajor, r.ProtoMinor = proto, 1, 1
	return true
}

// plainTarget says whether s is the path of a request and cannot be read as
// anything else.
func plainTarget(s string) bool {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// readFields reads the lines that follow, each with its end.
func (h *head) readFields(s string, r *http.Request) bool {
	if h.header == nil {
		h.header = http.Header{}
	}
	clear(h.header)
	r.Header, h.values = h.header, h.values[:0]
	r.Host, r.Close, r.ContentLength = "", false, 0
	length := false
	for s != "" {
		line, rest, _ := strings.Cut(s, "\r\n")
		s = rest
		name, value, ok := strings.Cut(line, ":")
		// A line that goes on from the one before begins with a blank, which is
		// in no name.
		if !ok || !validToken(name) {
			return false
		}
		value = strings.Trim(value, " \t")
		if !validValue(value) {
			return false
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		switch name {
		case "Host":
			if r.Host != "" || !plainHost(value) {
				return false
			}
			r.Host = value
			continue // As net/http has it.
		case "Content-Length":
			if length || !plainLength(value, r) {
				return false
			}
			length = true
		case "Connection":
			if _, again := h.header[name]; again || !plainConnection(value, r) {
				return false
			}
		case "Transfer-Encoding", "Expect", "Upgrade", "Http2-Settings", "Trailer", "Pragma":
			return false
		}
		h.add(name, value)
	}
	return r.Host != ""
}

// add adds a field. Those that are there once, which is all but a few, share one
// piece of memory.
func (h *head) add(name, value string) {
	if there, ok := h.header[name]; ok {
		h.header[name] = append(there, value)
		return
	}
	h.values = append(h.values, value)
	n := len(h.values)
	h.header[name] = h.values[n-1 : n : n]
}

// over gives the memory of an unusually large header back, when its request has
// been answered.
func (h *head) over() {
	if cap(h.values) > keptFields {
		h.header, h.values = nil, nil
	}
}

func plainHost(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return s != ""
}

// plainLength reads a length that fits whatever may be sent.
func plainLength(s string, r *http.Request) bool {
	if s == "" || len(s) > 15 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		r.ContentLength = r.ContentLength*10 + int64(s[i]-'0')
	}
	return true
}

func plainConnection(s string, r *http.Request) bool {
	r.Close = s == "close"
	return r.Close || s == "keep-alive" || s == "Keep-Alive"
}
