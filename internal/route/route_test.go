package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup is a table in which each route is the value of the key it is named by:
// "/a" or "GET,POST /a".
func setup(t testing.TB, routes ...string) *Table[string] {
	t.Helper()
	table := NewTable[string]()
	for _, r := range routes {
		if err := set(table, r, r); err != nil {
			t.Fatalf("set %q: %v", r, err)
		}
	}
	return table
}

func set(table *Table[string], key, r string) error {
	p, methods, err := split(r)
	if err != nil {
		return err
	}
	return table.Set(key, p, methods, r)
}

func split(r string) (Pattern, []string, error) {
	var methods []string
	if m, path, ok := strings.Cut(r, " "); ok {
		methods, r = strings.Split(m, ","), path
	}
	p, err := Parse(r)
	return p, methods, err
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"/", "/a", "/a/", "/{x}", "/{x...}", "/{$}", "/a/{x}/b/{rest...}", "/caf%C3%A9", "/café", "/a%2Fb", "/{ä}", "/a+b", "/a:b@c",
	} {
		p, err := Parse(good)
		if err != nil || p.String() != good {
			t.Errorf("Parse(%q) = %q, %v", good, p, err)
		}
	}
	for bad, want := range map[string]string{
		"":                                    "empty",
		"a":                                   "slash",
		"GET /a":                              "methods: [GET]",
		"example.com/a":                       "host",
		"/a b":                                "%20",
		"/a?x=1":                              "query",
		"/a#b":                                "query",
		"/a\x00":                              "control",
		"/a//b":                               "empty segment",
		"//":                                  "empty segment",
		"/a/../b":                             "no request can have",
		"/%2e%2E":                             "no request can have",
		"/%zz":                                "percent",
		"/a{x}":                               "whole segment",
		"/{x}a":                               "whole segment",
		"/{x":                                 "whole segment",
		"/{}":                                 "no name",
		"/{...}":                              "no name",
		"/{1a}":                               "no name",
		"/{$}/a":                              "end",
		"/{x...}/":                            "end",
		"/{x}/{x}":                            "twice",
		"/{x}/{x...}":                         "twice",
		"/" + strings.Repeat("a", MaxPattern): "limit",
	} {
		_, err := Parse(bad)
		var e *cove.Error
		if !errors.As(err, &e) || e.Code != cove.CodeInvalid || len(e.Fields) != 1 || e.Fields[0].Field != "route" || !strings.Contains(e.Message, want) {
			t.Errorf("Parse(%q) = %v, want invalid route with %q", bad, err, want)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	table := setup(t, "/", "/a/{x}", "/a/b", "/files/{path...}", "/dir/", "GET /m", "POST,PUT /m", "DELETE /m/{id}", "/only/{$}", "/q/{a}/{b}/{c}/{d}/{e}")
	for _, c := range []struct {
		request string
		want    string
		values  []string
	}{
		{"GET /", "/", nil},
		{"GET /zzz", "/", nil},
		{"GET /a/b", "/a/b", nil},
		{"GET /a/c", "/a/{x}", []string{"c"}},
		{"GET /a/b%2Fc", "/a/{x}", []string{"b/c"}},
		{"GET /a/%2F", "/a/{x}", []string{"/"}},
		{"GET /a/", "/", nil},
		{"GET /a//", "/", nil},
		{"GET //a/b", "/", nil},
		{"GET /a/%62", "/a/b", nil},
		{"GET /files/", "/files/{path...}", []string{""}},
		{"GET /files/x//y%2Fz/", "/files/{path...}", []string{"x//y/z/"}},
		{"GET /m", "GET /m", nil},
		{"HEAD /m", "GET /m", nil},
		{"PUT /m", "POST,PUT /m", nil},
		{"DELETE /m", "/", nil},
		{"DELETE /m/7", "DELETE /m/{id}", []string{"7"}},
		{"BREW /dir/x", "/dir/", nil},
		{"GET /q/1/2/3/4/5", "/q/{a}/{b}/{c}/{d}/{e}", []string{"1", "2", "3", "4", "5"}},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		var p Params
		got, r := table.Match(method, path, &p)
		var values []string
		for i := range p.Len() {
			_, v := p.At(i)
			values = append(values, v)
		}
		if r.Outcome != Found || got != c.want || r.Key != c.want || !slices.Equal(values, c.values) {
			t.Errorf("%s: %q %v %v, want %q %v", c.request, got, r, values, c.want, c.values)
		}
	}
}

func TestNoMatch(t *testing.T) {
	t.Parallel()
	table := setup(t, "GET /m", "POST /m", "/dir/", "/s/{x}/sub/", "/only/{$}")
	for request, want := range map[string]Result{
		"GET /none":      {Outcome: NoRoute},
		"GET none":       {Outcome: NoRoute},
		"GET ":           {Outcome: NoRoute},
		"GET *":          {Outcome: NoRoute},
		"GET /m/":        {Outcome: NoRoute},
		"PUT /m":         {Outcome: MethodNotAllowed, Allow: []string{"GET", "HEAD", "POST"}},
		"GET /dir":       {Outcome: AddSlash},
		"GET /s/x/sub":   {Outcome: AddSlash},
		"GET /only":      {Outcome: AddSlash},
		"GET /only/x":    {Outcome: NoRoute},
		"GET /s//sub/":   {Outcome: NoRoute},
		"GET /s/x/sub/y": {Outcome: Found, Key: "/s/{x}/sub/", Pattern: "/s/{x}/sub/", Any: true},
	} {
		method, path, _ := strings.Cut(request, " ")
		var p Params
		if _, r := table.Match(method, path, &p); fmt.Sprint(r) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, want %+v", request, r, want)
		}
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	t.Run("a conflict names the other function, its route and methods, and changes nothing", func(t *testing.T) {
		t.Parallel()
		table := setup(t, "GET /a/{x}")
		p, _ := Parse("/{y}/b")
		for _, err := range []error{table.Check("new", p, []string{"GET"}), table.Set("new", p, []string{"GET"}, "v")} {
			var e *cove.Error
			if !errors.As(err, &e) || e.Code != cove.CodeConflict || !strings.Contains(e.Message, "GET /a/{x} of function GET /a/{x}") ||
				!strings.Contains(e.Message, "also matches /a/b") || e.Fields[0].Field != "route" {
				t.Errorf("error %v", err)
			}
		}
		if table.Len() != 1 {
			t.Errorf("%d routes", table.Len())
		}
	})
	t.Run("a conflict that the same methods would solve says so", func(t *testing.T) {
		t.Parallel()
		table := setup(t, "GET /a/{x}")
		for text, want := range map[string]bool{"/a/b": true, "/{y}/b": false} {
			p, _ := Parse(text)
			err := table.Check("new", p, nil)
			if err == nil || strings.Contains(err.Error(), "with the same methods for both, the path decides") != want {
				t.Errorf("%s: %v", text, err)
			}
			if err := table.Check("new", p, []string{"GET"}); (err == nil) != want {
				t.Errorf("%s with the same methods: %v", text, err)
			}
		}
	})
	t.Run("a key's own route is no conflict and is replaced whole", func(t *testing.T) {
		t.Parallel()
		table := setup(t)
		for _, r := range []string{"GET,POST /a", "/{x}", "GET /a", "GET /a"} {
			if err := set(table, "f", r); err != nil {
				t.Fatalf("%s: %v", r, err)
			}
		}
		var p Params
		if _, r := table.Match("POST", "/a", &p); r.Outcome != MethodNotAllowed {
			t.Errorf("POST: %+v", r)
		}
		if _, r := table.Match("GET", "/b", &p); r.Outcome != NoRoute {
			t.Errorf("GET /b: %+v", r)
		}
	})
	t.Run("nothing is left when all are removed", func(t *testing.T) {
		t.Parallel()
		table := setup(t, "/a/b/c", "GET,PUT /a/{x}", "/{$}", "/z/{r...}")
		for _, k := range []string{"/a/b/c", "GET,PUT /a/{x}", "/{$}", "/z/{r...}", "unknown"} {
			table.Remove(k)
		}
		if table.root.Load() != nil || table.Len() != 0 {
			t.Errorf("left: %+v", table.root.Load())
		}
	})
	t.Run("a wrong method and the zero pattern are refused", func(t *testing.T) {
		t.Parallel()
		table := setup(t)
		p, _ := Parse("/")
		if err := table.Set("f", p, []string{"GE T"}, ""); cove.CodeOf(err) != cove.CodeInvalid {
			t.Errorf("method: %v", err)
		}
		if err := table.Set("f", Pattern{}, nil, ""); cove.CodeOf(err) != cove.CodeInvalid {
			t.Errorf("zero: %v", err)
		}
	})
}

func TestReadersSeeEveryChangeWhole(t *testing.T) {
	t.Parallel()
	table := setup(t, "/stay/{x}")
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var p Params
				if v, r := table.Match("GET", "/stay/1", &p); r.Outcome != Found || v != "/stay/{x}" || p.Get("x") != "1" {
					t.Errorf("lost a route: %v %v", v, r)
					return
				}
				// One key always has exactly one of the two.
				_, a := table.Match("GET", "/flip", &p)
				if a.Outcome != Found {
					t.Errorf("a replaced route was gone for a moment: %+v", a)
					return
				}
			}
		})
	}
	wg.Go(func() {
		defer close(stop)
		for i := range 2000 {
			if err := set(table, "flip", []string{"/flip", "/{any}", "GET /flip"}[i%3]); err != nil {
				t.Error(err)
				return
			}
			if err := set(table, fmt.Sprint("f", i), fmt.Sprintf("/f%d", i)); err != nil {
				t.Error(err)
			}
		}
	})
	// The first turn is before the writer's first change.
	if err := set(table, "flip", "/flip"); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func TestHamtWithEqualHashes(t *testing.T) {
	t.Parallel()
	var m *hamt[int]
	for i := range 100 {
		m = m.with(0, slot[int]{hash: uint64(i % 3), key: fmt.Sprint(i), value: i})
	}
	for i := range 100 {
		if v, ok := m.get(uint64(i%3), fmt.Sprint(i)); !ok || v != i {
			t.Fatalf("get %d: %d %v", i, v, ok)
		}
	}
	if _, ok := m.get(1, "0"); ok {
		t.Error("found a key under another hash")
	}
	for i := range 100 {
		m = m.without(0, uint64(i%3), fmt.Sprint(i))
		if _, ok := m.get(uint64(i%3), fmt.Sprint(i)); ok {
			t.Fatalf("%d is still there", i)
		}
	}
	if m != nil {
		t.Errorf("left: %+v", m)
	}
}

