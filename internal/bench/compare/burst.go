package compare

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/bench"
)

// burstPlace collects what one subject's bursts in one isolation gave.
type burstPlace struct {
	subject     *subject
	isolation   string
	first, last []time.Duration
	failed      int
	err         string
	// instances is how many there were right after the last burst.
	instances int
	// held is the PSS of each instance that the memory was measured of, in bytes.
	held []float64
}

// measureBursts measures how long it takes until the first and the last of many
// first calls at once is answered, and then what the instances that the burst has
// left hold in memory.
func (r *run) measureBursts(ctx context.Context, budget time.Duration, tell func(float64)) ([]bench.Floor, error) {
	var places []*burstPlace
	var arms []bench.Arm
	for _, s := range r.wholes() {
		for _, isolation := range r.isolations {
			p := &burstPlace{subject: s, isolation: isolation}
			places = append(places, p)
			arms = append(arms, bench.Arm{Name: s.label() + " " + isolation, Sample: func(ctx context.Context) (bench.Sample, error) {
				return r.burst(ctx, p)
			}})
		}
	}
	// What follows the last round is worth a part of the time.
	series, err := bench.Interleave(ctx, arms, bench.Rounds{Budget: budget * 3 / 4, N: 50, Seed: r.o.Seed, Progress: func(part float64) { tell(part * 0.75) }})
	if ctx.Err() != nil {
		return nil, err
	}
	var first *burstPlace
	for i, p := range places {
		if p.isolation == r.isolations[0] {
			first = p
		}
		row := r.burstRow(p, first)
		if series[i].Error != "" && row.Error == "" {
			row.Counted = series[i].Counted()
		}
		if err := r.measureMemory(ctx, p); err != nil {
			r.remark("memory of %s in %s: %v", p.subject.label(), p.isolation, err)
		}
		r.report.Bursts = append(r.report.Bursts, row)
		tell(0.75 + 0.25*float64(i+1)/float64(len(places)))
	}
	return nil, r.bareMemory(ctx, places)
}

// burstRow sums up the bursts of one place, beside those of the same subject in the
// first isolation.
func (r *run) burstRow(p, first *burstPlace) bench.BurstRow {
	row := bench.BurstRow{
		Subject: p.subject.name, Runtime: p.subject.runtime.Name, Isolation: p.isolation, Calls: burstCalls,
		First: bench.Summarise(p.first), Last: bench.Summarise(p.last), Instances: p.instances,
		Counted: bench.Counted{Failed: p.failed, Error: p.err},
	}
	if p != first {
		row.FirstRatio = bench.Ratio(p.first, first.first, 0.5, r.o.Seed)
		row.LastRatio = bench.Ratio(p.last, first.last, 0.5, r.o.Seed)
	}
	return row
}

// burst is one: all calls are sent at once, from goroutines that wait for the
// same moment, when there is a stem cell for them as there mostly is. A burst of
// which a call failed has no times.
func (r *run) burst(ctx context.Context, p *burstPlace) (bench.Sample, error) {
	function := p.subject.function(p.isolation, kindBurst)
	if err := r.recycle(ctx, function); err != nil {
		return bench.Sample{}, err
	}
	if err := r.awaitStem(ctx, function); err != nil && !errors.Is(err, errNoStems) {
		return bench.Sample{}, err
	}
	call := r.gatewayCall(p.subject, function)
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	start := make(chan struct{})
	var began time.Time
	var wg sync.WaitGroup
	for range burstCalls {
		wg.Go(func() {
			<-start
			err := call(ctx)
			d := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, d)
			if err != nil {
				p.failed++
				failed = err
			}
		})
	}
	began = time.Now()
	close(start)
	wg.Wait()
	if left, err := r.daemon.client.Instances(ctx, client.InstanceQuery{Function: function}); err == nil {
		p.instances = len(left)
	}
	if failed != nil {
		if p.err == "" {
			p.err = failed.Error()
		}
		return bench.Sample{}, fmt.Errorf("a call of the burst: %w", failed)
	}
	p.first, p.last = append(p.first, slices.Min(took)), append(p.last, slices.Max(took))
	return bench.Sample{Took: slices.Max(took)}, nil
}

const (
	// settle is how long instances are left alone before their memory is read.
	settle = 500 * time.Millisecond
	// together is how many instances, or bare processes, are measured at once: as many
	// as a ratio's interval needs.
	together = bench.MinRatio
)

