//go:build soak

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/bench"
)

const (
	// soakShare is the part of the measured peak that is offered.
	soakShare = 0.9
	// soakCallers find the peak.
	soakCallers = 16
	// soakSlower is by how much the p99 of the healthy functions may be above what
	// it is while nothing else happens.
	soakSlower = 2
	// soakRefused is the part of the healthy functions' requests that may be
	// refused: the peak is an average, and for a moment there may be more.
	soakRefused = 0.001
)

// The roles of the soak's 50 functions.
const (
	soakHealthy = 26 // answer what they are sent
	soakChurn   = 8  // are deployed anew all the time
	soakPassing = 4  // are deleted and made again
	soakTrouble = 8  // time out, crash, raise
	soakHungry  = 4  // run out of memory
)

// Ten minutes (SOAK) at 90 % of what the machine can do, with 50 functions on both
// isolations in both languages, of which some are deployed, deleted, recycled, time
// out and crash meanwhile: no answer is wrong, nothing is leaked, memory does not
// grow, and the healthy functions hardly notice.
//
// Slices with and without trouble alternate, so that what else the machine does
// is in both alike. SOAK_RATE sets the requests per second instead of a measurement.
func TestSoak(t *testing.T) {
	total := soakTime(t)
	h := start(t, options{Plain: true, Args: []string{"--log-level", "warn"}})
	newSoak(t, h).rehearse(t) // What is made once and kept is made first.
	before := h.holdings(t)

	s := newSoak(t, h)
	s.report.watch(t, h)
	s.deploy(t)
	rate := s.rate(t)
	t.Logf("%.0f requests a second for %s, %s", rate, total, loadAverage())
	s.run(t, rate, total)
	s.report.stop()
	s.remove(t)
	var after holdings
	eventually(t, 30*time.Second, func() string {
		after = h.holdings(t)
		return after.more(before)
	})
	s.report.judge(t)
}

func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAK")
	if text == "" {
		return 10 * time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 20*time.Second {
		t.Fatalf("SOAK is %q: write a time of at least 20s, such as 2m", text)
	}
	return d
}

// soak is the functions and what became of their calls.
type soak struct {
	h      *harness
	report *soakReport
	code   map[string]files // of those that make trouble, by language

	healthy, trouble, hungry []cove.Config

	churn   []*churning
	passing []*passing
	calls   atomic.Int64
}

func newSoak(t *testing.T, h *harness) *soak {
	s := &soak{h: h, report: newSoakReport(), code: map[string]files{"python": matrixCode(t, "python"), "node": matrixCode(t, "node")}}
	n := 0
	next := func(role string) (cove.Config, string) {
		language := []string{"python", "node"}[n%2]
		cfg := function(fmt.Sprintf("%s-%02d", role, n), language, isolations[n/2%2])
		cfg.Scaling.Max = 3
		cfg.Scaling.Pause = cove.Duration(2 * time.Second)
		n++
		return cfg, language
	}
	for i := range soakHealthy {
		cfg, _ := next("healthy")
		if i%8 >= 6 {
			cfg.Scaling.Concurrency = 3
		}
		s.healthy = append(s.healthy, cfg)
	}
	for range soakChurn {
		cfg, language := next("churn")
		s.churn = append(s.churn, &churning{cfg: cfg, language: language})
	}
	for range soakPassing {
		cfg, language := next("passing")
		s.passing = append(s.passing, &passing{cfg: cfg, language: language})
	}
	for range soakTrouble {
		cfg, _ := next("trouble")
		cfg.Timeout = cove.Duration(2 * time.Second)
		cfg.Tmp = 16 * cove.MiB
		s.trouble = append(s.trouble, cfg)
	}
	for range soakHungry {
		cfg, _ := next("hungry")
		longer(&cfg) // How long filling the memory takes is a matter of the processors.
		cfg.Tmp = 16 * cove.MiB
		s.hungry = append(s.hungry, cfg)
	}
	return s
}

// deploy makes all functions and calls each once.
func (s *soak) deploy(t *testing.T) {
	ctx := t.Context()
	for _, cfg := range s.healthy {
		s.h.put(t, cfg, echo(cfg.Runtime, cfg.Name))
	}
	for _, cfg := range slices.Concat(s.trouble, s.hungry) {
		s.h.put(t, cfg, s.code[cfg.Runtime])
	}
	for _, c := range s.churn {
		s.must(t, c.deploy(ctx, s.h))
	}
	for _, p := range s.passing {
		s.must(t, p.make(ctx, s.h))
	}
	for i := range s.healthy {
		s.must(t, s.callHealthy(ctx, i))
	}
	for _, cfg := range slices.Concat(s.trouble, s.hungry) {
		s.must(t, s.makeTrouble(ctx, cfg.Name, "ok"))
	}
}

