package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
)

// startTail compares the slowest of many first answers: of functions without an
// instance and with a stem cell, and of `docker run`. It has no other arms, because
// a p99 takes so many rounds.
func startTail(ctx context.Context, s *setting) ([]row, error) {
	var rows []row
	var errs []error
	for _, g := range s.languages {
		var c comparison
		if s.long() {
			mark := s.mark()
			arms, err := startTailArms(ctx, s, g)
			if err == nil {
				c, err = interleave(ctx, arms, bench.Rounds{N: startTailRounds, Budget: startTailRounds * startTailRound, Warmup: 1})
			}
			errs = append(errs, err, s.release(mark))
		}
		for _, isolation := range isolations() {
			r := row{Missing: fmt.Sprintf("a p99 takes %d starts of each: go run ./bench -rows start-p99", bench.MinP99)}
			w := want{
				name:     fmt.Sprintf("stem start, first answer, p99: %s, %s / docker run", g.label(), isolationLabel(isolation)),
				baseline: armDocker, cove: "stem " + isolation, q: 0.99, least: 1. / 20, aim: 1. / 40,
			}
			if r.Name, r.Least, r.Aim = w.name, w.least, w.aim; c != nil {
				r = c.row(w)
			}
			rows = append(rows, r)
		}
	}
	return rows, errors.Join(errs...)
}

const (
	// startTailRounds leaves room for samples that fail.
	startTailRounds = bench.MinP99 + bench.MinP99/50
	// startTailRound bounds the time of a round: two `docker run`, two starts, and
	// the making of two stem cells.
	startTailRound = 4 * time.Second
)

func startTailArms(ctx context.Context, s *setting, g language) ([]bench.Arm, error) {
	run, err := s.dockerRun(ctx, g)
	if err != nil {
		return nil, err
	}
	d, err := s.daemon(ctx, true)
	if err != nil {
		return nil, err
	}
	arms := twice([]bench.Arm{d.afterRest(bench.Arm{Name: armDocker, Sample: timed(func(context.Context) (time.Duration, error) {
		_, wall, err := run.once()
		return wall, err
	})})})
	for _, isolation := range isolations() {
		arm, err := d.startArm(ctx, g, isolation, cove.StartStem)
		if err != nil {
			return nil, err
		}
		arms = append(arms, arm)
	}
	return arms, nil
}
