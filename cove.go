// Package cove is the domain of the Cove function platform: what a function,
// a version and an invocation are, and the errors they end in.
//
// It imports the standard library only and holds no behaviour beyond the rules
// of these values, so every other package, the Go client and the user's own
// programs may import it.
package cove

import "time"

// Function is what a user manages. It points at one of its versions.
type Function struct {
	// Name is unique on the platform: 1 to 63 of a-z, 0-9 and '-', beginning
	// with a letter and not ending with '-' (an RFC 1123 label).
	Name string `json:"name"`
	// Revision counts the changes of this function from 1. It is the ETag.
	Revision int64 `json:"revision"`
	// Version is the active one, with its configuration.
	Version Version `json:"version"`
	// Disabled functions answer CodeDisabled to every request.
	Disabled bool `json:"disabled,omitempty"`
	// Created and Updated are when the function was made and last changed.
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// Version is one immutable state of a function: its configuration and its
// code package. Changing either makes a new version.
type Version struct {
	// ID is unique for ever, also across functions deleted and made again
	// under the same name.
	ID string `json:"id"`
	// Function is the name of the function this is a version of.
	Function string `json:"function"`
	// Number counts the versions of one function from 1.
	Number int `json:"number"`
	// Config is the configuration with every default filled in.
	Config Config `json:"config"`
	// Package names the code; it is zero while no code was uploaded.
	Package Package `json:"package,omitzero"`
	// Disabled is set on the active version of a function that is disabled. It is
	// known in memory only, beside what never changes of a version.
	Disabled bool `json:"-"`
	// Created is when this version was made.
	Created time.Time `json:"created"`
	// Note says in a few words what made this version: "code", "config",
	// "rollback to 3".
	Note string `json:"note,omitempty"`
}

// Package names a code archive by its content.
type Package struct {
	// SHA256 is the lower-case hexadecimal digest of the archive as uploaded.
	SHA256 string `json:"sha256"`
	// Format is "zip" or "tar.gz".
	Format string `json:"format"`
	// Size is the size of the archive and Unpacked that of its files, in bytes.
	Size     int64 `json:"size"`
	Unpacked int64 `json:"unpacked"`
	// Files is the number of files in it.
	Files int `json:"files"`
}

// Config is what a user says about a function. Its fields are those of
// cove.yaml, of the control API and of the command line.
type Config struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Runtime names a language environment: "python3.13"; "python" names the
	// newest of its language and is stored as what it stood for.
	Runtime string `json:"runtime"`
	// Handler is "file.function"; the runtime has a default.
	Handler string `json:"handler,omitempty"`
	// Route is a net/http path pattern ("/hello/{name}"); empty means that the
	// function has no door on the gateway and can only be invoked by the API.
	Route string `json:"route,omitempty"`
	// Methods limits the HTTP methods of the route; empty means all.
	Methods []string `json:"methods,omitempty"`
	// Timeout bounds one run of the handler, from the request written to the
	// last frame of the answer read.
	Timeout Duration `json:"timeout,omitzero"`
	// InitTimeout bounds the import of the handler.
	InitTimeout Duration `json:"init_timeout,omitzero"`
	// QueueTimeout bounds the wait for an instance.
	QueueTimeout Duration `json:"queue_timeout,omitzero"`
	// Memory bounds the whole sandbox, /tmp included.
	Memory ByteSize `json:"memory,omitzero"`
	// CPU is how many processors the sandbox may use; fractions are allowed.
	CPU float64 `json:"cpu,omitzero"`
	// Tmp is the size of /tmp, which lives in memory.
	Tmp ByteSize `json:"tmp,omitzero"`
	// MaxBody bounds the body of one request on the route.
	MaxBody ByteSize `json:"max_body,omitzero"`
	// Env is the function's environment.
	Env Env `json:"env,omitempty"`
	// Isolation is the technology that walls the function in: "gvisor", "docker".
	Isolation string `json:"isolation,omitempty"`
	// Network is NetworkNone or NetworkEgress.
	Network Network `json:"network,omitempty"`
	// Auth says who may call the route: AuthPublic or AuthToken.
	Auth Auth `json:"auth,omitempty"`
	// CORS answers browsers of other origins; nil means that Cove adds nothing.
	CORS *CORS `json:"cors,omitempty"`
	// Scaling bounds how many instances there are and how long they stay.
	Scaling Scaling `json:"scaling,omitzero"`
}

// Network says what a sandbox can reach.
type Network string

const (
	// NetworkNone: nothing. The default.
	NetworkNone Network = "none"
	// NetworkEgress: out to the world, but not to the host, its loopback, the
	// control API or link-local addresses (cloud metadata services).
	NetworkEgress Network = "egress"
)

// Auth says who may call a function's route.
type Auth string

const (
	// AuthPublic: everybody. The default.
	AuthPublic Auth = "public"
	// AuthToken: who presents a token of this Cove that may invoke it.
	AuthToken Auth = "token"
)

