package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
	"github.com/covefn/cove/internal/route"
)

// routes compares daemons of 10 functions with daemons of 10,000: calls through the
// gateway to one function of each, and the look-up alone. There are several of
// each: what one process has by chance, such as which processor wakes it, makes a
// tenth of a call.
func routes(ctx context.Context, s *setting) ([]row, error) {
	few, many := 10, 10_000
	g := s.languages[0]
	var arms []bench.Arm
	for range pick(s, 3, 6) {
		// The second arm of the baseline are daemons of their own.
		for i, n := range []int{few, few, many} {
			t, err := s.crowded(ctx, g, n)
			if err != nil {
				return nil, err
			}
			name := fmt.Sprint(n)
			if i == 1 {
				name = again(name)
			}
			arms = append(arms, bench.Arm{Name: name, Sample: t.sample})
		}
	}
	c, err := interleave(ctx, arms, bench.Rounds{N: pick(s, 2000, 10_000), Warmup: 200})
	if err != nil {
		return nil, err
	}
	rows := []row{c.row(want{
		name:     fmt.Sprintf("warm call among %d functions, p50: %s, Docker / among %d", many, g.label(), few),
		baseline: fmt.Sprint(few), cove: fmt.Sprint(many), q: 0.5, least: 1.05, aim: 1,
	})}
	arms = nil
	for _, n := range []int{few, many} {
		t, err := table(n)
		if err != nil {
			return nil, err
		}
		arms = append(arms, bench.Arm{Name: fmt.Sprint(n), Sample: stopwatch(lookUp(t, n))})
		if n == few {
			arms = twice(arms)
		}
	}
	if c, err = interleave(ctx, arms, bench.Rounds{N: 5000, Warmup: 500}); err != nil {
		return nil, err
	}
	return append(rows, c.row(want{
		name:     fmt.Sprintf("the same, %d look-ups alone", lookUps),
		baseline: fmt.Sprint(few), cove: fmt.Sprint(many), q: 0.5,
	})), nil
}

// crowded starts a daemon with n functions that have routes, and returns the
// caller of one that has code too.
func (s *setting) crowded(ctx context.Context, g language, n int) (*target, error) {
	d, err := s.daemon(ctx, false)
	if err != nil {
		return nil, err
	}
	// Several at once: most of a creation is waiting for the disk.
	work := make(chan int)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := range work {
				if errs[w] == nil {
					errs[w] = d.create(ctx, g, i)
				}
			}
		})
	}
	for i := range n - 1 {
		work <- i
	}
	close(work)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return d.deploy(ctx, g, isolationDocker, nil)
}

func (d *daemon) create(ctx context.Context, g language, i int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := d.client.Create(ctx, cove.Config{Name: fmt.Sprintf("fn%d", i), Runtime: g.Name, Isolation: isolationDocker, Route: pattern(i)}, nil)
	return err
}

// pattern is the route of the function i.
func pattern(i int) string {
	return fmt.Sprintf([]string{"/fn%d", "/fn%d/{id}", "/fn%d/{id}/items/{item}", "/fn%d/files/{path...}"}[i%4], i)
}

func table(n int) (*route.Table[int], error) {
	t := route.NewTable[int]()
	for i := range n {
		p, err := route.Parse(pattern(i))
		if err == nil {
			err = t.Set(fmt.Sprint(i), p, nil, i)
		}
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

// lookUps is how many are timed at once: one is too short.
const lookUps = 100

func lookUp(t *route.Table[int], n int) func() error {
	type query struct {
		path string
		want int
	}
	queries := make([]query, lookUps)
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
