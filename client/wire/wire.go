// Package wire holds what the control API sends and receives beside the domain
// itself. The server, the Go client and users' programs share these types.
package wire

import (
	"encoding/json"
	"time"

	"github.com/covefn/cove"
)

// Function is a function with what the daemon knows of it right now.
type Function struct {
	cove.Function
	// URL is where its route is served, "" without one. Wildcards are left as
	// they are written in the route.
	URL string `json:"url,omitempty" doc:"Where the route is served; absent without a route" example:"http://127.0.0.1:8080/hello/{name}"`
	// Instances counts its sandboxes.
	Instances Instances `json:"instances" doc:"The sandboxes that run it now"`
	// Warmed is there after a change that was to warm up first.
	Warmed *Warmed `json:"warmed,omitempty" doc:"What warming up did; only after a change with warm=true that made or activated a version with code"`
	// Note is there after a change that has a cost which its author may not know.
	Note string `json:"note,omitempty" doc:"What a change costs, in one sentence, where that may not be known: it has set a variable that is read when the language starts, so that no stem cell fits the function" example:"NODE_OPTIONS is read when the language starts: the function starts without a stem cell, which takes longer"`
}

// Instances counts sandboxes by what they do.
type Instances struct {
	Starting int `json:"starting" doc:"Being made or loading the function" minimum:"0"`
	Idle     int `json:"idle" doc:"Ready and without a request" minimum:"0"`
	Busy     int `json:"busy" doc:"Serving a request" minimum:"0"`
	Paused   int `json:"paused" doc:"Frozen, without processor time" minimum:"0"`
	Stopping int `json:"stopping" doc:"Being removed" minimum:"0"`
	// Queued is how many requests wait for an instance.
	Queued int `json:"queued" doc:"Requests that wait for an instance" minimum:"0"`
}

// Total is how many sandboxes there are, whatever they do.
func (i Instances) Total() int { return i.Starting + i.Idle + i.Busy + i.Paused + i.Stopping }

// FunctionList is one page of functions in the order of their names.
type FunctionList struct {
	Items []Function `json:"items" doc:"One page, by name" nullable:"false"`
	// Total is how many functions match in all.
	Total int `json:"total" doc:"How many functions match in all"`
	// Next is what to send as `after` for the next page; "" on the last.
	Next string `json:"next,omitempty" doc:"Send this as after to get the next page; absent on the last"`
}

// VersionList is every kept version of a function, the newest first.
type VersionList struct {
	Items []cove.Version `json:"items" doc:"The newest first" nullable:"false"`
	// Active is the number of the one that serves requests.
	Active int `json:"active" doc:"The number of the one that serves requests"`
}

// Create is the body of a creation: a configuration and, if wanted, the code.
type Create struct {
	cove.Config
	Files Files `json:"files,omitempty" doc:"The code, file by file"`
}

// Files is code given file by file: contents by path.
type Files map[string]File

// FilesPatch is the body of a change of single files: contents by path, nil for a
// file that is to go.
type FilesPatch struct {
	Files map[string]*File `json:"files"`
}

// File is the content of one file. In JSON it is a string, or {"base64": "..."}
// for what is no text.
type File []byte

// MarshalJSON writes text as a string and anything else in base64.
func (f File) MarshalJSON() ([]byte, error) {
	if validText(f) {
		return json.Marshal(string(f))
	}
	return json.Marshal(fileObject{Base64: f})
}

// UnmarshalJSON reads a string or an object of base64.
func (f *File) UnmarshalJSON(data []byte) error { return f.unmarshal(data) }

// Rollback is the body of a rollback.
type Rollback struct {
	// Version to make active; 0 is the one before the active one.
	Version int `json:"version,omitempty" doc:"The number of the version to make active; absent or 0 is the newest one below the active" minimum:"0" example:"3"`
}

// Result is the answer of a direct invocation. The HTTP status is 200 also when
// the function failed: Outcome and Error tell.
type Result struct {
	RequestID string `json:"request_id" doc:"Names this invocation in logs"`
	// Outcome is "ok" or the code of Error.
	Outcome string `json:"outcome" doc:"ok, or the code of error" example:"ok"`
	// Answer is what the handler returned, as JSON; absent after an error.
	Answer json.RawMessage `json:"answer,omitempty" doc:"What the handler returned; absent after an error"`
	// Error says how the function failed.
	Error *cove.Problem `json:"error,omitempty" doc:"How the function failed; absent when it did not"`
	// Logs are the last lines that this invocation wrote.
	Logs []LogLine `json:"logs" doc:"The last lines that this invocation wrote" nullable:"false"`
	// Invocation is the record: start class, timings, usage.
	Invocation cove.Invocation `json:"invocation" doc:"The record: start class, timings, usage"`
}

