package pool

import (
	"errors"
	"fmt"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// limits are those that a cell is made with.
func (key stemKey) limits() driver.Limits {
	l := driver.Limits{Memory: key.memory, CPU: 1, PIDs: pidsLimit, Tmp: key.tmp, Background: true}
	if l.Memory == 0 {
		l.Memory = max(stemMemory, 2*l.Tmp)
	}
	return l
}

// size is what a cell reserves.
func (s *stems) size(key stemKey) cove.ByteSize {
	return key.limits().Memory + s.pool.o.Overhead(key.isolation)
}

// bound is what all stem cells together may reserve. A share of a small host's
// memory is less than a single cell, and the first request of every function would
// be cold without anybody having wanted that. The lock is not held.
func (s *stems) bound() cove.ByteSize {
	s.mu.Lock()
	defer s.mu.Unlock()
	var each cove.ByteSize
	for key, k := range s.kinds {
		if k.functions > 0 {
			each += s.size(key)
		}
	}
	return max(s.pool.o.StemMemory, min(each, s.pool.o.StemStretch))
}

// reserve takes the memory of a cell; the error says which setting is in the way.
func (s *stems) reserve(size cove.ByteSize) error {
	bound := s.bound()
	err := s.pool.ledger.reserveStem(size, bound)
	switch {
	case errors.Is(err, errStemsFull):
		return &cove.Error{
			Code: cove.CodeOverloaded, Err: err,
			Message: fmt.Sprintf("all stem cells together may reserve %s (setting stem-memory), which leaves no room for another of %s", bound.InMiB(), size.InMiB()),
		}
	case err != nil:
		return &cove.Error{
			Code: cove.CodeOverloaded, Err: err,
			Message: fmt.Sprintf("no memory is free for a stem cell of %s: all sandboxes together may reserve %s (setting memory), and functions come first", size.InMiB(), s.pool.o.Memory.InMiB()),
		}
	}
	return nil
}
