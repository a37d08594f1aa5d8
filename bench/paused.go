package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
)

// rest is how long both functions of paused are left alone before a call, once
// they are in the state that is wanted.
const rest = 60 * time.Millisecond

// paused compares a call to an instance that was frozen with one to an instance
// that was idle for as long.
func paused(ctx context.Context, s *setting) ([]row, error) {
	var rows []row
	for _, g := range s.languages {
		for _, isolation := range isolations() {
			mark := s.mark()
			c, err := pausedArms(ctx, s, g, isolation)
			if err = errors.Join(err, s.release(mark)); err != nil {
				return rows, fmt.Errorf("%s, %s: %w", g.label(), isolation, err)
			}
			rows = append(rows, c.row(want{
				name:     fmt.Sprintf("call to a paused instance, p50: %s, %s / to an idle one", g.label(), isolationLabel(isolation)),
				baseline: "idle", cove: "paused", q: 0.5, least: 1.3, aim: 1.1,
				note: fmt.Sprintf("both had had nothing to do for %s", rest),
			}))
		}
	}
	return rows, nil
}

func pausedArms(ctx context.Context, s *setting, g language, isolation string) (comparison, error) {
	d, err := s.daemon(ctx, true)
	if err != nil {
		return nil, err
	}
	arm := func(name string, pause time.Duration, class cove.StartClass) (bench.Arm, error) {
		t, err := d.deploy(ctx, g, isolation, func(cfg *cove.Config) {
			cfg.Scaling = reactive()
			cfg.Scaling.Pause = cove.Duration(pause)
		})
		if err != nil {
			return bench.Arm{}, err
		}
		if err := t.call(ctx); err != nil { // The instance.
			return bench.Arm{}, err
		}
		return bench.Arm{Name: name, Sample: func(ctx context.Context) (bench.Sample, error) {
			if err := t.await(ctx, class == cove.StartThawed); err != nil {
				return bench.Sample{}, err
			}
			time.Sleep(rest)
			return t.sampleOf(ctx, class)
		}}, nil
	}
	idle, err := arm("idle", 2*time.Hour, cove.StartWarm)
	if err != nil {
		return nil, err
	}
	frozen, err := arm("paused", 10*time.Millisecond, cove.StartThawed)
	if err != nil {
		return nil, err
	}
	return interleave(ctx, append(twice([]bench.Arm{idle}), frozen), bench.Rounds{N: pick(s, 60, 300), Budget: pick(s, patience/5, patience), Warmup: 2})
}

// await waits until the function's one instance is paused, or idle.
func (t *target) await(ctx context.Context, paused bool) error {
	return until(ctx, patience/4, func() error {
		f, err := t.daemon.client.Function(ctx, t.function)
		if err != nil {
			return err
		}
		if n := f.Instances; n.Total() != 1 || paused != (n.Paused == 1) || paused == (n.Idle == 1) {
			return fmt.Errorf("of %d instances of %s %d are idle and %d paused", n.Total(), t.function, n.Idle, n.Paused)
		}
		return nil
	})
}
