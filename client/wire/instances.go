package wire

import (
	"time"

	"github.com/covefn/cove"
)

// Warm is the body of a request for instances that are ready.
type Warm struct {
	// Instances is how many there are to be; 0 means 1.
	Instances int `json:"instances,omitempty" doc:"How many are to be ready, at most scaling.max; absent means 1" minimum:"0" maximum:"1000" example:"3"`
	// Timeout bounds the wait; 0 means 1 minute.
	Timeout cove.Duration `json:"timeout,omitzero" doc:"Bounds the wait: 100ms to 15m; absent means 1m"`
}

// Warmed says what warming up did.
type Warmed struct {
	Version int `json:"version" doc:"The version that is loaded"`
	// Ready is how many instances there are, those that were there before
	// included.
	Ready int           `json:"ready" doc:"How many instances are there, those that were there before included"`
	Took  time.Duration `json:"took_ns" doc:"How long that took, in nanoseconds"`
	// Note says why a deploy that should have warmed did not.
	Note string `json:"note,omitempty" doc:"Why nothing was warmed up; absent when it was"`
}

// Recycle is the body of a request for new instances in the place of others.
type Recycle struct {
	// Now ends the instances at once, though there are no others yet.
	Now bool `json:"now,omitempty" doc:"End the instances at once: the requests that follow wait for new ones"`
	// Timeout bounds the wait for the new ones; 0 means 1 minute.
	Timeout cove.Duration `json:"timeout,omitzero" doc:"Bounds the wait for the new ones: 100ms to 15m; absent means 1m"`
}

// Recycled says what a recycling did.
type Recycled struct {
	Instances int `json:"instances" doc:"How many instances end: idle and paused ones at once, busy ones after what they serve"`
	// Took is how long the wait for the new ones was.
	Took time.Duration `json:"took_ns" doc:"How long it took until there were new ones, in nanoseconds; 0 with now"`
}

// InstanceState is what an instance does.
type InstanceState string

// The states of an instance.
const (
	InstanceIdle   InstanceState = "idle"
	InstancePaused InstanceState = "paused"
	InstanceBusy   InstanceState = "busy"
)

// Instance is one sandbox that runs a version.
type Instance struct {
	ID        string        `json:"id" doc:"Names the sandbox, in logs too" example:"hello-0123456789ab"`
	Function  string        `json:"function" example:"hello"`
	Version   int           `json:"version" example:"3"`
	Runtime   string        `json:"runtime" example:"python3.13"`
	Isolation string        `json:"isolation" example:"gvisor"`
	State     InstanceState `json:"state" enum:"idle,paused,busy" doc:"What it does"`
	// Since is when it became idle, or was made where it is not idle.
	Since    time.Time `json:"since" doc:"When it became idle; for others, when they were made"`
	InFlight int       `json:"in_flight" doc:"Requests that it serves now"`
	// Draining is set on one that serves nobody else and then ends.
	Draining bool `json:"draining,omitempty" doc:"Set on one that ends after what it serves"`
	// Start is how it was made.
	Start cove.StartClass `json:"start,omitempty" enum:"stem,cold" doc:"How it was made: of a stem cell, or from nothing"`
	// Reserved is what is set aside for it, Memory what its sandbox uses.
	Reserved cove.ByteSize `json:"reserved" doc:"Memory set aside for it: the function's and what the isolation costs"`
	Memory   cove.ByteSize `json:"memory,omitempty" doc:"Memory that its control group counts now"`
	// Measured is there only if it was asked for.
	Measured *Measured `json:"measured,omitempty" doc:"Only with measure=true"`
}

// Measured is what all processes of a sandbox cost the host, the isolation's own
// included.
type Measured struct {
	// PSS counts a page that n processes share as a nth of it for each.
	PSS       cove.ByteSize `json:"pss" doc:"Memory of all its processes; what several share is counted in parts"`
	Processes int           `json:"processes" doc:"How many processes the host has for it"`
}

