package metrics

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/covefn/cove"
)

// bounds are the upper bounds of the buckets in which invocations are counted by
// latency, the same for Prometheus and for the API; what is longer than the last
// has a bucket of its own.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute,
}

// bucketOf is the bucket of a latency.
func bucketOf(d time.Duration) int {
	i, _ := slices.BinarySearch(bounds[:], d)
	return i
}

// noStart stands for the start class of invocations that never got an instance.
const noStart = "none"

// class is what invocations are counted by within a series.
type class struct{ outcome, start string }

// fault is whose fault the outcome is, "" for none.
func (c class) fault() cove.Fault {
	switch c.outcome {
	case cove.OutcomeOK:
		return ""
	case "caller_gone":
		return cove.FaultCaller
	}
	return cove.Code(c.outcome).Fault()
}

// aggregate is what happened to one series in one span of time. Aggregates add
// up. It is not safe for concurrent use.
type aggregate struct {
	// few are the counts by class. There are two or three of them nearly always, so
	// a list is quicker than a map.
	few       []classCount
	histogram [len(bounds) + 1]int64
	// latency is of whole invocations, run of handlers.
	latency, run                    sketch
	queue, start, init, billed, cpu time.Duration
	peak                            cove.ByteSize
	in, out                         int64
	gauges                          gauges
}

type classCount struct {
	class
	n int64
}

func (a *aggregate) count(c class, n int64) {
	for i := range a.few {
		if a.few[i].class == c {
			a.few[i].n += n
			return
		}
	}
	a.few = append(a.few, classCount{c, n})
}

// reset makes the aggregate one of nothing, and keeps its memory.
func (a *aggregate) reset() {
	a.latency.reset()
	a.run.reset()
	*a = aggregate{few: a.few[:0], latency: a.latency, run: a.run}
}

// add counts one invocation.
func (a *aggregate) add(v *cove.Invocation) {
	start := string(v.Start)
	if start == "" {
		start = noStart
	}
	a.count(class{v.Outcome, start}, 1)
	a.histogram[bucketOf(v.Timings.Total)]++
	a.latency.add(v.Timings.Total)
	if v.Timings.Run > 0 {
		a.run.add(v.Timings.Run)
	}
	a.queue += v.Timings.Queue
	a.start += v.Timings.Start
	a.init += v.Timings.Init
	a.billed += v.Billed
	a.cpu += v.CPU
	a.peak = max(a.peak, v.PeakMemory)
	a.in += v.BytesIn
	a.out += v.BytesOut
}

// merge adds all of o.
func (a *aggregate) merge(o *aggregate) {
	for _, c := range o.few {
		a.count(c.class, c.n)
	}
	for i, n := range o.histogram {
		a.histogram[i] += n
	}
	a.latency.merge(&o.latency)
	a.run.merge(&o.run)
	a.queue += o.queue
	a.start += o.start
	a.init += o.init
	a.billed += o.billed
	a.cpu += o.cpu
	a.peak = max(a.peak, o.peak)
	a.in += o.in
	a.out += o.out
	a.gauges.merge(&o.gauges)
}

// The first byte of a roll-up: its form, and which parts it has.
const (
	hasInvocations = 1 << iota
	hasGauges
	formOne = 1 << 4
)

// encode writes the aggregate as a roll-up's data.
func (a *aggregate) encode() []byte {
	head := byte(formOne)
	if len(a.few) > 0 {
		head |= hasInvocations
	}
	if a.gauges != (gauges{}) {
		head |= hasGauges
	}
	b := append(make([]byte, 0, 256), head)
	if head&hasInvocations != 0 {
		b = a.appendInvocations(b)
	}
	if head&hasGauges != 0 {
		b = a.gauges.append(b)
	}
	return b
}

func (a *aggregate) appendInvocations(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(a.few)))
	for _, c := range a.few {
		b = binary.AppendUvarint(b, uint64(len(c.outcome)))
		b = append(b, c.outcome...)
		b = binary.AppendUvarint(b, uint64(len(c.start)))
		b = append(b, c.start...)
		b = binary.AppendUvarint(b, uint64(c.n))
	}
	// Most buckets are empty: pairs of index and count.
	filled := 0
	for _, n := range a.histogram {
		if n > 0 {
			filled++
		}
	}
	b = binary.AppendUvarint(b, uint64(filled))
	for i, n := range a.histogram {
		if n > 0 {
			b = binary.AppendUvarint(b, uint64(i))
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	for _, d := range []time.Duration{a.queue, a.start, a.init, a.billed, a.cpu} {
		b = binary.AppendVarint(b, int64(d))
	}
	for _, n := range []int64{int64(a.peak), a.in, a.out} {
		b = binary.AppendVarint(b, n)
	}
	return a.run.append(a.latency.append(b))
}

// mergeData adds what encode wrote. What is of a form that is not known, or
// damaged, is an error; the aggregate is worth nothing then.
func (a *aggregate) mergeData(data []byte) error {
	if len(data) == 0 || data[0]&^(hasInvocations|hasGauges) != formOne {
		return errRollup
	}
	r := &reader{data: data[1:]}
	if data[0]&hasInvocations != 0 {
		a.mergeInvocations(r)
	}
	if data[0]&hasGauges != 0 {
		a.gauges.mergeFrom(r)
	}
	return r.err
}

func (a *aggregate) mergeInvocations(r *reader) {
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		outcome, start := r.text(), r.text()
		count := int64(r.uvarint())
		if r.err == nil {
			a.countText(outcome, start, count)
		}
	}
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		i, count := r.uvarint(), r.uvarint()
		if i >= uint64(len(a.histogram)) {
			r.err = errRollup
			return
		}
		a.histogram[i] += int64(count)
	}
	for _, d := range []*time.Duration{&a.queue, &a.start, &a.init, &a.billed, &a.cpu} {
		*d += time.Duration(r.varint())
	}
	a.peak = max(a.peak, cove.ByteSize(r.varint()))
	a.in += r.varint()
	a.out += r.varint()
	a.latency.mergeFrom(r)
	a.run.mergeFrom(r)
}

// countText is count without making strings of what is known already.
func (a *aggregate) countText(outcome, start []byte, n int64) {
	for i := range a.few {
		if c := &a.few[i]; c.outcome == string(outcome) && c.start == string(start) {
			c.n += n
			return
		}
	}
	a.few = append(a.few, classCount{class{string(outcome), string(start)}, n})
}