// must is for what happens before anything can disturb it.
func (s *soak) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *soak) remove(t *testing.T) {
	t.Helper()
	for _, cfg := range slices.Concat(s.healthy, s.trouble, s.hungry) {
		s.h.remove(t, cfg.Name)
	}
	for _, c := range s.churn {
		s.h.remove(t, c.cfg.Name)
	}
	for _, p := range s.passing {
		if p.there {
			s.h.remove(t, p.cfg.Name)
		}
	}
	eventually(t, 60*time.Second, func() string { return strings.Join(s.h.census(t).all(), "\n") })
	s.h.HTTP.CloseIdleConnections()
}

// rehearse does everything once.
func (s *soak) rehearse(t *testing.T) {
	s.deploy(t)
	for _, c := range s.chores() {
		s.must(t, c.do(t.Context()))
	}
	for range 500 {
		s.must(t, s.call(t.Context()))
	}
	s.remove(t)
}

// rate is what is offered in requests per second.
func (s *soak) rate(t *testing.T) float64 {
	t.Helper()
	if text := os.Getenv("SOAK_RATE"); text != "" {
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil || rate <= 0 {
			t.Fatalf("SOAK_RATE is %q: write requests per second, such as 500", text)
		}
		return rate
	}
	stop := s.startChores(t.Context())
	defer stop()
	bench.ClosedLoop(t.Context(), s.call, soakCallers, 3*time.Second) // The instances come.
	peak := bench.ClosedLoop(t.Context(), s.call, soakCallers, 10*time.Second)
	t.Logf("the peak is %.0f requests a second with the trouble that there will be", peak.PerSecond)
	return soakShare * peak.PerSecond
}

// run offers the load, in slices with and without trouble.
func (s *soak) run(t *testing.T, rate float64, total time.Duration) {
	cycle := min(time.Minute, total/4)
	for seed := uint64(1); total >= cycle; total -= cycle {
		for _, slice := range []struct {
			arm string
			d   time.Duration
		}{{"alone", cycle / 4}, {"troubled", cycle * 3 / 4}} {
			stop := func() {}
			if slice.arm == "troubled" {
				stop = s.startChores(t.Context())
			}
			s.report.begin(slice.arm)
			load := bench.OpenLoop(t.Context(), s.call, bench.Open{Rate: rate, For: slice.d, Seed: seed})
			s.report.end(slice.arm, load)
			stop()
			seed++
		}
	}
}

// call is one request to a healthy function, whichever comes next.
func (s *soak) call(ctx context.Context) error {
	return s.callHealthy(ctx, int(s.calls.Add(1))%len(s.healthy))
}

// errRefused is the end of a request that was refused, which is no wrong answer.
var errRefused = errors.New("refused")

func (s *soak) callHealthy(ctx context.Context, i int) error {
	name := s.healthy[i].Name
	body := name + " " + strconv.FormatUint(rand.Uint64(), 16)
	a, err := s.h.try(ctx, request{Method: http.MethodPost, Path: "/" + name, Body: body})
	switch {
	case err != nil:
		err = fmt.Errorf("%s: %w", name, err)
	case a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable:
		err = fmt.Errorf("%s: %w: %d %.200s", name, errRefused, a.Status, a.Body)
	case a.Status != http.StatusOK || a.Body != body || a.Header.Get("X-Mark") != name:
		err = fmt.Errorf("%s: sent %q, got %d %.300q by %q", name, body, a.Status, a.Body, a.Header.Get("X-Mark"))
	}
	s.report.call(a.Took, err)
	return err
}

// churning is a function that is deployed anew all the time. Version n answers n.
type churning struct {
	cfg      cove.Config
	language string
	mu       sync.Mutex // held while it is deployed
	// begun is the newest version that may answer, confirmed the oldest.
	begun, confirmed atomic.Int64
}

func (c *churning) deploy(ctx context.Context, h *harness) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.begun.Add(1)
	if _, err := h.upload(ctx, c.cfg, constant(c.language, int(n))); err != nil {
		return fmt.Errorf("deploy version %d of %s: %w", n, c.cfg.Name, err)
	}
	c.confirmed.Store(n)
	return nil
}

func (c *churning) call(ctx context.Context, h *harness) error {
	oldest := c.confirmed.Load()
	a, err := h.try(ctx, request{Path: c.cfg.Route})
	if err != nil {
		return fmt.Errorf("%s: %w", c.cfg.Name, err)
	}
	n, err := strconv.ParseInt(a.Body, 10, 64)
	if newest := c.begun.Load(); a.Status != http.StatusOK || err != nil || n < oldest || n > newest {
		return fmt.Errorf("%s: got %d %.300q of versions %d to %d", c.cfg.Name, a.Status, a.Body, oldest, newest)
	}
	return nil
}

// passing is a function that comes and goes.
type passing struct {
	cfg      cove.Config
	language string
	mu       sync.Mutex // held while it is made or deleted
	there    bool
	// change is odd while it is made or deleted.
	change atomic.Int64
}

func (p *passing) make(ctx context.Context, h *harness) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change.Add(1)
	defer p.change.Add(1)
	if _, err := h.Client.Create(ctx, p.cfg, echo(p.language, p.cfg.Name).archive()); err != nil {
		return fmt.Errorf("make %s: %w", p.cfg.Name, err)
	}
	p.there = true
	return nil
}

