package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

const (
	ndjson     = "application/x-ndjson"
	maxTail    = 10_000
	defaultLog = 100
	// heartbeat is how often a quiet stream says that it is alive, so that both
	// sides notice a dead connection.
	heartbeat = 15 * time.Second
)

func (a *API) registerLogs() {
	a.plain(huma.Operation{
		OperationID: "getLogs", Method: http.MethodGet, Path: Prefix + "/functions/{name}/logs", Tags: []string{"run"},
		Summary:     "Read logs",
		Description: "The latest lines of a function's log, the oldest first. With `follow=true` the answer is one JSON object per line (application/x-ndjson), goes on with every new line until the caller leaves, and has an empty line now and then while nothing happens.",
		Parameters: []*huma.Param{
			pathName(),
			{Name: "tail", In: "query", Description: "How many lines at most", Schema: &huma.Schema{Type: huma.TypeInteger, Default: defaultLog, Minimum: new(0.0), Maximum: new(float64(maxTail))}},
			{Name: "request_id", In: "query", Description: "Only those of this invocation", Schema: &huma.Schema{Type: huma.TypeString}},
			{Name: "follow", In: "query", Description: "Go on with new lines", Schema: &huma.Schema{Type: huma.TypeBoolean}},
		},
		Responses: map[string]*huma.Response{"200": {Description: "The lines", Content: map[string]*huma.MediaType{
			"application/json": jsonContent[wire.LogList](a, wire.LogList{Items: exampleResult().Logs})["application/json"],
			ndjson:             jsonContent[wire.LogLine](a, exampleResult().Logs[0])["application/json"],
		}}},
	}, a.getLogs, cove.CodeInvalid, cove.CodeNotFound)
}

type logQuery struct {
	tail      int
	requestID string
	follow    bool
}

func readLogQuery(r *http.Request) (q logQuery, err error) {
	values := r.URL.Query()
	q.tail, q.requestID = defaultLog, values.Get("request_id")
	if s := values.Get("tail"); s != "" {
		if q.tail, err = strconv.Atoi(s); err != nil || q.tail < 0 || q.tail > maxTail {
			return q, cove.Invalid("tail", "must be a number of lines from 0 to %d", maxTail)
		}
	}
	if s := values.Get("follow"); s != "" {
		if q.follow, err = strconv.ParseBool(s); err != nil {
			return q, cove.Invalid("follow", "must be true or false")
		}
	}
	return q, nil
}

func (a *API) getLogs(w http.ResponseWriter, r *http.Request) error {
	name, err := functionName(r)
	if err != nil {
		return err
	}
	q, err := readLogQuery(r)
	if err != nil {
		return err
	}
	if _, err := a.Functions.Get(r.Context(), name); err != nil {
		return err
	}
	if q.follow {
		a.followLogs(w, r, name, q)
		return nil
	}
	out := wire.LogList{Items: []wire.LogLine{}}
	if q.tail > 0 {
		for _, line := range a.Logs.Tail(name, q.requestID, q.tail) {
			out.Items = append(out.Items, wire.LogLine(line))
		}
	}
	writeJSON(w, http.StatusOK, "application/json", out)
	return nil
}

// followLogs subscribes before it reads the tail, so that no line falls between;
// a line that is in both is sent once.
func (a *API) followLogs(w http.ResponseWriter, r *http.Request, name string, q logQuery) {
	news := a.Logs.Follow(r.Context(), name)
	w.Header().Set("Content-Type", ndjson)
	w.WriteHeader(http.StatusOK)
	out := progressWriter{w, a.WriteTimeout}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	sent := map[wire.LogLine]bool{}
	var newest time.Time
	if q.tail > 0 {
		for _, line := range a.Logs.Tail(name, q.requestID, q.tail) {
			l := wire.LogLine(line)
			sent[l] = true
			newest = l.Time
			if enc.Encode(l) != nil {
				return
			}
		}
	}
	if out.flush() != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case line, open := <-news:
			l := wire.LogLine(line)
			if !open {
				return
			}
			if q.requestID != "" && l.RequestID != q.requestID || sent[l] {
				continue
			}
			if sent != nil && l.Time.After(newest) {
				sent = nil
			}
			if enc.Encode(l) != nil || out.flush() != nil {
				return
			}
		case <-beat.C:
			if _, err := out.Write([]byte("\n")); err != nil || out.flush() != nil {
				return
			}
		}
	}
}
