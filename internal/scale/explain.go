package scale

import (
	"fmt"
	"strings"
	"time"
)

// Explain says in sentences for people what Decide decides for the same
// arguments, and why. Times of day are in now's time zone.
func Explain(p Policy, o Observation, h *History, now time.Time) []string {
	d := Decide(p, o, h, now)
	e := explanation{p: p, o: o, d: d, h: h, now: now}
	e.instances()
	e.queue()
	e.minimum()
	if o.Waiting == 0 {
		e.idle()
		e.ahead()
		e.pausing()
	}
	return e.lines
}

// explanation collects the sentences of Explain.
type explanation struct {
	p     Policy
	o     Observation
	d     Decision
	h     *History
	now   time.Time
	lines []string
}

func (e *explanation) say(format string, args ...any) {
	e.lines = append(e.lines, fmt.Sprintf(format, args...))
}

func (e *explanation) live() int { return e.o.Busy + e.o.Starting + len(e.o.Idle) }

func (e *explanation) instances() {
	if e.live() == 0 {
		e.say("There is no instance.")
		return
	}
	e.say("There %s %s: %d busy with %s, %d starting%s, %d idle.", isAre(e.live()), count(e.live(), "instance"),
		e.o.Busy, count(e.o.InFlight, "request"), e.o.Starting, e.waits(), len(e.o.Idle))
}

// waits says what those that start wait for themselves.
func (e *explanation) waits() string {
	var parts []string
	if n := e.o.AwaitMemory; n > 0 {
		parts = append(parts, fmt.Sprintf("%d for memory", n))
	}
	if n := e.o.AwaitTurn; n > 0 {
		parts = append(parts, fmt.Sprintf("%d for a turn to have a sandbox made", n))
	}
	if parts == nil {
		return ""
	}
	return " (of which wait: " + strings.Join(parts, ", ") + ")"
}

// queue says what is done about those who wait.
func (e *explanation) queue() {
	o, d := e.o, e.d
	if o.Waiting == 0 {
		return
	}
	need, _ := lacking(e.p, o)
	wait := "wait"
	if o.Waiting == 1 {
		wait = "waits"
	}
	say := fmt.Sprintf("%s %s, the first for %s; ", count(o.Waiting, "request"), wait, near(o.OldestWait))
	switch {
	case d.Start < need && e.p.Max == 0:
		e.say("%snone is started for a while, because the last one could not be loaded.", say)
	case d.Start < need:
		e.say("%s%s of %d needed %s started, because at most %d are allowed (scaling.max).", say, count(d.Start, "instance"), need, isAre(d.Start), e.p.Max)
	case d.Start > 0:
		e.say("%s%s %s started for them.", say, count(d.Start, "instance"), isAre(d.Start))
	case o.Starting > 0 && o.RunTook == 0:
		e.say("%sthose that start are for them.", say)
	case o.RunTook > 0:
		e.say("%sno instance is started: a request takes about %s and a cold start %s, so those that there are serve them sooner.",
			say, near(o.RunTook), near(o.StartTook))
	default:
		e.say("%sthere is room for them.", say)
	}
}

func (e *explanation) minimum() {
	if e.p.Min == 0 {
		return
	}
	e.say("At least %d %s kept whatever happens.", e.p.Min, isAre(e.p.Min))
	if e.o.Waiting == 0 && e.d.Start > 0 && e.live() < e.p.Min {
		e.say("%s %s started for that.", count(e.d.Start, "instance"), isAre(e.d.Start))
	}
}

