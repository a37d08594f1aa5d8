package route

import (
	"math/bits"
)

// hamt is an immutable map from strings: a hash array mapped trie. A change
// copies the few nodes on the way to it and shares the rest, and a look-up
// takes a step per five bits of hash, so that both cost nearly the same however
// much there is. The nil *hamt is empty. The caller brings the hash.
type hamt[V any] struct {
	bitmap uint32
	slots  []slot[V]
}

// slot holds either a pair or the trie of all pairs whose hash goes that way.
type slot[V any] struct {
	child *hamt[V]
	hash  uint64
	key   string
	value V
}

const (
	hamtBits  = 5
	hamtDepth = 60 // the shift from which on slots are a list: equal hashes
)

func (m *hamt[V]) get(hash uint64, key string) (v V, ok bool) {
	for shift := uint(0); m != nil; shift += hamtBits {
		if shift >= hamtDepth {
			for i := range m.slots {
				if m.slots[i].key == key {
					return m.slots[i].value, true
				}
			}
			return v, false
		}
		bit := uint32(1) << (hash >> shift & 31)
		if m.bitmap&bit == 0 {
			return v, false
		}
		s := &m.slots[bits.OnesCount32(m.bitmap&(bit-1))]
		if s.child == nil {
			if s.hash == hash && s.key == key {
				return s.value, true
			}
			return v, false
		}
		m = s.child
	}
	return v, false
}

// with is m with value for key.
func (m *hamt[V]) with(shift uint, s slot[V]) *hamt[V] {
	if m == nil {
		m = &hamt[V]{}
	}
	if shift >= hamtDepth {
		for i := range m.slots {
			if m.slots[i].key == s.key {
				return m.replaced(i, s)
			}
		}
		return m.inserted(len(m.slots), 0, s)
	}
	bit := uint32(1) << (s.hash >> shift & 31)
	i := bits.OnesCount32(m.bitmap & (bit - 1))
	if m.bitmap&bit == 0 {
		return m.inserted(i, bit, s)
	}
	old := m.slots[i]
	switch {
	case old.child != nil:
		return m.replaced(i, slot[V]{child: old.child.with(shift+hamtBits, s)})
	case old.hash == s.hash && old.key == s.key:
		return m.replaced(i, s)
	}
	var below *hamt[V]
	below = below.with(shift+hamtBits, old).with(shift+hamtBits, s)
	return m.replaced(i, slot[V]{child: below})
}

// without is m without key; nil when nothing is left.
func (m *hamt[V]) without(shift uint, hash uint64, key string) *hamt[V] {
	if m == nil {
		return nil
	}
	if shift >= hamtDepth {
		for i := range m.slots {
			if m.slots[i].key == key {
				return m.removed(i, 0)
			}
		}
		return m
	}
	bit := uint32(1) << (hash >> shift & 31)
	if m.bitmap&bit == 0 {
		return m
	}
	i := bits.OnesCount32(m.bitmap & (bit - 1))
	s := m.slots[i]
	if s.child == nil {
		if s.hash != hash || s.key != key {
			return m
		}
		return m.removed(i, bit)
	}
	below := s.child.without(shift+hamtBits, hash, key)
	switch {
	case below == s.child:
		return m
	case below == nil:
		return m.removed(i, bit)
	case len(below.slots) == 1 && below.slots[0].child == nil:
		return m.replaced(i, below.slots[0])
	}
	return m.replaced(i, slot[V]{child: below})
}

// each calls f with every pair, in no order, until f returns false.
func (m *hamt[V]) each(f func(key string, v V) bool) bool {
	if m == nil {
		return true
	}
	for i := range m.slots {
		s := &m.slots[i]
		if s.child != nil {
			if !s.child.each(f) {
				return false
			}
		} else if !f(s.key, s.value) {
			return false
		}
	}
	return true
}

func (m *hamt[V]) inserted(i int, bit uint32, s slot[V]) *hamt[V] {
	slots := make([]slot[V], len(m.slots)+1)
	copy(slots, m.slots[:i])
	slots[i] = s
	copy(slots[i+1:], m.slots[i:])
	return &hamt[V]{bitmap: m.bitmap | bit, slots: slots}
}

func (m *hamt[V]) replaced(i int, s slot[V]) *hamt[V] {
	slots := make([]slot[V], len(m.slots))
	copy(slots, m.slots)
	slots[i] = s
	return &hamt[V]{bitmap: m.bitmap, slots: slots}
}

func (m *hamt[V]) removed(i int, bit uint32) *hamt[V] {
	if len(m.slots) == 1 {
		return nil
	}
	slots := make([]slot[V], len(m.slots)-1)
	copy(slots, m.slots[:i])
	copy(slots[i:], m.slots[i+1:])
	return &hamt[V]{bitmap: m.bitmap &^ bit, slots: slots}
}
