package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/covefn/cove"
)

//go:embed report.html.tmpl
var pageTemplate string

// WriteHTML writes the report as one page that needs nothing else: no script, no
// font, no style and no picture from anywhere.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Parse(pageTemplate)
	if err != nil {
		return err
	}
	return t.Execute(w, r.page())
}

// page is what the template shows.
type page struct {
	Headline, Machine string
	Report            *Report
	Sections          []section
}

// section is a table with its charts.
type section struct {
	table
	Charts []chart
}

// chart is a picture with its caption.
type chart struct {
	Caption string
	// SVG is made here, with every word in it escaped.
	SVG template.HTML
}

func (r *Report) page() page {
	p := page{Headline: r.headline(), Machine: r.Machine.words(), Report: r}
	colours := map[string]int{}
	for _, i := range r.Isolations {
		colours[i.Name] = len(colours)
	}
	colours[Bare] = len(colours)
	charts := map[string]func(map[string]int) []chart{
		"starts": r.startCharts, "bursts": r.burstCharts, "throughput": r.throughputCharts, "workloads": r.workloadCharts,
		"memory": r.memoryCharts, "cost": r.costCharts,
	}
	for _, t := range r.tables() {
		s := section{table: t}
		if draw := charts[t.ID]; draw != nil {
			for _, c := range draw(colours) {
				if c.SVG != "" {
					s.Charts = append(s.Charts, c)
				}
			}
		}
		p.Sections = append(p.Sections, s)
	}
	return p
}

// grouped puts items into groups by their title, in the order in which titles
// come first.
func grouped[T any](items []T, each func(T) (title string, b bar)) []group {
	var out []group
	place := map[string]int{}
	for _, x := range items {
		title, b := each(x)
		i, ok := place[title]
		if !ok {
			i = len(out)
			place[title] = i
			out = append(out, group{title: title})
		}
		out[i].bars = append(out[i].bars, b)
	}
	return out
}

func (r *Report) startCharts(colours map[string]int) []chart {
	type at struct {
		title string
		b     bar
	}
	var out []chart
	for _, s := range r.wholes() {
		var all []at
		for _, class := range []cove.StartClass{cove.StartCold, cove.StartStem, cove.StartThawed, cove.StartWarm} {
			for _, x := range r.Starts {
				if x.Subject == s.Name && x.Runtime == s.Runtime && x.Class == class && x.Took.N > 0 {
					all = append(all, at{string(class), bar{name: x.Isolation, value: float64(x.Took.P50), high: float64(x.Took.P90), text: ms(x.Took.P50)}})
				}
			}
			for _, x := range r.Warm {
				if x.Subject == s.Name && x.Runtime == s.Runtime && class == cove.StartWarm && x.Took.N > 0 {
					all = append(all, at{string(class), bar{name: x.Isolation, value: float64(x.Took.P50), high: float64(x.Took.P90), text: ms(x.Took.P50)}})
				}
			}
		}
		groups := grouped(all, func(a at) (string, bar) { return a.title, a.b })
		caption := s.Name + ", " + s.Runtime + ": first answer by start class, p50 and to p90, on a logarithmic scale"
		out = append(out, chart{caption, template.HTML(bars(caption, groups, true, colours))})
	}
	return out
}

// wholes are the subjects that have start rows.
func (r *Report) wholes() []Subject {
	var out []Subject
	for _, s := range r.Subjects {
		for _, x := range r.Starts {
			if x.Subject == s.Name && x.Runtime == s.Runtime {
				out = append(out, s)
				break
			}
		}
	}
	return out
}

func (r *Report) burstCharts(colours map[string]int) []chart {
	groups := grouped(r.Bursts, func(x BurstRow) (string, bar) {
		return x.Subject + ", " + x.Runtime, bar{name: x.Isolation, value: float64(x.Last.P50), high: float64(x.Last.Max), text: ms(x.Last.P50)}
	})
	const caption = "Time to the last answer of the burst, p50 and to the longest"
	return []chart{{caption, template.HTML(bars(caption, groups, false, colours))}}
}

