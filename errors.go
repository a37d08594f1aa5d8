package cove

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Code says what went wrong, for programs. It never changes its meaning.
type Code string

// The codes. Each has one HTTP status and says whose fault it is.
const (
	CodeInvalid            Code = "invalid"
	CodeUnauthenticated    Code = "unauthenticated"
	CodeDenied             Code = "denied"
	CodeNotFound           Code = "not_found"
	CodeMethodNotAllowed   Code = "method_not_allowed"
	CodeNoCode             Code = "no_code"
	CodeRequestTimeout     Code = "request_timeout"
	CodeConflict           Code = "conflict"
	CodePreconditionFailed Code = "precondition_failed"
	CodeTooLarge           Code = "too_large"
	CodeUnsupportedMedia   Code = "unsupported_media_type"
	CodeDisabled           Code = "function_disabled"
	CodeTooManyRequests    Code = "too_many_requests"

	CodeFunctionError    Code = "function_error"
	CodeInitError        Code = "init_error"
	CodeInitTimeout      Code = "init_timeout"
	CodeTimeout          Code = "timeout"
	CodeRuntimeExited    Code = "runtime_exited"
	CodeOutOfMemory      Code = "out_of_memory"
	CodeResponseTooLarge Code = "response_too_large"
	CodeInvalidResponse  Code = "invalid_response"

	CodeQueueFull          Code = "queue_full"
	CodeOverloaded         Code = "overloaded"
	CodeSandboxStartFailed Code = "sandbox_start_failed"
	CodeUnavailable        Code = "unavailable"
	CodeShuttingDown       Code = "shutting_down"
	CodeInternal           Code = "internal"
)

// Fault says who can mend an error.
type Fault string

// Who can mend it: who sent the request, who wrote the function, who runs Cove.
const (
	FaultCaller   Fault = "caller"
	FaultFunction Fault = "function"
	FaultPlatform Fault = "platform"
)

var codes = map[Code]struct {
	status int
	fault  Fault
	title  string
}{
	CodeInvalid:            {http.StatusBadRequest, FaultCaller, "The request is not valid"},
	CodeUnauthenticated:    {http.StatusUnauthorized, FaultCaller, "A token is needed"},
	CodeDenied:             {http.StatusForbidden, FaultCaller, "The token does not allow this"},
	CodeNotFound:           {http.StatusNotFound, FaultCaller, "Not found"},
	CodeMethodNotAllowed:   {http.StatusMethodNotAllowed, FaultCaller, "Method not allowed"},
	CodeNoCode:             {http.StatusNotFound, FaultCaller, "The function has no code yet"},
	CodeRequestTimeout:     {http.StatusRequestTimeout, FaultCaller, "The request took too long to arrive"},
	CodeConflict:           {http.StatusConflict, FaultCaller, "Conflict"},
	CodePreconditionFailed: {http.StatusPreconditionFailed, FaultCaller, "It was changed meanwhile"},
	CodeTooLarge:           {http.StatusRequestEntityTooLarge, FaultCaller, "The request is too large"},
	CodeUnsupportedMedia:   {http.StatusUnsupportedMediaType, FaultCaller, "Unsupported content type"},

	CodeDisabled:        {http.StatusServiceUnavailable, FaultFunction, "The function is disabled"},
	CodeTooManyRequests: {http.StatusTooManyRequests, FaultCaller, "Too many attempts"},

	CodeFunctionError:    {http.StatusBadGateway, FaultFunction, "The handler raised an error"},
	CodeInitError:        {http.StatusBadGateway, FaultFunction, "The function could not be loaded"},
	CodeInitTimeout:      {http.StatusGatewayTimeout, FaultFunction, "The function took too long to load"},
	CodeTimeout:          {http.StatusGatewayTimeout, FaultFunction, "The function ran past its timeout"},
	CodeRuntimeExited:    {http.StatusBadGateway, FaultFunction, "The function's process ended"},
	CodeOutOfMemory:      {http.StatusBadGateway, FaultFunction, "The function ran out of memory"},
	CodeResponseTooLarge: {http.StatusBadGateway, FaultFunction, "The answer is too large"},
	CodeInvalidResponse:  {http.StatusBadGateway, FaultFunction, "The answer is not valid"},

	CodeQueueFull:          {http.StatusTooManyRequests, FaultPlatform, "Too many requests are waiting"},
	CodeOverloaded:         {http.StatusServiceUnavailable, FaultPlatform, "No instance was free in time"},
	CodeSandboxStartFailed: {http.StatusServiceUnavailable, FaultPlatform, "The sandbox did not start"},
	CodeUnavailable:        {http.StatusServiceUnavailable, FaultPlatform, "Something Cove needs is missing"},
	CodeShuttingDown:       {http.StatusServiceUnavailable, FaultPlatform, "Cove is shutting down"},
	CodeInternal:           {http.StatusInternalServerError, FaultPlatform, "Internal error"},
}

