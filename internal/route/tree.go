package route

import (
	"hash/maphash"
	"strings"
)

// leaf is a route of one method.
type leaf[T any] struct {
	key     string
	method  string // "" is every method
	methods []string
	pattern Pattern
	value   T
}

// node is where the patterns that share their first segments go apart. Nodes
// are immutable, and none is without a leaf somewhere below it.
type node[T any] struct {
	here     *leaf[T] // the pattern ends with the segment that led here
	slash    *leaf[T] // it ends with {$}
	rest     *leaf[T] // it ends with a multi wildcard or a trailing slash
	wild     *node[T]
	literals *hamt[*node[T]]
}

func (n *node[T]) empty() bool {
	return n.here == nil && n.slash == nil && n.rest == nil && n.wild == nil && n.literals == nil
}

// with is n with l where segments lead; without it when l is nil. It returns
// nil when nothing is left.
func (n *node[T]) with(seed maphash.Seed, segments []segment, l *leaf[T]) *node[T] {
	c := new(node[T])
	if n != nil {
		*c = *n
	}
	if len(segments) == 0 {
		c.here = l
	} else {
		switch s := segments[0]; s.kind {
		case end:
			c.slash = l
		case multi:
			c.rest = l
		case wild:
			c.wild = n.wildChild().with(seed, segments[1:], l)
		case literal:
			hash := maphash.String(seed, s.text)
			child, _ := c.literals.get(hash, s.text)
			if child = child.with(seed, segments[1:], l); child != nil {
				c.literals = c.literals.with(0, slot[*node[T]]{hash: hash, key: s.text, value: child})
			} else {
				c.literals = c.literals.without(0, hash, s.text)
			}
		}
	}
	if c.empty() {
		return nil
	}
	return c
}

func (n *node[T]) wildChild() *node[T] {
	if n == nil {
		return nil
	}
	return n.wild
}

// match is the most specific leaf for path, which is empty or begins with a
// slash and is percent-encoded. Literals win over wildcards and these over the
// rest; conflicts being kept out, that is the same as the most specific. With
// slash set it is as if path had one more slash at its end.
//
// exact is false when a multi wildcard took more than the slash.
func (n *node[T]) match(seed maphash.Seed, path string, slash bool, p *Params) (l *leaf[T], exact bool) {
	if n == nil {
		return nil, false
	}
	if path == "" && !slash {
		return n.here, true
	}
	if path == "" || path == "/" {
		if n.slash != nil {
			return n.slash, true
		}
		if n.rest != nil && n.rest.named() {
			p.push("")
		}
		return n.rest, true
	}
	raw := path[1:]
	if i := strings.IndexByte(raw, '/'); i >= 0 {
		raw = raw[:i]
	}
	below := path[1+len(raw):]
	// An empty segment (two slashes) is nothing that a literal or a wildcard of
	// one segment could stand for.
	if raw != "" {
		text := unescape(raw)
		if n.literals != nil {
			child, _ := n.literals.get(maphash.String(seed, text), text)
			if l, exact := child.match(seed, below, slash, p); l != nil {
				return l, exact
			}
		}
		if n.wild != nil {
			mark := p.len
			p.push(text)
			if l, exact := n.wild.match(seed, below, slash, p); l != nil {
				return l, exact
			}
			p.len = mark
		}
	}
	if n.rest != nil && n.rest.named() {
		p.push(unescape(path[1:]))
	}
	return n.rest, false
}

// named says whether the multi wildcard at its end has a name.
func (l *leaf[T]) named() bool {
	return l.pattern.segments[len(l.pattern.segments)-1].text != ""
}

// relation says in which ways a new pattern differs from one that is there.
// The two conflict when they overlap and it is neither more general nor more
// specific, or both.
type relation uint8

const (
	general  relation = 1 << iota // the new one matches more
	specific                      // the new one matches less
)

func (r relation) conflict() bool { return r == 0 || r == general|specific }

// conflict is a leaf below n that conflicts with a new pattern of segments;
// r is what was found out on the way to n.
func (n *node[T]) conflict(seed maphash.Seed, segments []segment, r relation) *leaf[T] {
	if n == nil {
		return nil
	}
	if len(segments) == 0 {
		if r.conflict() {
			return n.here
		}
		return nil
	}
	s, below := segments[0], segments[1:]
	if s.kind == multi {
		if n.rest != nil && r.conflict() {
			return n.rest
		}
		if (r | general).conflict() {
			return n.deeper()
		}
		return nil
	}
	if n.rest != nil && (r | specific).conflict() {
		return n.rest
	}
	switch s.kind {
	case end:
		if r.conflict() {
			return n.slash
		}
	case wild:
		if l := n.wild.conflict(seed, below, r); l != nil {
			return l
		}
		var found *leaf[T]
		n.literals.each(func(_ string, child *node[T]) bool {
			found = child.conflict(seed, below, r|general)
			return found == nil
		})
		return found
	case literal:
		if child, ok := n.literals.get(maphash.String(seed, s.text), s.text); ok {
			if l := child.conflict(seed, below, r); l != nil {
				return l
			}
		}
		return n.wild.conflict(seed, below, r|specific)
	}
	return nil
}

// deeper is some leaf that a multi wildcard at n covers, but the one of another
// multi wildcard there.
func (n *node[T]) deeper() *leaf[T] {
	if n.slash != nil {
		return n.slash
	}
	child := n.wild
	if child == nil {
		n.literals.each(func(_ string, c *node[T]) bool {
			child = c
			return false
		})
	}
	if child == nil {
		return nil
	}
	switch {
	case child.here != nil:
		return child.here
	case child.rest != nil:
		return child.rest
	}
	return child.deeper()
}
