package tracing

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/covefn/cove"
)

// What follows is OTLP's JSON: the names of the fields are those of its protocol
// buffers in camel case, ids are hexadecimal, and 64-bit numbers are strings.

type request struct {
	ResourceSpans []resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource struct {
		Attributes []attribute `json:"attributes"`
	} `json:"resource"`
	ScopeSpans []scopeSpans `json:"scopeSpans"`
}

type scopeSpans struct {
	Scope struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"scope"`
	Spans []span `json:"spans"`
}

type span struct {
	TraceID    string      `json:"traceId"`
	SpanID     string      `json:"spanId"`
	Parent     string      `json:"parentSpanId,omitempty"`
	Name       string      `json:"name"`
	Kind       int         `json:"kind"`
	Start      string      `json:"startTimeUnixNano"`
	End        string      `json:"endTimeUnixNano"`
	Attributes []attribute `json:"attributes,omitempty"`
	Status     *status     `json:"status,omitempty"`
}

type status struct {
	Code    int    `json:"code"`
	Message string `json:"message,omitempty"`
}

type attribute struct {
	Key   string `json:"key"`
	Value value  `json:"value"`
}

type value struct {
	String *string `json:"stringValue,omitempty"`
	Int    *string `json:"intValue,omitempty"`
	Bool   *bool   `json:"boolValue,omitempty"`
}

const (
	kindInternal = 1
	kindServer   = 2
	statusError  = 2
)

func text(key, s string) attribute { return attribute{key, value{String: &s}} }

func number(key string, n int64) attribute {
	return attribute{key, value{Int: new(strconv.FormatInt(n, 10))}}
}

func flag(key string, b bool) attribute { return attribute{key, value{Bool: &b}} }

// request tells of a batch.
func (t *Tracer) request(batch []ended) request {
	r := resourceSpans{ScopeSpans: make([]scopeSpans, 1)}
	r.Resource.Attributes = []attribute{text("service.name", "cove"), text("service.version", t.version)}
	scope := &r.ScopeSpans[0]
	scope.Scope.Name, scope.Scope.Version = "github.com/covefn/cove", t.version
	for i := range batch {
		scope.Spans = append(scope.Spans, batch[i].spans()...)
	}
	return request{[]resourceSpans{r}}
}

// spans are an invocation and its phases. They are told in the order in which they
// come; when each began is reckoned from how long those before it took.
func (e *ended) spans() []span {
	v := &e.record
	trace, id := e.own[3:35], e.own[36:52]
	root := span{
		TraceID: trace, SpanID: id, Name: v.Function, Kind: kindServer,
		Start: nanos(v.Time), End: nanos(v.Time.Add(v.Timings.Total)),
		Attributes: []attribute{
			text("faas.name", v.Function), text("faas.version", strconv.Itoa(v.Version)), text("faas.invocation_id", v.ID),
			text("faas.instance", v.Instance), flag("faas.coldstart", v.Start == cove.StartCold || v.Start == cove.StartStem),
			text("cove.isolation", v.Isolation), text("cove.start", string(v.Start)), text("cove.outcome", v.Outcome), text("cove.kind", string(v.Kind)),
			number("cove.cpu_ns", int64(v.CPU)), number("cove.peak_memory", int64(v.PeakMemory)),
		},
	}
	if e.parent != "" {
		root.Parent = e.parent[36:52]
	}
	if v.Method != "" {
		root.Name = v.Method + " " + v.Function
		root.Attributes = append(root.Attributes, text("http.request.method", v.Method), text("url.path", v.Path))
	}
	if v.Status > 0 {
		root.Attributes = append(root.Attributes, number("http.response.status_code", int64(v.Status)))
	}
	// By the conventions of OpenTelemetry a server's span is no error where the
	// caller is at fault.
	if v.Fault != "" && v.Fault != cove.FaultCaller {
		root.Status = &status{statusError, v.Error}
		root.Attributes = append(root.Attributes, text("error.type", v.Outcome))
	}
	spans := []span{root}
	at := v.Time
	for _, phase := range []struct {
		name string
		took time.Duration
	}{{"queue", v.Timings.Queue}, {"start", v.Timings.Start}, {"init", v.Timings.Init}, {"run", v.Timings.Run}} {
		// What is shorter than this was no waiting.
		if phase.took > 100*time.Microsecond || phase.name == "run" && phase.took > 0 {
			spans = append(spans, span{
				TraceID: trace, SpanID: newSpanID(), Parent: id, Name: phase.name, Kind: kindInternal, Start: nanos(at), End: nanos(at.Add(phase.took)),
			})
		}
		at = at.Add(phase.took)
	}
	return spans
}

func newSpanID() string {
	var b [8]byte
	rand.Read(b[:]) // Never fails; see crypto/rand.
	return hex.EncodeToString(b[:])
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
