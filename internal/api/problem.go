package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
)

// problem is a *cove.Error on its way out. It is what huma wants of an error.
type problem struct {
	err       *cove.Error
	requestID string
}

func (p *problem) Error() string             { return p.err.Error() }
func (p *problem) GetStatus() int            { return p.err.Code.Status() }
func (p *problem) ContentType(string) string { return problemJSON }
func (p *problem) GetHeaders() http.Header   { return errorHeaders(p.err) }

const problemJSON = "application/problem+json"

func (p *problem) document() cove.Problem {
	d := p.err.Problem()
	d.RequestID = p.requestID
	return d
}

func errorHeaders(e *cove.Error) http.Header {
	h := http.Header{}
	if e.Code == cove.CodeUnauthenticated {
		h.Set("WWW-Authenticate", `Bearer realm="cove"`)
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	return h
}

// fail makes of err what is told to the caller. The hidden cause of an internal
// error is logged here and nowhere else.
func (a *API) fail(ctx context.Context, err error) *problem {
	e := cove.AsError(err)
	id := requestID(ctx)
	if e.Code == cove.CodeInternal && ctx.Err() == nil {
		a.Log.LogAttrs(ctx, slog.LevelError, "control API request failed",
			slog.String("request_id", id), slog.String("code", string(e.Code)), slog.Any("error", err))
	}
	return &problem{err: e, requestID: id}
}

// writeError answers a plain handler's request with err.
func (a *API) writeError(w http.ResponseWriter, r *http.Request, err error) {
	p := a.fail(r.Context(), err)
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Del("ETag")
	writeJSON(w, p.GetStatus(), problemJSON, p.document())
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	// The head is sent: an error here means that the caller has gone.
	_ = enc.Encode(v)
}

// transform turns every error, huma's own included, into a problem document.
func transform(ctx huma.Context, _ string, v any) (any, error) {
	switch e := v.(type) {
	case *problem:
		return e.document(), nil
	case *huma.ErrorModel:
		p := problem{err: fromHuma(e), requestID: requestID(ctx.Context())}
		return p.document(), nil
	default:
		return v, nil
	}
}

// fromHuma is what huma found wrong with a request, in our words. The values it
// found are left out: they may be secrets.
func fromHuma(m *huma.ErrorModel) *cove.Error {
	code := cove.CodeInvalid
	switch m.Status {
	case http.StatusRequestEntityTooLarge:
		code = cove.CodeTooLarge
	case http.StatusRequestTimeout:
		code = cove.CodeRequestTimeout
	case http.StatusUnsupportedMediaType:
		code = cove.CodeUnsupportedMedia
	case http.StatusInternalServerError:
		code = cove.CodeInternal
	}
	if len(m.Errors) == 0 {
		return &cove.Error{Code: code, Message: m.Detail}
	}
	fields := make([]cove.FieldError, 0, len(m.Errors))
	for _, d := range m.Errors {
		fields = append(fields, cove.FieldError{Field: fieldPath(d.Location), Message: ours(d.Message)})
	}
	e := cove.InvalidFields(fields)
	e.Code = code
	return e
}

// fieldPath drops the part of the request that huma puts in front of a field.
func fieldPath(location string) string {
	if location == "body" {
		return ""
	}
	for _, part := range []string{"body.", "query.", "path.", "header."} {
		if rest, ok := strings.CutPrefix(location, part); ok {
			return rest
		}
	}
	return location
}

func ours(message string) string {
	if rest, ok := strings.CutPrefix(message, "expected required property "); ok {
		return strings.TrimSuffix(rest, " to be present") + " is needed"
	}
	if message == "unexpected property" {
		return "there is no field of this name"
	}
	if rest, ok := strings.CutPrefix(message, "expected string to be "); ok {
		return "must be " + rest
	}
	if rest, ok := strings.CutPrefix(message, "expected "); ok {
		return "must be " + rest
	}
	return message
}

// statusContext gives huma's own validation errors the status of CodeInvalid.
type statusContext struct{ humaContext }

// humaContext has a name of its own, for huma.Context has a method Context.
type humaContext huma.Context

// Unwrap lets the adapter find its own context.
func (c statusContext) Unwrap() huma.Context { return c.humaContext }

// SetStatus is the wrapped one's, with 422 as 400.
func (c statusContext) SetStatus(code int) {
	if code == http.StatusUnprocessableEntity {
		code = http.StatusBadRequest
	}
	c.humaContext.SetStatus(code)
}

func mapStatus(ctx huma.Context, next func(huma.Context)) { next(statusContext{ctx}) }

// bodyError is an error of reading a request's body, told apart by its cause.
func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	var e *cove.Error
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &tooLarge):
		return cove.Errorf(cove.CodeTooLarge, "the body is larger than %s", cove.ByteSize(tooLarge.Limit))
	case errors.As(err, &timeout) && timeout.Timeout():
		return &cove.Error{Code: cove.CodeRequestTimeout, Message: "the body did not arrive in time", Err: err}
	default:
		return &cove.Error{Code: cove.CodeInvalid, Message: "the body broke off", Err: err}
	}
}

// setReadDeadline bounds the arrival of the body. A connection that cannot do
// that is one without a network behind it.
func setReadDeadline(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d))
}