// LogLine is one line of a function's log.
type LogLine struct {
	// ID counts the lines of all functions, in the order in which they came.
	ID        int64     `json:"id" doc:"Counts the lines of all functions, in the order in which they came; 0 on a line that is told only to a follower"`
	Time      time.Time `json:"time"`
	Function  string    `json:"function"`
	Version   int       `json:"version"`
	Instance  string    `json:"instance" doc:"The sandbox that wrote it"`
	RequestID string    `json:"request_id,omitempty" doc:"The invocation that wrote it; absent for what was written while no handler ran"`
	Platform  bool      `json:"platform,omitempty" doc:"Set on lines that Cove itself wrote"`
	// Stream is "stdout" or "stderr"; "" on lines of the platform.
	Stream string `json:"stream,omitempty" enum:"stdout,stderr" doc:"Where it was written to; absent on lines of the platform"`
	// Level is that of a line that is a JSON object with one, or begins with one in
	// brackets, and "error" where Cove says why an invocation ended: "debug", "info",
	// "warn", "error".
	Level string `json:"level,omitempty" enum:"debug,info,warn,error" doc:"The level of a line that is a JSON object with one (level, severity, lvl), or begins with one in brackets: [ERROR]. Lines of Cove about a failure have error"`
	Text  string `json:"text"`
}

// LogList is one page of a log: the latest lines that match, the oldest line
// first.
type LogList struct {
	Items []LogLine `json:"items" doc:"The oldest first" nullable:"false"`
	// Next is what to send as `before` for the lines before these; "" when there are
	// none. A search that takes long ends early, with Next and fewer lines than were
	// asked for.
	Next string `json:"next,omitempty" doc:"Send this as before to get the lines before these; absent when there are none. A search that takes long is answered early, with this and fewer lines than asked for"`
}

// Ready is the answer to a readiness request: an instance of this version has
// loaded the function.
type Ready struct {
	Version int `json:"version" doc:"The version that is loaded"`
	// Took is how long the caller waited.
	Took time.Duration `json:"took_ns" doc:"How long that took, in nanoseconds"`
}

// Runtime is a language environment that functions can use.
type Runtime struct {
	Name      string `json:"name" doc:"What a configuration names" example:"python3.13"`
	Language  string `json:"language" example:"python"`
	Version   string `json:"version,omitempty" doc:"The language's own version" example:"3.13.5"`
	Extension string `json:"extension" doc:"Of the handler's file" example:".py"`
	// Handler is what a function gets that names none.
	Handler string `json:"handler" doc:"What a function gets that names none" example:"main.handler"`
	// Aliases name this runtime too: "python".
	Aliases []string `json:"aliases,omitempty" doc:"Other names of it; the newest of a language has the language's"`
	// Available says whether its image is there.
	Available bool   `json:"available" doc:"Whether its image is there"`
	Image     string `json:"image,omitempty" doc:"The image's name"`
	Reason    string `json:"reason,omitempty" doc:"Why it is not available"`
	Fix       string `json:"fix,omitempty" doc:"The command that mends it" example:"cove image build python3.13"`
}

// RuntimeList is every runtime.
type RuntimeList struct {
	Items []Runtime `json:"items" nullable:"false"`
}

// Isolation is what a probe found about one isolation on the daemon's host.
type Isolation struct {
	Name string `json:"name" doc:"What a configuration names" example:"gvisor"`
	// Default is set on the one that functions get that name none.
	Default   bool   `json:"default,omitempty" doc:"Set on the one for functions that name none"`
	Available bool   `json:"available" doc:"Whether sandboxes can be made"`
	Version   string `json:"version,omitempty" doc:"The technology's own version"`
	Reason    string `json:"reason,omitempty" doc:"Why it is not available"`
	Fix       string `json:"fix,omitempty" doc:"The command that mends it"`
	// Features are "mount", "resize", "pause", "egress".
	Features []string      `json:"features" doc:"What its sandboxes can do" nullable:"false"`
	Overhead cove.ByteSize `json:"overhead" doc:"What a sandbox costs the host beside its function's memory"`
	Notes    []string      `json:"notes,omitempty" doc:"Remarks, one sentence each"`
}

// IsolationList is every isolation.
type IsolationList struct {
	Items []Isolation `json:"items" nullable:"false"`
}

// System is what the daemon says of itself.
type System struct {
	Version string    `json:"version" doc:"Cove's own version" example:"0.1.0"`
	Started time.Time `json:"started" doc:"When the daemon started"`
	Data    string    `json:"data" doc:"The data directory"`
	// Gateway is the base URL of functions' routes.
	Gateway string `json:"gateway" doc:"Base URL of functions' routes" example:"http://127.0.0.1:8080"`
	// Isolation is the default one.
	Isolation string `json:"isolation" doc:"The isolation of functions that name none" example:"gvisor"`
	Functions int    `json:"functions" doc:"How many functions there are"`
	// MemoryBudget is what all sandboxes together may reserve, MemoryReserved
	// what they do.
	MemoryBudget   cove.ByteSize `json:"memory_budget" doc:"What all sandboxes together may reserve"`
	MemoryReserved cove.ByteSize `json:"memory_reserved" doc:"What they reserve now"`
	Instances      Instances     `json:"instances" doc:"All sandboxes by what they do"`
	// Stems are the stem cells by runtime and isolation.
	Stems []Stem `json:"stems" doc:"Sandboxes whose language is started and which wait for a function" nullable:"false"`
	// Stuck counts sandboxes that do not die.
	Stuck int `json:"stuck" doc:"Sandboxes that were killed and have not been seen dead"`
}

// Health is the answer of /healthz and /readyz.
type Health struct {
	Status string `json:"status" enum:"ok,starting,draining" doc:"ok, starting or draining"`
}
