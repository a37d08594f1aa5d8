package compare

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/bench"
	"github.com/covefn/cove/internal/bench/workloads"
	"github.com/covefn/cove/internal/runtime"
)

// shim is the name of a shim's directory.
const shim = "node-7e601bb76470cbb1"

// mounts is the mountinfo of a process in a sandbox of the run in cove-compare-7.
func mounts(box string) string {
	return "115 46 0:39 / / ro,relatime - overlay overlay rw\n" +
		"116 46 254:0 /tmp/cove-compare-7/data/run/" + box + " /cove ro,relatime master:5 - ext4 /dev/vda rw\n" +
		"118 46 254:0 /tmp/cove-compare-7/data/shims/" + shim + " /opt/cove ro,relatime - ext4 /dev/vda rw\n" +
		"85 116 254:0 /tmp/cove-compare-7/data/code/26d5 /cove/code ro master:4 - ext4 /dev/vda rw\n"
}

func TestSandboxes(t *testing.T) {
	t.Parallel()
	t.Run("a process tells by its mounts which sandbox it is in", func(t *testing.T) {
		t.Parallel()
		for box, want := range map[string]sandbox{
			"docker/docker/box/0a7fe3a2.stem-6025a6e4e849": {"stem-6025a6e4e849", "docker", shim},
			"gvisor/box/f0-gvisor-plain-69b69c1e3e96":      {"f0-gvisor-plain-69b69c1e3e96", "gvisor", shim},
		} {
			if got, ok := sandboxIn(mounts(box), "cove-compare-7"); !ok || got != want {
				t.Errorf("%s: %+v, %v", box, got, ok)
			}
		}
		if got, ok := sandboxIn(mounts("runc/box/stem-1"), "cove-compare-8"); ok {
			t.Errorf("one of another run: %+v", got)
		}
		if got, ok := sandboxIn("", "cove-compare-7"); ok {
			t.Errorf("of a process that has ended: %+v", got)
		}
	})
	t.Run("the shim is named as the daemon names it, for every runtime", func(t *testing.T) {
		t.Parallel()
		for _, rt := range runtime.NewCatalogue().All() {
			name := filepath.Base(runtime.ShimDir("/shims", rt))
			lines := strings.ReplaceAll(mounts("gvisor/box/stem-1"), shim, name)
			if got, ok := sandboxIn(lines, "cove-compare-7"); !ok || got.shim != name {
				t.Errorf("%s: %+v, %v", rt.Name, got, ok)
			}
		}
	})
	t.Run("its control group is Cove's own, or systemd's of the container", func(t *testing.T) {
		t.Parallel()
		for groups, want := range map[string]string{
			"9:memory:/cove/0a7fe3a2/stem-1/run\n2:cpuacct:/cove/0a7fe3a2/stem-1/run\n0::/\n": "/cove/0a7fe3a2/stem-1",
			"4:cpu,cpuacct:/cove/0a7fe3a2/stem-1/7da05afe\n0::/\n":                            "/cove/0a7fe3a2/stem-1",
			"0::/cove/0a7fe3a2/stem-1/run\n":                                                  "/cove/0a7fe3a2/stem-1",
			"0::/cove.slice/cove-0a7fe3a2.slice/docker-7da05afe.scope\n":                      "/cove.slice/cove-0a7fe3a2.slice/docker-7da05afe.scope",
			"0::/user.slice/session-1.scope\n":                                                "",
			"2:cpuacct:/cove/0a7fe3a2/stem-2/run\n0::/\n":                                     "",
		} {
			if got := groupIn(groups, "0a7fe3a2", "stem-1"); got != want {
				t.Errorf("%q: %q and not %q", groups, got, want)
			}
		}
	})
}

