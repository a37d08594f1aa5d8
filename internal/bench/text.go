package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/covefn/cove"
)

// WriteText writes the report as tables for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	t := &textReport{w: w}
	t.head(r)
	for _, table := range r.tables() {
		t.table(table)
	}
	t.walls(r)
	t.foot(r)
	return t.err
}

// table is one of the report's, for every form of it.
type table struct {
	// ID is for links; Note says what to know before reading it.
	ID, Title, Note string
	Header          []string
	Rows            [][]string
	// Numbers is the column from which on cells are aligned to the right.
	Numbers int
}

// tables are those that have rows.
func (r *Report) tables() []table {
	all := []table{
		r.startTable(), r.burstTable(), r.warmTable(), r.throughputTable(), r.workloadTable(), r.overallTable(),
		r.memoryTable(), r.cpuTable(), r.costTable(), r.cheapestTable(), r.phaseTable(), r.noiseTable(),
	}
	var out []table
	for _, t := range all {
		if len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	return out
}

func (r *Report) startTable() table {
	t := table{ID: "starts", Title: "Start classes", Numbers: 4,
		Note:   "From the call to its answer, by what the call found: nothing (cold), a sandbox with the language started (stem), a paused instance (thawed). Warm calls are below.",
		Header: []string{"function", "runtime", "isolation", "class", "n", "p50", "p90", "p99", "start", "init", r.toFirst(), ""}}
	var few fewest
	for _, x := range r.Starts {
		few.add(x.Took)
		t.Rows = append(t.Rows, []string{
			x.Subject, x.Runtime, x.Isolation, string(x.Class), count(x.Took.N), ms(x.Took.P50), ms(x.Took.P90), ms(x.Took.P99),
			ms(x.Start), ms(x.Init), ratio(x.Ratio, x.Same), x.Counted.words(),
		})
	}
	t.Note += few.words(r.Took)
	return t
}

func (r *Report) burstTable() table {
	t := table{ID: "bursts", Title: "Bursts", Numbers: 3,
		Note:   "Many first calls at once to a function without an instance: the time until the first answer and until the last. n is the number of bursts.",
		Header: []string{"function", "runtime", "isolation", "calls", "n", "first p50", r.toFirst(), "last p50", "last max", r.toFirst(), "instances", ""}}
	for _, x := range r.Bursts {
		t.Rows = append(t.Rows, []string{
			x.Subject, x.Runtime, x.Isolation, count(x.Calls), count(x.Last.N), ms(x.First.P50), ratio(x.FirstRatio, x.FirstRatio.holds(1)),
			ms(x.Last.P50), ms(x.Last.Max), ratio(x.LastRatio, x.LastRatio.holds(1)), count(x.Instances), x.Counted.words(),
		})
	}
	return t
}

func (r *Report) warmTable() table {
	t := table{ID: "warm", Title: "Warm calls", Numbers: 3, Note: "One call after the other of an instance that waits: the whole way there and back.",
		Header: []string{"function", "runtime", "isolation", "n", "p50", "p90", "p99", "max", r.toFirst(), ""}}
	var few fewest
	for _, x := range r.Warm {
		few.add(x.Took)
		t.Rows = append(t.Rows, []string{
			x.Subject, x.Runtime, x.Isolation, count(x.Took.N), ms(x.Took.P50), ms(x.Took.P90), ms(x.Took.P99), ms(x.Took.Max), ratio(x.Ratio, x.Same), x.Counted.words(),
		})
	}
	t.Note += few.words(r.Took)
	return t
}

func (r *Report) throughputTable() table {
	t := table{ID: "throughput", Title: "Throughput, and latency under load", Numbers: 3,
		Note:   "The peak is by closed loops, the median of them. Latencies are by an open loop, from the moment at which a call was due, at parts of the slowest isolation's peak: the same rate for all. Ratios are over short slices that took turns: the first of the peak, the second of the median latency.",
		Header: []string{"function", "runtime", "isolation", "peak/s", r.toFirst(), "load", "rate/s", "n", "p50", r.toFirst(), "p90", "p99", "max", "send lag p50", ""}}
	var few fewest
	for _, x := range r.Throughput {
		for i, s := range x.Steps {
			few.add(s.Latency)
			row := []string{"", "", "", "", ""}
			if i == 0 {
				row = []string{x.Subject, x.Runtime, x.Isolation, fmt.Sprintf("%.0f", x.Peak.PerSecond), ratio(x.Ratio, x.Same)}
			}
			t.Rows = append(t.Rows, append(row,
				fmt.Sprintf("%.0f %%", s.Part*100), fmt.Sprintf("%.0f", s.Rate), count(s.Latency.N), ms(s.Latency.P50), ratio(s.Ratio, s.Same), ms(s.Latency.P90), ms(s.Latency.P99), ms(s.Latency.Max),
				ms(s.SendLag.P50), Counted{s.Failed, s.Error}.words()))
		}
	}
	t.Note += few.words(r.Took)
	return t
}

func (r *Report) workloadTable() table {
	t := table{ID: "workloads", Title: "The function's own time", Numbers: 3,
		Note:   "The same handler in every isolation and in a bare process of the same interpreter, the platform around it not counted. The ratio is to the bare process.",
		Header: []string{"function", "runtime", "isolation", "n", "p50", "p90", "to bare", ""}}
	for _, x := range r.Workloads {
		words := x.Counted.words()
		if x.Loads && words == "" {
			words = "time to load it"
		}
		t.Rows = append(t.Rows, []string{x.Subject, x.Runtime, x.Isolation, count(x.Run.N), ms(x.Run.P50), ms(x.Run.P90), ratio(x.Ratio, x.Same), words})
	}
	return t
}

func (r *Report) overallTable() table {
	t := table{ID: "overall", Title: "The same over all workloads", Numbers: 2,
		Note:   "The geometric mean of the ratios above.",
		Header: []string{"runtime", "isolation", "to bare", "workloads"}}
	for _, x := range r.Overall {
		t.Rows = append(t.Rows, []string{x.Runtime, x.Isolation, ratio(x.Ratio, false), count(x.Workloads)})
	}
	return t
}

func (r *Report) memoryTable() table {
	t := table{ID: "memory", Title: "Memory of an idle instance", Numbers: 3,
		Note:   "PSS is the proportional set size of all processes that an instance causes, helpers on the host included; reserved is the function's memory limit and what the isolation costs. What is reserved bounds how many instances Cove has at once, as it admits by that; PSS bounds how many of them the machine itself would hold.",
		Header: []string{"function", "runtime", "isolation", "of", "reserved", "per GiB", "PSS", "per GiB", "processes", "to bare"}}
	for _, x := range r.Memory {
		row := []string{x.Subject, x.Runtime, x.Isolation, count(x.Instances), "-", "-"}
		if x.Reserved > 0 {
			row[4], row[5] = mib(x.Reserved), fmt.Sprintf("%.1f", x.ReservedPerGiB)
		}
		t.Rows = append(t.Rows, append(row, mib(x.PSS), fmt.Sprintf("%.1f", x.PerGiB), fmt.Sprintf("%.1f", x.Processes), x.toBare()))
	}
	return t
}

func (r *Report) cpuTable() table {
	t := table{ID: "cpu", Title: "Processor time", Numbers: 4,
		Note:   "CPU seconds of the whole machine, less those of foreign processes and what it does at rest: the median of the blocks, and their extremes. Making the next stem cell is charged to the start. What waits is told by its control group, in CPU seconds an hour: an idle instance, a paused one, a stem cell",
		Header: []string{"function", "runtime", "isolation", "start", "per start", "from-to", "per 1,000 calls", "from-to", "blocks", "idle/h", "paused/h", "stem cell/h"}}
	var watched time.Duration
	for _, x := range r.CPU {
		t.Rows = append(t.Rows, []string{
			x.Subject, x.Runtime, x.Isolation, string(x.StartClass), seconds(x.PerStart), seconds(x.PerStartLow) + "-" + seconds(x.PerStartHigh),
			seconds(x.PerThousand), seconds(x.CallsLow) + "-" + seconds(x.CallsHigh), count(x.Blocks),
			x.IdleHour.words(), x.PausedHour.words(), x.StemHour.words(),
		})
		watched = max(watched, x.IdleHour.For, x.PausedHour.For, x.StemHour.For)
	}
	if watched > 0 {
		t.Note += fmt.Sprintf(", all watched for %s", watched.Round(100*time.Millisecond))
	}
	t.Note += "."
	return t
}

func (r *Report) costTable() table {
	c := r.Cost
	t := table{ID: "cost", Title: "Cost", Numbers: 3,
		Note: fmt.Sprintf("At %s per vCPU-hour and %s per GiB-hour (%s), with %s calls per second, an idle instance kept for %s. Processor time is that above, also of what waits; memory is PSS, not what is reserved.",
			exactly(c.Prices.VCPUHour, c.Prices.Currency), exactly(c.Prices.GiBHour, c.Prices.Currency), c.Prices.origin(), c.Traffic.words(), c.Traffic.KeepAlive),
		Header: []string{"function", "runtime", "isolation", "per month", "per million", "calls", "starts", "working", "idle", "stem cell", "instances", "with a start"}}
	for _, x := range c.Bills {
		b, cur := x.Bill, c.Prices.Currency
		t.Rows = append(t.Rows, []string{
			x.Subject, x.Runtime, x.Isolation, money(b.PerMonth, cur), money(b.PerMillion, cur), money(b.Calls, cur), money(b.Starts, cur),
			money(b.Busy, cur), money(b.Idle, cur), money(b.Standing, cur), fmt.Sprintf("%.2f", b.Instances), percent(b.ColdShare),
		})
	}
	return t
}

func (r *Report) cheapestTable() table {
	t := table{ID: "cheapest", Title: "The cheapest isolation by load", Numbers: 3,
		Note:   fmt.Sprintf("At a constant load, from %s to %s, and otherwise as above. Cheaper is not safer: see what each wall is.", perSecond(LeastLoad), perSecond(MostLoad)),
		Header: []string{"function", "runtime", "cheapest", "from", "to"}}
	for _, x := range r.Cost.Cheapest {
		for _, s := range x.Spans {
			t.Rows = append(t.Rows, []string{x.Subject, x.Runtime, s.Name, perSecond(s.From), perSecond(s.To)})
		}
	}
	return t
}

func (r *Report) phaseTable() table {
	t := table{ID: "machine", Title: "The machine meanwhile", Numbers: 1,
		Note:   "Steal is what a hypervisor gave to others.",
		Header: []string{"phase", "took", "steal", "load"}}
	for _, x := range r.Phases {
		t.Rows = append(t.Rows, []string{x.Name, x.Host.Elapsed.Round(100 * time.Millisecond).String(), percent(x.Host.StealPart), fmt.Sprintf("%.2f", x.Host.Load)})
	}
	return t
}

func (r *Report) noiseTable() table {
	t := table{ID: "noise", Title: "Noise floors", Numbers: 3,
		Note:   "What was measured twice, as if it were two things. A difference within the noise floor is none, nor is one whose interval holds 1; where there is no floor, the interval alone decides.",
		Header: []string{"phase", "measured twice", "it judged", "ratio of the two", "noise floor"}}
	for _, x := range r.Phases {
		for _, f := range x.Floors {
			row := []string{x.Name, f.Of, f.Judges, ratio(f.Ratio, false), "-"}
			if f.Ratio.Bounded() {
				row[4] = percent(f.Floor)
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// fewest is the least number of samples in a table that has a p99.
type fewest struct{ n int }

func (f *fewest) add(s Summary) {
	if s.N > 0 && (f.n == 0 || s.N < f.n) {
		f.n = s.N
	}
}

// words say why there is no p99, and about how long a run must be that has one, when
// this one took so long; "" if there is one everywhere.
func (f *fewest) words(took time.Duration) string {
	if f.n == 0 || f.n >= MinP99 {
		return ""
	}
	const why = " A p99 needs 1,000 samples (n), otherwise it is -"
	if took <= 0 {
		return why + "."
	}
	// A tenth more, so that the next run has them.
	longer := time.Duration(1.1 * float64(took) * MinP99 / float64(f.n))
	return fmt.Sprintf("%s; about --time %s gives one in every row here.", why, roundUp(longer))
}

// roundUp is d in whole minutes, or in whole hours if it is many, as a flag takes it.
func roundUp(d time.Duration) string {
	if minutes := int(math.Ceil(d.Minutes())); minutes < 120 {
		return strconv.Itoa(minutes) + "m"
	}
	return strconv.Itoa(int(math.Ceil(d.Hours()))) + "h"
}

// textReport writes until the first error.
type textReport struct {
	w   io.Writer
	err error
}

func (t *textReport) print(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format, args...)
	}
}

func (t *textReport) head(r *Report) {
	t.print("%s\n%s\n", r.headline(), r.Machine.words())
	if r.Broken != "" {
		t.print("BROKEN OFF %s: what follows is not all.\n", r.Broken)
	}
}

func (t *textReport) table(x table) {
	t.print("\n%s\n%s\n", strings.ToUpper(x.Title), wrap(x.Note, 100))
	var text strings.Builder
	tw := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	widths := make([]int, len(x.Header))
	for _, row := range append([][]string{x.Header}, x.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range append([][]string{x.Header}, x.Rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = cell
			if i >= x.Numbers && x.Header[i] != "" {
				cells[i] = strings.Repeat(" ", widths[i]-len([]rune(cell))) + cell
			}
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	if err := tw.Flush(); err != nil && t.err == nil {
		t.err = err
	}
	for line := range strings.Lines(text.String()) {
		t.print("%s\n", strings.TrimRight(line, " \n"))
	}
}

func (t *textReport) walls(r *Report) {
	t.print("\nWHAT EACH WALL IS\n")
	for _, i := range r.Isolations {
		t.print("%s %s\n  %s\n", i.Name, i.Version, wrap(i.Wall, 96))
		for _, s := range i.Protects {
			t.print("  + %s\n", s)
		}
		for _, s := range i.Exposes {
			t.print("  - %s\n", s)
		}
		for _, s := range i.Links {
			t.print("  %s\n", s)
		}
	}
}

func (t *textReport) foot(r *Report) {
	if len(r.Remarks) > 0 {
		t.print("\nREMARKS\n")
	}
	for _, s := range r.Remarks {
		t.print("  %s\n", s)
	}
}

// toFirst heads the column of ratios to the first isolation.
func (r *Report) toFirst() string {
	if len(r.Isolations) == 0 {
		return "ratio"
	}
	return "to " + r.Isolations[0].Name
}

func (r *Report) headline() string {
	return fmt.Sprintf("cove %s, %s, %s form, measured in %s, seed %d", r.Cove, r.Started.Format("2006-01-02 15:04 MST"), r.Form, r.Took.Round(time.Second), r.Seed)
}

func (m Machine) words() string {
	return fmt.Sprintf("%s, kernel %s, %d x %s, %s of memory; load average before: %.2f", m.OS, m.Kernel, m.CPUs, m.CPU, gib(m.Memory), m.LoadBefore)
}

func (c Counted) words() string {
	if c.Failed == 0 {
		return ""
	}
	return fmt.Sprintf("%d failed: %.120s", c.Failed, c.Error)
}

func (p Prices) origin() string {
	if p.AsOf == "" {
		return p.Source
	}
	return p.Source + ", as of " + p.AsOf
}

func (t Traffic) words() string {
	var parts []string
	for _, rate := range t.PerSecond {
		parts = append(parts, strconv.FormatFloat(rate, 'g', -1, 64))
	}
	return strings.Join(parts, ", ")
}

// ms is d in milliseconds with three digits; "-" for none.
func ms(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return digits(float64(d)/float64(time.Millisecond)) + " ms"
}

func seconds(s float64) string {
	if s == 0 {
		return "0"
	}
	return digits(s) + " s"
}

// digits is f with three digits that count.
func digits(f float64) string {
	if f <= 0 {
		return strconv.FormatFloat(f, 'g', 3, 64)
	}
	return strconv.FormatFloat(f, 'f', max(0, 2-int(math.Floor(math.Log10(f)))), 64)
}

func count(n int) string { return strconv.Itoa(n) }

func times(f float64) string {
	if f == 0 {
		return "-"
	}
	return digits(f) + "x"
}

func ratio(i Interval, same bool) string {
	switch {
	case i.Value == 0:
		return "-"
	case same:
		return "no difference"
	case !i.Bounded():
		return times(i.Value) + " [few samples]"
	}
	return fmt.Sprintf("%s [%s, %s]", times(i.Value), digits(i.Low), digits(i.High))
}

// holds says whether a ratio has bounds, and v is within them.
func (i Interval) holds(v float64) bool { return i.Bounded() && !i.Excludes(v) }

// toBare is the ratio to the bare process; "-" for that one itself.
func (m MemoryRow) toBare() string {
	if m.Isolation == Bare {
		return "-"
	}
	i := Interval{m.Ratio, m.RatioLow, m.RatioHigh}
	return ratio(i, i.holds(1))
}

func (w Waited) words() string {
	if w.Sandboxes == 0 {
		return "-"
	}
	return seconds(w.PerHour)
}

func mib(b cove.ByteSize) string { return digits(float64(b)/float64(cove.MiB)) + " MiB" }
func gib(b cove.ByteSize) string { return digits(float64(b)/float64(cove.GiB)) + " GiB" }

func percent(f float64) string { return fmt.Sprintf("%.1f %%", f*100) }

func money(f float64, currency string) string { return digits(f) + " " + currency }

// exactly is a price as it was given.
func exactly(f float64, currency string) string {
	return strconv.FormatFloat(f, 'f', -1, 64) + " " + currency
}

// perSecond is a rate in words that say something at both ends.
func perSecond(rate float64) string {
	switch {
	case rate >= 1:
		return digits(rate) + " a second"
	case rate*60 >= 1:
		return digits(rate*60) + " a minute"
	default:
		return digits(rate*3600) + " an hour"
	}
}

// wrap breaks text into lines of about width.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		if column > 0 && column+len(word) > width {
			b.WriteString("\n")
			column = 0
		} else if column > 0 {
			b.WriteString(" ")
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
