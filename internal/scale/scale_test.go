package scale

import (
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	ago := func(minutes ...int) (idle []Idle) {
		for _, m := range minutes {
			idle = append(idle, Idle{Since: now.Add(-time.Duration(m) * time.Minute)})
		}
		return idle
	}
	policy := Policy{Min: 0, Max: 4, Idle: 5 * time.Minute, Pause: time.Hour}
	for _, test := range []struct {
		name   string
		policy Policy
		o      Observation
		want   Decision
	}{
		{"nothing to do", policy, Observation{}, Decision{}},
		{"one for each that waits", policy, Observation{Waiting: 3}, Decision{Start: 3}},
		{"those that come up count", policy, Observation{Waiting: 3, Starting: 2}, Decision{Start: 1}},
		{"never more than max", policy, Observation{Waiting: 9, Busy: 2, Starting: 1}, Decision{Start: 1}},
		{"none beyond max even when all wait", policy, Observation{Waiting: 9, Busy: 4}, Decision{}},
		{"min is kept up", Policy{Min: 2, Max: 4, Idle: time.Minute, Pause: time.Hour}, Observation{Busy: 1}, Decision{Start: 1}},
		{"min that comes up counts", Policy{Min: 2, Max: 4, Idle: time.Minute, Pause: time.Hour}, Observation{Starting: 2}, Decision{}},
		{"who idles too long is stopped", policy, Observation{Idle: ago(9, 5, 4)}, Decision{Stop: 2}},
		{"but not below min", Policy{Min: 2, Max: 4, Idle: 5 * time.Minute, Pause: time.Hour}, Observation{Idle: ago(9, 8, 7)}, Decision{Stop: 1}},
		{"a busy one counts towards min", Policy{Min: 2, Max: 4, Idle: 5 * time.Minute, Pause: time.Hour}, Observation{Busy: 1, Idle: ago(9, 8)}, Decision{Stop: 1}},
		{"nothing is kept of a version without idle time", Policy{Max: 4}, Observation{Idle: ago(0, 0)}, Decision{Stop: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.want.Keep = test.policy.Min
			if got := Decide(test.policy, test.o, nil, now); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
