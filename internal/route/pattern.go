// Package route decides which function answers a method and a path.
//
// Routes are net/http path patterns. Which of two patterns wins, and which
// pairs cannot both be there, is decided exactly as net/http.ServeMux does it;
// what differs is that routes come and go while requests are being matched.
package route

import (
	"net/url"
	"strings"
	"unicode"

	"github.com/covefn/cove"
)

// MaxPattern is the length of the longest pattern, in bytes.
const MaxPattern = 1024

// Pattern is a parsed path pattern. It is immutable; the zero value matches
// nothing and no table takes it.
type Pattern struct {
	text     string
	segments []segment
	names    []string
}

type segmentKind uint8

const (
	literal segmentKind = iota
	wild                // {name}
	multi               // {name...}, or a trailing slash when it has no name
	end                 // {$}
)

type segment struct {
	kind segmentKind
	// text is a literal's unescaped text or a wildcard's name.
	text string
}

// Parse reads a path pattern: literal segments, {name} for one segment,
// {name...} at the end for all that is left, a trailing slash for everything
// below, {$} at the end for the slash alone. Literals are compared unescaped,
// so "/caf%C3%A9" and "/café" are the same.
//
// The error is a *cove.Error of CodeInvalid for the field "route". Methods and
// hosts, which net/http allows in a pattern, are refused.
func Parse(pattern string) (Pattern, error) {
	if err := checkShape(pattern); err != nil {
		return Pattern{}, err
	}
	p := Pattern{text: pattern}
	rest := pattern
	for rest != "" {
		rest = rest[1:] // the slash
		if rest == "" {
			p.segments = append(p.segments, segment{kind: multi})
			break
		}
		raw := rest
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			raw = rest[:i]
		}
		rest = rest[len(raw):]
		s, err := parseSegment(raw, rest == "")
		if err != nil {
			return Pattern{}, err
		}
		if (s.kind == wild || s.kind == multi) && s.text != "" {
			for _, n := range p.names {
				if n == s.text {
					return Pattern{}, invalid("the name %q is used twice", n)
				}
			}
			p.names = append(p.names, s.text)
		}
		p.segments = append(p.segments, s)
	}
	return p, nil
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Names are those of its wildcards, in order. The caller must not change them.
func (p Pattern) Names() []string { return p.names }

// checkShape refuses what is wrong with a pattern as a whole.
func checkShape(pattern string) error {
	switch {
	case pattern == "":
		return invalid("is empty; a route begins with a slash: /hello/{name}")
	case len(pattern) > MaxPattern:
		return invalid("is %d bytes long; the limit is %d", len(pattern), MaxPattern)
	}
	if i := strings.IndexAny(pattern, " \t"); i >= 0 {
		if pattern[0] != '/' {
			return invalid("holds a method or a space; name methods in the field methods: methods: [%s]", pattern[:i])
		}
		return invalid("holds a space; write it as %%20")
	}
	if pattern[0] != '/' {
		if strings.Contains(pattern, "/") {
			return invalid("does not begin with a slash; a host is no part of a route (and methods belong in the field methods)")
		}
		return invalid("does not begin with a slash")
	}
	for _, c := range pattern {
		switch {
		case c < ' ' || c == 0x7f:
			return invalid("holds a control character")
		case c == '?' || c == '#':
			return invalid("holds %q; a query is no part of a route, and in a path it is written %%%02X", c, c)
		}
	}
	return nil
}

func parseSegment(raw string, last bool) (segment, error) {
	open := strings.IndexByte(raw, '{')
	if open < 0 {
		return parseLiteral(raw)
	}
	if open != 0 || raw[len(raw)-1] != '}' {
		return segment{}, invalid("in the segment %q a wildcard must be the whole segment: /{name}/", raw)
	}
	name := raw[1 : len(raw)-1]
	if name == "$" {
		if !last {
			return segment{}, invalid("{$} can only be at the end")
		}
		return segment{kind: end}, nil
	}
	kind := wild
	if cut, ok := strings.CutSuffix(name, "..."); ok {
		if !last {
			return segment{}, invalid("%s can only be at the end", raw)
		}
		name, kind = cut, multi
	}
	if !validName(name) {
		return segment{}, invalid("%q is no name for a wildcard: take letters, digits and _, not beginning with a digit", name)
	}
	return segment{kind: kind, text: name}, nil
}

func parseLiteral(raw string) (segment, error) {
	text, err := url.PathUnescape(raw)
	if err != nil {
		return segment{}, invalid("the segment %q is not percent-encoded rightly", raw)
	}
	switch text {
	case "":
		return segment{}, invalid("has an empty segment (//)")
	case ".", "..":
		return segment{}, invalid("has the segment %q, which no request can have", raw)
	}
	return segment{kind: literal, text: text}, nil
}

func validName(s string) bool {
	for i, c := range s {
		if !unicode.IsLetter(c) && c != '_' && (i == 0 || !unicode.IsDigit(c)) {
			return false
		}
	}
	return s != ""
}

func invalid(format string, args ...any) error { return cove.Invalid("route", format, args...) }

// unescape is s without percent-encoding; what is encoded wrongly stays.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}
