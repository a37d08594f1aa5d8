package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	ndjson      = "application/x-ndjson"
	eventStream = "text/event-stream"
	// heartbeat is how often a quiet stream says that it is alive, so that both
	// sides notice a dead connection, and that it is looked at whether the listener
	// may still listen.
	heartbeat = 15 * time.Second
	// retry is how long a browser waits before it connects again.
	retry = 2 * time.Second
)

// feed is an answer that goes on: JSON documents, one in a line or as server-sent
// events.
type feed struct {
	out progressWriter
	sse bool
}

// wantsEvents says whether the caller, an EventSource say, wants server-sent
// events.
func wantsEvents(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), eventStream)
}

// openFeed sends the head of the answer.
func (a *API) openFeed(w http.ResponseWriter, sse bool) feed {
	f := feed{out: progressWriter{w, a.WriteTimeout}, sse: sse}
	w.Header().Set("Content-Type", ndjson)
	if sse {
		w.Header().Set("Content-Type", eventStream)
		w.Header().Set("X-Accel-Buffering", "no") // Or a proxy keeps what should be live.
	}
	w.WriteHeader(http.StatusOK)
	if sse {
		_, _ = fmt.Fprintf(f.out, "retry: %d\n\n", retry.Milliseconds())
	}
	return f
}

// send writes one document. The type, and the id where it is not 0, are told to
// readers of events only.
func (f feed) send(kind string, id int64, document any) error {
	data, err := json.Marshal(document)
	if err != nil {
		return err
	}
	if !f.sse {
		_, err = f.out.Write(append(data, '\n'))
		return err
	}
	b := make([]byte, 0, len(data)+len(kind)+48)
	if id != 0 {
		b = append(b, "id: "...)
		b = strconv.AppendInt(b, id, 10)
		b = append(b, '\n')
	}
	b = append(b, "event: "...)
	b = append(b, kind...)
	b = append(b, "\ndata: "...)
	b = append(b, data...) // JSON has no line breaks of its own.
	b = append(b, "\n\n"...)
	_, err = f.out.Write(b)
	return err
}

// beat says that the stream is alive.
func (f feed) beat() error {
	quiet := "\n"
	if f.sse {
		quiet = ":\n\n"
	}
	if _, err := f.out.Write([]byte(quiet)); err != nil {
		return err
	}
	return f.out.flush()
}

// mayStill says whether r would be let in if it came now: its token may have been
// revoked since, or its session have ended.
func (a *API) mayStill(r *http.Request) bool { return a.Access.Valid(callerOf(r.Context())) }