func (r *Report) throughputCharts(colours map[string]int) []chart {
	peaks := grouped(r.Throughput, func(x ThroughputRow) (string, bar) {
		return x.Subject + ", " + x.Runtime, bar{name: x.Isolation, value: x.Peak.PerSecond, text: digits(x.Peak.PerSecond) + "/s"}
	})
	out := []chart{{"Peak throughput", template.HTML(bars("Peak throughput", peaks, false, colours))}}
	type at struct {
		title string
		b     bar
	}
	var all []at
	for _, x := range r.Throughput {
		for _, s := range x.Steps {
			all = append(all, at{x.Subject + ", " + x.Runtime + fmt.Sprintf(" at %.0f %%", s.Part*100),
				bar{name: x.Isolation, value: float64(s.Latency.P50), high: float64(s.Latency.P90), text: ms(s.Latency.P50)}})
		}
	}
	const caption = "Latency under the same load, p50 and to p90, on a logarithmic scale"
	groups := grouped(all, func(a at) (string, bar) { return a.title, a.b })
	return append(out, chart{caption, template.HTML(bars(caption, groups, true, colours))})
}

func (r *Report) workloadCharts(colours map[string]int) []chart {
	var out []chart
	var runtimes []string
	for _, s := range r.Subjects {
		if len(runtimes) == 0 || runtimes[len(runtimes)-1] != s.Runtime {
			runtimes = append(runtimes, s.Runtime)
		}
	}
	for _, runtime := range runtimes {
		var rows []WorkloadRow
		for _, x := range r.Workloads {
			if x.Runtime == runtime && x.Isolation != Bare && x.Ratio.Value > 0 {
				rows = append(rows, x)
			}
		}
		if len(rows) == 0 {
			continue
		}
		groups := grouped(rows, func(x WorkloadRow) (string, bar) {
			return x.Subject, bar{name: x.Isolation, value: x.Ratio.Value, low: x.Ratio.Low, high: x.Ratio.High, text: ratioShort(x.Ratio, x.Same)}
		})
		caption := runtime + ": a function's own time as a multiple of the bare process's, with 95 % intervals; the line is 1"
		out = append(out, chart{caption, template.HTML(forest(caption, groups, colours))})
	}
	return out
}

func ratioShort(i Interval, same bool) string {
	if same {
		return "no difference"
	}
	return times(i.Value)
}

func (r *Report) memoryCharts(colours map[string]int) []chart {
	groups := grouped(r.Memory, func(x MemoryRow) (string, bar) {
		return x.Subject + ", " + x.Runtime, bar{name: x.Isolation, value: float64(x.PSS), text: mib(x.PSS)}
	})
	const caption = "Memory of an idle instance (PSS, helpers included)"
	out := []chart{{caption, template.HTML(bars(caption, groups, false, colours))}}
	var fit []MemoryRow
	for _, x := range r.Memory {
		if x.Reserved > 0 {
			fit = append(fit, x)
		}
	}
	groups = grouped(fit, func(x MemoryRow) (string, bar) {
		return x.Subject + ", " + x.Runtime, bar{name: x.Isolation, value: x.ReservedPerGiB, high: x.PerGiB, text: fmt.Sprintf("%.0f, PSS: %.0f", x.ReservedPerGiB, x.PerGiB)}
	})
	const fits = "Idle instances in a GiB: as many as Cove admits by what it reserves, and with the line as many as PSS would allow"
	return append(out, chart{fits, template.HTML(bars(fits, groups, false, colours))})
}

// costCharts draws the monthly bill over the load.
func (r *Report) costCharts(colours map[string]int) []chart {
	var out []chart
	for _, c := range r.Cost.Cheapest {
		var lines []line
		for _, b := range r.Cost.Bills {
			if b.Subject != c.Subject || b.Runtime != c.Runtime {
				continue
			}
			l := line{name: b.Isolation}
			for e := math.Log10(LeastLoad); e <= math.Log10(MostLoad)+1e-9; e += 0.125 {
				t := r.Cost.Traffic
				t.PerSecond = []float64{math.Pow(10, e)}
				if cost := Cost(b.Usage, t, r.Cost.Prices).PerMonth; cost > 0 {
					l.points = append(l.points, [2]float64{t.PerSecond[0], cost})
				}
			}
			if len(l.points) > 0 {
				lines = append(lines, l)
			}
		}
		var marks []float64
		for _, s := range c.Spans[1:] {
			marks = append(marks, s.From)
		}
		caption := c.Subject + ", " + c.Runtime + ": bill of a month by load"
		if len(marks) > 0 {
			caption += "; a dashed line is where the cheapest changes"
		}
		svg := curves(caption, "calls per second", strings.TrimSpace(r.Cost.Prices.Currency+" a month"), lines, marks, colours)
		out = append(out, chart{caption, template.HTML(svg)})
	}
	return out
}
