package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	rt "github.com/covefn/cove/internal/runtime"
	"github.com/covefn/cove/internal/scale"
)

const (
	// stemMemory is the limit of a stem cell whose runtime takes its function's
	// limit later.
	stemMemory = 128 * cove.MiB
	// refillPatience is how long the making of a stem cell gives way to sandboxes
	// that a request waits for.
	refillPatience = 2 * time.Second
	// firstRefill is what making a stem cell is thought to take before one was
	// made.
	firstRefill = 500 * time.Millisecond
)

// stemKey says which versions a stem cell is good for.
type stemKey struct {
	runtime, isolation string
	network            cove.Network
	tmp                cove.ByteSize
	// memory is 0 where the limit can change while the runtime runs.
	memory cove.ByteSize
}

// stems are the stem cells of all kinds. Its lock is never held while a group's
// is taken.
type stems struct {
	pool *Pool
	// most is how many cells of a kind are kept at most; 0 is none.
	most int
	wake chan struct{} // holds a token when something may be to be made

	// compiled are the runtimes whose shim this daemon has compiled or tried to.
	// Only run uses it.
	compiled map[string]bool

	mu    sync.Mutex
	kinds map[stemKey]*stemKind
	// past is what was counted of kinds that are no more, by runtime and isolation:
	// what Prometheus counts must not go down.
	past map[[2]string]StemStats
}

// stemKind is the stem cells of one key.
type stemKind struct {
	key       stemKey
	functions int // active versions that could use one
	ready     []*stem
	starting  int
	demand    scale.Demand
	// more is the demand of functions that had an instance already, among several that
	// could use a cell.
	more    scale.Demand
	refill  average
	setback failure
	taken   int64
	missed  int64
}

// stem is a cell that waits for a function.
type stem struct {
	*cell
	since time.Time
	// leave ends the watch over it: somebody has taken it, or it is to end.
	leave func()
}

func newStems(p *Pool, most int) *stems {
	return &stems{pool: p, most: most, wake: make(chan struct{}, 1), kinds: map[stemKey]*stemKind{}, past: map[[2]string]StemStats{}, compiled: map[string]bool{}}
}

// stemKeyOf is the key of the stem cells that a version could use; not ok if it
// has to be started with an environment of its own.
func (p *Pool) stemKeyOf(v *cove.Version) (key stemKey, ok bool) {
	c := &v.Config
	if p.stems.most == 0 {
		return stemKey{}, false
	}
	r, known := p.o.Runtime(c.Runtime)
	if len(r.Early(c.Env)) > 0 {
		return stemKey{}, false
	}
	key = stemKey{runtime: c.Runtime, isolation: c.Isolation, network: c.Network, tmp: c.Tmp}
	if !known || r.SizedAtStart {
		key.memory = c.Memory
	}
	return key, true
}

func (g *group) stemKey() (stemKey, bool) { return g.pool.stemKeyOf(g.version) }

// expect follows a change of an active version: by is 1 for one that is active
// now and -1 for one that is not any more.
func (s *stems) expect(v *cove.Version, by int) {
	if v == nil || v.Package.SHA256 == "" {
		return
	}
	key, ok := s.pool.stemKeyOf(v)
	if !ok {
		return
	}
	s.mu.Lock()
	s.kind(key).functions += by
	s.mu.Unlock()
	s.kick()
}

// kind is that of key, made when there is none. The lock is held.
func (s *stems) kind(key stemKey) *stemKind {
	k := s.kinds[key]
	if k == nil {
		k = &stemKind{key: key}
		s.kinds[key] = k
	}
	return k
}

// kick makes the refiller look.
func (s *stems) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// ready is how many stem cells of a kind a function could be given now; another
// says that it has an instance.
func (s *stems) ready(key stemKey, another bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kinds[key]; k != nil {
		return k.free(another)
	}
	return 0
}

// free is how many cells a function could be given one after another. Where several
// could use them, one that has an instance, or would have with the first, is not given
// the last: a burst of one function would else make the first call of every other a
// cold one. It does not wait for the next cell either but has a sandbox made. That is
// no slower: cells are made one at a time and behind the sandboxes that requests
// wait for, and none is being made while as many are ready as there should be.
func (k *stemKind) free(another bool) int {
	n := len(k.ready)
	switch {
	case k.functions <= 1:
		return n
	case another:
		return max(0, n-1)
	default:
		return max(min(n, 1), n-1)
	}
}

// take is a stem cell for a function that needs one now; nil if there is none that
// it may have, see free. It is the caller's to end, and its memory the function's.
func (s *stems) take(key stemKey, function string, another bool) *cell {
	s.mu.Lock()
	k := s.kind(key)
	now := time.Now()
	if another && k.functions > 1 {
		k.more.Take(now)
	}
	var st *stem
	if k.free(another) > 0 {
		st = k.pop()
		k.demand.Take(now)
		k.taken++
	}
	s.mu.Unlock()
	return s.hand(st, function)
}

