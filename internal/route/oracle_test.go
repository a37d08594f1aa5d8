package route

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// oracle is net/http's ServeMux with the same routes.
type oracle struct {
	mux *http.ServeMux
	// routes are what it was built from, by key.
	routes map[string]string
}

// hit is what a handler of the oracle saw.
type hit struct {
	key    string
	values []string
}

func build(routes map[string]string) (o *oracle, err error) {
	o = &oracle{mux: http.NewServeMux(), routes: routes}
	defer func() {
		if r := recover(); r != nil {
			o, err = nil, fmt.Errorf("%v", r)
		}
	}()
	for key, r := range routes {
		p, methods, err := split(r)
		if err != nil {
			return nil, err
		}
		h := func(w http.ResponseWriter, r *http.Request) {
			seen := w.(*recorder)
			seen.hit.key = key
			for _, n := range p.Names() {
				seen.hit.values = append(seen.hit.values, r.PathValue(n))
			}
		}
		if len(methods) == 0 {
			o.mux.HandleFunc(p.String(), h)
		}
		for _, m := range methods {
			o.mux.HandleFunc(m+" "+p.String(), h)
		}
	}
	return o, nil
}

type recorder struct {
	*httptest.ResponseRecorder
	hit hit
}

func (o *oracle) match(method, path string) string {
	w := &recorder{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest(method, "http://host"+path, nil)
	o.mux.ServeHTTP(w, r)
	switch {
	case w.hit.key != "":
		return fmt.Sprintf("found %s %q", w.hit.key, w.hit.values)
	case w.Code == http.StatusTemporaryRedirect:
		return "add slash"
	case w.Code == http.StatusMethodNotAllowed:
		return "method not allowed " + w.Header().Get("Allow")
	}
	return "no route"
}

func ours(table *Table[string], method, path string) string {
	var p Params
	_, r := table.Match(method, path, &p)
	switch r.Outcome {
	case Found:
		values := make([]string, 0, 4)
		for i := range p.Len() {
			_, v := p.At(i)
			values = append(values, v)
		}
		if len(values) == 0 {
			values = nil
		}
		return fmt.Sprintf("found %s %q", r.Key, values)
	case AddSlash:
		return "add slash"
	case MethodNotAllowed:
		return "method not allowed " + strings.Join(r.Allow, ", ")
	}
	return "no route"
}

// source makes routes and paths out of few parts, so that they meet often.
type source struct{ next func(n int) int }

func (s source) pick(from ...string) string { return from[s.next(len(from))] }

func (s source) route() string {
	var b strings.Builder
	b.WriteString(s.pick("", "", "GET ", "POST ", "HEAD ", "GET,POST ", "GET,HEAD ", "PUT,DELETE "))
	for i := range s.next(4) {
		b.WriteByte('/')
		switch s.next(3) {
		case 0:
			fmt.Fprintf(&b, "{w%d}", i)
		default:
			b.WriteString(s.pick("a", "b", "c", "%61", "a%2Fb", "ä"))
		}
	}
	b.WriteString(s.pick("/", "/{$}", "/{rest...}", "/a", "/{z}", "/b", "/c"))
	return b.String()
}

func (s source) request() (method, path string) {
	method = s.pick("GET", "POST", "HEAD", "PUT", "OPTIONS")
	for range s.next(5) {
		path += "/" + s.pick("a", "b", "c", "d", "%61", "a%2Fb", "%C3%A4", "x%25y")
	}
	return method, path + s.pick("", "/", "/a")
}

// compare runs a history of changes on a table and on the oracle, and requests
// in between.
func compare(t *testing.T, s source, steps int) {
	t.Helper()
	table := NewTable[string]()
	o, _ := build(nil)
	for range steps {
		key := "k" + s.pick("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
		wanted := make(map[string]string, len(o.routes)+1)
		for k, r := range o.routes {
			wanted[k] = r
		}
		if s.next(5) == 0 {
			delete(wanted, key)
			table.Remove(key)
			o, _ = build(wanted)
		} else {
			r := s.route()
			wanted[key] = r
			next, oracleErr := build(wanted)
			p, methods, err := split(r)
			if err != nil {
				t.Fatalf("%q: %v", r, err)
			}
			checkErr := table.Check(key, p, methods)
			err = table.Set(key, p, methods, r)
			if (err != nil) != (oracleErr != nil) || (checkErr != nil) != (err != nil) {
				t.Fatalf("set %q in %v\nours:     %v\ncheck:    %v\nnet/http: %v", r, o.routes, err, checkErr, oracleErr)
			}
			if oracleErr == nil {
				o = next
			}
		}
		for range 8 {
			method, path := s.request()
			if path == "" {
				continue
			}
			if got, want := ours(table, method, path), o.match(method, path); got != want {
				t.Fatalf("%s %s in %v\nours:     %s\nnet/http: %s", method, path, o.routes, got, want)
			}
		}
	}
}

func TestAgreesWithServeMux(t *testing.T) {
	t.Parallel()
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 1))
		compare(t, source{next: r.IntN}, 40)
	}
}

func FuzzAgreesWithServeMux(f *testing.F) {
	f.Add([]byte("some bytes that choose routes and requests"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return // long inputs say nothing new
		}
		i := 0
		next := func(n int) int {
			if i == len(data) {
				return 0
			}
			i++
			return int(data[i-1]) % n
		}
		compare(t, source{next: next}, 1+len(data)/40)
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/", "/a/{x}", "/{rest...}", "/{$}", "/%2e", "GET /a", "h/a", "/{", "/a%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s)
		if err != nil {
			return
		}
		if p.String() != s {
			t.Fatalf("%q became %q", s, p)
		}
		// Whatever Parse takes, net/http takes too, and it can be matched.
		if _, err := build(map[string]string{"k": s}); err != nil {
			t.Fatalf("net/http refuses %q: %v", s, err)
		}
		table := NewTable[string]()
		if err := table.Set("k", p, nil, s); err != nil {
			t.Fatalf("set %q: %v", s, err)
		}
		table.Remove("k")
		if table.root.Load() != nil {
			t.Fatalf("%q is left after its removal", s)
		}
	})
}
