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

// callers is how many callers a closed loop has: enough that the servers are
// never without work, and few enough that the loop itself takes little of the
// machine.
const callers = 8

// loaded is a server under load, with the processor time that it has used.
type loaded struct {
	name   string
	target *target
	cpu    func() (time.Duration, error)
}

// loadArm is a function under load.
type loadArm struct {
	name, label, isolation, handler string
	concurrency                     int
}

// loadArms are the functions under load: instances that take one call at a time,
// and those that take as many as there are callers, which a bare server does too.
// In Python that is for coroutines.
func loadArms(g language) []loadArm {
	several := g.DefaultHandler
	if g.Language == "python" {
		several = "main.coroutine"
	}
	var arms []loadArm
	for _, isolation := range isolations() {
		label := g.label() + ", " + isolationLabel(isolation)
		arms = append(arms,
			loadArm{isolation, label + ", one call at a time", isolation, g.DefaultHandler, 1},
			loadArm{isolation + " shared", fmt.Sprintf("%s, %d calls at a time", label, callers), isolation, several, callers},
		)
	}
	return arms
}

// loadedServers are the bare servers of g and its function in each isolation, all
// of them, sandboxes included, on one half of the processors; the client has the
// other. The function may have as many instances as there are processors for it.
func (s *setting) loadedServers(ctx context.Context, g language) ([]loaded, error) {
	half, err := s.confine()
	if err != nil {
		return nil, err
	}
	bare, err := s.bareServers(ctx, g, half.start)
	if err != nil {
		return nil, err
	}
	var all []loaded
	for i, t := range bare {
		all = append(all, loaded{g.servers[i].name, t, func() (time.Duration, error) { return bench.ProcessCPU(t.process.cmd.Process.Pid) }})
	}
	// A daemon for each function: its processor time is that of one.
	for _, a := range loadArms(g) {
		d, err := s.daemonBy(ctx, half.start, false)
		if err != nil {
			return nil, err
		}
		t, err := d.deploy(ctx, g, a.isolation, func(cfg *cove.Config) {
			cfg.Scaling = reactive()
			cfg.Scaling.Max, cfg.Scaling.Queue, cfg.Scaling.Concurrency = half.each, 10_000, a.concurrency
			cfg.QueueTimeout, cfg.Handler = cove.Duration(patience), a.handler
		})
		if err != nil {
			return nil, err
		}
		all = append(all, loaded{a.name, t, d.cpu})
	}
	for _, l := range all { // All instances there are to be, and everything warm.
		if load := bench.ClosedLoop(ctx, l.target.call, callers, time.Second); load.Failed > 0 {
			return nil, fmt.Errorf("%s: %s", l.name, load.Error)
		}
		if l.target.daemon == nil {
			continue
		}
		// A container is the child of another daemon.
		pids, err := l.target.daemon.processes()
		if err != nil {
			return nil, err
		}
		for _, pid := range pids {
			if err := pin(pid, &half.servers); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// cpu is the processor time of the daemon and of everything in its sandboxes.
func (d *daemon) cpu() (time.Duration, error) {
	own, err := bench.ProcessCPU(d.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	dir, err := d.groups()
	if err != nil {
		return 0, err
	}
	group, err := bench.GroupCPU(dir)
	return own + group, err
}

// throughput compares how many calls per second there are at most when everything
// on the servers' side has the same processors, and what one second of processor
// time is good for.
func throughput(ctx context.Context, s *setting) ([]row, error) {
	var rows []row
	for _, g := range s.languages {
		mark := s.mark()
		found, err := s.peaks(ctx, g)
		if err = errors.Join(err, s.release(mark)); err != nil {
			return rows, fmt.Errorf("%s: %w", g.label(), err)
		}
		least, aim := 1.0, 2.0
		if g.Language != "python" {
			least, aim = 0.7, 1
		}
		for _, arm := range loadArms(g) {
			for _, server := range g.servers {
				name := arm.label + " / " + server.name
				rows = append(rows,
					found.row("warm throughput, the same processors for all on the server's side: "+name, server.name, arm.name, perSecond, least, aim),
					found.row("the same, calls per second of processor time used: "+name, server.name, arm.name, perCPU, 0, 0),
				)
			}
		}
	}
	return rows, nil
}

// peak is one closed loop on one server.
type peak struct{ perSecond, perCPU float64 }

func perSecond(p peak) float64 { return p.perSecond }
func perCPU(p peak) float64    { return p.perCPU }

// peaks are the closed loops on every server, in turns.
type peaks map[string][]peak

func (s *setting) peaks(ctx context.Context, g language) (peaks, error) {
	servers, err := s.loadedServers(ctx, g)
	if err != nil {
		return nil, err
	}
	if err := s.profiles(ctx, g, servers); err != nil {
		return nil, err
	}
	found := peaks{}
	var arms []bench.Arm
	servers = append(servers, loaded{again(servers[0].name), servers[0].target, servers[0].cpu})
	for _, l := range servers {
		arms = append(arms, bench.Arm{Name: l.name, Sample: func(ctx context.Context) (bench.Sample, error) {
			before, err := l.cpu()
			if err != nil {
				return bench.Sample{}, err
			}
			load := bench.ClosedLoop(ctx, l.target.call, callers, pick(s, time.Second, 2500*time.Millisecond))
			after, err := l.cpu()
			if err == nil && load.Failed > 0 {
				err = fmt.Errorf("%d of %d calls failed: %s", load.Failed, load.Calls, load.Error)
			}
			if err != nil {
				return bench.Sample{}, err
			}
			found[l.name] = append(found[l.name], peak{load.PerSecond, float64(load.Calls) / (after - before).Seconds()})
			return bench.Sample{Took: load.Elapsed}, nil
		}})
	}
	c, err := interleave(ctx, arms, bench.Rounds{N: pick(s, 5, 20)})
	for _, series := range c {
		if err == nil && series.Failed > 0 {
			err = fmt.Errorf("%s: %s", series.Arm, series.Error)
		}
	}
	return found, err
}

// row compares a figure of two servers, loop by loop.
func (p peaks) row(name, baseline, cove string, pickFigure func(peak) float64, least, aim float64) row {
	// The bootstrap is of durations: the time that each call took of the resource.
	times := func(arm string) (d []time.Duration) {
		for _, x := range p[arm] {
			d = append(d, time.Duration(float64(time.Second)/pickFigure(x)))
		}
		return d
	}
	a, b := times(cove), times(baseline)
	rate := func(d []time.Duration) string { return fmt.Sprintf("%.0f/s", 1/bench.Quantile(d, 0.5).Seconds()) }
	r := row{Name: name, Baseline: rate(b), Cove: rate(a), Least: least, Aim: aim, More: true, N: len(a)}
	// A ratio of rates is that of times, upside down.
	r.Ratio = bench.Ratio(b, a, 0.5, seed)
	if other, ok := p[again(baseline)]; ok && len(other) > 0 {
		n := bench.Ratio(times(again(baseline)), b, 0.5, seed)
		r.Noise = bench.Noise{Ratio: n, Floor: max(n.High-1, 1-n.Low)}
	}
	return r
}

// tail compares the p99 of each server at 70 % of its own peak: what a caller
// sees who comes whether or not the server keeps up.
//
// It is the median of the p99 of many short slices. The calls of all slices taken
// together have one p99 as well, but the hundredth of them that are slowest come
// from the few slices in which something held up the whole machine, whichever
// server had its turn then.
func tail(ctx context.Context, s *setting) ([]row, error) {
	var rows []row
	for _, g := range s.languages {
		mark := s.mark()
		found, err := s.tails(ctx, g)
		if err = errors.Join(err, s.release(mark)); err != nil {
			return rows, fmt.Errorf("%s: %w", g.label(), err)
		}
		for _, arm := range loadArms(g) {
			for _, server := range g.servers {
				name := arm.label + " / " + server.name
				rows = append(rows,
					found.row("p99 at 70 % of its own peak: "+name, server.name, arm.name),
					found.sent.row(want{name: "the same, from when a call is sent: " + name, baseline: server.name, cove: arm.name, q: 0.5}),
				)
			}
		}
	}
	return rows, nil
}

// tails are the slices of every server under 70 % of its peak.
type tails struct {
	// p99s are of the time from when a call is due, sent of that from when it is
	// sent: a stall of the client, or of the whole machine, delays many that are due,
	// and of those that have been sent as many as there are connections.
	p99s, sent comparison
	// rates are the calls per second that were offered, and medians of the slices'
	// medians those.
	rates   map[string]float64
	medians map[string][]time.Duration
}

// backlog is the median latency from which a server had more to do than it could:
// its latencies then say how long the load went on, and not how quick it is.
const backlog = 5 * time.Millisecond

// row compares two servers. Where one did not keep up with what should have been
// 70 % of its peak there is no ratio: another program took its processors.
func (t *tails) row(name, baseline, cove string) row {
	r := t.p99s.row(want{
		name: name, baseline: baseline, cove: cove, q: 0.5, least: 1.5, aim: 1.1,
		note: fmt.Sprintf("offered were %.0f/s to Cove and %.0f/s to %s", t.rates[cove], t.rates[baseline], baseline),
	})
	for _, server := range []string{baseline, cove} {
		if median := bench.Quantile(t.medians[server], 0.5); median > backlog {
			r.Missing = join(r.Missing, fmt.Sprintf("%s did not keep up (its median was %s): measure on a quiet machine", server, short(median)))
		}
	}
	return r
}

// enough is the time in which there are enough calls for a p99, with some to spare
// as they come at random.
func enough(rate float64) time.Duration {
	return time.Duration(1.2 * bench.MinP99 / rate * float64(time.Second))
}

// tails finds every server's peak and then loads each at 70 % of it, in turns, over
// as many connections: given a thousand after a moment's stall, a server with a
// thread for each would be at work on its threads from then on.
func (s *setting) tails(ctx context.Context, g language) (*tails, error) {
	servers, err := s.loadedServers(ctx, g)
	if err != nil {
		return nil, err
	}
	t := &tails{rates: map[string]float64{}, medians: map[string][]time.Duration{}, sent: comparison{}}
	for range 2 {
		for _, l := range servers {
			load := bench.ClosedLoop(ctx, l.target.call, callers, pick(s, time.Second, 2500*time.Millisecond))
			t.rates[l.name] = max(t.rates[l.name], 0.7*load.PerSecond)
		}
	}
	servers = append(servers, loaded{again(servers[0].name), servers[0].target, nil})
	t.rates[again(servers[0].name)] = t.rates[servers[0].name]
	var arms []bench.Arm
	turn := uint64(0)
	for _, l := range servers {
		rate := t.rates[l.name]
		arms = append(arms, bench.Arm{Name: l.name, Sample: func(ctx context.Context) (bench.Sample, error) {
			turn++
			sent := stopwatches{call: l.target.call}
			load := bench.OpenLoop(ctx, sent.time, bench.Open{
				Rate: rate, For: max(pick(s, 500*time.Millisecond, time.Second), enough(rate)), InFlight: callers, Seed: seed + turn,
			})
			if load.Failed > 0 {
				return bench.Sample{}, fmt.Errorf("%d of %d calls failed: %s", load.Failed, load.Calls, load.Error)
			}
			t.medians[l.name] = append(t.medians[l.name], load.Latency.P50)
			series := t.sent[l.name]
			series.Arm, series.Samples = l.name, append(series.Samples, bench.Sample{Took: bench.Quantile(sent.took, 0.99)})
			t.sent[l.name] = series
			return bench.Sample{Took: bench.Quantile(load.Took, 0.99)}, nil
		}})
	}
	t.p99s, err = interleave(ctx, arms, bench.Rounds{N: pick(s, 12, 50)})
	return t, err
}

// stopwatches time calls that go on at once.
type stopwatches struct {
	call bench.Call
	mu   sync.Mutex
	took []time.Duration
}

func (s *stopwatches) time(ctx context.Context) error {
	began := time.Now()
	err := s.call(ctx)
	took := time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, took)
	return err
}
