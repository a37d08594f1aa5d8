package pool

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/scale"
)

// GroupStats are the instances of one version.
type GroupStats struct {
	Function  string `json:"function"`
	Version   int    `json:"version"`
	Isolation string `json:"isolation"`
	Starting  int    `json:"starting"`
	Idle      int    `json:"idle"`
	Paused    int    `json:"paused"`
	Busy      int    `json:"busy"`
	Dying     int    `json:"dying"`
	Waiting   int    `json:"waiting"`
	// Reserved is the memory set aside for those that serve or could.
	Reserved cove.ByteSize `json:"reserved"`
}

// StemStats are the stem cells of one kind.
type StemStats struct {
	Runtime   string        `json:"runtime"`
	Isolation string        `json:"isolation"`
	Network   cove.Network  `json:"network"`
	Tmp       cove.ByteSize `json:"tmp"`
	// Memory is 0 where the limit is set when the cell is taken.
	Memory cove.ByteSize `json:"memory"`
	// Functions is how many could use one.
	Functions int `json:"functions"`
	Ready     int `json:"ready"`
	Starting  int `json:"starting"`
	// Target is how many there should be.
	Target int `json:"target"`
	// Taken counts those that became instances, Missed the times that there was
	// none.
	Taken  int64 `json:"taken"`
	Missed int64 `json:"missed"`
	// Refill is what making one takes, a recent average.
	Refill time.Duration `json:"refill_ns"`
	// Error is why none can be made at the moment.
	Error string `json:"error,omitempty"`
}

// Stats are the pool's state at one moment.
type Stats struct {
	// Budget is what all sandboxes may reserve and Reserved what they do.
	Budget   cove.ByteSize
	Reserved cove.ByteSize
	// Stuck is how many sandboxes were told to end and have not been seen dead
	// in time.
	Stuck  int
	Groups []GroupStats
	Stems  []StemStats
	// PastStems are those of kinds that are no more: what was taken and missed, by
	// runtime and isolation.
	PastStems []StemStats
}

// Stats describes the pool for people.
func (p *Pool) Stats() Stats {
	s := Stats{Budget: p.o.Memory, Reserved: p.ledger.reserved(), Stuck: int(p.stuck.Load())}
	s.Stems, s.PastStems = p.stems.stats()
	for _, g := range p.allGroups() {
		s.Groups = append(s.Groups, g.stats())
	}
	return s
}

func (g *group) stats() GroupStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := GroupStats{
		Function: g.version.Function, Version: g.version.Number, Isolation: g.version.Config.Isolation,
		Starting: g.pending, Busy: len(g.busy), Dying: g.dying, Waiting: len(g.waiters),
	}
	for _, in := range g.idle {
		if in.freeze != nil {
			s.Paused++
		} else {
			s.Idle++
		}
		s.Reserved += in.reserved
	}
	for in := range g.busy {
		s.Reserved += in.reserved
	}
	return s
}

func (s *stems) stats() (list, past []StemStats) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kinds {
		st := StemStats{
			Runtime: k.key.runtime, Isolation: k.key.isolation, Network: k.key.network, Tmp: k.key.tmp, Memory: k.key.memory,
			Functions: k.functions, Ready: len(k.ready), Starting: k.starting, Target: s.target(k, now),
			Taken: k.taken, Missed: k.missed, Refill: time.Duration(k.refill),
		}
		if err := k.setback.last(now); err != nil {
			st.Error = err.Message
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b StemStats) int {
		if c := strings.Compare(a.Runtime+" "+a.Isolation, b.Runtime+" "+b.Isolation); c != 0 {
			return c
		}
		return int(a.Memory - b.Memory)
	})
	return list, slices.Collect(maps.Values(s.past))
}

// The states of an instance.
const (
	StateIdle   = "idle"
	StatePaused = "paused"
	StateBusy   = "busy"
)

// InstanceInfo is one instance at one moment.
type InstanceInfo struct {
	ID        string `json:"id"`
	Function  string `json:"function"`
	Version   int    `json:"version"`
	Runtime   string `json:"runtime"`
	Isolation string `json:"isolation"`
	State     string `json:"state"`
	// Since is when it became idle, or when it was made.
	Since time.Time `json:"since"`
	// InFlight is how many requests it serves.
	InFlight int `json:"in_flight"`
	// Start is how it was made: StartCold or StartStem.
	Start cove.StartClass `json:"start"`
	// Reserved is the memory that is set aside for it.
	Reserved cove.ByteSize `json:"reserved"`
	// Draining says that it serves nobody else and ends with what it serves.
	Draining bool `json:"draining,omitempty"`

	sandbox *driver.Guarded
}

