package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/logs"
	"github.com/covefn/cove/internal/metrics"
)

// Logs reads what functions wrote; *logs.Book does.
type Logs interface {
	// Tail is the last n lines of a function's log, the oldest first; of one
	// invocation only, if requestID is not empty. It answers from memory, so it
	// knows the latest lines only.
	Tail(function, requestID string, n int) []logs.Line
	// Find is a page of what is kept, what was written a moment ago included.
	Find(ctx context.Context, q logs.Query) (logs.Page, error)
	// Follow has lines told as they are written, until ctx ends. A reader that is
	// too slow misses lines; it never holds up the function.
	Follow(ctx context.Context, q logs.Query) (*logs.Follower, error)
}

const (
	maxTail    = 10_000
	defaultLog = 100
	// maxSearch bounds the text that is looked for.
	maxSearch = 1000
	// maxCounted is up to how many lines are counted of those that a reader who was
	// away has missed.
	maxCounted = 10 * maxTail
)

func (a *API) registerLogs() {
	const how = " With `follow=true` the answer is one JSON object per line (application/x-ndjson), or server-sent events where Accept is text/event-stream (`line`, and `skipped` for a caller who reads too slowly); it goes on with every new line until the caller leaves, with an empty line or comment now and then while nothing happens. " +
		"A line of the log's own that says how many lines were missed has id 0. Server-sent events can be taken up again: Last-Event-ID is the last line that was read; of those since, the latest 10,000 are told, and before them `skipped` how many are not (counted up to some 100,000)."
	responses := func() map[string]*huma.Response {
		line := jsonContent[wire.LogLine](a, exampleResult().Logs[0])["application/json"]
		return map[string]*huma.Response{"200": {Description: "The lines", Content: map[string]*huma.MediaType{
			"application/json": jsonContent[wire.LogList](a, wire.LogList{Items: exampleResult().Logs})["application/json"],
			ndjson:             line, eventStream: line,
		}}}
	}
	a.plain(huma.Operation{
		OperationID: "getLogs", Method: http.MethodGet, Path: Prefix + "/functions/{name}/logs", Tags: []string{"run"},
		Summary: "Read a function's log", Description: "The latest lines of a function's log that match, the oldest first." + how,
		Parameters: append([]*huma.Param{pathName()}, logParameters()...), Responses: responses(),
	}, a.getLogs, cove.CodeInvalid, cove.CodeNotFound, cove.CodeTooManyRequests)
	a.plain(huma.Operation{
		OperationID: "getAllLogs", Method: http.MethodGet, Path: Prefix + "/logs", Tags: []string{"run"},
		Summary: "Read the log of all functions", Description: "The latest lines of all functions that match, the oldest first." + how,
		Parameters: append([]*huma.Param{
			{Name: "function", In: "query", Description: "Only those of this function", Schema: &huma.Schema{Type: huma.TypeString}},
		}, logParameters()...), Responses: responses(),
	}, a.getAllLogs, cove.CodeInvalid, cove.CodeTooManyRequests)
}

func logParameters() []*huma.Param {
	text := func(name, description string, enum ...any) *huma.Param {
		return &huma.Param{Name: name, In: "query", Description: description, Schema: &huma.Schema{Type: huma.TypeString, Enum: enum}}
	}
	return []*huma.Param{
		{Name: "tail", In: "query", Description: "How many lines at most", Schema: &huma.Schema{Type: huma.TypeInteger, Default: defaultLog, Minimum: new(0.0), Maximum: new(float64(maxTail))}},
		text("request_id", "Only those of this invocation"),
		text("q", "Only lines with this text in them, in capitals or not"),
		text("level", "Only lines of this level or a higher one; lines without a level are left out", logs.LevelDebug, logs.LevelInfo, logs.LevelWarn, logs.LevelError),
		text("stream", "Only lines of this stream; platform is what Cove itself wrote", logs.StreamStdout, logs.StreamStderr, logs.StreamPlatform),
		text("from", "Only lines since then: RFC 3339, or a time ago such as -1h or -7d"),
		text("to", "Only lines before then, in the same forms"),
		text("before", "The next of the page before: lines older than that page"),
		{Name: "follow", In: "query", Description: "Go on with new lines", Schema: &huma.Schema{Type: huma.TypeBoolean}},
	}
}

// logQuery is what a request for a log asks for.
type logQuery struct {
	logs.Query
	follow bool
}

func readLogQuery(values url.Values) (q logQuery, err error) {
	q.Limit, q.RequestID, q.Text = defaultLog, values.Get("request_id"), values.Get("q")
	q.Level, q.Stream = values.Get("level"), values.Get("stream")
	if s := values.Get("tail"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 0 || q.Limit > maxTail {
			return q, cove.Invalid("tail", "must be a number of lines from 0 to %d", maxTail)
		}
	}
	if s := values.Get("follow"); s != "" {
		if q.follow, err = strconv.ParseBool(s); err != nil {
			return q, cove.Invalid("follow", "must be true or false")
		}
	}
	if s := values.Get("before"); s != "" {
		if q.Before, err = strconv.ParseInt(s, 10, 64); err != nil || q.Before < 1 {
			return q, cove.Invalid("before", "must be the next of the page before, as it was answered")
		}
	}
	switch {
	case q.Level != "" && logs.LevelRank(q.Level) == 0:
		return q, cove.Invalid("level", "must be debug, info, warn or error")
	case q.Stream != "" && q.Stream != logs.StreamStdout && q.Stream != logs.StreamStderr && q.Stream != logs.StreamPlatform:
		return q, cove.Invalid("stream", "must be stdout, stderr or platform")
	case len(q.Text) > maxSearch:
		return q, cove.Invalid("q", "must be at most %d bytes", maxSearch)
	}
	now := time.Now()
	for _, bound := range []struct {
		name string
		time *time.Time
	}{{"from", &q.From}, {"to", &q.To}} {
		if s := values.Get(bound.name); s != "" {
			if *bound.time, err = metrics.ParseTime(bound.name, s, now); err != nil {
				return q, err
			}
		}
	}
	return q, nil
}

