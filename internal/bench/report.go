package bench

import (
	"time"

	"github.com/covefn/cove"
)

// ReportSchema is the version of Report's JSON form. It grows when a field
// changes its meaning or goes.
const ReportSchema = 1

// Report is everything that a comparison of isolations found. It is the document
// of the JSON form, and the table and the HTML page are made of it alone.
type Report struct {
	Schema int `json:"schema"`
	// Cove is the version of the program that measured.
	Cove    string        `json:"cove"`
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took_ns"`
	// Form is "quick" or "normal"; Seed is that of every random order.
	Form string `json:"form"`
	Seed uint64 `json:"seed"`
	// Broken says that the run was broken off; what is there is right, and not all.
	Broken string `json:"broken_off,omitempty"`

	Machine    Machine     `json:"machine"`
	Isolations []Isolation `json:"isolations"`
	Subjects   []Subject   `json:"subjects"`
	Phases     []Phase     `json:"phases"`

	Starts     []StartRow      `json:"starts"`
	Bursts     []BurstRow      `json:"bursts"`
	Warm       []WarmRow       `json:"warm"`
	Throughput []ThroughputRow `json:"throughput"`
	Workloads  []WorkloadRow   `json:"workloads"`
	Overall    []OverallRow    `json:"overall"`
	Memory     []MemoryRow     `json:"memory"`
	CPU        []CPURow        `json:"cpu"`
	Cost       CostReport      `json:"cost"`

	// Remarks are sentences on what did not go as it should.
	Remarks []string `json:"remarks"`
}

// Machine is what the measurements were made on.
type Machine struct {
	OS     string        `json:"os"`
	Kernel string        `json:"kernel"`
	Arch   string        `json:"arch"`
	CPU    string        `json:"cpu"`
	CPUs   int           `json:"cpus"`
	Memory cove.ByteSize `json:"memory"`
	// LoadBefore is the load average of the minute before.
	LoadBefore float64 `json:"load_before"`
}

// Isolation is one of the technologies compared, with what it is for.
type Isolation struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// Wall says in a sentence what the wall is; Protects and Exposes what it keeps
	// from a function, and what it does not.
	Wall     string   `json:"wall"`
	Protects []string `json:"protects"`
	Exposes  []string `json:"exposes"`
	// Links lead to its own documentation.
	Links []string `json:"links"`
}

// Subject is a function that was measured.
type Subject struct {
	// Name is that of the user's function, or of the workload.
	Name    string `json:"name"`
	Runtime string `json:"runtime"`
	Summary string `json:"summary,omitempty"`
}

// Phase is one part of the run.
type Phase struct {
	Name string  `json:"name"`
	Host HostUse `json:"host"`
	// Noise is the largest of the phase's noise floors, and Floors are all of them:
	// one for each A/A arm.
	Noise  Noise   `json:"noise,omitzero"`
	Floors []Floor `json:"floors,omitempty"`
}

// Counted is how many samples of a row failed, and the first reason.
type Counted struct {
	Failed int    `json:"failed,omitempty"`
	Error  string `json:"error,omitempty"`
}

// StartRow is the first answer of one start class.
type StartRow struct {
	Subject   string          `json:"subject"`
	Runtime   string          `json:"runtime"`
	Isolation string          `json:"isolation"`
	Class     cove.StartClass `json:"class"`
	Took      Summary         `json:"took"`
	// Medians of the platform's own timings.
	Queue time.Duration `json:"queue_ns"`
	Start time.Duration `json:"start_ns"`
	Init  time.Duration `json:"init_ns"`
	Run   time.Duration `json:"run_ns"`
	// Ratio is the median as a multiple of that of the first isolation; zero for
	// that one. Same says that it is no more than the noise; the phase's floors say
	// whose.
	Ratio Interval `json:"ratio,omitzero"`
	Same  bool     `json:"same,omitempty"`
	Counted
}

// BurstRow is a number of first calls at once to a function without an instance.
type BurstRow struct {
	Subject   string `json:"subject"`
	Runtime   string `json:"runtime"`
	Isolation string `json:"isolation"`
	Calls     int    `json:"calls"`
	// First and Last are the times from the burst until its first and last answer,
	// and their ratios the medians as multiples of those of the first isolation. There
	// is no A/A arm: they are told as no difference where the interval holds 1.
	First      Summary  `json:"first"`
	Last       Summary  `json:"last"`
	FirstRatio Interval `json:"first_ratio,omitzero"`
	LastRatio  Interval `json:"last_ratio,omitzero"`
	// Instances is how many there were at the end of the last burst.
	Instances int `json:"instances"`
	Counted
}

// WarmRow is a call of an instance that waits, one after the other.
type WarmRow struct {
	Subject   string   `json:"subject"`
	Runtime   string   `json:"runtime"`
	Isolation string   `json:"isolation"`
	Took      Summary  `json:"took"`
	Ratio     Interval `json:"ratio,omitzero"`
	Same      bool     `json:"same,omitempty"`
	Counted
}

