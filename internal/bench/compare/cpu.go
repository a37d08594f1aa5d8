package compare

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
)

const (
	// restTime is how long the machine is watched while nothing is asked of it.
	restTime = 300 * time.Millisecond
	// startsInBlock and callsInBlock are what one reading of the processor time is
	// divided by: the kernel counts in hundredths of a second.
	startsInBlock = 4
	callsInBlock  = 500
	// busyRest is how many processors may be busy with other things until the
	// report says that it is not exact.
	busyRest = 0.1
)

// meter reads the processor time that everything on the machine uses, less what
// this program does and what the machine does anyway.
type meter struct {
	host bench.Host
	own  time.Duration
	rest float64
}

// begin watches the machine at rest, and begins to count.
func begin() (m *meter, err error) {
	m = &meter{}
	m.rest, err = m.watch()
	return m, err
}

// watch is how many processors are busy while nothing is asked of the machine.
func (m *meter) watch() (float64, error) {
	before, err := m.read()
	if err != nil {
		return 0, err
	}
	own := m.own
	time.Sleep(restTime)
	after, err := m.read()
	if err != nil {
		return 0, err
	}
	u := after.Since(before)
	return max(0, (u.Busy-(m.own-own)).Seconds()/u.Elapsed.Seconds()), nil
}

func (m *meter) read() (bench.Host, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return bench.Host{}, err
	}
	m.own = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	host, err := bench.HostNow()
	m.host = host
	return host, err
}

// used is what was used since begin, in CPU seconds. The machine is watched once
// more afterwards; what it does at rest is taken as the mean of the two.
func (m *meter) used() (float64, error) {
	before, own := m.host, m.own
	after, err := m.read()
	if err != nil {
		return 0, err
	}
	u, mine := after.Since(before), m.own-own
	later, err := m.watch()
	if err != nil {
		return 0, err
	}
	m.rest = (m.rest + later) / 2
	return max(0, (u.Busy-mine).Seconds()-m.rest*u.Elapsed.Seconds()), nil
}

// cpuPlace collects the blocks of one subject in one isolation.
type cpuPlace struct {
	subject       *subject
	isolation     string
	class         cove.StartClass
	starts, calls []float64
	// rest is how many processors were busy at most while nothing was asked of the
	// machine.
	rest float64
	err  error
}

// measureCPU measures the processor time of starts and of calls, in blocks that
// take turns over subjects and isolations.
func (r *run) measureCPU(ctx context.Context, budget time.Duration, tell func(float64)) (bench.Noise, error) {
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
			if p := places[i]; p.err == nil {
				p.err = r.cpuBlock(ctx, p)
			}
			if ctx.Err() != nil {
				return bench.Noise{}, context.Cause(ctx)
			}
		}
		tell(min(1, float64(time.Since(began))/float64(budget)))
	}
	rest := 0.0
	for _, p := range places {
		rest = max(rest, p.rest)
		if p.err != nil {
			r.remark("processor time of %s in %s: %v", p.subject.label(), p.isolation, p.err)
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
		r.remark("other programs kept up to %.1f processors busy while processor time was measured: it is not exact", rest)
	}
	return bench.Noise{}, nil
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
	m, err := begin()
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
	function := p.subject.function(p.isolation, kindCold)
	if p.class == cove.StartStem {
		function = p.subject.function(p.isolation, kindPlain)
		if err := r.awaitStem(ctx, function); err != nil {
			return err
		}
	}
	if err := r.recycle(ctx, function); err != nil {
		return err
	}
	time.Sleep(restTime)
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
	began := time.Now()
	if err := call(ctx); err != nil {
		return fmt.Errorf("a call before the block: %w", err)
	}
	if p.class == cove.StartStem {
		if err := r.awaitStem(ctx, function); err != nil {
			return err
		}
	}
	// A slow function has fewer calls in a block.
	n := max(1, min(callsInBlock, int(5*time.Second/max(time.Since(began), time.Microsecond))))
	m, err := begin()
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

// spread is the least, the median and the largest of values.
func spread(values []float64) (low, median, high float64) {
	if len(values) == 0 {
		return 0, 0, 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[0], sorted[(len(sorted)-1)/2], sorted[len(sorted)-1]
}
