package api

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/net/http/httpguts"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/strictjson"
)

// Routes answers requests to functions' routes, as the data plane does.
type Routes interface {
	// Try answers r like a request that came in through the gateway, but asks no
	// token of it: the caller has made sure that whoever sent it may call every
	// function. The record is nil if no function was called; broken says that the
	// answer broke off after it had begun.
	Try(w http.ResponseWriter, r *http.Request) (record *cove.Invocation, broken bool)
}

const (
	// maxTold bounds the body of a composed request's answer, as it is told.
	maxTold = 1 << 20
	// maxComposed bounds a composed request as it is sent: 6 MiB of a body in
	// base64, and its head.
	maxComposed = maxPayload/3*4 + maxJSON
	// maxComposedHead bounds its head, as the gateway bounds that of a request that
	// comes over the network.
	maxComposedHead = 64 << 10
)

func (a *API) registerRouteTest() {
	a.plain(huma.Operation{
		OperationID: "testRoute", Method: http.MethodPost, Path: Prefix + "/functions/{name}/request", Tags: []string{"run"},
		Summary:     "Send a request to a route",
		Description: "Sends a composed HTTP request through the gateway's own handler, as if it came over the network, and tells as data what was answered, with the record and the log. The path decides which function answers, as ever. Functions with `auth: token` need no token here. A streamed answer is collected until it ends. The status is 200 whatever was answered; headers of the connection itself (Connection, Transfer-Encoding, Content-Length and their like) are refused.",
		Parameters:  []*huma.Param{pathName()},
		RequestBody: &huma.RequestBody{Required: true, Content: jsonContent[wire.RouteTest](a, wire.RouteTest{Method: http.MethodGet, Path: "/hello/Ada?x=1", Headers: map[string]string{"Accept": "text/plain"}})},
		Responses: map[string]*huma.Response{"200": response[wire.RouteResult](a, "The request was answered", wire.RouteResult{
			RequestID: exampleResult().RequestID, Status: http.StatusOK, Headers: map[string][]string{"Content-Type": {"text/plain; charset=utf-8"}},
			Body: "hello Ada\n", Took: 4 * time.Millisecond, Invocation: new(exampleResult().Invocation), Logs: []wire.LogLine{},
		})},
	}, a.testRoute, cove.CodeInvalid, cove.CodeNotFound, cove.CodeTooLarge, cove.CodeRequestTimeout)
}

func (a *API) testRoute(w http.ResponseWriter, r *http.Request) error {
	name, err := functionName(r)
	if err != nil {
		return err
	}
	if err := a.known(name); err != nil {
		return err
	}
	data, err := a.readJSON(w, r, maxComposed)
	if err != nil {
		return err
	}
	// The time was for the body; it would end a request that takes longer.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	var test wire.RouteTest
	if fields := strictjson.Decode(data, &test); len(fields) > 0 {
		return cove.InvalidFields(fields)
	}
	req, err := a.compose(r, &test)
	if err != nil {
		return err
	}
	answer := &collected{header: http.Header{}}
	began := time.Now()
	record, broken := a.Routes.Try(answer, req)
	out := wire.RouteResult{
		RequestID: answer.header.Get(RequestIDHeader), Status: answer.code(), Headers: answer.sent, Cut: answer.cut, Broken: broken,
		Took: time.Since(began), Invocation: record, Logs: []wire.LogLine{},
	}
	if out.Headers == nil {
		out.Headers = map[string][]string{}
	}
	if out.Body = string(answer.body); !utf8.Valid(answer.whole()) {
		out.Body, out.BodyBase64 = base64.StdEncoding.EncodeToString(answer.body), true
	} else if answer.cut {
		out.Body = string(answer.whole())
	}
	if record != nil {
		out.Logs = a.linesOf(record)
	}
	writeJSON(w, http.StatusOK, "application/json", out)
	return nil
}

// linesOf are the last lines that an invocation wrote.
func (a *API) linesOf(record *cove.Invocation) []wire.LogLine {
	out := []wire.LogLine{}
	for _, line := range a.Logs.Tail(record.Function, record.ID, logTail) {
		out = append(out, wire.LogLine(line))
	}
	return out
}

