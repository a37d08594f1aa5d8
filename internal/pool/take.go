package pool

// softTarget is how much of what it may serve at once an instance is given while
// others are idle, in percent: knative's default of
// container-concurrency-target-percentage.
const softTarget = 70

// take is an instance that can serve another request. Those that serve some already
// come first, so that others may stay idle and go, but only up to softTarget: beyond
// it they would share a processor while others have nothing to do. Then comes the one
// that was idle for the shortest time, then what room the busy ones still have, and
// last one that is frozen, of which freeze is not nil. The lock is held.
func (g *group) take() (in *instance, freeze *freeze) {
	fullest, emptiest := g.roomy()
	last := len(g.idle) - 1
	switch awake := last >= 0 && g.idle[last].freeze == nil; {
	case fullest != nil:
		in = fullest
	case emptiest != nil && !awake:
		in = emptiest
	case last >= 0:
		in = g.idle[last]
		g.idle[last] = nil
		g.idle = g.idle[:last]
		g.occupy(in)
		freeze, in.freeze = in.freeze, nil
	default:
		return nil, nil
	}
	g.lend(in)
	return in, freeze
}

// lend counts one more request that an instance serves. The lock is held.
func (g *group) lend(in *instance) {
	in.active++
	g.inFlight++
	if !in.served {
		in.served = true
		g.relapse.clear()
	}
}

// roomy are the busy instances that have room: the one that serves most of those below
// the soft target, and the one that serves least of all. Both may be nil. The lock is
// held.
func (g *group) roomy() (fullest, emptiest *instance) {
	if g.concurrency == 1 {
		return nil, nil
	}
	target := max(1, g.concurrency*softTarget/100)
	for in := range g.busy {
		if g.room(in) <= 0 {
			continue
		}
		if in.active < target && (fullest == nil || in.active > fullest.active) {
			fullest = in
		}
		if emptiest == nil || in.active < emptiest.active {
			emptiest = in
		}
	}
	return fullest, emptiest
}

// room is how many more requests a busy instance may serve.
func (g *group) room(in *instance) int {
	if in.draining || in.active == 0 {
		return 0
	}
	return g.concurrency - in.active
}
