package compare

import (
	"cmp"
	"context"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
)

// bill makes the cost part of the report of what was measured. Where something is
// missing there is no bill, and a remark says so.
func (r *run) bill() {
	standing := r.standing()
	for _, s := range r.wholes() {
		var priced []bench.Priced
		for _, isolation := range r.isolations {
			u, ok := r.usage(s, isolation)
			if !ok {
				r.remark("no bill for %s in %s: its memory or its processor time was not measured", s.label(), isolation)
				continue
			}
			if u.Standing = standing[[2]string{s.runtime.Name, isolation}]; u.Standing == 0 {
				u.CPUPerStandingHour = 0 // None stands ready.
			}
			r.report.Cost.Bills = append(r.report.Cost.Bills, bench.BillRow{
				Subject: s.name, Runtime: s.runtime.Name, Isolation: isolation, Usage: u,
				Bill: bench.Cost(u, r.o.Traffic, r.o.Prices),
			})
			priced = append(priced, bench.Priced{Name: isolation, Usage: u})
		}
		if spans := bench.CheapestByLoad(priced, r.o.Traffic, r.o.Prices); len(spans) > 0 {
			r.report.Cost.Cheapest = append(r.report.Cost.Cheapest, bench.CheapestRow{Subject: s.name, Runtime: s.runtime.Name, Spans: spans})
		}
	}
}

// usage puts together what was measured of a subject in an isolation.
func (r *run) usage(s *subject, isolation string) (bench.Usage, bool) {
	var u bench.Usage
	m, c := r.memoryRow(s, isolation), r.cpuRow(s, isolation)
	if m == nil || c == nil {
		return u, false
	}
	u.Memory, u.CPUPerStart, u.CPUPerThousand = m.PSS, c.PerStart, c.PerThousand
	u.CPUPerIdleHour, u.CPUPerStandingHour = c.IdleHour.PerHour, c.StemHour.PerHour
	// Where nothing was seen paused, what waits is taken to be awake all the time.
	if c.PausedHour.Sandboxes > 0 {
		u.CPUPerPausedHour, u.PausedAfter = c.PausedHour.PerHour, s.pausedAfter()
	}
	for _, w := range r.report.Warm {
		if w.Subject == s.name && w.Runtime == s.runtime.Name && w.Isolation == isolation {
			u.Call = w.Took.P50
		}
	}
	return u, u.Call > 0
}

// normalPause is after how long an instance is paused whose function does not say.
const normalPause = 10 * time.Second

// pausedAfter is how long an instance of the user's function waits until it is
// paused; those that are measured are paused at other times.
func (s *subject) pausedAfter() time.Duration {
	return cmp.Or(s.config.Scaling.Pause.Std(), normalPause)
}

// standing is the memory of the stem cell that stands ready whatever comes, by
// runtime and isolation. After bursts there are more of them for an hour, which
// the bill of a steady traffic has not in it. A stem cell is taken to hold what the
// leanest instance of the runtime does, which is a little too much.
func (r *run) standing() map[[2]string]cove.ByteSize {
	// Also after the run was broken off; the daemon is still there.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	held := map[[2]string]cove.ByteSize{}
	all, err := r.daemon.client.Stems(ctx)
	if err != nil {
		r.remark("the memory of stem cells: %v", err)
	}
	for _, s := range all {
		var least cove.ByteSize
		for _, m := range r.report.Memory {
			if m.Runtime == s.Runtime && m.Isolation == s.Isolation && (least == 0 || m.PSS < least) {
				least = m.PSS
			}
		}
		if s.Target > 0 {
			held[[2]string{s.Runtime, s.Isolation}] = least
		}
	}
	return held
}