// InstanceList is every instance that was asked for, by function, version and id.
type InstanceList struct {
	Items []Instance `json:"items" doc:"By function, version and id" nullable:"false"`
}

// Stem counts the stem cells of one kind: sandboxes whose language is started,
// and which wait for a function.
type Stem struct {
	Runtime   string        `json:"runtime" example:"python3.13"`
	Isolation string        `json:"isolation" example:"gvisor"`
	Network   cove.Network  `json:"network" enum:"none,egress"`
	Tmp       cove.ByteSize `json:"tmp" doc:"Size of /tmp, which is set when a sandbox is made"`
	// Memory is 0 where the limit is set when the cell is taken.
	Memory    cove.ByteSize `json:"memory,omitempty" doc:"Memory limit; absent where it is set when the cell is taken"`
	Functions int           `json:"functions" doc:"How many functions could use one"`
	Ready     int           `json:"ready" doc:"How many wait for a function"`
	Starting  int           `json:"starting" doc:"How many are being made"`
	Target    int           `json:"target" doc:"How many there should be, by recent demand"`
	Taken     int64         `json:"taken" doc:"How many became instances, since the daemon started"`
	Missed    int64         `json:"missed" doc:"How often one was wanted and there was none"`
	Refill    time.Duration `json:"refill_ns" doc:"What making one takes, a recent average in nanoseconds; 0 while none was made"`
	Error     string        `json:"error,omitempty" doc:"Why none can be made at the moment"`
}

// StemList is the stem cells of every kind.
type StemList struct {
	Items []Stem `json:"items" doc:"By runtime and isolation" nullable:"false"`
}

// Explanation says why there are as many instances of a function as there are.
type Explanation struct {
	Function string `json:"function" example:"hello"`
	Version  int    `json:"version" doc:"The active version" example:"3"`
	// Reasons are sentences for people.
	Reasons []string `json:"reasons" doc:"Why there are as many instances, in sentences for people" nullable:"false"`
	// Policy is what the configuration allows.
	Policy cove.Scaling `json:"policy" doc:"What the configuration allows"`
	// Observed is what there is, Decided what is to be done about it.
	Observed Observed `json:"observed" doc:"What there is"`
	Decided  Decided  `json:"decided" doc:"What is to be done about it now"`
	// Error is why an instance could not be made lately.
	Error string `json:"error,omitempty" doc:"Why an instance could not be made lately"`
}

// Observed is what there is of a version.
type Observed struct {
	Instances Instances `json:"instances" doc:"Its instances by what they do"`
	InFlight  int       `json:"in_flight" doc:"Requests that are served now"`
	// OldestWait is how long the first of the queued requests has waited.
	OldestWait time.Duration `json:"oldest_wait_ns" doc:"How long the first of the requests that wait has waited, in nanoseconds"`
	// Stems is how many stem cells it could use.
	Stems    int  `json:"stems" doc:"Stem cells that are ready and that it could use"`
	UseStems bool `json:"use_stems" doc:"Whether its instances can be made of stem cells"`
	// StartTook and RunTook are recent averages; 0 is not known.
	StartTook time.Duration `json:"start_took_ns" doc:"What a start takes, a recent average in nanoseconds; 0 is not known"`
	RunTook   time.Duration `json:"run_took_ns" doc:"What a request takes in the handler, a recent average in nanoseconds; 0 is not known"`
}

// Decided is what is done about what there is.
type Decided struct {
	Start int `json:"start" doc:"Instances to begin"`
	Stop  int `json:"stop" doc:"Idle instances to end"`
	Pause int `json:"pause" doc:"Idle instances to freeze"`
	Keep  int `json:"keep" doc:"Instances that there should be though nobody waits"`
	// Next is when it is decided again though nothing happens.
	Next time.Time `json:"next,omitzero" doc:"When it is decided again though nothing happens; absent for within a second"`
}
