package wire

import (
	"encoding/json"
	"time"

	"github.com/covefn/cove"
)

// VersionFiles are the files of one version's package.
type VersionFiles struct {
	Version int `json:"version"`
	// Files are contents by path; Skipped are the paths of those that were left
	// out as they are too large or too many.
	Files   Files    `json:"files" doc:"Contents by path" nullable:"false"`
	Skipped []string `json:"skipped,omitempty" doc:"What was left out: files beyond 1 MiB each, 16 MiB and 2,000 files in all, and links to directories; the first 1,000 of them"`
}

// Template is a function to begin with.
type Template struct {
	Name        string `json:"name" example:"python"`
	Title       string `json:"title" example:"Python"`
	Description string `json:"description"`
	Runtime     string `json:"runtime" example:"python3.13"`
	// Config and Files are what to create; Event is one to try it with.
	Config cove.Config     `json:"config"`
	Files  Files           `json:"files"`
	Event  json.RawMessage `json:"event,omitempty" doc:"An event to try it with"`
}

// TemplateList is every template.
type TemplateList struct {
	Items []Template `json:"items" nullable:"false"`
}

// Event is a payload that is kept to call a function with.
type Event struct {
	Name    string          `json:"name" doc:"1 to 63 of letters, digits, ' ', '-', '_' and '.'" minLength:"1" maxLength:"63"`
	Body    json.RawMessage `json:"body" doc:"The payload; at most 256 KiB"`
	Updated time.Time       `json:"updated"`
}

// EventList is the kept events of one function, by name.
type EventList struct {
	Items []Event `json:"items" nullable:"false"`
}

// RouteTest is a request composed on a page, to be sent to the function's route
// as the gateway would get it.
type RouteTest struct {
	Method  string            `json:"method" example:"GET"`
	Path    string            `json:"path" doc:"With the query" example:"/hello/Ada?x=1"`
	Headers map[string]string `json:"headers,omitempty"`
	// Body is text, or base64 if BodyBase64 is set.
	Body       string `json:"body,omitempty"`
	BodyBase64 bool   `json:"body_base64,omitempty"`
}

// RouteResult is what the gateway answered, as data: it is never served as a
// document.
type RouteResult struct {
	RequestID string              `json:"request_id"`
	Status    int                 `json:"status"`
	Headers   map[string][]string `json:"headers" nullable:"false"`
	Body      string              `json:"body" doc:"Text, or base64 if body_base64 is set; cut at 1 MiB"`
	// BodyBase64 is set where the body is no text, Cut where it was longer, Broken
	// where the answer broke off.
	BodyBase64 bool          `json:"body_base64,omitempty"`
	Cut        bool          `json:"cut,omitempty" doc:"Set where the body was longer than what is told"`
	Broken     bool          `json:"broken,omitempty" doc:"Set where the answer broke off after it had begun; a caller sees the connection cut"`
	Took       time.Duration `json:"took_ns"`
	// Invocation is the record, Logs what it printed; absent where no function was
	// called.
	Invocation *cove.Invocation `json:"invocation,omitempty"`
	Logs       []LogLine        `json:"logs" nullable:"false"`
}

// Host is the machine right now.
type Host struct {
	CPUs int `json:"cpus" doc:"Processors"`
	// CPU is how many of them were used in the last seconds.
	CPU         float64       `json:"cpu" doc:"How many of them were used in the last seconds"`
	Memory      cove.ByteSize `json:"memory" doc:"Memory of the machine"`
	MemoryUsed  cove.ByteSize `json:"memory_used"`
	Load1       float64       `json:"load1" doc:"The load average of the last minute"`
	SandboxCPU  float64       `json:"sandbox_cpu" doc:"How many processors the sandboxes used in the last seconds"`
	SandboxUsed cove.ByteSize `json:"sandbox_memory" doc:"Memory that the control groups of all sandboxes count"`
	DiskFree    cove.ByteSize `json:"disk_free" doc:"Free where the data directory is"`
	DiskTotal   cove.ByteSize `json:"disk_total"`
	DaemonMem   cove.ByteSize `json:"daemon_memory" doc:"Memory of the daemon itself"`
	Goroutines  int           `json:"goroutines"`
	Kernel      string        `json:"kernel"`
}

