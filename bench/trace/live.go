package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/covefn/cove/internal/scale/sim"
)

// liveOptions are the flags of the replay.
type liveOptions struct {
	api, gateway, token, isolation string
	functions                      int
	length, span, clip             time.Duration
	rate                           float64
	seed                           uint64
}

// arrival is one call of the replay: when, of which function, and for how long
// the handler sleeps.
type arrival struct {
	at       time.Duration
	function int
	sleep    time.Duration
}

// outcome is how long a call took in an arm, from the moment it was meant for.
type outcome struct {
	took [2]time.Duration
	err  [2]error
}

// liveReport is what a replay found.
type liveReport struct {
	Source      string  `json:"source"`
	Functions   int     `json:"functions"`
	Calls       int     `json:"calls"`
	Compression float64 `json:"compression"`
	// Slowdown is the geometric mean over the calls of Cove's time by that of the
	// process that is always on; OfFunctions that over the functions of each
	// function's own.
	Slowdown    float64 `json:"slowdown_geomean_calls"`
	OfFunctions float64 `json:"slowdown_geomean_functions"`
	// Worst is the slowest function's own.
	Worst float64            `json:"slowdown_worst_function"`
	Cove  map[string]float64 `json:"cove_ms"`
	Bare  map[string]float64 `json:"bare_ms"`
	// Failed are the calls that were not answered rightly, by arm.
	Failed map[string]int `json:"failed"`
}

// replay sends the calls of a part of the day to Cove and to processes that are
// always on, each call to both at the same moment.
func replay(ctx context.Context, o liveOptions, rows []function, out io.Writer) (*liveReport, error) {
	picked, calls := plan(o, rows)
	if len(calls) == 0 {
		return nil, errors.New("no function is called in that part of the day")
	}
	var undo []func()
	defer func() {
		for _, f := range slices.Backward(undo) {
			f()
		}
	}()
	bare, stop, err := startBare(ctx, len(picked))
	undo = append(undo, stop)
	if err != nil {
		return nil, err
	}
	deployed, remove, err := deploy(ctx, o, len(picked))
	undo = append(undo, remove)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "%d functions, %d calls in %s, %.0f times as fast as they came\n", len(picked), len(calls), o.length, o.span.Seconds()/o.length.Seconds())
	outcomes, err := send(ctx, calls, [2][]string{deployed, bare})
	if err != nil {
		return nil, err
	}
	r := assess(len(picked), calls, outcomes)
	r.Compression = o.span.Seconds() / o.length.Seconds()
	r.print(out, outcomes)
	return r, nil
}

// plan picks functions that are called in the middle of the day, from the rare
// ones to the frequent, and compresses what comes in o.span into o.length. Those
// that are called more often than their part of o.rate lose calls by chance.
func plan(o liveOptions, rows []function) (picked []sim.Function, calls []arrival) {
	random := rand.New(rand.NewPCG(o.seed, 3))
	span := int(o.span.Minutes())
	if len(rows) > 0 {
		span = min(span, len(rows[0].minutes))
	}
	total := func(f sim.Function) (n int) {
		begin := (len(f.Minutes) - span) / 2
		for _, c := range f.Minutes[begin : begin+span] {
			n += int(c)
		}
		return n
	}
	candidates := slices.DeleteFunc(modelled(rows, o.seed), func(f sim.Function) bool { return total(f) < 2 })
	slices.SortStableFunc(candidates, func(a, b sim.Function) int { return cmp.Compare(total(a), total(b)) })
	n := min(o.functions, len(candidates))
	most := o.rate * o.length.Seconds() / float64(max(1, n))
	for i := range n {
		f := candidates[(2*i+1)*len(candidates)/(2*n)]
		kept := min(1, most/float64(total(f)))
		begin := (len(f.Minutes) - span) / 2
		for m, c := range f.Minutes[begin : begin+span] {
			for range c {
				at := (float64(m) + random.Float64()) / float64(span)
				sleep := f.Run.Seconds() * math.Exp(0.5*random.NormFloat64())
				if random.Float64() < kept {
					calls = append(calls, arrival{
						at: time.Duration(at * float64(o.length)), function: i,
						sleep: min(o.clip, max(time.Millisecond, time.Duration(sleep*float64(time.Second)))),
					})
				}
			}
		}
		picked = append(picked, f)
	}
	slices.SortFunc(calls, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	return picked, calls
}

// send makes each call at its time, whatever became of those before.
func send(ctx context.Context, calls []arrival, arms [2][]string) ([]outcome, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute}
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	defer transport.CloseIdleConnections()
	outcomes := make([]outcome, len(calls))
	var wg sync.WaitGroup
	defer wg.Wait()
	begin := time.Now()
	for i, c := range calls {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(c.at - time.Since(begin)):
		}
		for arm, urls := range arms {
			wg.Go(func() {
				o := &outcomes[i]
				o.err[arm] = call(ctx, client, urls[c.function], c.sleep)
				o.took[arm] = time.Since(begin) - c.at
			})
		}
	}
	return outcomes, nil
}

