package pool

import (
	"slices"
	"sync"
	"time"

	"github.com/covefn/cove/internal/driver"
)

// facts are what was learnt of each isolation.
type facts struct {
	mu sync.Mutex
	of map[string]*isolationFacts
}

type isolationFacts struct {
	features []driver.Feature
	// made is what making a sandbox took lately for a request, stemMade for a stem
	// cell, and loaded what loading a function took, of any version.
	made, stemMade, loaded average
}

// learn notes what a sandbox of an isolation can do.
func (f *facts) learn(isolation string, features []driver.Feature) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at(isolation).features = features
}

// stemMade notes how long making a stem cell took.
func (f *facts) stemMade(isolation string, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at(isolation).stemMade.add(took)
}

// started notes how long a start took: made is 0 if it was of a stem cell.
func (f *facts) started(isolation string, made, loaded time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.at(isolation)
	of.loaded.add(loaded)
	if made > 0 {
		of.made.add(made)
	}
}

// took is what making a sandbox and loading a function take, 0 what is not known
// yet. Stem cells tell of the former only where nothing else does: they are made
// beside everything else, which takes longer where there is much else.
func (f *facts) took(isolation string) (made, loaded time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.at(isolation)
	if of.made == 0 {
		return time.Duration(of.stemMade), time.Duration(of.loaded)
	}
	return time.Duration(of.made), time.Duration(of.loaded)
}

// can says whether sandboxes of the isolation can do all of this, as far as any
// was made.
func (f *facts) can(isolation string, features ...driver.Feature) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	have := f.at(isolation).features
	for _, feature := range features {
		if !slices.Contains(have, feature) {
			return false
		}
	}
	return true
}

// at makes the entry where there is none. The lock is held.
func (f *facts) at(isolation string) *isolationFacts {
	if f.of == nil {
		f.of = map[string]*isolationFacts{}
	}
	if f.of[isolation] == nil {
		f.of[isolation] = &isolationFacts{}
	}
	return f.of[isolation]
}
