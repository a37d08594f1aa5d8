package route

import (
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/covefn/cove"
)

// Table maps routes to values. Each route belongs to a key, the name of a
// function. It is safe for concurrent use: Match takes no lock and sees every
// change whole or not at all.
type Table[T any] struct {
	seed maphash.Seed
	// root holds a tree of paths per method; "" is every method.
	root atomic.Pointer[hamt[*node[T]]]

	mu      sync.Mutex // guards changes and entries
	entries map[string]entry
}

type entry struct {
	pattern Pattern
	methods []string // sorted; [""] for all
}

// NewTable is an empty table.
func NewTable[T any]() *Table[T] {
	return &Table[T]{seed: maphash.MakeSeed(), entries: make(map[string]entry)}
}

// Outcome says what Match found.
type Outcome uint8

// The outcomes of Match.
const (
	// NoRoute: no route has that path.
	NoRoute Outcome = iota
	// Found: Result and value are those of the route.
	Found
	// MethodNotAllowed: there are routes for the path, but of other methods.
	MethodNotAllowed
	// AddSlash: the path is that of a subtree but for the slash at its end, and
	// no other route has exactly this path.
	AddSlash
)

// Result is what Match found.
type Result struct {
	Outcome Outcome
	// Key and Pattern are those of the route, when Found.
	Key     string
	Pattern string
	// Any says that the route, when Found, is one for all methods.
	Any bool
	// Allow lists the methods there are, sorted, for MethodNotAllowed.
	Allow []string
}

// Set gives key the route p for methods (all if empty; GET includes HEAD)
// instead of what it had. If that conflicts with the route of another key,
// nothing changes and the error, a *cove.Error of CodeConflict, names that key.
func (t *Table[T]) Set(key string, p Pattern, methods []string, value T) error {
	e, err := newEntry(p, methods)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	root := t.without(t.root.Load(), key)
	if err := t.check(root, e); err != nil {
		return err
	}
	for _, m := range e.methods {
		l := &leaf[T]{key: key, method: m, methods: e.methods, pattern: p, value: value}
		root = t.changed(root, m, p, l)
	}
	t.entries[key] = e
	t.root.Store(root)
	return nil
}

// Remove takes key's route away, if it has one.
func (t *Table[T]) Remove(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	root := t.without(t.root.Load(), key)
	delete(t.entries, key)
	t.root.Store(root)
}

// Check is the error that Set would return, and changes nothing.
func (t *Table[T]) Check(key string, p Pattern, methods []string) error {
	e, err := newEntry(p, methods)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.check(t.without(t.root.Load(), key), e)
}

// Len is how many keys have a route.
func (t *Table[T]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries)
}

// Match finds the most specific route for a method and a path, which is
// percent-encoded, as url.URL.EscapedPath has it. The path is taken as it is: an
// empty segment matches nothing but a multi wildcard or a trailing slash, and
// an encoded slash is part of its segment. The values of the wildcards go to
// params, which is overwritten.
func (t *Table[T]) Match(method, path string, params *Params) (value T, r Result) {
	root := t.root.Load()
	l, exact := t.find(root, method, path, false, params)
	if (l == nil || !exact) && path != "" && path[len(path)-1] != '/' {
		var ignored Params
		if s, exact := t.find(root, method, path, true, &ignored); s != nil && exact {
			params.reset(nil)
			return value, Result{Outcome: AddSlash}
		}
	}
	if l != nil {
		params.names = l.pattern.names
		return l.value, Result{Outcome: Found, Key: l.key, Pattern: l.pattern.text, Any: l.method == ""}
	}
	params.reset(nil)
	if allow := t.allowed(root, path); len(allow) > 0 {
		return value, Result{Outcome: MethodNotAllowed, Allow: allow}
	}
	return value, Result{}
}

// find is the leaf of the method itself, else of GET for HEAD, else of all.
func (t *Table[T]) find(root *hamt[*node[T]], method, path string, slash bool, params *Params) (*leaf[T], bool) {
	if path == "" || path[0] != '/' {
		return nil, true
	}
	params.reset(nil)
	if method != "" {
		if l, exact := t.tree(root, method).match(t.seed, path, slash, params); l != nil {
			return l, exact
		}
	}
	if method == http.MethodHead {
		params.reset(nil)
		if l, exact := t.tree(root, http.MethodGet).match(t.seed, path, slash, params); l != nil {
			return l, exact
		}
	}
	params.reset(nil)
	return t.tree(root, "").match(t.seed, path, slash, params)
}

func (t *Table[T]) tree(root *hamt[*node[T]], method string) *node[T] {
	n, _ := root.get(maphash.String(t.seed, method), method)
	return n
}

