// Package driver is the contract between Cove and the technologies that wall a
// function in. A Driver makes sandboxes of one isolation; Guard wraps each of
// them and gives all isolations the same safety, so that a backend holds only
// what is special about it.
package driver

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/covefn/cove"
)

// ErrDead is what every method of a sandbox but ID, Wait and Destroy returns
// (wrapped, with what it died of) once the sandbox is gone.
var ErrDead = errors.New("the sandbox is dead")

// ErrRefused is wrapped by the error of a state change that was refused before
// anything was changed: the sandbox is as it was, and goes on.
var ErrRefused = errors.New("nothing was changed")

// Remains is the error of a Create that has not removed yet what it had made.
type Remains struct {
	// Sandbox is what there is of it. Only ID and Destroy work. What was reserved for
	// the sandbox must be kept until Destroy has returned nil.
	Sandbox Sandbox
	// Err is why there is no sandbox.
	Err error
}

// Error is that of Err.
func (r *Remains) Error() string { return r.Err.Error() }

// Unwrap is Err.
func (r *Remains) Unwrap() error { return r.Err }

// Driver makes sandboxes of one isolation. It is safe for concurrent use and
// holds no policy: no pooling, no retries, no deadlines of its own but those
// that keep it from hanging.
type Driver interface {
	// Isolation is the name a function's configuration uses: "docker".
	Isolation() string
	// Probe says whether this host can run the isolation, with which features,
	// and if not, why and which command mends it. It returns within 10 s. Before it
	// was called, sandboxes may lack a feature that depends on the technology's
	// version.
	Probe(ctx context.Context) Report
	// Create returns a sandbox whose shim has connected. If ctx ends first, or
	// anything fails, it removes all that it made before it returns. Where that
	// takes long, because the host or Docker is in trouble, its error is a *Remains.
	Create(ctx context.Context, spec Spec) (Sandbox, error)
	// Recover lists what an earlier daemon left behind under owner, for the
	// pool to destroy. Of what it returns only ID and Destroy work.
	Recover(ctx context.Context, owner string) ([]Sandbox, error)
	// Close gives back what the driver itself holds: connections, helpers.
	// Every sandbox must have been destroyed before.
	Close() error
}

// Sandbox is one isolated environment. It is safe for concurrent use.
type Sandbox interface {
	// ID is Spec.ID.
	ID() string
	// Conn is the runtime protocol's byte stream. It ends when the sandbox does.
	Conn() net.Conn
	// Logs are what everything inside wrote to stdout and to stderr. Both must be
	// drained, at the same time, and end when the sandbox does.
	Logs() (stdout, stderr io.Reader)
	// Usage is what the whole sandbox used so far. It costs a few microseconds.
	Usage(ctx context.Context) (Usage, error)
	// CPU is the processor time that Usage tells, alone: every request asks for it,
	// and it is the cheaper question.
	CPU() (time.Duration, error)
	// Wait blocks until the sandbox is gone and says how it ended. It may be
	// called by several at once and again after the end.
	Wait(ctx context.Context) (Exit, error)
	// Stop returns when nothing inside runs any more (frozen or killed), so
	// that nothing it does can happen after that. It takes milliseconds and
	// cleans nothing up: Destroy does, and must follow.
	Stop(ctx context.Context) error
	// Destroy kills everything inside, waits for the end and removes all that
	// the sandbox had on the host. It is idempotent, works in every state, and
	// goes on when ctx ends; then it returns ctx's error, and calling it again
	// waits for the same removal.
	Destroy(ctx context.Context, reason string) error
}

// Mounter is a sandbox into which a directory can be put while it runs.
type Mounter interface {
	// Mount makes the host's directory dir appear read-only at CodeDir inside.
	Mount(ctx context.Context, dir string) error
}

// Resizer is a sandbox whose limits can change while it runs.
type Resizer interface {
	// Resize sets memory, CPU, pids and Background; Limits.Tmp cannot change and is
	// ignored, and a number that is zero leaves that limit as it is. A memory limit
	// below what is in use, after all that can be given back was given back, is
	// refused: the error is ErrRefused, and the sandbox goes on with the limits
	// that it had. It takes about a hundred microseconds. What programs inside are
	// told does not change: the size of the memory (/proc/meminfo) and the number
	// of processors are the host's, in gVisor too, whatever the limits are.
	Resize(ctx context.Context, l Limits) error
}

// Pauser is a sandbox that can be stopped and go on.
type Pauser interface {
	// Pause freezes everything inside. Pausing what is paused does nothing.
	Pause(ctx context.Context) error
	// Resume lets it go on. Resuming what runs does nothing.
	Resume(ctx context.Context) error
}

// Native is a sandbox in which the host's kernel itself serves the system calls.
type Native interface {
	// Native says whether it does.
	Native() bool
}

// ProcessLister is a sandbox of which the host knows the processes.
type ProcessLister interface {
	// Processes lists every process of the host that is there because of the
	// sandbox, by its number on the host: those inside, gVisor's kernel, and the
	// helpers that the runtime or Docker keeps for it. What serves all sandboxes,
	// such as Docker's daemon, is not among them.
	Processes(ctx context.Context) ([]int, error)
}

