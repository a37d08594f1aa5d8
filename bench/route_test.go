package bench

import (
	"fmt"
	"testing"

	"github.com/covefn/cove/internal/route"
)

// BenchmarkRoute looks a route up among 10 and among 10,000. A look-up is too
// short to be timed alone, so each call does a hundred.
func BenchmarkRoute(b *testing.B) {
	few, many := table(b, 10), table(b, 10_000)
	compare(b,
		&arm{name: "10", call: lookUp(few, 10)},
		&arm{name: "10-again", call: lookUp(few, 10)},
		&arm{name: "10000", call: lookUp(many, 10_000)},
	)
}

func table(b *testing.B, n int) *route.Table[int] {
	b.Helper()
	t := route.NewTable[int]()
	for i := range n {
		p, err := route.Parse(fmt.Sprintf([]string{"/fn%d", "/fn%d/{id}", "/fn%d/{id}/items/{item}", "/fn%d/files/{path...}"}[i%4], i))
		if err == nil {
			err = t.Set(fmt.Sprint(i), p, nil, i)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	return t
}

func lookUp(t *route.Table[int], n int) func() error {
	const times = 100
	type query struct {
		path string
		want int
	}
	queries := make([]query, times)
	for q := range queries {
		i := q * (n / 10) % n / 4 * 4 % n
		i += q % 4 % (n - i)
		queries[q] = query{fmt.Sprintf([]string{"/fn%d", "/fn%d/42", "/fn%d/42/items/7", "/fn%d/files/a/b/c"}[i%4], i), i}
	}
	return func() error {
		var p route.Params
		for _, q := range queries {
			if got, r := t.Match("GET", q.path, &p); r.Outcome != route.Found || got != q.want {
				return fmt.Errorf("%s gave %d", q.path, got)
			}
		}
		return nil
	}
}
