// Package bench is the harness under every comparison of this project: the arms
// that take turns, the loads, the statistics, the cost model and the report.
//
// It knows nothing of Cove's daemon: what is measured is handed in as functions.
// The method is written down in docs/performance.md, and each of its rules is
// one thing here:
//
//	arms in random order, round by round     Interleave
//	a second arm of the same thing           NoiseOf
//	ratios with intervals                    Ratio
//	p99 only from 1,000 samples on           Summarise
//	peak by a closed loop, latency by an     ClosedLoop, OpenLoop, Climb
//	  intended-time open loop
//	steal time, load, processor time         Host, ProcessCPU, GroupCPU
//	cost and break-even                      Usage, Prices, Traffic, CheapestByLoad
//	one document, three forms                Report
package bench