// Where things are inside every sandbox, whatever the isolation.
const (
	// BoxDir is the directory that the sandbox shares with the host, read-only
	// inside: it holds the sockets and CodeDir.
	BoxDir = "/cove"
	// CodeDir is where Mount makes a package appear.
	CodeDir = "/cove/code"
	// ConnSocket is the unix socket on which the host awaits the protocol's
	// stream, LogSocket the one for stdout and stderr. The shim connects to the
	// log socket twice, for stdout and then for stderr, and then to the other; the
	// host accepts that many connections and removes both.
	ConnSocket = "/cove/conn.sock"
	LogSocket  = "/cove/log.sock"
	// ShimDir holds the shim's files, read-only.
	ShimDir = "/opt/cove"
)

// UID and GID are the user and group as which everything inside runs. They
// have no name and no rights on the host.
const (
	UID = 65532
	GID = 65532
)

// Spec is what Create needs to know.
type Spec struct {
	// ID is unique on this host and a valid name for containers, cgroups and
	// directories: 1 to 40 of a-z, 0-9 and '-'.
	ID string
	// Owner names the installation (the data directory) that the sandbox
	// belongs to; Recover finds it by that. 1 to 20 of a-z and 0-9.
	Owner string
	// Image is the runtime's root file system.
	Image Image
	// ShimDir is the host's directory with the shim's files.
	ShimDir string
	// Command starts the shim inside: an absolute path and its arguments.
	Command []string
	// Env is the whole environment of the shim's process, "NAME=value". It must
	// hold no secret: a driver may write it to disk.
	Env []string
	// Limits bound the sandbox as a whole.
	Limits Limits
	// Network says what it can reach.
	Network cove.Network
}

// Image is a runtime's root file system in each form that a driver may want.
type Image struct {
	// Ref is its name with a tag that changes with the content:
	// "cove/python3.13:0123456789ab".
	Ref string
	// Root is the directory with the unpacked file system. It is shared by all
	// sandboxes and must never be written to.
	Root string
	// Tarball opens the image in the form that `docker load` reads, tagged Ref.
	Tarball func(ctx context.Context) (io.ReadCloser, error)
}

// Limits bound a sandbox as a whole.
type Limits struct {
	// Memory in bytes, /tmp included. Swap is never allowed.
	Memory cove.ByteSize
	// CPU is how many processors' time it may use; 0.5 is half of one.
	CPU float64
	// PIDs is how many processes and threads there may be inside.
	PIDs int
	// Tmp is the size of the tmpfs at /tmp.
	Tmp cove.ByteSize
	// WeightParts divides the sandbox's weight for processor time, so that that many
	// sandboxes weigh as much as one: what a function with many instances has is
	// then no more than what one with a single instance has. 0 leaves it as it is;
	// a new sandbox has the whole weight.
	WeightParts int
	// Background is for a sandbox that nobody waits for, such as a stem cell:
	// everything inside then has the lowest weight there is for processor time, and
	// gets what other sandboxes leave. It can be starved altogether, so whoever
	// makes a sandbox in the background has to be patient. What the runtime does on
	// the host while it starts the sandbox steps back too, where it is a process of
	// Cove's (runsc, runc); what Docker's daemon does for it is done at Docker's
	// priority. Resize without it restores the normal weight.
	Background bool
}

// Usage is what a whole sandbox used, measured by the host.
type Usage struct {
	// CPU is the processor time since the sandbox began.
	CPU time.Duration
	// Memory is what it holds now, PeakMemory the most it ever held.
	Memory     cove.ByteSize
	PeakMemory cove.ByteSize
}

// Exit says how a sandbox ended.
type Exit struct {
	// Code is the exit code of its first process, -1 when it is not known.
	Code int
	// Signal is the signal that ended it, 0 for none.
	Signal int
	// OOM is set when it, or a process in it, was killed for want of memory.
	OOM bool
	// PeakMemory is the most memory it ever held, 0 when not known.
	PeakMemory cove.ByteSize
	// Reason is what Destroy was given, or "" when it ended by itself.
	Reason string
}

// Feature is something that not every driver, host or version can do.
type Feature string

// The features.
const (
	FeatureMount  Feature = "mount"
	FeatureResize Feature = "resize"
	FeaturePause  Feature = "pause"
	FeatureEgress Feature = "egress"
)

// Report is what a Probe found.
type Report struct {
	Isolation string `json:"isolation"`
	// Available says whether Create can work.
	Available bool `json:"available"`
	// Version is the technology's own: "runsc release-20260905".
	Version string `json:"version,omitempty"`
	// Reason says why it is not available and Fix the command that mends it.
	Reason string `json:"reason,omitempty"`
	Fix    string `json:"fix,omitempty"`
	// Features are what its sandboxes can do.
	Features []Feature `json:"features"`
	// Overhead is the memory that a sandbox costs the host beside what its
	// function uses, for admission.
	Overhead cove.ByteSize `json:"overhead"`
	// Notes are remarks for `cove doctor`, each one sentence.
	Notes []string `json:"notes,omitempty"`
}
