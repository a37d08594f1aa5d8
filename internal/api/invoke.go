package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/invoke"
	"github.com/covefn/cove/internal/runtime"
)

// logTail is how many lines of its log an invocation's answer carries.
const logTail = 200

func (a *API) registerInvoke() {
	a.plain(huma.Operation{
		OperationID: "invokeFunction", Method: http.MethodPost, Path: Prefix + "/functions/{name}/invoke", Tags: []string{"run"},
		Summary:     "Invoke a function",
		Description: "Calls the handler with the body, any JSON, as its event; an empty body is null. When the function fails (it raises, runs past its timeout, exits) the status is still 200: `outcome` (also in the header Cove-Outcome) is the error's code, and `error` says more. Only errors of the caller and of the platform are problem documents. A token of role invoke may call this.",
		Parameters: []*huma.Param{pathName(), {Name: TimeoutHeader, In: "header", Example: "2s", Schema: durationSchema("").Schema(nil),
			Description: "The caller's own bound for the whole request; it can only shorten"}},
		RequestBody: &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {
			Schema: &huma.Schema{Description: "The event: any JSON"}, Example: map[string]any{"name": "world"},
		}}},
		Responses: map[string]*huma.Response{"200": response[wire.Result](a, "The function was called", exampleResult())},
	}, a.invokeFunction, cove.CodeInvalid, cove.CodeNotFound, cove.CodeNoCode, cove.CodeRequestTimeout, cove.CodeTooLarge,
		cove.CodeDisabled, cove.CodeQueueFull, cove.CodeOverloaded, cove.CodeSandboxStartFailed, cove.CodeUnavailable, cove.CodeShuttingDown)
	register(a, huma.Operation{
		OperationID: "readyFunction", Method: http.MethodPost, Path: Prefix + "/functions/{name}/ready", Tags: []string{"run"},
		Summary: "Wait until a function is loaded", Description: "Starts an instance of the active version if there is none, and answers when it has loaded the handler; or with the error of loading it. The handler is not called. A token of role invoke may ask for this, as a call of the function would load it too.",
	}, wire.Ready{Version: 3, Took: 42 * time.Millisecond}, a.readyFunction, cove.CodeNotFound, cove.CodeNoCode, cove.CodeDisabled,
		cove.CodeInitError, cove.CodeInitTimeout, cove.CodeSandboxStartFailed, cove.CodeOverloaded, cove.CodeUnavailable)
}

type readyOutput struct{ Body wire.Ready }

func (a *API) readyFunction(ctx context.Context, in *NameInput) (*readyOutput, error) {
	if err := mayInvoke(ctx, in.Name); err != nil {
		return nil, err
	}
	v, err := a.enabled(in.Name)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if _, err := a.Instances.Warm(ctx, v, 1); err != nil {
		return nil, err
	}
	return &readyOutput{Body: wire.Ready{Version: v.Number, Took: time.Since(began)}}, nil
}

// mayInvoke refuses a token of other functions than this one. It is asked before
// anything is told of the function, also whether there is one.
func mayInvoke(ctx context.Context, name string) error {
	if c := callerOf(ctx); !c.MayInvoke(name) {
		return cove.Errorf(cove.CodeDenied, "%s may not invoke %q", c.Actor(), name)
	}
	return nil
}

// active is the version to run, if there is one with code.
func (a *API) active(name string) (*cove.Version, error) {
	v := a.Functions.Active(name)
	if v == nil {
		return nil, cove.Errorf(cove.CodeNotFound, "there is no function %q", name)
	}
	if v.Package.SHA256 == "" {
		return nil, cove.Errorf(cove.CodeNoCode, "function %q has no code yet: upload it with PUT %s/functions/%s/code", name, Prefix, name)
	}
	return v, nil
}

// enabled is active, if the function is not disabled.
func (a *API) enabled(name string) (*cove.Version, error) {
	v, err := a.active(name)
	if err == nil && v.Disabled {
		return nil, errDisabled(name)
	}
	return v, err
}

func (a *API) invokeFunction(w http.ResponseWriter, r *http.Request) error {
	name, err := functionName(r)
	if err != nil {
		return err
	}
	if err := mayInvoke(r.Context(), name); err != nil {
		return err
	}
	v, err := a.active(name)
	if err != nil {
		return err
	}
	arrived, _ := r.Context().Value(keyArrived).(time.Time)
	req := &invoke.Request{
		ID: requestID(r.Context()), Version: v, Kind: cove.KindDirect, Trace: r.Header.Get("Traceparent"), Arrived: arrived,
	}
	if req.Deadline, err = callerDeadline(r, arrived); err != nil {
		return err
	}
	if req.Payload, err = a.readEvent(w, r, v); err != nil {
		return err
	}
	sink := &answerSink{}
	record, failed := a.Invoker.Do(r.Context(), req, sink)
	if failed == nil {
		failed = sink.failed
	}
	// A function that is disabled has not failed: it was not asked.
	if failed != nil && (failed.Code.Fault() != cove.FaultFunction || failed.Code == cove.CodeDisabled) {
		return failed
	}
	a.writeResult(w, req, record, sink.answer, failed)
	return nil
}