// miss notes that there was none and a sandbox is made instead. It is not noted
// earlier: of many that are to be started in a burst, most are served by the first
// few before their turn comes.
func (s *stems) miss(key stemKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kind(key)
	k.demand.Take(time.Now())
	k.missed++
}

// spare is take for a purpose that is no reason to have more of them ready.
func (s *stems) spare(key stemKey, function string) *cell {
	s.mu.Lock()
	st := s.kind(key).pop()
	s.mu.Unlock()
	return s.hand(st, function)
}

// pop takes the youngest off the list, nil if there is none. The lock is held.
func (k *stemKind) pop() *stem {
	n := len(k.ready)
	if n == 0 {
		return nil
	}
	st := k.ready[n-1]
	k.ready[n-1] = nil
	k.ready = k.ready[:n-1]
	return st
}

// hand gives a stem cell that is on no list any more to a function.
func (s *stems) hand(st *stem, function string) *cell {
	s.kick()
	if st == nil {
		return nil
	}
	st.leave()
	s.pool.ledger.adopt(function, st.reserved)
	st.account = function
	return st.cell
}

// target is how many stem cells of a kind there should be: as many as are wanted in
// a burst, and where functions with an instance were among those who wanted them one
// more, as these are not given the last. The lock is held.
func (s *stems) target(k *stemKind, now time.Time) int {
	if k.functions <= 0 {
		return 0
	}
	refill := time.Duration(k.refill)
	if refill == 0 {
		refill = firstRefill
	}
	target := max(1, k.demand.Target(refill, now))
	if k.functions > 1 && k.more.Target(refill, now) > 0 {
		target++
	}
	return min(target, s.most)
}

// next is the kind to make a cell of, which must be done: one that has none at all,
// or else the one that lacks most. It is nil if none lacks any, and once the pool
// ends: close takes the lock after that, so Close waits for what was chosen before.
// The lock is not held.
func (s *stems) next(now time.Time) *stemKind {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pool.ending.Err() != nil {
		return nil
	}
	var best *stemKind
	for _, k := range s.kinds {
		if s.lacks(k, now) > 0 && k.setback.last(now) == nil && (best == nil || s.before(k, best, now)) {
			best = k
		}
	}
	if best != nil {
		best.starting++
		s.pool.live.Add(1) // What is made now, and what remains if that fails, Close waits for.
	}
	return best
}

func (s *stems) before(a, b *stemKind, now time.Time) bool {
	if emptyA, emptyB := len(a.ready) == 0, len(b.ready) == 0; emptyA != emptyB {
		return emptyA
	}
	if x, y := s.lacks(a, now), s.lacks(b, now); x != y {
		return x > y
	}
	return a.functions > b.functions
}

// lacks is how many cells of a kind are missing. The lock is held.
func (s *stems) lacks(k *stemKind, now time.Time) int {
	return s.target(k, now) - len(k.ready) - k.starting
}

// share ends a cell of the kind that has most, for the sake of one that has none
// and finds no memory. The lock is not held.
func (s *stems) share(poor *stemKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rich *stemKind
	for _, k := range s.kinds {
		if len(k.ready) > 1 && (rich == nil || len(k.ready) > len(rich.ready)) {
			rich = k
		}
	}
	if len(poor.ready) == 0 && rich != nil {
		s.drop(rich, 1, "another kind has none")
	}
}

// run keeps up the wanted number of stem cells, one being made at a time, until
// ctx ends.
func (s *stems) run(ctx context.Context) {
	for {
		s.trim(time.Now())
		for ctx.Err() == nil {
			k := s.next(time.Now())
			if k == nil {
				break
			}
			s.giveWay(ctx)
			s.make(k)
		}
		select {
		case <-s.wake:
		case <-time.After(reviewInterval):
		case <-ctx.Done():
			return
		}
	}
}

// giveWay waits while sandboxes are made that requests wait for.
func (s *stems) giveWay(ctx context.Context) {
	for end := time.Now().Add(refillPatience); !s.pool.turns.quiet() && time.Now().Before(end) && ctx.Err() == nil && s.pool.ending.Err() == nil; {
		time.Sleep(10 * time.Millisecond)
	}
}