func routes(n int) []string {
	r := []string{"/static/", "GET /users/{id}", "/a/{b}/c/{d}"}
	for i := len(r); i < n; i++ {
		r = append(r, []string{"/fn%d", "/fn%d/{id}", "GET,POST /fn%d/items/{id}/{sub}", "/deep/%d/"}[i%4])
		r[i] = fmt.Sprintf(r[i], i)
	}
	return r
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		table := setup(b, routes(n)...)
		for name, path := range map[string]string{"literal": "/fn4", "param": "/fn5/42", "params": "/a/1/c/2", "subtree": "/static/css/site.css"} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					var p Params
					if _, r := table.Match("GET", path, &p); r.Outcome != Found {
						b.Fatal(path, r)
					}
				}
			})
		}
	}
}

func BenchmarkSet10000(b *testing.B) {
	type in struct {
		p       Pattern
		methods []string
	}
	all := make([]in, 10_000)
	for i, r := range routes(len(all)) {
		p, methods, err := split(r)
		if err != nil {
			b.Fatal(err)
		}
		all[i] = in{p, methods}
	}
	for b.Loop() {
		table := NewTable[int]()
		for i, r := range all {
			if err := table.Set(fmt.Sprint(i), r.p, r.methods, i); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	table := setup(t, append(routes(200), "/p/{a}/{b}/{c}/{d}", "/")...)
	for _, path := range []string{"/fn4", "/p/1/2/3/4", "/static/x/y", "/no/such/path"} {
		if n := testing.AllocsPerRun(100, func() {
			var p Params
			table.Match("GET", path, &p)
		}); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}
