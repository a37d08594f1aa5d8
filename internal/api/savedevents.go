package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/store"
)

const (
	// maxEvent bounds one saved event, and maxEvents how many a function has.
	maxEvent  = 256 << 10
	maxEvents = 50
)

func (a *API) registerSavedEvents() {
	example := wire.Event{Name: "a greeting", Body: []byte(`{"name": "world"}`), Updated: exampleTime()}
	register(a, huma.Operation{
		OperationID: "listEvents", Method: http.MethodGet, Path: Prefix + "/functions/{name}/events", Tags: []string{"run"},
		Summary: "List saved events", Description: "The payloads that are kept to call the function with, by name. They go when the function is deleted.",
	}, wire.EventList{Items: []wire.Event{example}}, a.listSavedEvents, cove.CodeNotFound)
	a.plain(huma.Operation{
		OperationID: "putEvent", Method: http.MethodPut, Path: Prefix + "/functions/{name}/events/{event}", Tags: []string{"run"},
		Summary:     "Save an event",
		Description: "Keeps the body, any JSON of up to 256 KiB, under that name, instead of what was kept under it before. A function has at most 50.",
		Parameters:  []*huma.Param{pathName(), eventParam()},
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {
			Schema: &huma.Schema{Description: "The event: any JSON"}, Example: map[string]any{"name": "world"},
		}}},
		Responses: map[string]*huma.Response{"200": response[wire.Event](a, "Saved", example)},
	}, a.putEvent, cove.CodeInvalid, cove.CodeNotFound, cove.CodeConflict, cove.CodeTooLarge, cove.CodeRequestTimeout)
	register(a, huma.Operation{
		OperationID: "deleteEvent", Method: http.MethodDelete, Path: Prefix + "/functions/{name}/events/{event}", Tags: []string{"run"},
		Summary: "Delete a saved event", Description: "Forgets the event.",
	}, nil, a.deleteEvent, cove.CodeInvalid, cove.CodeNotFound)
}

// eventName begins and ends with a letter or digit, so that it can stand in a path.
var eventName = regexp.MustCompile(`^[\p{L}\p{N}]([\p{L}\p{N} ._-]{0,61}[\p{L}\p{N}])?$`)

func eventParam() *huma.Param {
	return &huma.Param{Name: "event", In: "path", Required: true, Description: "The event's name: 1 to 63 letters, digits, ' ', '-', '_' and '.', beginning and ending with a letter or digit",
		Example: "a greeting", Schema: &huma.Schema{Type: huma.TypeString}}
}

func checkEventName(name string) error {
	if !eventName.MatchString(name) {
		return cove.Invalid("event", "%.80q cannot be an event's name: use 1 to 63 letters, digits, ' ', '-', '_' and '.', beginning and ending with a letter or digit", name)
	}
	return nil
}

type savedEventsOutput struct{ Body wire.EventList }

func (a *API) listSavedEvents(ctx context.Context, in *NameInput) (*savedEventsOutput, error) {
	if err := a.known(in.Name); err != nil {
		return nil, err
	}
	events, err := a.SavedEvents.Events(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	out := &savedEventsOutput{Body: wire.EventList{Items: make([]wire.Event, 0, len(events))}}
	for _, e := range events {
		out.Body.Items = append(out.Body.Items, wire.Event(e))
	}
	return out, nil
}

// known is an error if there is no such function.
func (a *API) known(name string) error {
	if a.Functions.Active(name) == nil {
		return cove.Errorf(cove.CodeNotFound, "there is no function %q", name)
	}
	return nil
}

func (a *API) putEvent(w http.ResponseWriter, r *http.Request) error {
	name, err := functionName(r)
	if err != nil {
		return err
	}
	event := r.PathValue("event")
	if err := checkEventName(event); err != nil {
		return err
	}
	if err := a.known(name); err != nil {
		return err
	}
	body, err := a.readJSON(w, r, maxEvent)
	if err != nil {
		return err
	}
	body = bytes.TrimSpace(body)
	if !json.Valid(body) {
		return cove.Errorf(cove.CodeInvalid, "the event must be JSON; text goes in quotes")
	}
	e := store.Event{Name: event, Body: body, Updated: time.Now().UTC().Truncate(time.Microsecond)}
	if err := a.SavedEvents.PutEvent(r.Context(), name, e, maxEvents); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", wire.Event(e))
	return nil
}

type eventInput struct {
	NameInput
	Event string `path:"event" doc:"The event's name" example:"a greeting"`
}

func (a *API) deleteEvent(ctx context.Context, in *eventInput) (*struct{}, error) {
	if err := a.known(in.Name); err != nil {
		return nil, err
	}
	return nil, a.SavedEvents.DeleteEvent(ctx, in.Name, in.Event)
}
