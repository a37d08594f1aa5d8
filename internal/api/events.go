package api

import (
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/events"
)

// Events tells what happens; *events.Hub does.
type Events interface {
	// Subscribe begins to listen, to one function or with "" to all. The caller
	// must Close the subscription.
	Subscribe(function string) (*events.Subscription, error)
}

// tellSkipped is how often a listener is told that there was more.
const tellSkipped = time.Second

func (a *API) registerEvents() {
	a.plain(huma.Operation{
		OperationID: "streamEvents", Method: http.MethodGet, Path: Prefix + "/events", Tags: []string{"run"},
		Summary: "Listen to events",
		Description: "Server-sent events, until the caller leaves: `system` (a SystemEvent, every 2 s), `invocation` (an Invocation that has ended), `function` (a FunctionEvent) and `skipped` (a Skipped: there was more). " +
			"At most 50 invocations are told in a second; the metrics count all. A caller who reads too slowly misses events, and is told how many. The schema EventData has the document of each type.",
		Parameters: []*huma.Param{
			{Name: "function", In: "query", Description: "Invocations and changes of this function only", Schema: &huma.Schema{Type: huma.TypeString}},
		},
		Responses: map[string]*huma.Response{"200": {Description: "Events, for as long as the caller listens", Content: map[string]*huma.MediaType{
			eventStream: jsonContent[wire.EventData](a, wire.EventData{Skipped: &wire.Skipped{Invocations: 12}})["application/json"],
		}}},
	}, a.streamEvents, cove.CodeInvalid, cove.CodeTooManyRequests)
}

func (a *API) streamEvents(w http.ResponseWriter, r *http.Request) error {
	function := r.URL.Query().Get("function")
	if function != "" && !namePattern.MatchString(function) {
		return cove.Invalid("function", "%q is no name of a function", function)
	}
	s, err := a.Events.Subscribe(function)
	if err != nil {
		return err
	}
	defer s.Close()
	out := a.openFeed(w, true)
	if out.out.flush() != nil {
		return nil
	}
	beat, skips := time.NewTicker(heartbeat), time.NewTicker(tellSkipped)
	defer beat.Stop()
	defer skips.Stop()
	for {
		select {
		case <-r.Context().Done():
			return nil
		case e := <-s.Events():
			err = sendEvents(out, s, e)
		case <-skips.C:
			if skipped, some := s.Skipped(); some {
				if err = out.send(wire.EventSkipped, 0, skipped); err == nil {
					err = out.out.flush()
				}
			}
		case <-beat.C:
			if !a.mayStill(r) {
				return nil
			}
			err = out.beat()
		}
		if err != nil {
			return nil // The caller has left.
		}
	}
}

// sendEvents sends e and all that waits behind it.
func sendEvents(out feed, s *events.Subscription, e events.Event) error {
	for {
		if err := out.send(e.Type, 0, e.Data); err != nil {
			return err
		}
		select {
		case e = <-s.Events():
		default:
			return out.out.flush()
		}
	}
}
