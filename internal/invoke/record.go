package invoke

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/covefn/cove"
)

const (
	// maxError and maxPath bound what a record takes of texts that others chose.
	maxError = 1 << 10
	maxPath  = 256
)

// newRecord is the record of r as it begins.
func newRecord(r *Request) *cove.Invocation {
	v := r.Version
	record := &cove.Invocation{
		ID: r.ID, Function: v.Function, Version: v.Number, Isolation: v.Config.Isolation,
		Kind: r.Kind, Time: r.Arrived, Outcome: cove.OutcomeOK, BytesIn: int64(len(r.Payload)),
		Method: r.Method, Path: cut(r.Path, maxPath), Trace: traceID(r.Trace),
	}
	// These may be parts of the request's head, all of which a record that waits to
	// be kept would hold in memory. They are copied together, as that is one piece.
	own := record.ID + record.Method + record.Path + record.Trace
	for _, text := range []*string{&record.ID, &record.Method, &record.Path, &record.Trace} {
		n := len(*text)
		*text, own = own[:n], own[n:]
	}
	return record
}

// fail puts an error into a record.
func fail(record *cove.Invocation, err *cove.Error) {
	record.Outcome, record.Fault = string(err.Code), err.Code.Fault()
	record.Error = strings.Clone(cut(err.Message, maxError))
	if err.Function != nil {
		record.ErrorType = strings.Clone(cut(err.Function.Type, maxPath))
	}
}

// billed is the time in which an invocation had an instance, in whole
// milliseconds, rounded up.
func billed(t *cove.Timings) time.Duration {
	return (t.Init + t.Run + time.Millisecond - 1).Truncate(time.Millisecond)
}

// traceID is the trace id of a W3C traceparent (version "-" trace id "-" parent
// "-" flags), "" for what is none.
func traceID(traceparent string) string {
	if len(traceparent) < 55 || traceparent[2] != '-' || traceparent[35] != '-' {
		return ""
	}
	id := traceparent[3:35]
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id
}

// cut is s without what is beyond n bytes, and never a part of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