// measureMemory reads what the instances hold that the last burst has left, or some
// more, and ends them.
func (r *run) measureMemory(ctx context.Context, p *burstPlace) error {
	function := p.subject.function(p.isolation, kindBurst)
	// As many as there are bare processes at least: what instances share is divided
	// among them.
	if _, err := r.daemon.client.Warm(ctx, function, wire.Warm{Instances: together}); err != nil {
		return err
	}
	time.Sleep(settle)
	all, err := r.daemon.client.Instances(ctx, client.InstanceQuery{Function: function, Measure: true})
	if err != nil {
		return err
	}
	row := bench.MemoryRow{Subject: p.subject.name, Runtime: p.subject.runtime.Name, Isolation: p.isolation}
	if p.held = holdings(&row, all); row.Instances == 0 {
		return fmt.Errorf("the daemon told the memory of none of %d instances", len(all))
	}
	r.report.Memory = append(r.report.Memory, row)
	return r.recycle(ctx, function)
}

// holdings sums up in row what the instances hold that are not busy and whose memory
// is known, and what is reserved for them. It returns the PSS of each in bytes.
func holdings(row *bench.MemoryRow, all []wire.Instance) (held []float64) {
	var pss, reserved cove.ByteSize
	processes := 0
	for _, i := range all {
		if i.State == wire.InstanceBusy || i.Measured == nil || i.Measured.PSS <= 0 {
			continue
		}
		held = append(held, float64(i.Measured.PSS))
		pss, reserved, processes = pss+i.Measured.PSS, reserved+i.Reserved, processes+i.Measured.Processes
	}
	if row.Instances = len(held); row.Instances == 0 {
		return nil
	}
	n := cove.ByteSize(row.Instances)
	row.PSS, row.PerGiB, row.Processes = pss/n, perGiB(pss/n), float64(processes)/float64(n)
	row.Reserved, row.ReservedPerGiB = reserved/n, perGiB(reserved/n)
	return held
}

// perGiB is how many of a size fit into a GiB; 0 of nothing.
func perGiB(size cove.ByteSize) float64 {
	if size <= 0 {
		return 0
	}
	return float64(cove.GiB) / float64(size)
}

// bareMemory measures idle bare processes, and tells the instances' memory as a
// multiple of theirs.
func (r *run) bareMemory(ctx context.Context, places []*burstPlace) error {
	for _, s := range r.wholes() {
		held, err := r.barePSS(ctx, s)
		if err != nil {
			return fmt.Errorf("the bare process of %s: %w", s.label(), err)
		}
		for _, p := range places {
			if m := r.memoryRow(s, p.isolation); p.subject == s && m != nil {
				ratio := bench.MeanRatio(p.held, held, r.o.Seed)
				m.Ratio, m.RatioLow, m.RatioHigh = ratio.Value, ratio.Low, ratio.High
			}
		}
		sum := 0.0
		for _, x := range held {
			sum += x
		}
		mean := cove.ByteSize(sum / float64(len(held)))
		r.report.Memory = append(r.report.Memory, bench.MemoryRow{
			Subject: s.name, Runtime: s.runtime.Name, Isolation: bench.Bare, PSS: mean, Instances: len(held), Processes: 1,
			PerGiB: perGiB(mean), Ratio: 1,
		})
	}
	return nil
}

// memoryRow is the row of a subject in an isolation, nil if there is none.
func (r *run) memoryRow(s *subject, isolation string) *bench.MemoryRow {
	for i := range r.report.Memory {
		if m := &r.report.Memory[i]; m.Subject == s.name && m.Runtime == s.runtime.Name && m.Isolation == isolation {
			return m
		}
	}
	return nil
}

// barePSS is what each of several idle bare processes holds, in bytes.
func (r *run) barePSS(ctx context.Context, s *subject) ([]float64, error) {
	var all []float64
	var running []*bare
	defer func() {
		for _, b := range running {
			_ = b.Close()
		}
	}()
	for range together {
		b, err := r.bare(ctx, s)
		if err != nil {
			return nil, err
		}
		running = append(running, b)
		if _, _, err := b.call(s.event); err != nil {
			return nil, err
		}
	}
	time.Sleep(settle)
	for _, b := range running {
		held, err := pss(b.cmd.Process.Pid)
		if err != nil {
			return nil, err
		}
		all = append(all, float64(held))
	}
	return all, nil
}
