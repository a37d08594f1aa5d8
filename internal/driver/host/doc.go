// Package host is the host's side of one sandbox, shared by all drivers whose
// sandboxes run on this machine's kernel: the directory that a sandbox shares
// with the host (Box), the control group that bounds, measures and ends it
// (Cgroup), the end of a process that is nobody's child (Process), and the
// network namespace of a sandbox with egress (Network).
//
// Everything here is Linux and needs root. It holds no policy and no state but
// that of the kernel, so what a dead daemon left can be found again by looking:
// RecoverBoxes and Cgroups.Recover.
package host
