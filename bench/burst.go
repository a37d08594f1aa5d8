package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
)

// crowd is how many first calls come at once.
const crowd = 50

// burst compares 50 first calls at once to one function with 50 `docker run` at
// once: the time until the last has its answer. It is repeated few times: a round
// takes the machine half a minute, most of it for making new stem cells.
func burst(ctx context.Context, s *setting) ([]row, error) {
	g := s.languages[0]
	run, err := s.dockerRun(ctx, g)
	if err != nil {
		return nil, err
	}
	d, err := s.daemon(ctx, true)
	if err != nil {
		return nil, err
	}
	arms := []bench.Arm{d.afterRest(bench.Arm{Name: armDocker, Sample: timed(func(context.Context) (time.Duration, error) {
		return atOnce(func() error {
			_, _, err := run.once()
			return err
		})
	})})}
	found := map[string]map[cove.StartClass]int{}
	for _, isolation := range isolations() {
		t, err := d.deploy(ctx, g, isolation, func(cfg *cove.Config) {
			cfg.Scaling = reactive()
			cfg.Scaling.Max, cfg.Scaling.Queue = crowd, crowd
			cfg.QueueTimeout = cove.Duration(patience)
		})
		if err != nil {
			return nil, err
		}
		found[isolation] = map[cove.StartClass]int{}
		arms = append(arms, bench.Arm{Name: isolation, Sample: timed(func(ctx context.Context) (time.Duration, error) {
			if err := t.empty(ctx); err != nil {
				return 0, err
			}
			return t.burst(ctx, found[isolation])
		})})
	}
	c, err := interleave(ctx, arms, bench.Rounds{N: pick(s, 2, 10), Warmup: pick(s, 0, 1)})
	var rows []row
	for _, isolation := range isolations() {
		r := c.row(want{
			name:     fmt.Sprintf("burst of %d first calls, to the last answer: %s, %s / %d docker run", crowd, g.label(), isolationLabel(isolation), crowd),
			baseline: armDocker, cove: isolation, q: 0.5, least: 1. / 20, aim: 1. / 60,
		})
		r.Note = join(r.Note, fmt.Sprintf("start classes of the calls: %v", found[isolation]))
		rows = append(rows, r)
	}
	return rows, err
}

// burst makes the calls at once and counts which classes they had.
func (t *target) burst(ctx context.Context, found map[cove.StartClass]int) (time.Duration, error) {
	var mu sync.Mutex
	var ids []string
	took, err := atOnce(func() error {
		id, err := t.post(ctx)
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		class, err := t.daemon.class(ctx, id)
		if err != nil {
			return 0, err
		}
		found[class]++
	}
	return took, nil
}

// atOnce calls f crowd times at once and takes the time until the last returns.
func atOnce(f func() error) (time.Duration, error) {
	var wg sync.WaitGroup
	errs := make([]error, crowd)
	began := time.Now()
	for i := range errs {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	return time.Since(began), errors.Join(errs...)
}
