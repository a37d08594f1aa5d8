package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove/internal/bench"
)

// row is a line of the table: one ratio of Cove to its baseline.
type row struct {
	// Experiment is the name by which -rows chooses it; Name says what was
	// compared.
	Experiment string `json:"experiment"`
	Name       string `json:"name"`
	// Baseline and Cove are the two figures, as text with their unit; the
	// summaries are of all samples, where they are durations.
	Baseline        string        `json:"baseline"`
	Cove            string        `json:"cove"`
	BaselineSummary bench.Summary `json:"baseline_summary,omitzero"`
	CoveSummary     bench.Summary `json:"cove_summary,omitzero"`
	// Ratio is Cove as a multiple of the baseline.
	Ratio bench.Interval `json:"ratio"`
	// Least and Aim are the ratios to reach; 0 where the table asks for nothing.
	// More says that a larger ratio is the better one.
	Least float64 `json:"least,omitzero"`
	Aim   float64 `json:"aim,omitzero"`
	More  bool    `json:"more,omitzero"`
	// Noise is what the second arm of the baseline differed by.
	Noise bench.Noise `json:"noise,omitzero"`
	// N is the number of Cove's samples.
	N int `json:"n"`
	// Missing says why there is no figure.
	Missing string `json:"missing,omitempty"`
	// Note is a remark on how the figure came about.
	Note string `json:"note,omitempty"`
}

// verdict says what the ratio reaches. It goes by the measured ratio; the
// interval beside it says how sure that is.
func (r *row) verdict() string {
	reaches := func(bound float64) bool {
		if r.More {
			return r.Ratio.Value >= bound
		}
		return r.Ratio.Value <= bound
	}
	switch {
	case r.Missing != "":
		return "not measured"
	case r.Least == 0:
		return ""
	case reaches(r.Aim):
		return "aim"
	case reaches(r.Least):
		return "at least"
	}
	return "short"
}

// goal is the two bounds as text.
func (r *row) goal() (least, aim string) {
	if r.Least == 0 {
		return "", ""
	}
	sign := "≤ "
	if r.More {
		sign = "≥ "
	}
	return sign + ratioText(r.Least), sign + ratioText(r.Aim)
}

// ratioText writes small ratios as a fraction, as one speaks of them.
func ratioText(x float64) string {
	if x > 0 && x < 0.12 {
		return fmt.Sprintf("1/%.3g", 1/x)
	}
	return fmt.Sprintf("%.3g", x)
}

// figures are the columns of the row as text.
func (r *row) figures() []string {
	least, aim := r.goal()
	if r.Missing != "" {
		return []string{r.Name, r.Baseline, r.Cove, "", least, aim, r.verdict(), "", ""}
	}
	ratio := ratioText(r.Ratio.Value)
	if r.Ratio.Low != r.Ratio.High {
		ratio += fmt.Sprintf(" (%s to %s)", ratioText(r.Ratio.Low), ratioText(r.Ratio.High))
	}
	noise := ""
	if r.Noise.Floor > 0 {
		noise = fmt.Sprintf("%.0f %%", 100*r.Noise.Floor)
	}
	return []string{r.Name, r.Baseline, r.Cove, ratio, least, aim, r.verdict(), noise, fmt.Sprint(r.N)}
}

// remark is what the row says beside its figures.
func (r *row) remark() string { return join(r.Missing, r.Note) }

// columns are the heads of figures.
func columns() []string {
	return []string{"row", "baseline", "Cove", "ratio (95 %)", "at least", "the aim", "reached", "noise", "n"}
}

// results is what one run found.
type results struct {
	Command string    `json:"command"`
	Time    time.Time `json:"time"`
	Took    string    `json:"took"`
	Machine machine   `json:"machine"`
	// Use is what the machine did meanwhile, the time stolen from it included.
	Use  bench.HostUse `json:"use"`
	Rows []row         `json:"rows"`
}

