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
	// startTook is what a cold start took lately, of any version.
	startTook average
}

// learn notes what a sandbox of an isolation can do.
func (f *facts) learn(isolation string, features []driver.Feature) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at(isolation).features = features
}

// started notes how long a cold start took.
func (f *facts) started(isolation string, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at(isolation).startTook.add(took)
}

// startTook is what a cold start takes, 0 if there was none yet.
func (f *facts) startTook(isolation string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Duration(f.at(isolation).startTook)
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