// idle says how long those without work are kept, and why.
func (e *explanation) idle() {
	if e.d.Stop > 0 {
		e.say("%s %s ended now: %s.", count(e.d.Stop, "idle instance"), isAre(e.d.Stop), e.ending())
	}
	stay := e.o.Idle[e.d.Stop:]
	if len(stay) == 0 || e.live()-e.d.Stop <= e.p.Min {
		return
	}
	first := stay[0]
	if !learns(e.p, e.h) {
		e.say("The one that is idle longest, for %s, is kept until %s: scaling.idle is %s.",
			near(e.now.Sub(first.Since)), e.clock(first.Since.Add(e.p.Idle)), e.p.Idle)
		return
	}
	rank := e.live() - e.d.Stop
	stable, burst := e.h.window.averages(e.now)
	if panics(stable, burst) {
		e.say("None is ended now: the load has doubled within seconds (%.1f requests at once, %.1f over a minute).", burst, stable)
		return
	}
	if busy := int(stable/float64(max(1, e.p.Concurrency)) + 0.5); busy >= rank {
		e.say("None is ended now: over the last minute %.1f requests were served at once.", stable)
		return
	}
	at, _ := levelOf((rank-1)*max(1, e.p.Concurrency) + 1)
	age := e.now.Sub(first.Since)
	if at == 0 {
		age = e.h.gap(e.now)
	}
	until := e.h.outlook(e.p, at).until(age)
	left := first.left(e.p, until-age, e.now)
	why := e.seen(at, age, until)
	if first.Warmed && left > until-age {
		why = fmt.Sprintf("it was asked for (a deploy, or `cove warm`) and has served nobody yet, so scaling.idle counts, %s", e.p.Idle)
	}
	e.say("The one that is idle longest, for %s, is kept until %s unless a request needs it: %s.", near(e.now.Sub(first.Since)), e.clock(e.now.Add(left)), why)
}

// ending is why an idle instance is ended.
func (e *explanation) ending() string {
	if !learns(e.p, e.h) {
		return fmt.Sprintf("idle for longer than scaling.idle, %s", e.p.Idle)
	}
	return "going by the times between the requests so far, none is near enough to be worth waiting for"
}

// seen is what the history says of a gap that may end between two ages.
func (e *explanation) seen(at int, from, until time.Duration) string {
	l := e.h.gaps(at)
	if l == nil {
		return fmt.Sprintf("there is nothing to learn from yet, so scaling.idle counts, %s", e.p.Idle)
	}
	within, beyond := l.between(from, until)
	who := "requests"
	if at > 0 {
		who = "the times when so many instances were needed"
	}
	return fmt.Sprintf("of %s between %s that were as long as this one, %d ended by then", count(within+beyond, "gap"), who, within)
}

// ahead says when an instance is started before a request.
func (e *explanation) ahead() {
	if !learns(e.p, e.h) || e.live()-e.d.Stop > 0 || e.p.Min > 0 || e.p.Max == 0 || e.p.Reactive {
		return
	}
	if e.d.Start > 0 {
		e.say("One instance is started now, because the next request is due.")
		return
	}
	age := e.h.gap(e.now)
	if at, ok := e.h.outlook(e.p, 0).due(age); ok {
		e.say("The next request is expected from %s on; an instance will be started just before.", e.clock(e.now.Add(at-age)))
		return
	}
	e.say("When the next request will come cannot be told; it will start an instance.")
}

func (e *explanation) pausing() {
	if e.d.Pause > 0 {
		e.say("%s %s frozen now: idle for longer than scaling.pause, %s.", count(e.d.Pause, "idle instance"), isAre(e.d.Pause), e.p.Pause)
	}
}

// between counts the gaps that ended between two ages and those that went on.
func (l *level) between(from, until time.Duration) (within, beyond int) {
	end := gapBin(until)
	for i := gapBin(from); i <= gapBins; i++ {
		if i < end {
			within += int(l.gaps[i])
		} else {
			beyond += int(l.gaps[i])
		}
	}
	return (within + gapUnit/2) / gapUnit, (beyond + gapUnit/2) / gapUnit
}

// clock is a time of day, with the day if it is another one.
func (e *explanation) clock(at time.Time) string {
	at = at.In(e.now.Location())
	if at.YearDay() != e.now.YearDay() {
		return at.Format("2 Jan 15:04:05")
	}
	return at.Format("15:04:05")
}

// near is a duration as people say it.
func near(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
