// Package logs keeps the latest output of every function in memory: what its
// handlers printed, by invocation, and what the platform has to say about them.
package logs

import (
	"time"
)

// Line is one line of a function's log.
type Line struct {
	Time     time.Time `json:"time"`
	Function string    `json:"function"`
	Version  int       `json:"version"`
	Instance string    `json:"instance"`
	// RequestID is empty for what was printed while no handler ran.
	RequestID string `json:"request_id,omitempty"`
	// Platform is set on lines that Cove wrote itself.
	Platform bool   `json:"platform,omitempty"`
	Text     string `json:"text"`
}