// make makes one stem cell of a kind that counts it as starting already.
func (s *stems) make(k *stemKind) {
	defer s.pool.live.Done()
	c, err := s.create(k)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	k.starting--
	if errors.Is(err, errCompiled) {
		s.kick()
		return
	}
	if c == nil {
		if errors.Is(err, errStemsFull) || errors.Is(err, errNoMemory) {
			k.setback.clear() // It costs nothing to look again soon.
		}
		k.setback.set(startError(err, k.key.isolation), now)
		return
	}
	if s.pool.ending.Err() != nil {
		s.pool.discard(c, "shutdown") // close may not have seen it.
		return
	}
	k.setback.clear()
	k.refill.add(c.tookToStart)
	s.pool.facts.stemMade(k.key.isolation, c.tookToStart)
	ctx, leave := context.WithCancel(context.Background())
	st := &stem{cell: c, since: now, leave: leave}
	k.ready = append(k.ready, st)
	s.pool.live.Go(func() { s.watch(ctx, k, st) })
}

// errCompiled says that the cell was used up to compile the shim.
var errCompiled = errors.New("the shim has been compiled")

// create makes a cell.
func (s *stems) create(k *stemKind) (*cell, error) {
	p := s.pool
	limits, size := k.key.limits(), s.size(k.key)
	if err := s.reserve(size); err != nil {
		s.share(k)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.ending, p.o.StartTimeout)
	defer cancel()
	c, err := p.newCell(ctx, stemAccount, size, plan{
		name: "stem", isolation: k.key.isolation, runtime: k.key.runtime, limits: limits, network: k.key.network,
	})
	if err != nil {
		return nil, err
	}
	if s.compileShim(ctx, k.key.runtime, c) {
		return nil, errCompiled
	}
	if err := c.conn.Prepared(ctx); err != nil {
		p.discard(c, "it did not get ready")
		return nil, fmt.Errorf("the shim did not get ready: %w", err)
	}
	if !p.facts.can(k.key.isolation, driver.FeatureMount, driver.FeatureResize) {
		p.discard(c, "it cannot be a stem cell")
		return nil, cove.Errorf(cove.CodeUnavailable, "sandboxes of %s cannot be stem cells: their limits cannot change", k.key.isolation)
	}
	return c, nil
}

// compileShim uses the first cell of a runtime up to compile its shim, which makes
// all later starts faster. It says whether the cell was used, and tries once.
func (s *stems) compileShim(ctx context.Context, runtime string, c *cell) bool {
	r, ok := s.pool.o.Runtime(runtime)
	if !ok || s.compiled[runtime] || rt.CompiledShim(s.pool.o.Shims, r) {
		return false
	}
	s.compiled[runtime] = true
	if err := rt.CompileShim(ctx, c.conn, s.pool.o.Shims, driver.ShimDir, r); err != nil {
		s.pool.o.Log.Warn("the shim could not be compiled; starts take a little longer", "runtime", runtime, "error", err)
	}
	s.pool.discard(c, "it has compiled")
	return true
}

// watch sees to a stem cell that ends by itself.
func (s *stems) watch(ctx context.Context, k *stemKind, st *stem) {
	_, err := st.sandbox.Wait(ctx)
	s.mu.Lock()
	i := slices.Index(k.ready, st)
	if i >= 0 {
		k.ready = slices.Delete(k.ready, i, i+1)
	}
	s.mu.Unlock()
	if i < 0 || err != nil {
		return // Whoever took it off the list sees to its end.
	}
	s.pool.o.Log.Warn("a stem cell ended by itself", "sandbox", st.id)
	s.pool.discard(st.cell, "ended by itself")
	s.kick()
}

// drop takes n cells of a kind away, those that waited longest first. The lock
// is held.
func (s *stems) drop(k *stemKind, n int, reason string) {
	for _, st := range k.ready[:n] {
		st.leave()
		s.pool.discard(st.cell, reason)
	}
	k.ready = slices.Delete(k.ready, 0, n)
}

// trim ends what is beyond the target.
func (s *stems) trim(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, k := range s.kinds {
		if n := len(k.ready) - s.target(k, now); n > 0 {
			s.drop(k, n, "no function needs it")
		}
		if k.functions <= 0 && len(k.ready)+k.starting == 0 {
			delete(s.kinds, key)
			s.remember(k)
		}
	}
}

// remember keeps what was counted of a kind that is no more. The lock is held.
func (s *stems) remember(k *stemKind) {
	label := [2]string{k.key.runtime, k.key.isolation}
	st := s.past[label]
	st.Runtime, st.Isolation = k.key.runtime, k.key.isolation
	st.Taken += k.taken
	st.Missed += k.missed
	s.past[label] = st
}

// evict ends stem cells until nothing is missing or none is left: no function
// has been promised one.
func (s *stems) evict() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kinds {
		for len(k.ready) > 0 && s.pool.ledger.missing() > 0 {
			s.drop(k, 1, evicted)
		}
	}
}

// close ends all of them.
func (s *stems) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kinds {
		s.drop(k, len(k.ready), "shutdown")
	}
}
