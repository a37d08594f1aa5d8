package metrics

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// The sketch of durations is a DDSketch (Masson, Rim, Lee: "DDSketch: A Fast and
// Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", 2019): counts
// in buckets whose bounds grow by the factor gamma. A value and the middle of
// its bucket differ by the share accuracy at most, and the sum of two sketches is
// the sketch of both sets of values.
const (
	accuracy = 0.01
	gamma    = (1 + accuracy) / (1 - accuracy)
	// shortest and longest are what the buckets tell apart: what is beyond counts
	// as one of these.
	shortest = time.Microsecond
	longest  = 24 * time.Hour
)

var (
	perLog   = 1 / math.Log(gamma)
	minIndex = bucketIndex(shortest)
	maxIndex = bucketIndex(longest)
)

// bucketIndex is the bucket of d: the one with gamma^(i-1) < d <= gamma^i, d in
// nanoseconds.
func bucketIndex(d time.Duration) int {
	d = min(max(d, shortest), longest)
	return int(math.Ceil(math.Log(float64(d)) * perLog))
}

// bucketValue is the value that is no further than accuracy from all of a bucket.
func bucketValue(i int) time.Duration {
	return time.Duration(math.Pow(gamma, float64(i)) * 2 / (gamma + 1))
}

// sketch is a set of durations. The zero value is the empty set. It is not safe
// for concurrent use.
type sketch struct {
	// base is the index of the first of counts.
	base   int
	counts []uint64
	n      uint64
	sum    time.Duration
	max    time.Duration
}

// reset empties the set, and keeps its memory.
func (s *sketch) reset() {
	clear(s.counts)
	*s = sketch{base: s.base, counts: s.counts}
}

// add puts one duration into the set.
func (s *sketch) add(d time.Duration) {
	*s.at(bucketIndex(d))++
	s.n++
	s.sum += d
	s.max = max(s.max, d)
}

// spare is by how many buckets more than needed a sketch grows.
const spare = 16

// at is the count of bucket i, which is made if it is not there.
func (s *sketch) at(i int) *uint64 {
	if len(s.counts) == 0 {
		s.base = i - spare/2
		s.counts = make([]uint64, spare)
	}
	if i < s.base {
		grown := make([]uint64, len(s.counts)+s.base-i+spare)
		copy(grown[s.base-i+spare:], s.counts)
		s.base, s.counts = i-spare, grown
	}
	if end := s.base + len(s.counts); i >= end {
		s.counts = append(s.counts, make([]uint64, i-end+1+spare)...)
	}
	return &s.counts[i-s.base]
}

// merge adds all of o.
func (s *sketch) merge(o *sketch) {
	if o.n == 0 {
		return
	}
	first, end := o.filled()
	if at := o.base + first - s.base; at >= 0 && at+end-first <= len(s.counts) {
		into := s.counts[at : at+end-first]
		for i, c := range o.counts[first:end] {
			into[i] += c
		}
	} else {
		for i, c := range o.counts[first:end] {
			if c > 0 {
				*s.at(o.base + first + i) += c
			}
		}
	}
	s.n += o.n
	s.sum += o.sum
	s.max = max(s.max, o.max)
}

// filled is the range of counts outside of which all buckets are empty.
func (s *sketch) filled() (first, end int) {
	end = len(s.counts)
	for first < end && s.counts[first] == 0 {
		first++
	}
	for first < end && s.counts[end-1] == 0 {
		end--
	}
	return first, end
}

// quantile is the least value of the set that the share q of it does not exceed (the
// nearest rank), 0 of an empty one.
func (s *sketch) quantile(q float64) time.Duration {
	if s.n == 0 {
		return 0
	}
	wanted := rank(q, s.n)
	var seen uint64
	for i, c := range s.counts {
		if seen += c; seen >= wanted {
			return min(bucketValue(s.base+i), s.max)
		}
	}
	return s.max
}

// rank is which of n sorted values is the quantile q, counted from 1.
func rank(q float64, n uint64) uint64 { return max(1, uint64(math.Ceil(q*float64(n)))) }

// average is the mean of the set, 0 of an empty one.
func (s *sketch) average() time.Duration {
	if s.n == 0 {
		return 0
	}
	return s.sum / time.Duration(s.n)
}

// append writes the sketch: how many buckets are not empty, each as the distance
// from the one before and its count, then sum and maximum; all as varints.
func (s *sketch) append(b []byte) []byte {
	filled := 0
	for _, c := range s.counts {
		if c > 0 {
			filled++
		}
	}
	b = binary.AppendUvarint(b, uint64(filled))
	last := minIndex
	for i, c := range s.counts {
		if c > 0 {
			b = binary.AppendUvarint(b, uint64(s.base+i-last))
			b = binary.AppendUvarint(b, c)
			last = s.base + i
		}
	}
	b = binary.AppendVarint(b, int64(s.sum))
	return binary.AppendUvarint(b, uint64(s.max))
}

var errRollup = errors.New("a roll-up is damaged")

// mergeFrom adds the sketch that r is at.
func (s *sketch) mergeFrom(r *reader) {
	index := minIndex
	for filled := r.uvarint(); filled > 0 && r.err == nil; filled-- {
		step := r.uvarint()
		if step > uint64(maxIndex-index) {
			r.err = errRollup
			return
		}
		index += int(step)
		c := r.uvarint()
		if at := index - s.base; at >= 0 && at < len(s.counts) {
			s.counts[at] += c
		} else {
			*s.at(index) += c
		}
		s.n += c
	}
	s.sum += time.Duration(r.varint())
	s.max = max(s.max, time.Duration(r.uvarint()))
}

// reader reads varints; after an error everything is 0.
type reader struct {
	data []byte
	err  error
}

func (r *reader) uvarint() uint64 {
	if len(r.data) > 0 && r.data[0] < 0x80 && r.err == nil {
		v := r.data[0] // Most are of one byte.
		r.data = r.data[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.data)
	if n <= 0 || r.err != nil {
		r.err = errRollup
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 || r.err != nil {
		r.err = errRollup
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) text() []byte {
	n := r.uvarint()
	if n > uint64(len(r.data)) {
		r.err = errRollup
		return nil
	}
	text := r.data[:n]
	r.data = r.data[n:]
	return text
}