// machine says what the figures were measured on, and nothing that names it.
type machine struct {
	Processors int    `json:"processors"`
	Model      string `json:"model,omitempty"`
	Memory     string `json:"memory"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
}

func thisMachine() machine {
	m := machine{Processors: runtime.NumCPU(), Go: runtime.Version()}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		// What follows the version is the builder's own.
		version, _, _ := strings.Cut(unix.ByteSliceToString(name.Release[:]), "-")
		m.Kernel = unix.ByteSliceToString(name.Sysname[:]) + " " + version + " " + unix.ByteSliceToString(name.Machine[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = fmt.Sprintf("%.0f GiB", math.Round(float64(info.Totalram)*float64(info.Unit)/(1<<30)))
	}
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if value, ok := strings.CutPrefix(line, "model name"); ok {
				m.Model = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(value), ":"))
				break
			}
		}
	}
	return m
}

func (m machine) String() string {
	return fmt.Sprintf("%d processors (%s), %s of memory, %s, %s", m.Processors, m.Model, m.Memory, m.Kernel, m.Go)
}

// print writes the table for a terminal.
func (r *results) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(columns(), "\t"))
	for i := range r.Rows {
		fmt.Fprintln(t, strings.Join(r.Rows[i].figures(), "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range r.Rows {
		if remark := r.Rows[i].remark(); remark != "" {
			fmt.Fprintf(w, "\n%s: %s", r.Rows[i].Name, remark)
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

// markdown writes the results as a section of a document.
func (r *results) markdown(w io.Writer) error {
	_, err := fmt.Fprintf(w, "`%s`, %s, in %s; %s. Of the processors' time a hypervisor gave %.1f %% to others; the load average was %.1f at the end.\n\n",
		r.Command, r.Time.Format(time.DateOnly), r.Took, r.Machine, 100*r.Use.StealPart, r.Use.Load)
	if err != nil {
		return err
	}
	line := func(cells []string) {
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", `\|`)
		}
		_, err = fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |")
	}
	line(columns())
	line(strings.Split(strings.Repeat("---,", len(columns())-1)+"---", ","))
	for i := range r.Rows {
		line(r.Rows[i].figures())
	}
	fmt.Fprintln(w)
	for i := range r.Rows {
		if remark := r.Rows[i].remark(); remark != "" {
			_, err = fmt.Fprintf(w, "* %s: %s\n", r.Rows[i].Name, remark)
		}
	}
	return err
}

// write puts the results into dir as JSON and as Markdown, under the time of the
// run, and says where.
func (r *results) write(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	base := filepath.Join(dir, r.Time.Format("20060102T150405Z"))
	if err := os.WriteFile(base+".json", append(data, '\n'), 0o644); err != nil {
		return "", err
	}
	var text strings.Builder
	if err := r.markdown(&text); err != nil {
		return "", err
	}
	return base + ".json", os.WriteFile(base+".md", []byte(text.String()), 0o644)
}

// short writes a duration with three digits at most.
func short(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d >= u.unit {
			return fmt.Sprintf("%.3g %s", float64(d)/float64(u.unit), u.name)
		}
	}
	return d.String()
}

// The results in a document are between these two lines.
const (
	resultsBegin = "<!-- what follows is written by go run ./bench -doc -->"
	resultsEnd   = "<!-- until here -->"
)

// insert puts the results of one or several runs into a document, in place of those
// that are there.
func insert(file string, runs ...*results) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(data), resultsBegin)
	_, after, ends := strings.Cut(rest, resultsEnd)
	if !found || !ends {
		return fmt.Errorf("%s has no lines %q and %q", file, resultsBegin, resultsEnd)
	}
	var text strings.Builder
	for _, r := range runs {
		text.WriteString("\n")
		if err := r.markdown(&text); err != nil {
			return err
		}
	}
	return os.WriteFile(file, []byte(before+resultsBegin+"\n"+text.String()+"\n"+resultsEnd+after), 0o644)
}

// complete takes the rows that one of the runs could not measure out of it where
// another one has.
func complete(runs []*results) {
	measured := map[string]bool{}
	for _, r := range runs {
		for i := range r.Rows {
			if r.Rows[i].Missing == "" {
				measured[r.Rows[i].Name] = true
			}
		}
	}
	for _, r := range runs {
		r.Rows = slices.DeleteFunc(r.Rows, func(row row) bool { return row.Missing != "" && measured[row.Name] })
	}
}

// readResults reads what an earlier run has written.
func readResults(file string) (*results, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &results{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}
