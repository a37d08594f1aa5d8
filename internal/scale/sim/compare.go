package sim

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/covefn/cove/internal/scale"
)

// Summary is the results of many functions under one policy.
type Summary struct {
	// Policy is "fixed" or "adaptive", Keep its idle time in minutes.
	Policy string  `json:"policy"`
	Keep   float64 `json:"keep_minutes"`
	// Median, P75 and P90 are over the functions, of the part of their requests
	// that were cold; Near75 is the mean of that from the 68th to the 82nd
	// percentile, which moves less by jumps.
	Median float64 `json:"cold_share_p50"`
	P75    float64 `json:"cold_share_p75"`
	P90    float64 `json:"cold_share_p90"`
	Near75 float64 `json:"cold_share_p68_to_p82"`
	// Overall is the part of all requests that were cold.
	Overall float64 `json:"cold_share_overall"`
	Calls   int     `json:"calls"`
	Cold    int     `json:"cold"`
	Starts  int     `json:"starts"`
	// IdleHours and BusyHours are instance-time, IdleMemory is in GB times hours.
	IdleHours  float64 `json:"idle_instance_hours"`
	BusyHours  float64 `json:"busy_instance_hours"`
	IdleMemory float64 `json:"idle_gb_hours"`
	// WaitSeconds is the mean wait of a cold request.
	WaitSeconds float64 `json:"cold_wait_seconds"`
}

// Lab tries policies on a set of functions.
type Lab struct {
	Functions []Function
	World     World
	// Max bounds the instances of a function.
	Max int
	// Workers is how many functions are simulated at once.
	Workers int
}

// Try is what becomes of all functions under the adaptive or the fixed policy
// with an idle time.
func (l *Lab) Try(adaptive bool, keep time.Duration) Summary {
	p := scale.Policy{Max: l.Max, Concurrency: 1, Idle: keep, Pause: -1, Adaptive: adaptive}
	results := make([]Result, len(l.Functions))
	var wg sync.WaitGroup
	for worker := range l.Workers {
		wg.Go(func() {
			for i := worker; i < len(results); i += l.Workers {
				results[i] = Run(l.Functions[i], p, l.World)
			}
		})
	}
	wg.Wait()
	s := summarise(results)
	s.Policy, s.Keep = "fixed", keep.Minutes()
	if adaptive {
		s.Policy = "adaptive"
	}
	return s
}

// AtIdle looks for the idle time with which a policy spends no more idle
// instance-time than hours, but almost as much, between 1 minute and a day.
func (l *Lab) AtIdle(adaptive bool, hours float64) Summary {
	low, high := 0.0, math.Log(24*60)
	best := l.Try(adaptive, time.Minute)
	for range 9 {
		middle := (low + high) / 2
		s := l.Try(adaptive, time.Duration(math.Exp(middle)*float64(time.Minute)))
		if s.IdleHours > hours {
			high = middle
			continue
		}
		low, best = middle, s
		if s.IdleHours > 0.995*hours {
			break
		}
	}
	return best
}

func summarise(results []Result) Summary {
	var s Summary
	shares := make([]float64, len(results))
	var waited time.Duration
	for i, r := range results {
		shares[i] = r.ColdShare()
		s.Calls += r.Calls
		s.Cold += r.Cold
		s.Starts += r.Starts
		s.IdleHours += r.Idle.Hours()
		s.BusyHours += r.Busy.Hours()
		s.IdleMemory += r.IdleMemory / 1e3
		waited += r.Waited
	}
	if len(results) == 0 {
		return s
	}
	slices.Sort(shares)
	quantile := func(q float64) int { return min(int(q*float64(len(shares))), len(shares)-1) }
	s.Median, s.P75, s.P90 = shares[quantile(0.5)], shares[quantile(0.75)], shares[quantile(0.9)]
	near := shares[quantile(0.68) : quantile(0.82)+1]
	for _, share := range near {
		s.Near75 += share / float64(len(near))
	}
	s.Overall = float64(s.Cold) / float64(max(1, s.Calls))
	s.WaitSeconds = waited.Seconds() / float64(max(1, s.Cold))
	return s
}