// ThroughputRow is the peak, and the latency at parts of the slower one's.
type ThroughputRow struct {
	Subject   string `json:"subject"`
	Runtime   string `json:"runtime"`
	Isolation string `json:"isolation"`
	Peak      Load   `json:"peak"`
	// Ratio is the peak as a multiple of that of the first isolation, over the
	// rounds; zero for that one.
	Ratio Interval `json:"ratio,omitzero"`
	Same  bool     `json:"same,omitempty"`
	Steps []Step   `json:"steps"`
}

// Bare is the isolation's name of the process without any.
const Bare = "bare process"

// WorkloadRow is what one isolation does to one function's own time.
type WorkloadRow struct {
	Subject   string `json:"subject"`
	Runtime   string `json:"runtime"`
	Isolation string `json:"isolation"`
	// Loads says that Run is the time of loading the function, not of calling it.
	Loads bool    `json:"loads,omitempty"`
	Run   Summary `json:"run"`
	// Ratio is the median as a multiple of the bare process's.
	Ratio Interval `json:"ratio,omitzero"`
	Same  bool     `json:"same,omitempty"`
	Counted
}

// OverallRow joins the workloads of a runtime in one isolation.
type OverallRow struct {
	Runtime   string `json:"runtime"`
	Isolation string `json:"isolation"`
	// Ratio is the geometric mean of the workloads' ratios to the bare process.
	Ratio     Interval `json:"ratio"`
	Workloads int      `json:"workloads"`
}

// MemoryRow is what an idle instance takes.
type MemoryRow struct {
	Subject   string `json:"subject"`
	Runtime   string `json:"runtime"`
	Isolation string `json:"isolation"`
	// PSS is the mean over Instances idle ones of all the processes that each
	// causes, Processes their number.
	PSS       cove.ByteSize `json:"pss"`
	Instances int           `json:"instances"`
	Processes float64       `json:"processes"`
	// PerGiB is how many of them fit into a GiB by that.
	PerGiB float64 `json:"per_gib"`
	// Reserved is what Cove sets aside for one of them, whatever it takes: the
	// function's limit and what the isolation costs. ReservedPerGiB is how many fit
	// into a GiB by that. Both are 0 for the bare process, for which nothing is.
	Reserved       cove.ByteSize `json:"reserved,omitzero"`
	ReservedPerGiB float64       `json:"reserved_per_gib,omitzero"`
	// Ratio is the PSS as a multiple of the bare process's, and RatioLow and
	// RatioHigh are the bounds of its interval over the instances, as of an Interval.
	Ratio     float64 `json:"ratio,omitzero"`
	RatioLow  float64 `json:"ratio_low,omitzero"`
	RatioHigh float64 `json:"ratio_high,omitzero"`
}

// CPURow is the processor time that starting, calling and waiting takes.
type CPURow struct {
	Subject   string `json:"subject"`
	Runtime   string `json:"runtime"`
	Isolation string `json:"isolation"`
	// PerStart has the making of the next stem cell in it. Both are medians over
	// Blocks blocks, in CPU seconds, and Low and High the blocks' extremes.
	PerStart     float64         `json:"s_per_start"`
	StartClass   cove.StartClass `json:"start_class"`
	PerStartLow  float64         `json:"s_per_start_low"`
	PerStartHigh float64         `json:"s_per_start_high"`
	PerThousand  float64         `json:"s_per_1000_calls"`
	CallsLow     float64         `json:"s_per_1000_calls_low"`
	CallsHigh    float64         `json:"s_per_1000_calls_high"`
	Blocks       int             `json:"blocks"`
	// The CPU seconds in an hour of an instance that waits, of a paused one and of a
	// stem cell, each by its control group.
	IdleHour   Waited `json:"idle,omitzero"`
	PausedHour Waited `json:"paused,omitzero"`
	StemHour   Waited `json:"stem,omitzero"`
}

// Waited is the processor time of sandboxes that wait.
type Waited struct {
	// PerHour is in CPU seconds, the mean over Sandboxes that were watched For so
	// long. It was not measured where there were none.
	PerHour   float64       `json:"s_per_hour"`
	Sandboxes int           `json:"sandboxes"`
	For       time.Duration `json:"for_ns"`
}

// CostReport is what the traffic asked for costs.
type CostReport struct {
	Prices  Prices    `json:"prices"`
	Traffic Traffic   `json:"traffic"`
	Bills   []BillRow `json:"bills"`
	// Cheapest says for each subject at which load which isolation costs least.
	Cheapest []CheapestRow `json:"cheapest"`
}

// BillRow is the bill of one function in one isolation.
type BillRow struct {
	Subject   string `json:"subject"`
	Runtime   string `json:"runtime"`
	Isolation string `json:"isolation"`
	Usage     Usage  `json:"usage"`
	Bill      Bill   `json:"bill"`
}

// CheapestRow is CheapestByLoad of one subject.
type CheapestRow struct {
	Subject string `json:"subject"`
	Runtime string `json:"runtime"`
	Spans   []Span `json:"spans"`
}
