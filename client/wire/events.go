package wire

import "github.com/covefn/cove"

// The types of events that GET /events tells. Each is the name in the stream's
// event: line.
const (
	// EventSystem is a SystemEvent, every 2 s.
	EventSystem = "system"
	// EventInvocation is a cove.Invocation that has ended.
	EventInvocation = "invocation"
	// EventFunction is a FunctionEvent.
	EventFunction = "function"
	// EventSkipped is a Skipped: there were events that were not told.
	EventSkipped = "skipped"
	// EventLine is a LogLine, in a log that is followed.
	EventLine = "line"
)

// SystemEvent is how the daemon and its host are right now.
type SystemEvent struct {
	System System `json:"system"`
	// Host is absent where the host cannot be measured.
	Host *Host `json:"host,omitempty"`
}

// FunctionEvent is a change of a function.
type FunctionEvent struct {
	Name string `json:"name"`
	// Change is what happened to it.
	Change string `json:"change" enum:"created,updated,deleted,disabled,enabled" doc:"What happened to it"`
	// Revision is the function's after the change, Version the active version's
	// number; both are 0 for one that was deleted.
	Revision int64 `json:"revision,omitempty" doc:"The function's after the change; absent for one that was deleted"`
	Version  int   `json:"version,omitempty" doc:"The number of the active version; absent for a function that was deleted"`
}

// Skipped says that there was more than was told.
type Skipped struct {
	// Invocations were left out as there were more than 50 in a second, Events and
	// Lines as the reader was too slow; Lines also where a log is taken up again
	// after more than are told then.
	Invocations int64 `json:"invocations,omitempty" doc:"Left out as there were more than 50 in a second, or the reader was too slow"`
	Events      int64 `json:"events,omitempty" doc:"Other events left out, as the reader was too slow"`
	Lines       int64 `json:"lines,omitempty" doc:"Log lines left out, as the reader was too slow, or away for too long"`
}

// EventData is every type of event with its document; it exists for programs
// that generate types from the OpenAPI document.
type EventData struct {
	System     *SystemEvent     `json:"system,omitempty"`
	Invocation *cove.Invocation `json:"invocation,omitempty"`
	Function   *FunctionEvent   `json:"function,omitempty"`
	Skipped    *Skipped         `json:"skipped,omitempty"`
	Line       *LogLine         `json:"line,omitempty"`
}
