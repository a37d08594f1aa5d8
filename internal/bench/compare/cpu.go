package compare

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
)

const (
	// restTime is how long the machine is watched while nothing is asked of it.
	restTime = 250 * time.Millisecond
	// startsInBlock and callsInBlock are what one reading of the processor time is
	// divided by: the kernel counts in hundredths of a second.
	startsInBlock = 4
	callsInBlock  = 500
	// busyRest is how many processors may be busy with other things until the
	// report says that it is not exact.
	busyRest = 0.1
	// mostFailures is after how many blocks that failed a place is given up.
	mostFailures = 3
)

// cpuPlace collects the blocks of one subject in one isolation.
type cpuPlace struct {
	subject       *subject
	isolation     string
	class         cove.StartClass
	starts, calls []float64
	// rest is how many processors were busy at most while nothing was asked of the
	// machine.
	rest float64
	// failed counts the blocks that were broken off, for the reason err.
	failed int
	err    error
}

// measureCPU measures the processor time of starts and of calls, in blocks that
// take turns over subjects and isolations, and then that of what waits.
func (r *run) measureCPU(ctx context.Context, budget time.Duration, tell func(float64)) ([]bench.Floor, error) {
	watch := watchTime(budget)
	blocks := max(budget-watch-restBefore, budget/2)
	if err := r.cpuBlocks(ctx, blocks, func(part float64) { tell(part * float64(blocks) / float64(budget)) }); err != nil {
		return nil, err
	}
	if err := r.measureWaiting(ctx, watch); err != nil {
		return nil, fmt.Errorf("the processor time of what waits: %w", err)
	}
	return nil, nil
}

// cpuBlocks measures starts and calls.
func (r *run) cpuBlocks(ctx context.Context, budget time.Duration, tell func(float64)) error {
	var places []*cpuPlace
	for _, s := range r.wholes() {
		for _, isolation := range r.isolations {
			places = append(places, &cpuPlace{subject: s, isolation: isolation, class: r.usualStart(s, isolation)})
		}
	}
	began := time.Now()
	order := rand.New(rand.NewPCG(r.o.Seed, 4))
	for round := 0; round == 0 || time.Since(began) < budget; round++ {
		for _, i := range order.Perm(len(places)) {
			if round > 0 && time.Since(began) >= budget {
				break // Each has a block.
			}
			if p := places[i]; p.failed < mostFailures {
				if err := r.cpuBlock(ctx, p); err != nil {
					p.failed, p.err = p.failed+1, err
				}
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			tell(min(1, float64(time.Since(began))/float64(budget)))
		}
	}
	rest := 0.0
	for _, p := range places {
		rest = max(rest, p.rest)
		if p.err != nil {
			r.remark("processor time of %s in %s: %d blocks failed: %v", p.subject.label(), p.isolation, p.failed, p.err)
		}
		if len(p.calls) == 0 {
			continue
		}
		row := bench.CPURow{
			Subject: p.subject.name, Runtime: p.subject.runtime.Name, Isolation: p.isolation, StartClass: p.class, Blocks: len(p.calls),
		}
		row.PerStartLow, row.PerStart, row.PerStartHigh = spread(p.starts)
		row.CallsLow, row.PerThousand, row.CallsHigh = spread(p.calls)
		r.report.CPU = append(r.report.CPU, row)
	}
	if rest > busyRest {
		r.remark("up to %.1f processors were busy with nothing that can be told apart while processor time was measured: it is not exact", rest)
	}
	return nil
}

// usualStart is the class of a subject's starts that are no thaw: stem where the
// starts measured before were, otherwise cold.
func (r *run) usualStart(s *subject, isolation string) cove.StartClass {
	for _, row := range r.report.Starts {
		if row.Subject == s.name && row.Runtime == s.runtime.Name && row.Isolation == isolation && row.Class == cove.StartStem && row.Took.N > 0 {
			return cove.StartStem
		}
	}
	return cove.StartCold
}

// cpuBlock is one block of starts and one of calls.
func (r *run) cpuBlock(ctx context.Context, p *cpuPlace) error {
	at := place{p.subject, p.isolation, p.class}
	if err := r.awaitQuiet(ctx); err != nil {
		return err
	}
	m, err := newMeter(r.daemon.cmd.Process.Pid, r.daemon.data)
	if err == nil {
		err = m.begin()
	}
	if err != nil {
		return err
	}
	for range startsInBlock {
		if _, err := r.start(ctx, at, false); err != nil {
			return err
		}
	}
	// The stem cell that takes the last one's place, and the end of the instance,
	// are part of it.
	if err := r.recycle(ctx, p.subject.function(p.isolation, kindOf(p.class))); err != nil {
		return err
	}
	if err := r.awaitQuiet(ctx); err != nil {
		return err
	}
	used, err := m.used()
	if err != nil {
		return err
	}
	p.starts, p.rest = append(p.starts, used/startsInBlock), max(p.rest, m.rest)
	return r.cpuCalls(ctx, p)
}

// cpuCalls is a block of calls of a warm instance.
func (r *run) cpuCalls(ctx context.Context, p *cpuPlace) error {
	function := p.subject.function(p.isolation, kindPlain)
	call := r.gatewayCall(p.subject, function)
	if err := call(ctx); err != nil { // There is an instance now.
		return fmt.Errorf("a call before the block: %w", err)
	}
	began := time.Now()
	if err := call(ctx); err != nil {
		return fmt.Errorf("a call before the block: %w", err)
	}
	took := time.Since(began)
	if err := r.awaitQuiet(ctx); err != nil {
		return err
	}
	// A slow function has fewer calls in a block.
	n := max(1, min(callsInBlock, int(5*time.Second/max(took, time.Microsecond))))
	m, err := newMeter(r.daemon.cmd.Process.Pid, r.daemon.data)
	if err == nil {
		err = m.begin()
	}
	if err != nil {
		return err
	}
	for range n {
		if err := call(ctx); err != nil {
			return err
		}
	}
	used, err := m.used()
	if err != nil {
		return err
	}
	p.calls, p.rest = append(p.calls, used*1000/float64(n)), max(p.rest, m.rest)
	return nil
}

// quietWait bounds the wait until the daemon has nothing to do.
const quietWait = 20 * time.Second

// awaitQuiet waits until the daemon makes no stem cell any more, and has had time
// to end what is to end.
func (r *run) awaitQuiet(ctx context.Context) error {
	quiet := 0
	err := until(ctx, quietWait, func() (bool, error) {
		all, err := r.daemon.client.Stems(ctx)
		quiet++
		for _, s := range all {
			if s.Starting > 0 {
				quiet = 0
			}
		}
		// Between two of them there is a moment without any.
		return quiet >= 10, err
	}, "stem cells were still being made")
	time.Sleep(restTime)
	return err
}

// spread is the least, the median and the largest of values.
func spread(values []float64) (low, median, high float64) {
	if len(values) == 0 {
		return 0, 0, 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[0], sorted[(len(sorted)-1)/2], sorted[len(sorted)-1]
}