func (t *Table[T]) allowed(root *hamt[*node[T]], path string) []string {
	if path == "" || path[0] != '/' {
		return nil
	}
	var allow []string
	root.each(func(method string, n *node[T]) bool {
		var ignored Params
		l, _ := n.match(t.seed, path, false, &ignored)
		if l == nil && path[len(path)-1] != '/' {
			// What a caller would be sent to by AddSlash with another method.
			l, _ = n.match(t.seed, path, true, &ignored)
		}
		if l != nil {
			allow = append(allow, method)
			if method == http.MethodGet {
				allow = append(allow, http.MethodHead)
			}
		}
		return true
	})
	slices.Sort(allow)
	return slices.Compact(allow)
}

func (t *Table[T]) changed(root *hamt[*node[T]], method string, p Pattern, l *leaf[T]) *hamt[*node[T]] {
	hash := maphash.String(t.seed, method)
	old, _ := root.get(hash, method)
	n := old.with(t.seed, p.segments, l)
	if n == nil {
		return root.without(0, hash, method)
	}
	return root.with(0, slot[*node[T]]{hash: hash, key: method, value: n})
}

// without is root without what key has.
func (t *Table[T]) without(root *hamt[*node[T]], key string) *hamt[*node[T]] {
	e, ok := t.entries[key]
	if !ok {
		return root
	}
	for _, m := range e.methods {
		root = t.changed(root, m, e.pattern, nil)
	}
	return root
}

func (t *Table[T]) check(root *hamt[*node[T]], e entry) error {
	var found *leaf[T]
	compare := func(mine, other string, n *node[T]) bool {
		if r, ok := compareMethods(mine, other); ok {
			found = n.conflict(t.seed, e.pattern.segments, r)
		}
		return found == nil
	}
	for _, m := range e.methods {
		if m == "" {
			root.each(func(other string, n *node[T]) bool { return compare(m, other, n) })
		} else {
			for _, other := range []string{m, "", http.MethodGet, http.MethodHead} {
				if !compare(m, other, t.tree(root, other)) {
					break
				}
			}
		}
		if found != nil {
			return conflictError(e, found.key, found.pattern, found.methods)
		}
	}
	return nil
}

// compareMethods is how a route for the method mine relates to one for other;
// false when no request has both.
func compareMethods(mine, other string) (relation, bool) {
	switch {
	case mine == other:
		return 0, true
	case mine == "", mine == http.MethodGet && other == http.MethodHead:
		return general, true
	case other == "", other == http.MethodGet && mine == http.MethodHead:
		return specific, true
	}
	return 0, false
}

func newEntry(p Pattern, methods []string) (entry, error) {
	if len(p.segments) == 0 {
		return entry{}, invalid("is empty")
	}
	if len(methods) == 0 {
		return entry{pattern: p, methods: []string{""}}, nil
	}
	for _, m := range methods {
		if !validMethod(m) {
			return entry{}, cove.Invalid("methods", "%q is no HTTP method", m)
		}
	}
	sorted := slices.Clone(methods)
	slices.Sort(sorted)
	return entry{pattern: p, methods: slices.Compact(sorted)}, nil
}

func validMethod(m string) bool {
	return m != "" && strings.IndexFunc(m, func(c rune) bool {
		return c >= 0x7f || c <= ' ' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	}) < 0
}

func conflictError(e entry, key string, p Pattern, methods []string) error {
	why := "matches the same requests"
	if example := common(e.pattern.segments, p.segments); !sameShape(e.pattern, p) {
		why = fmt.Sprintf("also matches %s, and neither of the two is more specific", example)
		if !slices.Equal(e.methods, methods) && ordered(e.pattern, p) {
			why += ": one has the more specific path, the other has fewer methods; with the same methods for both, the path decides"
		}
	}
	message := fmt.Sprintf("%s conflicts with %s of function %s, which %s",
		describe(e.methods, e.pattern), describe(methods, p), key, why)
	return &cove.Error{
		Code: cove.CodeConflict, Message: "route: " + message,
		Fields: []cove.FieldError{{Field: "route", Message: message}},
	}
}

// ordered says whether one of two patterns is the more specific one where the
// methods are the same.
func ordered(a, b Pattern) bool {
	t := NewTable[struct{}]()
	return t.Set("a", a, nil, struct{}{}) == nil && t.Check("b", b, nil) == nil
}

func describe(methods []string, p Pattern) string {
	if methods[0] == "" {
		return p.text
	}
	return strings.Join(methods, ",") + " " + p.text
}

func sameShape(a, b Pattern) bool {
	return slices.EqualFunc(a.segments, b.segments, func(x, y segment) bool {
		return x.kind == y.kind && (x.kind != literal || x.text == y.text)
	})
}

// common is a path that two overlapping patterns both match.
func common(a, b []segment) string {
	var path strings.Builder
	for len(a) > 0 || len(b) > 0 {
		s := segment{kind: multi}
		if len(a) > 0 {
			s, a = a[0], a[1:]
		}
		if len(b) > 0 {
			if s.kind == wild && b[0].kind != multi || s.kind == multi {
				s = b[0]
			}
			b = b[1:]
		}
		path.WriteByte('/')
		if s.kind == literal || s.kind == wild {
			path.WriteString(s.text)
		}
	}
	return path.String()
}
