package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/bench"
)

// starts compares first answers: of functions without an instance behind the
// gateway, with and without a stem cell, and of the same handler started by hand.
func starts(ctx context.Context, s *setting) ([]row, error) {
	var rows []row
	for _, g := range s.languages {
		mark := s.mark()
		c, err := startArms(ctx, s, g)
		err = errors.Join(err, s.release(mark))
		if err != nil {
			return rows, fmt.Errorf("%s: %w", g.label(), err)
		}
		rows = append(rows, startRows(c, g)...)
	}
	return rows, nil
}

// The arms of starts beside Cove's.
const (
	armDocker      = "docker run"
	armDockerFirst = "docker run, first line"
	armBare        = "interpreter"
	armRunsc       = "runsc run"
)

func startArms(ctx context.Context, s *setting, g language) (comparison, error) {
	run, err := s.dockerRun(ctx, g)
	if err != nil {
		return nil, err
	}
	root, err := s.bareRoot(g)
	if err != nil {
		return nil, err
	}
	runsc, err := s.runscRun(ctx, g)
	if err != nil {
		return nil, err
	}
	d, err := s.daemon(ctx, true)
	if err != nil {
		return nil, err
	}
	var firsts []bench.Sample
	var arms []bench.Arm
	for _, a := range []bench.Arm{
		{Name: armDocker, Sample: timed(func(context.Context) (time.Duration, error) {
			first, wall, err := run.once()
			if err == nil {
				firsts = append(firsts, bench.Sample{Took: first})
			}
			return wall, err
		})},
		{Name: armBare, Sample: timed(func(context.Context) (time.Duration, error) { return root.once(g, payload) })},
		{Name: armRunsc, Sample: timed(runsc.once)},
	} {
		arms = append(arms, twice([]bench.Arm{d.afterRest(a)})...)
	}
	for _, isolation := range isolations() {
		for _, class := range []cove.StartClass{cove.StartStem, cove.StartCold} {
			arm, err := d.startArm(ctx, g, isolation, class)
			if err != nil {
				return nil, err
			}
			arms = append(arms, arm)
		}
	}
	c, err := interleave(ctx, arms, bench.Rounds{N: pick(s, 20, 100), Budget: pick(s, patience, 10*patience), Warmup: 1})
	c[armDockerFirst] = bench.Series{Arm: armDockerFirst, Samples: firsts}
	return c, err
}

// startArm is the first answer of a function that has no instance.
func (d *daemon) startArm(ctx context.Context, g language, isolation string, class cove.StartClass) (bench.Arm, error) {
	t, err := d.deploy(ctx, g, isolation, func(cfg *cove.Config) {
		cfg.Scaling = reactive()
		if class == cove.StartCold {
			// A variable that the interpreter reads at its start cannot be given to
			// one that runs.
			cfg.Env = cove.Env{"LANG": {Value: "C.UTF-8"}}
		}
	})
	return bench.Arm{Name: string(class) + " " + isolation, Sample: func(ctx context.Context) (bench.Sample, error) {
		if err := t.empty(ctx); err != nil {
			return bench.Sample{}, err
		}
		return t.sampleOf(ctx, class)
	}}, err
}

// afterRest is an arm that begins when the daemon has nothing to do: what stands
// beside Cove must not pay for the stem cells that are made after an arm of Cove's.
func (d *daemon) afterRest(a bench.Arm) bench.Arm {
	return bench.Arm{Name: a.Name, Sample: func(ctx context.Context) (bench.Sample, error) {
		if err := until(ctx, restPatience, func() error { return d.atRest(ctx) }); err != nil {
			return bench.Sample{}, err
		}
		return a.Sample(ctx)
	}}
}

// reactive is a scaling under which an instance is started by a call and by
// nothing else, and not paused while it is measured.
func reactive() cove.Scaling {
	return cove.Scaling{Policy: cove.PolicyFixed, Idle: cove.Duration(time.Hour), Pause: cove.Duration(2 * time.Hour)}
}

// restPatience bounds the wait for rest: after a burst there are many stem cells
// to be made.
const restPatience = 3 * patience

// empty ends the function's instances, and waits until nothing of them is left
// and nothing else is being started or ended, stem cells included, so that the
// call finds the machine at rest.
func (t *target) empty(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restPatience)
	defer cancel()
	c := t.daemon.client
	return until(ctx, restPatience, func() error {
		f, err := c.Function(ctx, t.function)
		if err != nil {
			return err
		}
		if n := f.Instances.Total(); n > 0 {
			// Also those whose start was under way when the others were ended.
			if _, err := c.Recycle(ctx, t.function, wire.Recycle{Now: true}); err != nil {
				return err
			}
			return fmt.Errorf("%d instances of %s are still there", n, t.function)
		}
		return t.daemon.atRest(ctx)
	})
}

// atRest is an error while anything is being started or ended.
func (d *daemon) atRest(ctx context.Context) error {
	sys, err := d.client.System(ctx)
	if err != nil {
		return err
	}
	if n := sys.Instances.Starting + sys.Instances.Stopping; n > 0 {
		return fmt.Errorf("%d instances are being started or ended", n)
	}
	stems, err := d.client.Stems(ctx)
	if err != nil {
		return err
	}
	for _, s := range stems {
		// With an error there is nothing under way: there may be no room for more.
		if s.Starting > 0 || s.Ready < s.Target && s.Error == "" {
			return fmt.Errorf("of %s, %s there are %d stem cells of %d", s.Runtime, s.Isolation, s.Ready, s.Target)
		}
	}
	return nil
}

func startRows(c comparison, g language) []row {
	bare := want{least: 1, aim: 0.35}
	if g.Language != "python" {
		bare = want{least: 0.5, aim: 0.15}
	}
	var rows []row
	for _, isolation := range isolations() {
		stem := "stem " + isolation
		label := g.label() + ", " + isolationLabel(isolation)
		rows = append(rows,
			c.row(want{
				name: "stem start, first answer, p50: " + label + " / docker run", baseline: armDocker, cove: stem,
				q: 0.5, least: 1. / 40, aim: 1. / 100,
			}),
			c.row(want{name: "the same, p50: " + label + " / docker run to its first line", baseline: armDockerFirst, cove: stem, q: 0.5}),
			c.row(want{name: "the same, p50: " + label + " / bare interpreter", baseline: armBare, cove: stem, q: 0.5, least: bare.least, aim: bare.aim}),
		)
	}
	return append(rows,
		c.row(want{
			name: "stem start, p50: " + g.label() + ", gVisor / runsc run to its first frame", baseline: armRunsc, cove: "stem gvisor",
			q: 0.5, least: 1. / 25, aim: 1. / 60,
		}),
		c.row(want{
			name: "cold start, p50: " + g.label() + ", gVisor / runsc run to its first frame", baseline: armRunsc, cove: "cold gvisor",
			q: 0.5, least: 1.15, aim: 1.15,
		}),
		c.row(want{
			name: "cold start, p50: " + g.label() + ", Docker / docker run", baseline: armDocker, cove: "cold docker",
			q: 0.5, least: 1.15, aim: 0.8,
		}),
	)
}