// compose makes the request that test describes, with the caller's own address
// and lifetime.
func (a *API) compose(r *http.Request, test *wire.RouteTest) (*http.Request, error) {
	var wrong []cove.FieldError
	bad := func(field, message string) { wrong = append(wrong, cove.FieldError{Field: field, Message: message}) }
	if test.Method == "" {
		test.Method = http.MethodGet
	}
	if !httpguts.ValidHeaderFieldName(test.Method) || len(test.Method) > 32 {
		bad("method", "must be an HTTP method, such as GET")
	}
	target, err := url.ParseRequestURI(test.Path)
	if err != nil || !strings.HasPrefix(test.Path, "/") || strings.HasPrefix(test.Path, "//") || strings.ContainsAny(test.Path, "# \x7f") || strings.ContainsFunc(test.Path, func(c rune) bool { return c < ' ' }) {
		bad("path", "must be a path that begins with one slash, with its query if it has one; write spaces as %20")
	}
	header, size, fields := composedHead(test)
	if wrong = append(wrong, fields...); size > maxComposedHead {
		bad("headers", "are larger than "+cove.ByteSize(maxComposedHead).String()+" together with the path")
	}
	body := []byte(test.Body)
	if test.BodyBase64 {
		if body, err = base64.StdEncoding.DecodeString(test.Body); err != nil {
			bad("body", "is not valid base64")
		}
	}
	if wrong != nil {
		return nil, cove.InvalidFields(wrong)
	}
	req, err := http.NewRequestWithContext(r.Context(), test.Method, test.Path, strings.NewReader(string(body)))
	if err != nil {
		return nil, cove.Invalid("path", "is not the path of a request")
	}
	req.URL, req.RequestURI, req.Header, req.RemoteAddr = target, test.Path, header, r.RemoteAddr
	req.Host = a.gatewayHost()
	if host := header.Get("Host"); host != "" {
		req.Host = host
		header.Del("Host")
	}
	return req, nil
}

// gatewayHost is the host of a request that names none.
func (a *API) gatewayHost() string {
	if u, err := url.Parse(a.System.Info().Gateway); err == nil && u.Host != "" {
		return u.Host
	}
	return "localhost"
}

// composedHead is the head of a composed request, and its size.
func composedHead(test *wire.RouteTest) (header http.Header, size int, wrong []cove.FieldError) {
	header, size = http.Header{}, len(test.Method)+len(test.Path)
	for name, value := range test.Headers {
		field := "headers." + name
		canonical := http.CanonicalHeaderKey(name)
		size += len(name) + len(value)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			wrong = append(wrong, cove.FieldError{Field: field, Message: "is no header's name"})
		case !httpguts.ValidHeaderFieldValue(value):
			wrong = append(wrong, cove.FieldError{Field: field, Message: "has a character that a header cannot have"})
		case ofConnection(canonical):
			wrong = append(wrong, cove.FieldError{Field: field, Message: "is of the connection itself, and cannot be set here"})
		case header[canonical] != nil:
			wrong = append(wrong, cove.FieldError{Field: field, Message: "is there twice"})
		default:
			header[canonical] = []string{value}
		}
	}
	return header, size, wrong
}

// ofConnection says whether a header is about one connection (RFC 9110, 7.6.1) or
// the framing of a body, which a request has that is not sent over one.
func ofConnection(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Content-Length", "Expect":
		return true
	}
	return false
}

// collected takes an answer into memory: all of its head, and its body up to
// maxTold bytes. It is for one goroutine.
type collected struct {
	header http.Header
	// sent is the head as it was when it was sent.
	sent   http.Header
	status int
	body   []byte
	cut    bool
}

// Header is the head that is to be sent.
func (c *collected) Header() http.Header { return c.header }

// WriteHeader sends the head.
func (c *collected) WriteHeader(status int) {
	if c.status == 0 {
		c.status, c.sent = status, c.header.Clone()
	}
}

// Write keeps what there is room for, and says that it took everything.
func (c *collected) Write(p []byte) (int, error) {
	c.WriteHeader(http.StatusOK)
	room := maxTold - len(c.body)
	c.cut = c.cut || len(p) > room
	c.body = append(c.body, p[:min(len(p), room)]...)
	return len(p), nil
}

// FlushError does nothing: nobody waits for a part of it.
func (c *collected) FlushError() error { return nil }

func (c *collected) code() int {
	if c.status == 0 {
		return http.StatusOK
	}
	return c.status
}

// whole is the body, without the beginning of a character that was cut through.
func (c *collected) whole() []byte {
	if !c.cut {
		return c.body
	}
	for n := 1; n < utf8.UTFMax && n <= len(c.body); n++ {
		tail := c.body[len(c.body)-n:]
		if utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return c.body[:len(c.body)-n]
			}
			break
		}
	}
	return c.body
}
