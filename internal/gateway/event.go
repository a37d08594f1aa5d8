package gateway

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// appendEvent appends the request as a Lambda HTTP event, payload version 2.0,
// without its body, which travels beside it. It is written by hand because it is
// written for every request.
func (x *exchange) appendEvent(b []byte, body []byte) []byte {
	r, f := x.r, x.g.forwarded(x.r)
	b = append(b, `{"version":"2.0","routeKey":`...)
	b = x.appendRouteKey(b)
	b = append(b, `,"rawPath":`...)
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	b = appendJSON(b, path)
	b = append(b, `,"rawQueryString":`...)
	b = appendJSON(b, r.URL.RawQuery)
	b = appendCookies(b, r.Header["Cookie"])
	b = x.appendHeaders(b, f, len(body))
	b = appendQuery(b, r.URL.RawQuery)
	if x.params.Len() > 0 {
		b = append(b, `,"pathParameters":{`...)
		for i := range x.params.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			name, value := x.params.At(i)
			b = append(appendJSON(b, name), ':')
			b = appendJSON(b, value)
		}
		b = append(b, '}')
	}
	b = x.appendContext(b, f, path)
	b = append(b, `,"isBase64Encoded":`...)
	b = strconv.AppendBool(b, !utf8.Valid(body))
	return append(b, '}')
}

func (x *exchange) appendContext(b []byte, f forwarded, path string) []byte {
	r := x.r
	domain := hostname(f.host)
	prefix, _, _ := strings.Cut(domain, ".")
	b = append(b, `,"requestContext":{"accountId":"anonymous","apiId":`...)
	b = appendJSON(b, x.version.Function)
	b = append(b, `,"domainName":`...)
	b = appendJSON(b, domain)
	b = append(b, `,"domainPrefix":`...)
	b = appendJSON(b, prefix)
	b = append(b, `,"http":{"method":`...)
	b = appendJSON(b, r.Method)
	b = append(b, `,"path":`...)
	b = appendJSON(b, path)
	b = append(b, `,"protocol":`...)
	b = appendJSON(b, r.Proto)
	b = append(b, `,"sourceIp":`...)
	b = appendJSON(b, f.source)
	b = append(b, `,"userAgent":`...)
	b = appendJSON(b, r.Header.Get("User-Agent"))
	b = append(b, `},"requestId":`...)
	b = appendJSON(b, x.id)
	b = append(b, `,"routeKey":`...)
	b = x.appendRouteKey(b)
	b = append(b, `,"stage":"$default","time":"`...)
	b = x.arrived.UTC().AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, `","timeEpoch":`...)
	b = strconv.AppendInt(b, x.arrived.UnixMilli(), 10)
	return append(b, '}')
}

// appendRouteKey appends the method, or ANY, and the route as the function's
// configuration has it.
func (x *exchange) appendRouteKey(b []byte) []byte {
	method := x.r.Method
	if x.route.Any {
		method = "ANY"
	}
	b = append(b, '"')
	b = appendEscaped(b, method)
	b = append(b, ' ')
	b = appendEscaped(b, x.route.Pattern)
	return append(b, '"')
}

func appendCookies(b []byte, lines []string) []byte {
	first := true
	for _, line := range lines {
		for c := range strings.SplitSeq(line, ";") {
			if c = strings.TrimSpace(c); c == "" || ownCookie(c) {
				continue
			}
			if first {
				b = append(b, `,"cookies":[`...)
			} else {
				b = append(b, ',')
			}
			first = false
			b = appendJSON(b, c)
		}
	}
	if !first {
		b = append(b, ']')
	}
	return b
}

// appendHeaders appends what the caller sent but for what was meant for the
// hop to the gateway, what only a trusted proxy may say, and Cove's own token.
func (x *exchange) appendHeaders(b []byte, f forwarded, body int) []byte {
	b = append(b, `,"headers":{"host":`...)
	b = appendJSON(b, x.r.Host)
	if x.hasBody() {
		b = append(b, `,"content-length":"`...)
		b = strconv.AppendInt(b, int64(body), 10)
		b = append(b, '"')
	}
	b = append(b, `,"x-request-id":`...)
	b = appendJSON(b, x.id)
	b = append(b, `,"x-forwarded-for":`...)
	b = appendJSON(b, f.chain)
	b = append(b, `,"x-forwarded-host":`...)
	b = appendJSON(b, f.host)
	b = append(b, `,"x-forwarded-port":`...)
	b = appendJSON(b, f.port)
	b = append(b, `,"x-forwarded-proto":`...)
	b = appendJSON(b, f.proto)
	connection := x.r.Header["Connection"]
	for name, values := range x.r.Header {
		if x.withheld(name, f.trusted) || named(connection, name) {
			continue
		}
		b = append(b, ',')
		b = appendLower(b, name)
		b = append(b, `:"`...)
		for i, v := range values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendEscaped(b, v)
		}
		b = append(b, '"')
	}
	return append(b, '}')
}

// withheld says whether a function does not get to see a header as it came.
func (x *exchange) withheld(name string, trusted bool) bool {
	switch name {
	case "Cookie", "Host", "Content-Length", "Expect", headerRequestID,
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto":
		return true
	case "Authorization":
		// Cove's own token must not fall into a function's hands.
		return !x.public()
	case "Forwarded", "X-Real-Ip":
		return !trusted
	}
	return hopByHop(name) || !trusted && strings.HasPrefix(name, "X-Forwarded-")
}

// hopByHop says whether a header is about one connection and not about the
// message. The name must be canonical.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// named says whether the Connection headers name a header.
func named(connection []string, name string) bool {
	for _, line := range connection {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(token), name) {
				return true
			}
		}
	}
	return false
}

type pair struct{ key, value string }

// appendQuery appends the parameters of the query, unescaped, with the values
// of those that are there more than once joined by commas.
func appendQuery(b []byte, query string) []byte {
	if query == "" {
		return b
	}
	var few [8]pair
	pairs := few[:0]
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, pair{unescapeQuery(key), unescapeQuery(value)})
	}
	if len(pairs) == 0 {
		return b
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	b = append(b, `,"queryStringParameters":{`...)
	for i, p := range pairs {
		if i > 0 && p.key == pairs[i-1].key {
			b = append(b, ',')
			b = appendEscaped(b, p.value)
			continue
		}
		if i > 0 {
			b = append(b, '"', ',')
		}
		b = appendJSON(b, p.key)
		b = append(b, ':', '"')
		b = appendEscaped(b, p.value)
	}
	return append(b, '"', '}')
}

func unescapeQuery(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}