func TestWaiting(t *testing.T) {
	t.Parallel()
	a, b := sandbox{"f0-docker-plain-1", "docker", "python"}, sandbox{"stem-2", "docker", "python"}
	cell, other, node := sandbox{"stem-3", "docker", "python"}, sandbox{"stem-4", "gvisor", "python"}, sandbox{"stem-5", "docker", "node"}
	before := map[sandbox]time.Duration{a: time.Second, b: 0, cell: 5, other: 0, node: 0, {id: "gone"}: 1}
	after := map[sandbox]time.Duration{
		a: time.Second + 2*time.Millisecond, b: 4 * time.Millisecond, cell: 5, other: time.Second, node: time.Second, {id: "new"}: 1,
	}
	w := &waiting{used: usedBetween(before, after), elapsed: 10 * time.Second, instances: []wire.Instance{
		{ID: a.id, Function: "f", State: wire.InstanceIdle}, {ID: b.id, Function: "f", State: wire.InstanceIdle},
		{ID: "stem-9", Function: "f", State: wire.InstancePaused},
	}}
	t.Run("instances are those of the function in the state, whatever they were made of", func(t *testing.T) {
		t.Parallel()
		// 3 ms each in 10 s.
		if got := w.instance("f", wire.InstanceIdle); got != (bench.Waited{PerHour: 0.003 * 360, Sandboxes: 2, For: 10 * time.Second}) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a stem cell is of its isolation and language, and is none when it was taken", func(t *testing.T) {
		t.Parallel()
		if got := w.stem("docker", "python"); got != (bench.Waited{Sandboxes: 1, For: 10 * time.Second}) {
			t.Errorf("%+v", got)
		}
		if got := w.stem("docker", "node"); got.PerHour != 360 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("what was not there at both times was not measured", func(t *testing.T) {
		t.Parallel()
		if got := w.instance("f", wire.InstancePaused); got != (bench.Waited{}) {
			t.Errorf("%+v", got)
		}
		if len(w.used) != 5 {
			t.Errorf("%v", w.used)
		}
	})
}

// series is one with n samples around a median, a step apart.
func series(name string, n int, median, step time.Duration) bench.Series {
	s := bench.Series{Arm: name}
	for i := range n {
		s.Samples = append(s.Samples, bench.Sample{Took: median + step*time.Duration(i-n/2)})
	}
	return s
}

func TestRows(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	t.Run("each start class is judged by its own noise floor, which is told", func(t *testing.T) {
		t.Parallel()
		r := &run{isolations: []string{"docker", "gvisor"}, report: newReport(Options{})}
		for _, id := range []string{"f0", "f1"} {
			r.subjects = append(r.subjects, &subject{id: id, name: id, whole: true})
		}
		var places []place
		var all []bench.Series
		add := func(p place, s bench.Series) { places, all = append(places, p), append(all, s) }
		for _, s := range r.subjects {
			for _, class := range startClasses {
				add(place{s, "docker", class}, series(s.id+" docker "+string(class), 31, 100*ms, ms/10))
				add(place{s, "gvisor", class}, series(s.id+" gvisor "+string(class), 31, 120*ms, ms/10))
			}
		}
		again := len(all)
		for _, class := range startClasses {
			d := 101 * ms
			if class == cove.StartCold {
				d = 150 * ms // Cold starts swing by a half.
			}
			add(place{r.subjects[0], "docker", class}, series("again", 31, d, ms/10))
		}
		floors := r.startRows(places, all, again)
		if len(floors) != 3 || floors[0].Of != "f0 docker cold" || floors[0].Floor < 0.4 || floors[1].Floor > 0.1 || floors[0].Judges != "cold starts of f0 (), f1 ()" {
			t.Errorf("%+v", floors)
		}
		if len(r.report.Starts) != again {
			t.Fatalf("%d rows", len(r.report.Starts))
		}
		for _, x := range r.report.Starts {
			if want := x.Isolation == "gvisor" && x.Class == cove.StartCold; x.Same != want || x.Ratio.Bounded() != (x.Isolation == "gvisor") {
				t.Errorf("%s in %s, %s: %+v, %v", x.Subject, x.Isolation, x.Class, x.Ratio, x.Same)
			}
		}
	})
	t.Run("peaks and latencies under load have ratios, judged by the second arm of the same", func(t *testing.T) {
		t.Parallel()
		r := &run{report: newReport(Options{})}
		target := func(name string, call, latency time.Duration) bench.Climbed {
			calls, slow := series(name, 7, call, ms/100), series(name, 7, latency, ms/100)
			return bench.Climbed{Name: name, Each: calls.Took(), Steps: []bench.Step{{Part: 0.5, Each: slow.Took()}}}
		}
		floors := r.throughputRows(&subject{name: "f"}, []bench.Climbed{target("docker", ms, 10*ms), target("gvisor", 2*ms, 15*ms), target("docker again", ms, 20*ms)})
		if len(floors) != 2 || floors[0].Floor > 0.1 || floors[1].Floor < 0.9 || len(r.report.Throughput) != 2 {
			t.Fatalf("%+v, %+v", floors, r.report.Throughput)
		}
		first, second := r.report.Throughput[0], r.report.Throughput[1]
		if first.Ratio != (bench.Interval{}) || first.Steps[0].Ratio != (bench.Interval{}) {
			t.Errorf("the first one has a ratio to itself: %+v", first)
		}
		if second.Ratio.Value != 0.5 || !second.Ratio.Bounded() || second.Same {
			t.Errorf("half of the peak is %+v, %v", second.Ratio, second.Same)
		}
		if at := second.Steps[0]; at.Ratio.Value != 1.5 || !at.Same {
			t.Errorf("a latency within the noise is %+v, %v", at.Ratio, at.Same)
		}
	})
	t.Run("bursts have ratios of their first and of their last answer", func(t *testing.T) {
		t.Parallel()
		r := &run{report: newReport(Options{})}
		took := func(n int, d time.Duration) []time.Duration {
			s := series("", n, d, ms/10)
			return s.Took()
		}
		first := &burstPlace{subject: &subject{}, first: took(5, 10*ms), last: took(5, 40*ms)}
		second := &burstPlace{subject: &subject{}, first: took(5, 20*ms), last: took(5, 40*ms)}
		if row := r.burstRow(first, first); row.FirstRatio != (bench.Interval{}) || row.Last.P50 != 40*ms {
			t.Errorf("of the first isolation: %+v", row)
		}
		if row := r.burstRow(second, first); row.FirstRatio.Value != 2 || !row.FirstRatio.Excludes(1) || row.LastRatio.Value != 1 || row.LastRatio.Excludes(1) {
			t.Errorf("%+v", row)
		}
		second.last = took(4, 40*ms)
		if row := r.burstRow(second, first); row.LastRatio.Value == 0 || row.LastRatio.Bounded() {
			t.Errorf("of four bursts: %+v", row)
		}
	})
	t.Run("the ratio of the memory to a bare process's has an interval", func(t *testing.T) {
		t.Parallel()
		r := setup(t)
		w, _ := workloads.Find(workloads.Noop)
		rt, _ := r.runtimes.Lookup("python")
		s := &subject{id: "f0", name: w.Name, runtime: rt, files: w.Files(rt.Language), want: &w.Want, whole: true}
		r.write(t, s)
		r.subjects = []*subject{s}
		p := &burstPlace{subject: s, isolation: "docker"}
		for i := range together {
			p.held = append(p.held, float64(100*cove.MiB)+float64(i))
		}
		r.report.Memory = []bench.MemoryRow{{Subject: s.name, Runtime: rt.Name, Isolation: "docker", PSS: 100 * cove.MiB}}
		if err := r.bareMemory(t.Context(), []*burstPlace{p}); err != nil {
			t.Fatalf("%v; run `make images`", err)
		}
		got, bare := r.report.Memory[0], r.report.Memory[len(r.report.Memory)-1]
		if got.RatioLow <= 1 || got.Ratio < got.RatioLow || got.Ratio > got.RatioHigh {
			t.Errorf("%+v", got)
		}
		if bare.Isolation != bench.Bare || bare.Instances != together || bare.PSS < cove.MiB || bare.Reserved != 0 {
			t.Errorf("%+v", bare)
		}
	})
	t.Run("what is reserved for an instance is told beside what it holds", func(t *testing.T) {
		t.Parallel()
		instance := func(state wire.InstanceState, pss cove.ByteSize) wire.Instance {
			return wire.Instance{State: state, Reserved: 176 * cove.MiB, Measured: &wire.Measured{PSS: pss, Processes: 4}}
		}
		var row bench.MemoryRow
		held := holdings(&row, []wire.Instance{instance(wire.InstanceIdle, 20*cove.MiB), instance(wire.InstanceIdle, 24*cove.MiB), instance(wire.InstanceBusy, cove.GiB), {State: wire.InstanceIdle}})
		want := bench.MemoryRow{PSS: 22 * cove.MiB, Instances: 2, Processes: 4, PerGiB: 1024.0 / 22, Reserved: 176 * cove.MiB, ReservedPerGiB: 1024.0 / 176}
		if row != want || len(held) != 2 || held[0] != float64(20*cove.MiB) {
			t.Errorf("%+v of %v", row, held)
		}
	})
}
