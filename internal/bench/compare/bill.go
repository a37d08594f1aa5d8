package compare

import (
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
			u.Standing = standing[[2]string{s.runtime.Name, isolation}]
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
	var memory, cpu bool
	for _, m := range r.report.Memory {
		if m.Subject == s.name && m.Runtime == s.runtime.Name && m.Isolation == isolation {
			u.Memory, memory = m.PSS, true
		}
	}
	for _, c := range r.report.CPU {
		if c.Subject == s.name && c.Runtime == s.runtime.Name && c.Isolation == isolation {
			u.CPUPerStart, u.CPUPerThousand, cpu = c.PerStart, c.PerThousand, true
		}
	}
	for _, w := range r.report.Warm {
		if w.Subject == s.name && w.Runtime == s.runtime.Name && w.Isolation == isolation {
			u.Call = w.Took.P50
		}
	}
	return u, memory && cpu && u.Call > 0
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