// Sandbox is that of the instance, to be looked at and not to be changed.
func (i *InstanceInfo) Sandbox() *driver.Guarded { return i.sandbox }

// Instances are those that serve or could, by function, version and id.
func (p *Pool) Instances() []InstanceInfo {
	var list []InstanceInfo
	for _, g := range p.allGroups() {
		list = g.instances(list)
	}
	slices.SortFunc(list, func(a, b InstanceInfo) int {
		if c := strings.Compare(a.Function, b.Function); c != 0 {
			return c
		}
		if a.Version != b.Version {
			return a.Version - b.Version
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

func (g *group) instances(list []InstanceInfo) []InstanceInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	info := func(in *instance, state string) InstanceInfo {
		return InstanceInfo{
			ID: in.id, Function: g.version.Function, Version: g.version.Number,
			Runtime: g.version.Config.Runtime, Isolation: g.version.Config.Isolation,
			State: state, Since: in.since, InFlight: in.active, Start: in.class, Reserved: in.reserved, Draining: in.draining,
			sandbox: in.sandbox,
		}
	}
	for _, in := range g.idle {
		state := StateIdle
		if in.freeze != nil {
			state = StatePaused
		}
		list = append(list, info(in, state))
	}
	for in := range g.busy {
		list = append(list, info(in, StateBusy))
	}
	return list
}

// Explanation says why there are as many instances of a version as there are.
type Explanation struct {
	Version     int               `json:"version"`
	Policy      scale.Policy      `json:"policy"`
	Observation scale.Observation `json:"observation"`
	Decision    scale.Decision    `json:"decision"`
	Why         []string          `json:"why"`
	// CanUseStems says whether its instances can be made of stem cells.
	CanUseStems bool `json:"can_use_stems"`
	// Failure is why it could not be loaded or started lately.
	Failure error `json:"-"`
}

// Explain says why there are as many instances of v as there are, as it would be
// decided now.
func (p *Pool) Explain(v *cove.Version) (Explanation, *cove.Error) {
	g, err := p.group(v)
	if err != nil {
		return Explanation{}, err
	}
	return g.explain(time.Now()), nil
}

func (g *group) explain(now time.Time) Explanation {
	g.mu.Lock()
	defer g.mu.Unlock()
	o := g.observe(now)
	g.arrivals.mu.Lock()
	defer g.arrivals.mu.Unlock()
	policy := g.policy(now)
	e := Explanation{
		Version: g.version.Number, Policy: policy, Observation: o,
		Decision: scale.Decide(policy, o, &g.arrivals.history, now),
		Why:      scale.Explain(policy, o, &g.arrivals.history, now),
	}
	if n := g.outgoing(); n > 0 {
		e.Why = append(e.Why, fmt.Sprintf("%d of them are being replaced: they serve until as many others are there, and do not count towards scaling.min and scaling.max.", n))
	}
	if why := g.stemless(o.Stems); why != "" {
		e.Why = append(e.Why, why)
	}
	_, e.CanUseStems = g.stemKey()
	if err := g.failure.last(now); err != nil {
		e.Failure = err
	} else if err := g.held(now); err != nil {
		e.Failure = err
	}
	return e
}

// stemless says why the next instance is not made of a stem cell although it might be
// expected to, "" if it is or there just is none ready. The lock is held.
func (g *group) stemless(ready int) string {
	if g.pool.stems.most == 0 {
		return "An instance is always made from nothing, as the daemon keeps no stem cells (--stems 0)."
	}
	c := &g.version.Config
	if r, _ := g.pool.o.Runtime(c.Runtime); len(r.Early(c.Env)) > 0 {
		return fmt.Sprintf("An instance is always made from nothing, as the language reads the variable %s when it starts, which it has done in a stem cell.", r.Early(c.Env)[0])
	}
	if key, ok := g.stemKey(); ok && ready == 0 && g.pool.stems.ready(key, false) > 0 {
		return "The one stem cell that is ready is kept for a function that has no instance."
	}
	return ""
}