func (a *API) getLogs(w http.ResponseWriter, r *http.Request) error {
	name, err := functionName(r)
	if err != nil {
		return err
	}
	q, err := readLogQuery(r.URL.Query())
	if err != nil {
		return err
	}
	if _, err := a.Functions.Get(r.Context(), name); err != nil {
		return err
	}
	q.Function = name
	return a.answerLogs(w, r, q)
}

func (a *API) getAllLogs(w http.ResponseWriter, r *http.Request) error {
	q, err := readLogQuery(r.URL.Query())
	if err != nil {
		return err
	}
	q.Function = r.URL.Query().Get("function")
	if q.Function != "" && !namePattern.MatchString(q.Function) {
		return cove.Invalid("function", "%q is no name of a function", q.Function)
	}
	return a.answerLogs(w, r, q)
}

func (a *API) answerLogs(w http.ResponseWriter, r *http.Request, q logQuery) error {
	if q.follow {
		return a.followLogs(w, r, q.Query)
	}
	page, err := a.Logs.Find(r.Context(), q.Query)
	if err != nil {
		return err
	}
	out := wire.LogList{Items: make([]wire.LogLine, 0, len(page.Lines))}
	for _, line := range page.Lines {
		out.Items = append(out.Items, wire.LogLine(line))
	}
	if page.Next != 0 {
		out.Next = strconv.FormatInt(page.Next, 10)
	}
	writeJSON(w, http.StatusOK, "application/json", out)
	return nil
}

// followLogs subscribes before it reads the past, so that no line falls between;
// a line that is in both is sent once.
func (a *API) followLogs(w http.ResponseWriter, r *http.Request, q logs.Query) error {
	follower, err := a.Logs.Follow(r.Context(), q)
	if err != nil {
		return err
	}
	sse := wantsEvents(r)
	past, skipped, err := a.past(r, q, sse)
	if err != nil {
		return err
	}
	out := logFeed{feed: a.openFeed(w, sse), follower: follower, function: q.Function}
	if skipped > 0 && out.skipped(skipped) != nil {
		return nil
	}
	for _, line := range past {
		if out.line(line) != nil {
			return nil
		}
	}
	if out.out.flush() != nil {
		return nil
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case line, open := <-follower.Lines():
			if !open || out.lines(line) != nil {
				return nil
			}
		case <-beat.C:
			if !a.mayStill(r) || out.missed() != nil || out.beat() != nil {
				return nil
			}
		}
	}
}

// past is what a log that is followed begins with: what q chooses or, for who takes
// it up again, what was written since the line that they read last. Of that it is
// the latest, and skipped is how many lines before it are left out.
func (a *API) past(r *http.Request, q logs.Query, sse bool) (lines []logs.Line, skipped int64, err error) {
	id, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	if err != nil || !sse || id <= 0 {
		page, err := a.Logs.Find(r.Context(), q)
		return page.Lines, 0, err
	}
	q.After, q.Limit = id, maxTail
	for skipped < maxCounted {
		page, err := a.Logs.Find(r.Context(), q)
		if err != nil {
			return nil, 0, err
		}
		// A page that is not full may yet have others before it.
		over := max(0, len(lines)+len(page.Lines)-maxTail)
		skipped += int64(over)
		lines = slices.Concat(page.Lines[over:], lines)
		if page.Next == 0 {
			break
		}
		q.Before = page.Next
	}
	return lines, skipped, nil
}

// logFeed sends a log that is followed.
type logFeed struct {
	feed
	follower *logs.Follower
	function string
	newest   int64
}

func (f *logFeed) line(l logs.Line) error {
	f.newest = l.ID
	return f.send(wire.EventLine, l.ID, wire.LogLine(l))
}

// lines sends l and what waits behind it, and then how much was missed.
func (f *logFeed) lines(l logs.Line) error {
	for open := true; open; {
		if l.ID > f.newest && f.follower.Wanted(&l) {
			if err := f.line(l); err != nil {
				return err
			}
		}
		select {
		case l, open = <-f.follower.Lines():
		default:
			open = false
		}
	}
	if err := f.missed(); err != nil {
		return err
	}
	return f.out.flush()
}

// missed tells the reader that it reads too slowly.
func (f *logFeed) missed() error {
	n := f.follower.Missed()
	if n == 0 {
		return nil
	}
	if f.sse {
		return f.skipped(n)
	}
	return f.send("", 0, wire.LogLine{
		Time: time.Now(), Function: f.function, Platform: true, Level: logs.LevelWarn,
		Text: fmt.Sprintf("%d lines are not shown here: they came faster than they were read", n),
	})
}

// skipped tells a reader of events that n lines are not told.
func (f *logFeed) skipped(n int64) error {
	return f.send(wire.EventSkipped, 0, wire.Skipped{Lines: n})
}