// BenchRun is one comparison of the isolations on this machine.
type BenchRun struct {
	ID string `json:"id" example:"20261122-140501"`
	// State is "running", "done", "failed" or "cancelled".
	State    string    `json:"state" enum:"running,done,failed,cancelled"`
	Quick    bool      `json:"quick" doc:"The short form"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"`
	Progress float64   `json:"progress" doc:"0 to 1" minimum:"0" maximum:"1"`
	// Step is what is measured now.
	Step  string `json:"step,omitempty" doc:"What is measured now"`
	Error string `json:"error,omitempty"`
	// Report is the report as cove bench -o json writes it; only in the answer for
	// one run, when it is done.
	Report json.RawMessage `json:"report,omitempty" doc:"As cove bench -o json writes it; only when one run is asked for, and it is done"`
}

// BenchRunList is every kept run, the newest first, without reports.
type BenchRunList struct {
	Items []BenchRun `json:"items" nullable:"false"`
}

// BenchStart is the body of a bench run's start.
type BenchStart struct {
	// Quick is the form of 2 minutes instead of 10.
	Quick bool `json:"quick,omitempty" doc:"The form of 2 minutes instead of 10"`
	// Isolations limits it to these; absent means all that are available.
	Isolations []string `json:"isolations,omitempty" nullable:"false" maxItems:"16" doc:"Only these; absent means all that are available"`
	// Runtimes and Workloads limit what they are compared with.
	Runtimes  []string `json:"runtimes,omitempty" nullable:"false" maxItems:"16" doc:"Runtimes of the workloads; absent means all"`
	Workloads []string `json:"workloads,omitempty" nullable:"false" maxItems:"16" doc:"Workloads to compare with; absent means all. The first one is measured whole, of the others their own time"`
	// Time is how long it measures, instead of the 10 minutes or Quick's 2;
	// preparing comes on top.
	Time cove.Duration `json:"time,omitzero" doc:"Measure for this long instead of 10 minutes or 2: 5s to 2h" example:"1m"`
}

// CostQuery is a traffic to reckon the cost of, in every isolation of a bench run.
type CostQuery struct {
	// PerSecond are calls per second: one number, or one for each part of a day.
	PerSecond []float64     `json:"per_second" minItems:"1" maxItems:"96" nullable:"false"`
	KeepAlive cove.Duration `json:"keep_alive,omitzero" doc:"How long an idle instance is kept; absent means 5m"`
	Min       int           `json:"min,omitempty" minimum:"0" maximum:"1000"`
	// Workload and Runtime are of the report; absent means the first it has bills of.
	Workload string `json:"workload,omitempty" maxLength:"63" doc:"One that the report has bills of; absent means the first: the no-op"`
	Runtime  string `json:"runtime,omitempty" maxLength:"63" doc:"Absent means the first of the report"`
	Prices   Prices `json:"prices,omitzero" doc:"Absent means those of the settings"`
	// Run is the bench run; absent means the newest that is done.
	Run string `json:"run,omitempty"`
}

// CostAnswer is the bill of a traffic in every isolation.
type CostAnswer struct {
	Run    string          `json:"run"`
	Prices Prices          `json:"prices"`
	Items  []IsolationCost `json:"items" nullable:"false"`
}

// IsolationCost is the bill in one isolation.
type IsolationCost struct {
	Isolation  string  `json:"isolation"`
	PerMonth   float64 `json:"per_month"`
	PerMillion float64 `json:"per_million"`
	Calls      float64 `json:"calls"`
	Starts     float64 `json:"starts"`
	Busy       float64 `json:"busy"`
	Idle       float64 `json:"idle"`
	Standing   float64 `json:"standing"`
	Instances  float64 `json:"instances"`
	ColdShare  float64 `json:"cold_share"`
}