// call makes one call and checks its answer.
func call(ctx context.Context, client *http.Client, url string, sleep time.Duration) error {
	text := strconv.FormatFloat(sleep.Seconds(), 'f', 4, 64)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/plain")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !bytes.Equal(body, []byte("slept "+text)) {
		return fmt.Errorf("status %d: %.200s", res.StatusCode, body)
	}
	return nil
}

// assess makes a report of what was measured. Calls that failed in an arm are
// counted and left out of the times.
func assess(functions int, calls []arrival, outcomes []outcome) *liveReport {
	r := &liveReport{Source: source, Functions: functions, Calls: len(calls), Failed: map[string]int{"cove": 0, "bare": 0}}
	logs := make([][]float64, functions)
	var all []float64
	var took [2][]float64
	for i, o := range outcomes {
		if o.err[0] != nil {
			r.Failed["cove"]++
		}
		if o.err[1] != nil {
			r.Failed["bare"]++
		}
		if o.err[0] != nil || o.err[1] != nil {
			continue
		}
		ratio := math.Log(o.took[0].Seconds() / o.took[1].Seconds())
		all = append(all, ratio)
		logs[calls[i].function] = append(logs[calls[i].function], ratio)
		for arm := range took {
			took[arm] = append(took[arm], o.took[arm].Seconds()*1e3)
		}
	}
	var each []float64
	for _, l := range logs {
		if len(l) > 0 {
			each = append(each, mean(l))
			r.Worst = max(r.Worst, math.Exp(mean(l)))
		}
	}
	r.Slowdown, r.OfFunctions = math.Exp(mean(all)), math.Exp(mean(each))
	r.Cove, r.Bare = quantiles(took[0]), quantiles(took[1])
	return r
}

func mean(x []float64) (sum float64) {
	for _, v := range x {
		sum += v / float64(len(x))
	}
	return sum
}

func quantiles(x []float64) map[string]float64 {
	slices.Sort(x)
	q := map[string]float64{}
	for name, at := range map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99} {
		if len(x) > 0 {
			q[name] = x[min(len(x)-1, int(at*float64(len(x))))]
		}
	}
	return q
}

func (r *liveReport) print(out io.Writer, outcomes []outcome) {
	for _, arm := range []struct {
		name string
		q    map[string]float64
	}{{"cove", r.Cove}, {"always on", r.Bare}} {
		fmt.Fprintf(out, "%-10s p50 %.1f ms, p90 %.1f ms, p99 %.1f ms\n", arm.name, arm.q["p50"], arm.q["p90"], arm.q["p99"])
	}
	fmt.Fprintf(out, "slowdown, geometric mean: %.3f over the calls, %.3f over the functions, %.3f the worst function\n", r.Slowdown, r.OfFunctions, r.Worst)
	for arm, name := range []string{"cove", "bare"} {
		if n := r.Failed[name]; n > 0 {
			i := slices.IndexFunc(outcomes, func(o outcome) bool { return o.err[arm] != nil })
			fmt.Fprintf(out, "%d calls failed (%s), the first: %v\n", n, name, outcomes[i].err[arm])
		}
	}
	fmt.Fprintf(out, "Data: %s.\n", source)
}
