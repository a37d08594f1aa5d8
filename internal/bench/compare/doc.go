// Package compare measures what the isolations of this machine cost, with
// functions of the user's or built-in ones, on a daemon of its own. It brings the
// states about that are measured, and leaves how to measure to package bench; the
// method is in docs/performance.md.
package compare
