package invoke

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/covefn/cove"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	request := &Request{
		ID: "r-1", Kind: cove.KindHTTP, Method: "GET", Path: "/" + strings.Repeat("ä", 200), Trace: parent, Payload: []byte("abc"),
		Version: &cove.Version{Function: "hello", Number: 3, Config: cove.Config{Isolation: "gvisor"}},
	}

	t.Run("says what was called, with a path of 256 bytes at most and no half character", func(t *testing.T) {
		t.Parallel()
		r := newRecord(request)
		if r.Function != "hello" || r.Version != 3 || r.Method != "GET" || r.BytesIn != 3 {
			t.Errorf("got %+v", r)
		}
		if want := "/" + strings.Repeat("ä", 127); r.Path != want {
			t.Errorf("got a path of %d bytes, want %d", len(r.Path), len(want))
		}
	})

	t.Run("has the trace id of a traceparent and of nothing else", func(t *testing.T) {
		t.Parallel()
		for given, want := range map[string]string{
			parent: parent[3:35], "": "", "hello": "", strings.Replace(parent, "4bf9", "4BF9", 1): "", strings.ReplaceAll(parent, "-", "_"): "",
		} {
			if got := traceID(given); got != want {
				t.Errorf("traceID(%q) = %q, want %q", given, got, want)
			}
		}
	})

	t.Run("has an error's words, its class and at most 1 KiB of it", func(t *testing.T) {
		t.Parallel()
		r := newRecord(request)
		fail(r, &cove.Error{Code: cove.CodeFunctionError, Message: strings.Repeat("x", 2000), Function: &cove.FunctionError{Type: "ValueError"}})
		if r.Outcome != "function_error" || r.Fault != cove.FaultFunction || len(r.Error) != 1024 || r.ErrorType != "ValueError" {
			t.Errorf("got %+v", r)
		}
	})

	t.Run("keeps nothing of the head and of the error but what it says", func(t *testing.T) {
		t.Parallel()
		head := strings.Repeat("GET /path "+parent+" r-1 ", 1000)
		part := func(s string) string { at := strings.Index(head, s); return head[at : at+len(s)] }
		r := newRecord(&Request{ID: part("r-1"), Method: part("GET"), Path: part("/path"), Trace: part(parent), Version: request.Version})
		if r.ID != "r-1" || r.Method != "GET" || r.Path != "/path" || r.Trace != parent[3:35] {
			t.Errorf("got %+v", r)
		}
		fail(r, &cove.Error{Code: cove.CodeFunctionError, Message: head, Function: &cove.FunctionError{Type: head}})
		within := func(s string) bool {
			at, from := uintptr(unsafe.Pointer(unsafe.StringData(s))), uintptr(unsafe.Pointer(unsafe.StringData(head)))
			return at >= from && at < from+uintptr(len(head))
		}
		for _, s := range []string{r.ID, r.Method, r.Path, r.Trace, r.Error, r.ErrorType} {
			if within(s) {
				t.Errorf("%q is a part of the whole", s)
			}
		}
	})

	t.Run("bills loading and running, rounded up to a millisecond", func(t *testing.T) {
		t.Parallel()
		for given, want := range map[cove.Timings]time.Duration{
			{}: 0, {Run: 1}: time.Millisecond, {Run: time.Millisecond}: time.Millisecond,
			{Queue: time.Second, Start: time.Second, Init: 1500 * time.Microsecond, Run: 600 * time.Microsecond}: 3 * time.Millisecond,
		} {
			if got := billed(&given); got != want {
				t.Errorf("%+v is billed %s, want %s", given, got, want)
			}
		}
	})
}