// Status is the code's HTTP status; 500 for a code that is not known.
func (c Code) Status() int {
	if d, ok := codes[c]; ok {
		return d.status
	}
	return http.StatusInternalServerError
}

// Fault is who can mend an error of this code.
func (c Code) Fault() Fault {
	if d, ok := codes[c]; ok {
		return d.fault
	}
	return FaultPlatform
}

// Title is the code in words, the same for every error of it.
func (c Code) Title() string { return codes[c].title }

// Error is the one error type that leaves a package of Cove. Inside a package,
// plain wrapped errors are enough.
type Error struct {
	Code Code
	// Message says what happened and, where that helps, what to do next.
	Message string
	// Fields names what is wrong field by field, for CodeInvalid and CodeConflict.
	Fields []FieldError
	// Function is what the function itself said, for the function's faults.
	Function *FunctionError
	// RetryAfter, where not zero, is when trying again makes sense.
	RetryAfter time.Duration
	// Err is the cause; it is logged and never shown to a caller.
	Err error
}

// FieldError is one field that is wrong: its path ("scaling.max"), what is
// wrong with it and the limit.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// FunctionError is an error in the words of the function's own language.
type FunctionError struct {
	// Type is the error's class: "ValueError", "TypeError", "Runtime.ImportError".
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
	// Stack holds the frames of the user's own code, outermost first.
	Stack []string `json:"stackTrace,omitempty"`
}

// Errorf makes an error of code with a message for people. A %w is kept as the
// cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// Invalid makes an error of CodeInvalid for one field.
func Invalid(field, format string, args ...any) *Error {
	return InvalidFields([]FieldError{{Field: field, Message: fmt.Sprintf(format, args...)}})
}

// InvalidFields makes an error of CodeInvalid for several fields at once.
func InvalidFields(fields []FieldError) *Error {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.Field + ": " + f.Message
	}
	return &Error{Code: CodeInvalid, Message: strings.Join(parts, "; "), Fields: fields}
}

// Error is the message, with the cause where it says more.
func (e *Error) Error() string {
	if e.Err != nil && !strings.Contains(e.Message, e.Err.Error()) {
		return string(e.Code) + ": " + e.Message + ": " + e.Err.Error()
	}
	return string(e.Code) + ": " + e.Message
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, &Error{Code: c}) compare codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == "" && t.Err == nil
}

// CodeOf is the code of err: that of the *Error in its chain, "" for nil, and
// CodeInternal for any other error.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}

// AsError is err as an *Error; what is none becomes CodeInternal with err as
// the hidden cause. AsError(nil) is nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Code: CodeInternal, Message: "an inner step took too long", Err: err}
	}
	return &Error{Code: CodeInternal, Message: "something went wrong inside Cove; its log says what", Err: err}
}

// Problem is an error as it is told over HTTP: RFC 9457 with members of Cove.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Code, Fault, Function and RequestID are Cove's own members.
	Code      Code           `json:"code"`
	Fault     Fault          `json:"fault"`
	Function  string         `json:"function,omitempty"`
	RequestID string         `json:"request_id,omitempty"`
	Timeout   *Duration      `json:"timeout,omitempty"`
	Errors    []FieldError   `json:"errors,omitempty"`
	Error     *FunctionError `json:"error,omitempty"`
}

// ProblemType is the URI prefix of a problem's type; the code follows.
const ProblemType = "urn:cove:error:"

// Problem is e as a problem document.
func (e *Error) Problem() Problem {
	return Problem{
		Type: ProblemType + string(e.Code), Title: e.Code.Title(), Status: e.Code.Status(),
		Detail: e.Message, Code: e.Code, Fault: e.Code.Fault(), Errors: e.Fields, Error: e.Function,
	}
}
