package metrics

import (
	"encoding/binary"
	"time"

	"github.com/covefn/cove"
)

// gauges are measurements of a span of time, each multiplied with the time for
// which it stands, so that they add up and an average is a sum divided by a time.
// The unit of time is a millisecond and that of memory a KiB.
type gauges struct {
	// observed is for how long there were measurements.
	observed int64

	starting, idle, busy, paused, queued, stems int64
	// reserved and memory are KiB times milliseconds.
	reserved, memory int64
	// cpu and hostCPU are processor time.
	cpu, hostCPU time.Duration
	hostMemory   int64
	// maxInstances and maxQueued are the most that were seen at once.
	maxInstances, maxQueued int64
}

// sums are the fields that add up.
func (g *gauges) sums() [12]*int64 {
	return [...]*int64{
		&g.observed, &g.starting, &g.idle, &g.busy, &g.paused, &g.queued, &g.stems,
		&g.reserved, &g.memory, (*int64)(&g.cpu), (*int64)(&g.hostCPU), &g.hostMemory,
	}
}

func (g *gauges) merge(o *gauges) {
	if *o == (gauges{}) {
		return
	}
	theirs := o.sums()
	for i, n := range g.sums() {
		*n += *theirs[i]
	}
	g.maxInstances = max(g.maxInstances, o.maxInstances)
	g.maxQueued = max(g.maxQueued, o.maxQueued)
}

func (g *gauges) append(b []byte) []byte {
	for _, n := range g.sums() {
		b = binary.AppendVarint(b, *n)
	}
	return binary.AppendVarint(binary.AppendVarint(b, g.maxInstances), g.maxQueued)
}

func (g *gauges) mergeFrom(r *reader) {
	for _, n := range g.sums() {
		*n += r.varint()
	}
	g.maxInstances = max(g.maxInstances, r.varint())
	g.maxQueued = max(g.maxQueued, r.varint())
}

// reading is what is seen of one series at one moment, and the processor time
// used since the moment before.
type reading struct {
	starting, idle, busy, paused, queued, stems int
	reserved, memory, hostMemory                cove.ByteSize
	cpu, hostCPU                                time.Duration
}

// over is what the reading is worth if it stands for d.
func (n *reading) over(d time.Duration) gauges {
	ms := d.Milliseconds()
	return gauges{
		observed: ms, starting: int64(n.starting) * ms, idle: int64(n.idle) * ms, busy: int64(n.busy) * ms,
		paused: int64(n.paused) * ms, queued: int64(n.queued) * ms, stems: int64(n.stems) * ms,
		reserved: int64(n.reserved/cove.KiB) * ms, memory: int64(n.memory/cove.KiB) * ms, hostMemory: int64(n.hostMemory/cove.KiB) * ms,
		cpu: n.cpu, hostCPU: n.hostCPU,
		maxInstances: int64(n.starting + n.idle + n.busy + n.paused), maxQueued: int64(n.queued),
	}
}

// add puts the instances of another series to these.
func (n *reading) add(o *reading) {
	n.starting += o.starting
	n.idle += o.idle
	n.busy += o.busy
	n.paused += o.paused
	n.queued += o.queued
	n.reserved += o.reserved
	n.memory += o.memory
	n.cpu += o.cpu
}

// memoryHours is memory times time in GiB hours.
func memoryHours(kibMS int64) float64 { return float64(kibMS) / (1 << 20) / 3_600_000 }