func callerDeadline(r *http.Request, arrived time.Time) (time.Time, error) {
	s := r.Header.Get(TimeoutHeader)
	if s == "" {
		return time.Time{}, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return time.Time{}, cove.Invalid(TimeoutHeader, "must be a number with a unit, such as 500ms or 2s")
	}
	return arrived.Add(d), nil
}

func (a *API) readEvent(w http.ResponseWriter, r *http.Request, v *cove.Version) ([]byte, error) {
	limit := int64(v.Config.MaxBody)
	if limit <= 0 || limit > maxPayload {
		limit = maxPayload
	}
	setReadDeadline(w, a.BodyTimeout)
	// One byte more than allowed is a clear answer, not a closed connection.
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, bodyError(err)
	}
	payload = bytes.TrimSpace(payload)
	if len(payload) > 0 && !json.Valid(payload) {
		return nil, cove.Errorf(cove.CodeInvalid, "the event must be JSON; text goes in quotes")
	}
	return payload, nil
}

func (a *API) writeResult(w http.ResponseWriter, req *invoke.Request, record *cove.Invocation, answer []byte, failed *cove.Error) {
	out := wire.Result{RequestID: req.ID, Outcome: cove.OutcomeOK, Answer: asJSON(answer), Logs: []wire.LogLine{}}
	if record != nil {
		out.Invocation = *record
	}
	if failed != nil {
		p := failed.Problem()
		p.Function, p.RequestID = req.Version.Function, req.ID
		if failed.Code == cove.CodeTimeout {
			p.Timeout = &req.Version.Config.Timeout
		}
		out.Outcome, out.Error, out.Answer = string(failed.Code), &p, nil
	}
	for _, line := range a.Logs.Tail(req.Version.Function, req.ID, logTail) {
		// The caller chose the id, and may have chosen another's: what a call of
		// that printed is not for a token that may not read logs.
		if !line.Time.Before(req.Arrived) && line.Instance == out.Invocation.Instance {
			out.Logs = append(out.Logs, wire.LogLine(line))
		}
	}
	w.Header().Set(OutcomeHeader, out.Outcome)
	writeJSON(w, http.StatusOK, "application/json", out)
}

// asJSON is an answer as it stands in the envelope: a streamed one that is no
// JSON becomes a string.
func asJSON(answer []byte) json.RawMessage {
	if len(bytes.TrimSpace(answer)) == 0 {
		return json.RawMessage("null")
	}
	if json.Valid(answer) {
		return answer
	}
	if !utf8.Valid(answer) {
		quoted, _ := json.Marshal(answer)
		return quoted
	}
	quoted, _ := json.Marshal(string(answer))
	return quoted
}

// answerSink keeps the answer of one direct invocation; it joins the pieces of a
// streamed one.
type answerSink struct {
	answer []byte
	failed *cove.Error
}

// Answer keeps a whole answer.
func (s *answerSink) Answer(a *runtime.Answer) error {
	s.answer = a.Payload
	return nil
}

// Begin has nothing to keep: a direct answer's head is empty.
func (s *answerSink) Begin(*runtime.Head) error { return nil }

// Chunk adds a piece, up to the size that a whole answer may have.
func (s *answerSink) Chunk(p []byte) error {
	if len(s.answer)+len(p) > maxPayload {
		s.failed = cove.Errorf(cove.CodeResponseTooLarge, "the streamed answer is larger than %s", cove.ByteSize(maxPayload))
		return s.failed
	}
	s.answer = append(s.answer, p...)
	return nil
}

// End keeps why a stream broke off.
func (s *answerSink) End(err *cove.Error) {
	if err != nil && s.failed == nil {
		s.failed = err
	}
}

func exampleResult() wire.Result {
	return wire.Result{
		RequestID: "0b6e2f9c-0c3c-4f0f-9f5e-3c1a1b6a2d11", Outcome: cove.OutcomeOK, Answer: json.RawMessage(`{"greeting":"hello world"}`),
		Logs: []wire.LogLine{{Time: exampleTime(), Function: "hello", Version: 3, Instance: "hello-3-x7k2", RequestID: "0b6e2f9c-0c3c-4f0f-9f5e-3c1a1b6a2d11", Text: "greeting world"}},
		Invocation: cove.Invocation{
			ID: "0b6e2f9c-0c3c-4f0f-9f5e-3c1a1b6a2d11", Function: "hello", Version: 3, Isolation: "gvisor", Instance: "hello-3-x7k2",
			Kind: cove.KindDirect, Time: exampleTime(), Start: cove.StartWarm, Outcome: cove.OutcomeOK, Status: http.StatusOK,
			Timings: cove.Timings{Run: 2 * time.Millisecond, Total: 3 * time.Millisecond}, BytesIn: 16, BytesOut: 26, CPU: time.Millisecond, PeakMemory: 24 * cove.MiB,
		},
	}
}
