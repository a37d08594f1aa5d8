// Package metrics counts what every invocation did, keeps it as roll-ups by
// minute, hour and day, and answers what happened in a range of time.
//
// A Recorder takes each invocation without waiting: it adds it to counters in
// memory, one set for each version and isolation, and puts its record into a
// bounded queue. Every half second both are written in one transaction, which counts
// exactly the calls that it records, but for those that the queue had no room for. A
// Service answers queries over what was written; a Sampler adds, every few
// seconds, how many instances there were and what they held.
package metrics

import (
	"strings"
	"time"

	"github.com/covefn/cove"
)

// GroupBy says what gets a group of its own in an answer.
type GroupBy string

// The groupings; "" is one group of everything.
const (
	ByFunction  GroupBy = "function"
	ByVersion   GroupBy = "version"
	ByIsolation GroupBy = "isolation"
)

// Query asks what happened. What is zero does not choose.
type Query struct {
	Function  string
	Version   int
	Isolation string
	From, To  time.Time
	// Step is the length of a point, in whole minutes; 0 for one over the range.
	Step    time.Duration
	GroupBy GroupBy
	// Histogram adds counts by latency to each point.
	Histogram bool
}

// GaugeQuery asks how many instances there were and what they held: those of one
// function, or all.
type GaugeQuery struct {
	Function string
	From, To time.Time
	Step     time.Duration
}

// ParseTime reads a moment as queries have it: RFC 3339, "now", or a time ago
// such as "-1h" or "-7d". field names it in the error, a *cove.Error of
// CodeInvalid.
func ParseTime(field, s string, now time.Time) (time.Time, error) {
	if s == "now" {
		return now, nil
	}
	if back, ok := strings.CutPrefix(s, "-"); ok {
		if d, err := parseDuration(back); err == nil && d >= 0 {
			return now.Add(-d), nil
		}
	} else if t, err := time.Parse(time.RFC3339, s); err == nil && t.Year() >= 1970 && t.Year() < 2200 {
		return t, nil
	}
	return time.Time{}, cove.Invalid(field, "must be a moment such as 2026-11-22T14:00:00Z, or a time ago such as -1h or -7d")
}

// ParseStep reads the length of a step: "5m", "1h", "1d". "" is 0.
func ParseStep(field, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := parseDuration(s)
	if err != nil || d < time.Minute || d%time.Minute != 0 {
		return 0, cove.Invalid(field, "must be whole minutes, such as 1m, 1h or 1d")
	}
	return d, nil
}

// parseDuration is time.ParseDuration with days, "7d", beside.
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		d, err := time.ParseDuration(days + "h")
		if err != nil || d > 1e6*time.Hour {
			return 0, cove.Errorf(cove.CodeInvalid, "no number of days: %s", s)
		}
		return 24 * d, nil
	}
	return time.ParseDuration(s)
}
