package scale

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

// idleSince is instances that are idle for so many minutes.
func idleSince(minutes ...int) (idle []Idle) {
	for _, m := range minutes {
		idle = append(idle, Idle{Since: noon.Add(-time.Duration(m) * time.Minute)})
	}
	return idle
}

const ms = time.Millisecond

func TestFixedPolicy(t *testing.T) {
	t.Parallel()
	policy := Policy{Max: 4, Idle: 5 * time.Minute, Pause: -1}
	two := Policy{Min: 2, Max: 4, Idle: 5 * time.Minute, Pause: -1}
	ten := Policy{Max: 4, Concurrency: 10, Idle: time.Minute, Pause: -1}
	pausing := Policy{Max: 4, Idle: 5 * time.Minute, Pause: 2 * time.Minute}
	at := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
	for _, test := range []struct {
		name   string
		policy Policy
		o      Observation
		want   Decision
	}{
		{"nothing to do", policy, Observation{}, Decision{}},
		{"one for each that waits", policy, Observation{Waiting: 3}, Decision{Start: 3}},
		{"those that come up count", policy, Observation{Waiting: 3, Starting: 2}, Decision{Start: 1}},
		{"never more than max", policy, Observation{Waiting: 9, Busy: 2, Starting: 1}, Decision{Start: 1}},
		{"none beyond max even when all wait", policy, Observation{Waiting: 9, Busy: 4}, Decision{}},
		{"min is kept up", two, Observation{Busy: 1}, Decision{Start: 1, Keep: 2}},
		{"min that comes up counts", two, Observation{Starting: 2}, Decision{Keep: 2}},
		{"who idles too long is stopped", policy, Observation{Idle: idleSince(9, 5, 4)}, Decision{Stop: 2, Next: at(1)}},
		{"but not below min", two, Observation{Idle: idleSince(9, 8, 7)}, Decision{Stop: 1, Keep: 2}},
		{"a busy one counts towards min", two, Observation{Busy: 1, Idle: idleSince(9, 8)}, Decision{Stop: 1, Keep: 2}},
		{"nothing is kept of a version without idle time", Policy{Max: 4, Pause: -1}, Observation{Idle: idleSince(0, 0)}, Decision{Stop: 2}},
		{"one instance for as many requests as it serves at once", ten, Observation{Waiting: 25}, Decision{Start: 3}},
		{"room in busy instances is used first", ten, Observation{Waiting: 5, Busy: 1, Room: 5}, Decision{}},
		{"room that is too little is filled up", ten, Observation{Waiting: 6, Busy: 1, Room: 5}, Decision{Start: 1}},
		{"an instance that comes up has room for all it will serve", ten, Observation{Waiting: 10, Starting: 1}, Decision{}},
		{"who idles is frozen", pausing, Observation{Idle: idleSince(4, 3, 1)}, Decision{Pause: 2, Next: at(1)}},
		{"and not twice", pausing, Observation{Idle: []Idle{{Since: at(-4), Paused: true}, {Since: at(-3)}}}, Decision{Pause: 1, Next: at(1)}},
		{"who is ended is not frozen", pausing, Observation{Idle: idleSince(6, 3)}, Decision{Stop: 1, Pause: 1, Next: at(2)}},
		{"min is frozen as well", Policy{Min: 1, Max: 1, Idle: time.Minute}, Observation{Idle: idleSince(9)}, Decision{Pause: 1, Keep: 1}},
		{"a pause that is longer than the idle time never comes", Policy{Max: 1, Idle: time.Hour, Pause: 2 * time.Hour}, Observation{Idle: idleSince(59)}, Decision{Next: at(1)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := Decide(test.policy, test.o, nil, noon); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestColdStartsAreHedged(t *testing.T) {
	t.Parallel()
	policy := Policy{Max: 100, Idle: time.Minute, Pause: -1}
	in := func(d time.Duration) time.Time { return noon.Add(d) }
	for _, test := range []struct {
		name string
		o    Observation
		want Decision
	}{
		{"a burst of short requests is left to the instance that serves",
			Observation{Waiting: 50, InFlight: 1, Busy: 1, StartTook: 250 * ms, RunTook: ms}, Decision{Next: in(250 * ms)}},
		{"and to the first that is started",
			Observation{Waiting: 50, StartTook: 250 * ms, RunTook: ms}, Decision{Start: 1, Next: in(500 * ms)}},
		{"and to one of the stem cells",
			Observation{Waiting: 20, Stems: 8, StartTook: 250 * ms, RunTook: ms}, Decision{Start: 1, Next: in(500 * ms)}},
		{"long requests get an instance each",
			Observation{Waiting: 50, InFlight: 1, Busy: 1, StartTook: 250 * ms, RunTook: time.Second}, Decision{Start: 50, Next: in(250 * ms)}},
		{"stem cells are used for what would wait, and no cold start if they suffice",
			Observation{Waiting: 20, InFlight: 2, Busy: 2, Stems: 8, StartTook: 250 * ms, RunTook: 50 * ms}, Decision{Start: 8, Next: in(500 * ms)}},
		{"but not for what is served before they have loaded the function",
			Observation{Waiting: 20, InFlight: 2, Busy: 2, Stems: 8, StartTook: 3200 * ms, StemTook: 3000 * ms, RunTook: 50 * ms}, Decision{Next: in(3200 * ms)}},
		{"cold starts are for what is left when they are done",
			Observation{Waiting: 40, InFlight: 2, Busy: 2, StartTook: 200 * ms, RunTook: 20 * ms}, Decision{Start: 20, Next: in(200 * ms)}},
		{"who has waited for long disproves the reckoning",
			Observation{Waiting: 1, InFlight: 1, Busy: 1, OldestWait: 250 * ms, StartTook: 250 * ms, RunTook: ms}, Decision{Start: 1}},
		{"as long as nothing is known of the requests, all stem cells are used and a quarter of a cold start waited",
			Observation{Waiting: 50, Stems: 8, StartTook: 400 * ms}, Decision{Start: 8, Next: in(100 * ms)}},
		{"also when the stem cells come up already",
			Observation{Waiting: 50, Starting: 8, StartingStems: 8, OldestWait: 40 * ms, StartTook: 400 * ms}, Decision{Next: in(60 * ms)}},
		{"and then the rest is started cold",
			Observation{Waiting: 50, Starting: 8, StartingStems: 8, OldestWait: 100 * ms, StartTook: 400 * ms}, Decision{Start: 42}},
		{"without stem cells nothing is won by waiting",
			Observation{Waiting: 50, Starting: 8, StartTook: 400 * ms}, Decision{Start: 42}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := Decide(policy, test.o, nil, noon); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// called is the history of a function that was called alone, n times with a gap
// between, the last time just before noon.
func called(n int, gap time.Duration) *History {
	h := new(History)
	for i := range n {
		at := noon.Add(-time.Duration(n-1-i) * gap)
		h.Arrive(at, 1)
		h.Leave(at, 0)
	}
	return h
}

func TestAdaptivePolicy(t *testing.T) {
	t.Parallel()
	policy := Policy{Max: 10, Idle: 10 * time.Minute, Pause: -1, Adaptive: true}
	one := Observation{Idle: []Idle{{Since: noon}}}

	t.Run("an instance is kept for the idle time while there is nothing to learn from", func(t *testing.T) {
		t.Parallel()
		d := Decide(policy, one, called(1, 0), noon)
		if kept := d.Next.Sub(noon); d.Stop != 0 || kept < 9*time.Minute || kept > 11*time.Minute {
			t.Errorf("kept for %s, %+v", kept, d)
		}
	})
	t.Run("a function called each half hour is kept for longer than the idle time, or started before it is due", func(t *testing.T) {
		t.Parallel()
		if warm := warmAt(policy, called(20, 30*time.Minute), 30*time.Minute); !warm {
			t.Error("the instance was not there when the next request was due")
		}
	})
	t.Run("a function called every six hours is not kept in between, and started before it is due", func(t *testing.T) {
		t.Parallel()
		h := called(8, 6*time.Hour)
		if warmAt(policy, h, 3*time.Hour) {
			t.Error("the instance was kept half way")
		}
		if !warmAt(policy, h, 6*time.Hour) {
			t.Error("the instance was not there when the next request was due")
		}
	})
	t.Run("nothing is started ahead that cannot be expected", func(t *testing.T) {
		t.Parallel()
		h := called(2, time.Minute)
		if d := Decide(policy, Observation{}, h, noon.Add(24*time.Hour)); d != (Decision{}) {
			t.Errorf("got %+v", d)
		}
	})
	t.Run("an instance that was lost is not started again at once", func(t *testing.T) {
		t.Parallel()
		if d := Decide(policy, Observation{}, called(50, 5*time.Minute), noon.Add(2*time.Minute)); d.Start != 0 {
			t.Errorf("got %+v", d)
		}
	})
	t.Run("a second instance goes soon when two at once are seldom", func(t *testing.T) {
		t.Parallel()
		h := called(300, time.Minute)
		o := Observation{Idle: []Idle{{Since: noon.Add(-9 * time.Minute)}, {Since: noon}}}
		h.levels = append(h.levels, level{down: noon.Add(-9 * time.Minute), n: 4})
		h.levels[1].gaps[gapBin(time.Hour)] = 4 * gapUnit
		if d := Decide(policy, o, h, noon); d.Stop != 1 {
			t.Errorf("got %+v", d)
		}
	})
	t.Run("what was asked for stays for the idle time, whatever is known of the gaps", func(t *testing.T) {
		t.Parallel()
		h := called(20, time.Second)
		long := noon.Add(time.Hour)
		o := Observation{Idle: []Idle{{Since: long.Add(-9 * time.Minute)}}}
		if d := Decide(policy, o, h, long); d.Stop != 1 {
			t.Fatalf("got %+v for one that was not asked for", d)
		}
		o.Idle[0].Warmed = true
		if d := Decide(policy, o, h, long); d.Stop != 0 || !d.Next.Equal(long.Add(time.Minute)) {
			t.Errorf("got %+v", d)
		}
	})
	t.Run("what the concurrency of the last minute needs stays", func(t *testing.T) {
		t.Parallel()
		h := busyFor(4, time.Minute)
		o := Observation{Idle: idleSince(3, 3, 3, 3, 3, 3)}
		h.levels = make([]level, 6)
		if d := Decide(Policy{Max: 10, Idle: time.Second, Pause: -1, Adaptive: true}, o, h, noon); d.Stop != 2 {
			t.Errorf("got %+v, want 2 to be ended of 6", d)
		}
	})
	t.Run("nothing is ended while the load doubles", func(t *testing.T) {
		t.Parallel()
		h := busyFor(4, 3*time.Second)
		h.levels = make([]level, 6)
		if d := Decide(Policy{Max: 10, Idle: time.Second, Pause: -1, Adaptive: true}, Observation{Idle: idleSince(3, 3, 3)}, h, noon); d.Stop != 0 {
			t.Errorf("got %+v", d)
		}
	})
	t.Run("nothing is kept without idle time", func(t *testing.T) {
		t.Parallel()
		if d := Decide(Policy{Max: 1, Adaptive: true, Pause: -1}, one, called(50, time.Minute), noon); d.Stop != 1 {
			t.Errorf("got %+v", d)
		}
	})
}

// busyFor is the history of n requests that ran for d until noon.
func busyFor(n int, d time.Duration) *History {
	h := new(History)
	for i := range n {
		h.Arrive(noon.Add(-d), i+1)
	}
	for i := range n {
		h.Leave(noon, n-1-i)
	}
	return h
}

// warmAt does what Decide says from noon on, with one instance that just became
// idle, and tells whether there is one after d.
func warmAt(p Policy, h *History, d time.Duration) bool {
	now, since, live := noon, noon, true
	for now.Before(noon.Add(d)) {
		o := Observation{StartTook: 250 * ms}
		if live {
			o.Idle = []Idle{{Since: since}}
		}
		got := Decide(p, o, h, now)
		switch {
		case got.Stop > 0:
			live = false
		case got.Start > 0:
			live, since = true, now
		case got.Next.IsZero():
			return live
		default:
			now = got.Next
		}
	}
	return live
}

// anything is arguments of all kinds.
func anything(r *rand.Rand) (Policy, Observation, *History) {
	p := Policy{
		Min: r.IntN(4), Concurrency: r.IntN(12), Idle: time.Duration(r.IntN(600)) * time.Second,
		Pause: time.Duration(r.IntN(900)-1) * time.Second, Adaptive: r.IntN(2) == 0,
	}
	p.Max = p.Min + r.IntN(20)
	o := Observation{
		Waiting: r.IntN(60), InFlight: r.IntN(30), Busy: r.IntN(8), Starting: r.IntN(4), Room: r.IntN(10), Stems: r.IntN(9),
		OldestWait: time.Duration(r.IntN(500)) * ms, StartTook: time.Duration(r.IntN(3)*r.IntN(500)) * ms,
		RunTook: time.Duration(r.IntN(2)*r.IntN(1000)) * ms,
	}
	o.StartingStems = r.IntN(o.Starting + 1)
	since := noon.Add(-time.Duration(r.IntN(1000)) * time.Second)
	for range r.IntN(8) {
		o.Idle = append(o.Idle, Idle{Since: since, Paused: r.IntN(2) == 0})
		since = since.Add(time.Duration(r.Int64N(int64(noon.Sub(since)) + 1)))
	}
	h := called(r.IntN(40), time.Duration(1+r.IntN(7200))*time.Second)
	if n := r.IntN(10); n > 0 {
		h = busyFor(n, time.Duration(r.IntN(90))*time.Second)
	}
	return p, o, h
}

func TestDecideHolds(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 4_000 {
		p, o, h := anything(r)
		before := *h
		before.levels = append([]level(nil), h.levels...)
		d := Decide(p, o, h, noon)
		live := o.Busy + o.Starting + len(o.Idle)
		more := o
		more.Waiting++
		for rule, ok := range map[string]bool{
			"never more than Max":                  d.Start == 0 || live+d.Start <= p.Max,
			"Stop never goes below Min":            d.Stop == 0 || live-d.Stop >= p.Min,
			"only what idles is stopped or paused": d.Stop >= 0 && d.Pause >= 0 && d.Stop+d.Pause <= len(o.Idle),
			"nothing is stopped while one waits":   o.Waiting == 0 || d.Stop == 0,
			"the same for the same arguments":      Decide(p, o, h, noon) == d,
			"the history is left as it was":        reflect.DeepEqual(*h, before),
			"more that wait, no fewer starts":      o.Waiting == 0 || Decide(p, more, h, noon).Start >= d.Start,
			"Next is ahead":                        d.Next.IsZero() || d.Next.After(noon),
			"who waits is served or looked at":     o.Waiting == 0 || d.Start > 0 || live > 0 || p.Max == 0,
			"there is an explanation":              len(Explain(p, o, h, noon)) > 0,
		} {
			if !ok {
				t.Fatalf("%s: policy %+v, observation %+v, decision %+v", rule, p, o, d)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	adaptive := Policy{Max: 3, Idle: 5 * time.Minute, Pause: -1, Adaptive: true}
	fixed := Policy{Max: 3, Idle: 5 * time.Minute, Pause: time.Minute}
	for _, test := range []struct {
		name string
		p    Policy
		o    Observation
		h    *History
		want string
	}{
		{"nothing", fixed, Observation{}, nil, "There is no instance."},
		{"a fixed time", fixed, Observation{Idle: idleSince(2)}, nil,
			"There is 1 instance: 0 busy with 0 requests, 0 starting, 1 idle. The one that is idle longest, for 2m0s, is kept until 12:03:00: scaling.idle is 5m0s. " +
				"1 idle instance is frozen now: idle for longer than scaling.pause, 1m0s."},
		{"at the limit", fixed, Observation{Waiting: 5, InFlight: 2, Busy: 2, OldestWait: 20 * ms}, nil,
			"There are 2 instances: 2 busy with 2 requests, 0 starting, 0 idle. 5 requests wait, the first for 20ms; 1 instance of 5 needed is started, because at most 3 are allowed (scaling.max)."},
		{"sooner served", fixed, Observation{Waiting: 1, InFlight: 1, Busy: 1, RunTook: ms, StartTook: 300 * ms}, nil,
			"There is 1 instance: 1 busy with 1 request, 0 starting, 0 idle. 1 request waits, the first for 0s; " +
				"no instance is started: a request takes about 1ms and a cold start 300ms, so those that there are serve them sooner."},
		{"learnt", adaptive, Observation{Idle: idleSince(0)}, called(21, 10*time.Minute),
			"There is 1 instance: 0 busy with 0 requests, 0 starting, 1 idle. The one that is idle longest, for 0s, is kept until 12:19:12 unless a request needs it: " +
				"of 20 gaps between requests that were as long as this one, 20 ended by then."},
		{"asked for", adaptive, Observation{Idle: []Idle{{Since: noon, Warmed: true}}}, called(21, time.Second),
			"There is 1 instance: 0 busy with 0 requests, 0 starting, 1 idle. The one that is idle longest, for 0s, is kept until 12:05:00 unless a request needs it: " +
				"it was asked for (a deploy, or `cove warm`) and has served nobody yet, so scaling.idle counts, 5m0s."},
		{"waiting themselves", fixed, Observation{Waiting: 3, Starting: 3, AwaitMemory: 1, AwaitTurn: 2}, nil,
			"There are 3 instances: 0 busy with 0 requests, 3 starting (of which wait: 1 for memory, 2 for a turn to have a sandbox made), 0 idle. " +
				"3 requests wait, the first for 0s; those that start are for them."},
		{"could not be loaded", Policy{Idle: time.Minute}, Observation{Waiting: 1}, nil,
			"There is no instance. 1 request waits, the first for 0s; none is started for a while, because the last one could not be loaded."},
		{"the minimum", Policy{Min: 1, Max: 1, Idle: time.Minute, Pause: -1}, Observation{}, nil,
			"There is no instance. At least 1 is kept whatever happens. 1 instance is started for that."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(Explain(test.p, test.o, test.h, noon), " "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