func (p *passing) remove(ctx context.Context, h *harness) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change.Add(1)
	defer p.change.Add(1)
	if err := h.Client.Delete(ctx, p.cfg.Name, 0); err != nil {
		return fmt.Errorf("delete %s: %w", p.cfg.Name, err)
	}
	p.there = false
	return nil
}

// turn deletes what is there, calls it meanwhile, and makes it again.
func (p *passing) turn(ctx context.Context, h *harness) error {
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		wg.Go(func() { errs[i] = p.call(ctx, h) })
	}
	err := p.remove(ctx, h)
	gone := p.call(ctx, h)
	wg.Wait()
	return errors.Join(err, gone, p.make(ctx, h), p.call(ctx, h), errors.Join(errs...))
}

func (p *passing) call(ctx context.Context, h *harness) error {
	before := p.change.Load()
	a, err := h.try(ctx, request{Method: http.MethodPost, Path: p.cfg.Route, Body: "x"})
	if err != nil {
		return fmt.Errorf("%s: %w", p.cfg.Name, err)
	}
	answered := a.Status == http.StatusOK && a.Body == "x" && a.Header.Get("X-Mark") == p.cfg.Name
	missing := a.Status == http.StatusNotFound
	settled := before%2 == 0 && p.change.Load() == before
	// It is made, deleted, made: there when a multiple of four and two is done.
	if there := before%4 == 2; answered && (!settled || there) || missing && (!settled || !there) {
		return nil
	}
	return fmt.Errorf("%s (change %d): got %d %.300q", p.cfg.Name, before, a.Status, a.Body)
}

// makeTrouble lets a function end badly and then well.
func (s *soak) makeTrouble(ctx context.Context, name, do string) error {
	want := map[string]cove.Code{
		"ok": "", "sleep": cove.CodeTimeout, "exit_hard": cove.CodeRuntimeExited, "memory_fast": cove.CodeOutOfMemory, "none": cove.CodeFunctionError,
	}
	for _, do := range []string{do, "ok"} {
		r, err := s.h.Client.Invoke(ctx, name, fmt.Appendf(nil, `{"pathParameters":{"do":%q}}`, do))
		if code := cove.CodeOf(err); code == cove.CodeOverloaded || code == cove.CodeQueueFull {
			return fmt.Errorf("%s %s: %w: %w", name, do, errRefused, err)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", name, do, err)
		}
		got := cove.Code(r.Outcome)
		if got == cove.OutcomeOK {
			got = ""
		}
		if got != want[do] {
			return fmt.Errorf("%s %s: the outcome is %q: %s %+v", name, do, r.Outcome, r.Answer, r.Error)
		}
	}
	return nil
}

// chore is something that happens again and again beside the load.
type chore struct {
	name  string
	every time.Duration
	do    func(ctx context.Context) error
}

func (s *soak) chores() []chore {
	var n atomic.Int64
	turn := func(of int) int { return int(n.Add(1)) % of }
	trouble := func(name, do string, of []cove.Config, every time.Duration) chore {
		return chore{name, every, func(ctx context.Context) error { return s.makeTrouble(ctx, of[turn(len(of))].Name, do) }}
	}
	return []chore{
		trouble("timeouts", "sleep", s.trouble, 2*time.Second),
		trouble("exits", "exit_hard", s.trouble, 2*time.Second),
		trouble("out of memory", "memory_fast", s.hungry, 4*time.Second),
		trouble("exceptions", "none", s.trouble, 200*time.Millisecond),
		{"deploys", 2 * time.Second, func(ctx context.Context) error { return s.churn[turn(len(s.churn))].deploy(ctx, s.h) }},
		{"calls of the deployed", 20 * time.Millisecond, func(ctx context.Context) error { return s.churn[turn(len(s.churn))].call(ctx, s.h) }},
		{"deletes", 4 * time.Second, func(ctx context.Context) error { return s.passing[0].turn(ctx, s.h) }},
		{"deletes", 4 * time.Second, func(ctx context.Context) error { return s.passing[1+turn(len(s.passing)-1)].turn(ctx, s.h) }},
		{"recycles", 4 * time.Second, func(ctx context.Context) error {
			_, err := s.h.Client.Recycle(ctx, s.healthy[turn(len(s.healthy))].Name, wire.Recycle{})
			return err
		}},
		{"warm-ups", 4 * time.Second, func(ctx context.Context) error {
			_, err := s.h.Client.Warm(ctx, s.healthy[turn(len(s.healthy))].Name, wire.Warm{Instances: 2})
			return err
		}},
	}
}

// startChores does the chores until stop is called, which waits for those under
// way.
func (s *soak) startChores(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, c := range s.chores() {
		wg.Go(func() {
			for {
				select {
				case <-time.After(c.every/2 + rand.N(c.every)):
				case <-done:
					return
				}
				bounded, cancel := context.WithTimeout(ctx, requestTime)
				s.report.chore(c.name, c.do(bounded))
				cancel()
			}
		})
	}
	return func() { close(done); wg.Wait() }
}
