// Package client speaks to the control API of a Cove.
//
//	c, err := client.New("http://127.0.0.1:7070", token)
//	f, err := c.Function(ctx, "hello")
//	result, err := c.Invoke(ctx, "hello", []byte(`{"name":"world"}`))
//
// Every error is a *cove.Error: what the server answered, or CodeUnavailable
// when it cannot be reached. Requests have no time limit but that of their
// context.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/covefn/cove"
)

const prefix = "/api/v1"

// maxAnswer bounds an answer that is read whole.
const maxAnswer = 64 << 20

// Client calls one Cove. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
	agent string
	// warm is set on what WarmFirst returns.
	warm bool
}

// Option changes how a Client works.
type Option func(*Client)

// WithHTTPClient makes requests with h.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithUserAgent names the program in requests.
func WithUserAgent(agent string) Option { return func(c *Client) { c.agent = agent } }

// New returns a client of the control API at baseURL: "http://127.0.0.1:7070",
// or "127.0.0.1:7070" for short. It does not connect yet.
func New(baseURL, token string, opts ...Option) (*Client, error) {
	if !strings.Contains(baseURL, "://") {
		baseURL = "http://" + baseURL
	}
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, cove.Invalid("api", "%q is no address of a Cove: write it as http://127.0.0.1:7070", baseURL)
	}
	if strings.ContainsAny(token, "\r\n\t ") {
		return nil, cove.Invalid("token", "the token has spaces or line breaks in it")
	}
	c := &Client{
		base: strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/"), token: token, agent: "cove-client",
		http: &http.Client{
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
				TLSHandshakeTimeout: 10 * time.Second,
				MaxIdleConnsPerHost: 16,
				IdleConnTimeout:     time.Minute,
			},
			// A redirect would take the token elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, o := range opts {
		o(c)
	}
	return c, nil
}

// WarmFirst is c, but what it deploys is loaded before it becomes the active
// version: Create, Replace, Patch, PutCode, PutFiles and Rollback answer when it
// is, with Function.Warmed, or change nothing and end with the function's own
// error. It shares the connections of c.
func (c *Client) WarmFirst() *Client {
	w := *c
	w.warm = true
	return &w
}

// changing is the query of a request that makes or activates a version.
func (c *Client) changing() url.Values {
	if !c.warm {
		return nil
	}
	return url.Values{"warm": {"true"}}
}

// URL is the address of the control API.
func (c *Client) URL() string { return c.base }

// Close gives back idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one request.
type call struct {
	method, path string
	query        url.Values
	header       http.Header
	body         io.Reader
	contentType  string
}

func functionPath(name string, rest ...string) string {
	return "/functions/" + url.PathEscape(name) + strings.Join(rest, "")
}

// open makes the request and returns an answer that is no error. The caller
// closes its body.
func (c *Client) open(ctx context.Context, q call) (*http.Response, error) {
	target := c.base + prefix + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, target, q.body)
	if err != nil {
		return nil, cove.Errorf(cove.CodeInvalid, "the request cannot be made: %w", err)
	}
	for name, values := range q.header {
		req.Header[name] = values
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if q.contentType != "" {
		req.Header.Set("Content-Type", q.contentType)
	}
	req.Header.Set("User-Agent", c.agent)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		defer res.Body.Close()
		return nil, readError(res)
	}
	return res, nil
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the request was given up: %w", context.Cause(ctx))
	}
	var inner *cove.Error
	if errors.As(err, &inner) {
		return inner
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &cove.Error{Code: cove.CodeUnavailable, Message: fmt.Sprintf("Cove cannot be reached at %s: %s", c.base, err), Err: err}
}

// readError is the problem that the server answered.
func readError(res *http.Response) error {
	data, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	var p cove.Problem
	if media != "application/problem+json" || json.Unmarshal(data, &p) != nil || p.Code == "" {
		return cove.Errorf(cove.CodeInternal, "the server answered %s, which is no answer of Cove: is the address right?", res.Status)
	}
	e := &cove.Error{Code: p.Code, Message: p.Detail, Fields: p.Errors, Function: p.Error}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// do makes the request and decodes the answer into out, unless that is nil.
func (c *Client) do(ctx context.Context, q call, out any) error {
	res, err := c.open(ctx, q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer))
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if len(data) > maxAnswer {
		return cove.Errorf(cove.CodeTooLarge, "the answer is larger than %s", cove.ByteSize(maxAnswer))
	}
	if err := json.Unmarshal(data, out); err != nil {
		return &cove.Error{Code: cove.CodeInternal, Message: "the server's answer cannot be read: is it a newer Cove?", Err: err}
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.do(ctx, call{method: http.MethodGet, path: path, query: query}, out)
}

func (c *Client) send(ctx context.Context, method, path string, in, out any, header http.Header) error {
	return c.sendQuery(ctx, method, path, nil, in, out, header)
}

// change is send for a request that makes or activates a version.
func (c *Client) change(ctx context.Context, method, path string, in, out any, header http.Header) error {
	return c.sendQuery(ctx, method, path, c.changing(), in, out, header)
}

func (c *Client) sendQuery(ctx context.Context, method, path string, query url.Values, in, out any, header http.Header) error {
	q := call{method: method, path: path, query: query, header: header}
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return cove.Errorf(cove.CodeInvalid, "the request cannot be written as JSON: %w", err)
		}
		q.body, q.contentType = bytes.NewReader(data), "application/json"
	}
	return c.do(ctx, q, out)
}