// CORS is the answer to browsers that call from another origin.
type CORS struct {
	// Origins are "https://app.example.com" or "*".
	Origins []string `json:"origins"`
	// Methods default to those of the route.
	Methods []string `json:"methods,omitempty"`
	// Headers a caller may send; ExposeHeaders a caller may read.
	Headers       []string `json:"headers,omitempty"`
	ExposeHeaders []string `json:"expose_headers,omitempty"`
	// Credentials allows cookies; not with origin "*".
	Credentials bool `json:"credentials,omitempty"`
	// MaxAge is how long a browser may keep a preflight's answer.
	MaxAge Duration `json:"max_age,omitzero"`
}

// Scaling bounds the instances of a function.
type Scaling struct {
	// Min instances are kept even when idle; 0 scales to zero.
	Min int `json:"min,omitempty"`
	// Max instances at once.
	Max int `json:"max,omitempty"`
	// Idle is how long an instance without work is kept.
	Idle Duration `json:"idle,omitzero"`
	// Queue is how many requests may wait for an instance; one more gets 429.
	Queue int `json:"queue,omitempty"`
	// Concurrency is how many requests one instance serves at once, 1 by default.
	Concurrency int `json:"concurrency,omitempty"`
	// Reserved is for how many instances memory is kept that no other function
	// can take.
	Reserved int `json:"reserved,omitempty"`
	// Pause is how long an instance idles until it is frozen; a frozen one costs
	// no processor time and goes on in a fraction of a millisecond. It is looked at
	// once a second. A time longer than Idle means never.
	Pause Duration `json:"pause,omitzero"`
	// Policy is PolicyAdaptive or PolicyFixed.
	Policy ScalingPolicy `json:"policy,omitempty"`
}

// ScalingPolicy says how it is decided how long an idle instance is kept.
type ScalingPolicy string

const (
	// PolicyAdaptive learns from the times between a function's requests: it
	// keeps an instance for as long as the next one is likely to come, and starts
	// one shortly before a request that is due. While there is nothing to learn
	// from, Scaling.Idle counts. The default.
	PolicyAdaptive ScalingPolicy = "adaptive"
	// PolicyFixed keeps an instance for Scaling.Idle, always.
	PolicyFixed ScalingPolicy = "fixed"
)

// Env is a function's environment by variable name.
type Env map[string]EnvVar

// EnvVar is one environment variable. In JSON and YAML it is a plain string,
// or {"value": "...", "secret": true}.
type EnvVar struct {
	Value string
	// Secret variables are write-only: the API answers them without a value,
	// and an update that repeats a secret without a value keeps the old one.
	Secret bool
}

// StartClass says what a request found: an instance, or the need of one.
type StartClass string

const (
	// StartWarm: an idle instance was there.
	StartWarm StartClass = "warm"
	// StartThawed: a paused instance was resumed.
	StartThawed StartClass = "thawed"
	// StartStem: a stem cell was specialised.
	StartStem StartClass = "stem"
	// StartCold: a sandbox was created in the request.
	StartCold StartClass = "cold"
)

// Kind says how an invocation came in and so what the handler's event is.
type Kind string

const (
	// KindHTTP: through a route; the event is a Lambda HTTP event 2.0.
	KindHTTP Kind = "http"
	// KindDirect: through the API; the event is the caller's JSON as it is.
	KindDirect Kind = "direct"
)

// OutcomeOK is the Outcome of an invocation that was answered by its handler;
// every other outcome is an error Code.
const OutcomeOK = "ok"

// Invocation is the record of one request to a function.
type Invocation struct {
	// ID is the request id, the same that the caller and the handler see.
	ID        string    `json:"id"`
	Function  string    `json:"function"`
	Version   int       `json:"version"`
	Isolation string    `json:"isolation"`
	Instance  string    `json:"instance,omitempty"`
	Kind      Kind      `json:"kind"`
	Time      time.Time `json:"time"`
	// Start is empty when the request never got an instance.
	Start StartClass `json:"start,omitempty"`
	// Outcome is OutcomeOK, "caller_gone", or the Code of the error.
	Outcome string `json:"outcome"`
	Fault   Fault  `json:"fault,omitempty"`
	// Status is the HTTP status that was answered.
	Status int `json:"status,omitempty"`
	// Error is the error's message, cut at 1 KiB, and ErrorType its class where
	// the function's own language has one: "ValueError".
	Error     string `json:"error,omitempty"`
	ErrorType string `json:"error_type,omitempty"`
	// Method and Path are those of the request on the route, the path without its
	// query and cut at 256 bytes.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Trace is the trace id of the request (W3C trace context), 32 hexadecimal digits.
	Trace   string  `json:"trace,omitempty"`
	Timings Timings `json:"timings"`
	// Billed is the time in which the invocation had an instance to itself or
	// shared it: loading the function and running it, rounded up to a millisecond.
	Billed time.Duration `json:"billed_ns"`
	// BytesIn and BytesOut are the sizes of payload and answer.
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
	// CPU is the processor time that the whole sandbox used meanwhile, and
	// PeakMemory the most memory it has had, both measured by the host.
	CPU        time.Duration `json:"cpu_ns"`
	PeakMemory ByteSize      `json:"peak_memory"`
}

// Timings are the phases of one invocation, in nanoseconds of monotonic time.
type Timings struct {
	Queue time.Duration `json:"queue_ns"`
	Start time.Duration `json:"start_ns"`
	Init  time.Duration `json:"init_ns"`
	Run   time.Duration `json:"run_ns"`
	Total time.Duration `json:"total_ns"`
}
