package main

import (
	"context"
	"fmt"
	"os/exec"

	"github.com/covefn/cove/internal/bench"
)

// isolations are those that the table speaks of.
func isolations() []string { return []string{isolationDocker, isolationGVisor} }

func isolationLabel(name string) string {
	if name == isolationGVisor {
		return "gVisor"
	}
	return "Docker"
}

// warm compares calls to running instances, one at a time: behind the gateway,
// behind bare servers, by the runtime protocol alone, and the echo of a program
// in the shim's place.
func warm(ctx context.Context, s *setting) ([]row, error) {
	var rows []row
	for _, g := range s.languages {
		mark := s.mark()
		c, err := warmArms(ctx, s, g)
		if releaseErr := s.release(mark); err == nil {
			err = releaseErr
		}
		if err != nil {
			return rows, fmt.Errorf("%s: %w", g.label(), err)
		}
		rows = append(rows, warmRows(c, g)...)
	}
	return rows, nil
}

func warmArms(ctx context.Context, s *setting, g language) (comparison, error) {
	bare, err := s.bareServers(ctx, g, (*exec.Cmd).Start)
	if err != nil {
		return nil, err
	}
	d, err := s.daemon(ctx, false)
	if err != nil {
		return nil, err
	}
	var arms []bench.Arm
	for i, b := range bare {
		arms = append(arms, bench.Arm{Name: g.servers[i].name, Sample: b.sample})
	}
	arms = twice(arms)
	for _, isolation := range isolations() {
		t, err := d.deploy(ctx, g, isolation, nil)
		if err != nil {
			return nil, err
		}
		echo, err := s.echo(ctx, isolation, g)
		if err != nil {
			return nil, err
		}
		handler, err := s.handler(ctx, isolation, g)
		if err != nil {
			return nil, err
		}
		arms = append(arms,
			bench.Arm{Name: isolation, Sample: t.sample},
			bench.Arm{Name: isolation + " echo", Sample: stopwatch(echo)},
			bench.Arm{Name: again(isolation + " echo"), Sample: stopwatch(echo)},
			bench.Arm{Name: isolation + " handler", Sample: stopwatch(handler)},
		)
	}
	return interleave(ctx, arms, bench.Rounds{N: pick(s, 3000, 20_000), Budget: pick(s, patience/2, 10*patience), Warmup: 300})
}

// bareServers starts the servers of g by start and returns their callers.
func (s *setting) bareServers(ctx context.Context, g language, start func(*exec.Cmd) error) ([]*target, error) {
	root, err := s.bareRoot(g)
	if err != nil {
		return nil, err
	}
	var targets []*target
	for _, server := range g.servers {
		p, err := s.serve(ctx, root, g, server, start)
		if err != nil {
			return nil, err
		}
		t := newTarget(p.address, "/", "")
		t.process = p
		s.later(t.close)
		targets = append(targets, t)
	}
	return targets, nil
}

func warmRows(c comparison, g language) []row {
	var rows []row
	for _, isolation := range isolations() {
		for _, server := range g.servers {
			rows = append(rows, c.row(want{
				name:     fmt.Sprintf("warm call, p50: %s, %s / %s", g.label(), isolationLabel(isolation), server.name),
				baseline: server.name, cove: isolation, q: 0.5, least: 1.3, aim: 1,
			}))
		}
	}
	for _, isolation := range isolations() {
		rows = append(rows,
			c.row(want{
				name:     fmt.Sprintf("platform's share of a warm call: %s, %s / echo by a program in the shim's place", g.label(), isolationLabel(isolation)),
				baseline: isolation + " echo", cove: isolation, q: 0.5, least: 5, aim: 2.5,
			}),
			c.row(want{
				name:     fmt.Sprintf("the same / the handler by the runtime protocol alone: %s, %s", g.label(), isolationLabel(isolation)),
				baseline: isolation + " handler", cove: isolation, q: 0.5,
			}),
		)
	}
	return append(rows, c.row(want{
		name: "warm call, p50: " + g.label() + ", gVisor / Docker", baseline: isolationDocker, cove: isolationGVisor, q: 0.5, least: 2, aim: 1.4,
	}))
}
