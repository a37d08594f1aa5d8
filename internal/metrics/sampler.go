package metrics

import (
	"context"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// sampleInterval is how often instances and host are looked at.
const sampleInterval = 5 * time.Second

// Sample is what is seen at one moment.
type Sample struct {
	// Groups are the instances of each version.
	Groups []GroupSample
	// Stems are the stem cells that wait.
	Stems int
	// CPU and Memory are what all sandboxes use, HostCPU and HostMemory what the
	// whole machine does; processors as their number.
	CPU, HostCPU       float64
	Memory, HostMemory cove.ByteSize
}

// GroupSample is the instances of one version.
type GroupSample struct {
	Function                             string
	Version                              int
	Isolation                            string
	Starting, Idle, Busy, Paused, Queued int
	// Reserved is the memory set aside for them, Memory what they use.
	Reserved, Memory cove.ByteSize
	// CPU is the processor time that they have used since the sample before.
	CPU time.Duration
}

// Sampler records, every few seconds, how many instances there are and what they
// hold.
type Sampler struct {
	recorder *Recorder
	look     func(context.Context) Sample
	loop     loop
	last     time.Time
}

// NewSampler returns a sampler of what look sees. Start starts it.
func NewSampler(recorder *Recorder, look func(context.Context) Sample) *Sampler {
	s := &Sampler{recorder: recorder, look: look}
	s.loop = newLoop(sampleInterval, func(ctx context.Context) { s.runOnce(ctx, time.Now()) })
	return s
}

// Start looks at once and then every few seconds, until ctx ends or Stop.
func (s *Sampler) Start(ctx context.Context) {
	s.last = time.Now()
	s.look(ctx) // From here on the processor time counts.
	s.loop.start(ctx)
}

// Stop waits for a look that is under way. It must come after Start, and may be
// called twice.
func (s *Sampler) Stop() { s.loop.stop() }

// processors is the time that n processors work in d.
func processors(n float64, d time.Duration) time.Duration { return time.Duration(n * float64(d)) }

// runOnce records what is seen now, for the time since the look before. Where that
// was long ago (the machine slept) only the last moments are known.
func (s *Sampler) runOnce(ctx context.Context, now time.Time) {
	d := min(now.Sub(s.last), 3*sampleInterval)
	s.last = now
	if d <= 0 {
		return
	}
	seen := s.look(ctx)
	minute := now.Unix() / 60
	system := &reading{stems: seen.Stems, hostCPU: processors(seen.HostCPU, d), hostMemory: seen.HostMemory}
	functions := map[string]*reading{}
	for i := range seen.Groups {
		g := &seen.Groups[i]
		n := &reading{
			starting: g.Starting, idle: g.Idle, busy: g.Busy, paused: g.Paused, queued: g.Queued,
			reserved: g.Reserved, memory: g.Memory, cpu: g.CPU,
		}
		if functions[g.Function] == nil {
			functions[g.Function] = &reading{}
		}
		functions[g.Function].add(n)
		system.add(n)
		if g.Reserved > 0 {
			// What each version costs is told by what it reserves.
			cost := (&reading{reserved: g.Reserved}).over(d)
			s.recorder.observe(store.Series{Function: g.Function, Version: g.Version, Isolation: g.Isolation}, minute, &cost)
		}
	}
	for name, n := range functions {
		if *n != (reading{}) {
			g := n.over(d)
			s.recorder.observe(store.Series{Function: name}, minute, &g)
		}
	}
	// Those that ended since are in this sum, and not in those of the functions.
	system.cpu, system.memory = processors(seen.CPU, d), seen.Memory
	g := system.over(d)
	s.recorder.observe(store.Series{}, minute, &g)
}
