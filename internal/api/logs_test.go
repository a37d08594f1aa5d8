package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/api"
	"github.com/covefn/cove/internal/logs"
)

// logged is an API over a log that is written to.
func logged(t *testing.T) (caller, *logs.Book) {
	t.Helper()
	book := logs.NewBook()
	c := setup(t, func(o *api.Options) { o.Logs = book })
	c.ok(c.json("POST", functions, `{"name":"hello","runtime":"python"}`), 201, nil)
	return c, book
}

// stream opens an answer that goes on; what is read of it ends with the test.
func (c caller) stream(path string, header ...string) (*http.Response, *bufio.Reader) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.s.URL+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { cancel(); _ = res.Body.Close() })
	return res, bufio.NewReader(res.Body)
}

// event is the next server-sent event: its fields in the order in which they came.
func event(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var fields []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended: %v, after %q", err, fields)
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" && len(fields) > 0 {
			if strings.HasPrefix(fields[0], ":") || strings.HasPrefix(fields[0], "retry:") {
				fields = nil
				continue
			}
			return strings.Join(fields, "\n")
		}
		if line != "" {
			fields = append(fields, line)
		}
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()

	t.Run("pages, and what each parameter chooses", func(t *testing.T) {
		t.Parallel()
		c, book := logged(t)
		s := book.Stream("hello", 3, "i-1")
		for i := range 5 {
			fmt.Fprintf(s, "line %d\n", i)
		}
		fmt.Fprintln(s.Stderr(), "[ERROR] Refused")
		fmt.Fprintln(book.Stream("other", 1, "i-2"), "line of another")
		texts := func(path string) (string, string) {
			var list wire.LogList
			c.ok(c.json("GET", path, ""), 200, &list)
			var all []string
			for _, l := range list.Items {
				all = append(all, l.Text)
			}
			return strings.Join(all, "|"), list.Next
		}
		page, next := texts(functions + "/hello/logs?tail=2")
		if page != "line 4|[ERROR] Refused" || next == "" {
			t.Fatalf("got %q, next %q", page, next)
		}
		if page, next = texts(functions + "/hello/logs?before=" + next); page != "line 0|line 1|line 2|line 3" || next != "" {
			t.Errorf("the page before: %q, next %q", page, next)
		}
		for query, want := range map[string]string{
			"q=REFUSED": "[ERROR] Refused", "level=warn": "[ERROR] Refused", "stream=stderr": "[ERROR] Refused", "stream=platform": "",
			"q=line+0&from=-1h": "line 0", "q=line+0&to=-1h": "", "function=other": "line of another", "function=hello&q=another": "", "tail=0": "",
		} {
			if got, _ := texts("/api/v1/logs?" + query); got != want {
				t.Errorf("%s: %q, not %q", query, got, want)
			}
		}
		for _, query := range []string{"level=loud", "stream=x", "before=x", "before=-1", "from=yesterday", "to=1", "tail=10001", "follow=maybe", "function=A", "q=" + strings.Repeat("x", 1001)} {
			c.want(c.json("GET", "/api/v1/logs?"+query, ""), cove.CodeInvalid)
		}
	})

	t.Run("following as events begins with the past, has ids, and is taken up again", func(t *testing.T) {
		t.Parallel()
		c, book := logged(t)
		s := book.Stream("hello", 3, "i-1")
		fmt.Fprintln(s, "first")
		res, r := c.stream(functions+"/hello/logs?follow=true", "Accept", "text/event-stream")
		if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Fatalf("content type %q", got)
		}
		if got := event(t, r); !strings.HasPrefix(got, "id: 1\nevent: line\ndata: {") || !strings.Contains(got, `"text":"first"`) {
			t.Errorf("the past: %s", got)
		}
		fmt.Fprintln(s, "<b>second</b>")
		if got := event(t, r); !strings.HasPrefix(got, "id: 2\n") || strings.Contains(got, "<b>") {
			t.Errorf("what is new: %s", got)
		}
		_, again := c.stream(functions+"/hello/logs?follow=true&tail=0", "Accept", "text/event-stream", "Last-Event-ID", "1")
		if got := event(t, again); !strings.HasPrefix(got, "id: 2\n") {
			t.Errorf("taken up again: %s", got)
		}
	})

	t.Run("a log that is taken up again after more than is told then begins with how much is not", func(t *testing.T) {
		t.Parallel()
		c, book := logged(t)
		s, other := book.Stream("hello", 3, "i-1"), book.Stream("other", 1, "i-2")
		for range 10_100 {
			g := s.Begin("r")
			fmt.Fprintf(s, "x\n%s\n", g.Marker())
		}
		for range 100 {
			fmt.Fprintln(other, "x")
		}
		for last, want := range map[string][2]string{
			"40":  {"event: skipped\ndata: {\"lines\":60}", "id: 101\n"},
			"99":  {"event: skipped\ndata: {\"lines\":1}", "id: 101\n"},
			"100": {"id: 101\n", "id: 102\n"},
		} {
			_, r := c.stream(functions+"/hello/logs?follow=true", "Accept", "text/event-stream", "Last-Event-ID", last)
			for _, want := range want {
				if got := event(t, r); !strings.HasPrefix(got, want) {
					t.Errorf("after %s came %q, not %q", last, got, want)
				}
			}
		}
	})

	t.Run("a reader who is too slow is told how much was missed", func(t *testing.T) {
		t.Parallel()
		c, book := logged(t)
		_, r := c.stream("/api/v1/logs?follow=true&tail=0")
		s := book.Stream("hello", 3, "i-1")
		// Until it is full and the buffers of the connection are.
		long := strings.Repeat("x", 30_000)
		for i := range 2500 {
			g := s.Begin(fmt.Sprint(i))
			fmt.Fprintf(s, "%s\n%s\n", long, g.Marker())
		}
		for {
			text, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("the stream ended: %v", err)
			}
			if strings.TrimSpace(text) == "" {
				continue
			}
			var line wire.LogLine
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatal(err)
			}
			if line.ID == 0 && line.Platform && strings.Contains(line.Text, "lines are not shown here") {
				return
			}
		}
	})
}

func TestEvents(t *testing.T) {
	t.Parallel()
	c := setup(t)
	res, r := c.stream("/api/v1/events?function=hello")
	if res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("head %v", res.Header)
	}
	c.s.Events.Invocation(&cove.Invocation{ID: "r-other", Function: "other"})
	c.s.Events.Invocation(&cove.Invocation{ID: "r-1", Function: "hello", Error: "no\nsuch"})
	if got := event(t, r); !strings.HasPrefix(got, "event: invocation\ndata: {\"id\":\"r-1\"") {
		t.Errorf("got %s", got)
	}
	c.s.Events.Function(wire.FunctionEvent{Name: "hello", Change: "updated", Revision: 2})
	if got := event(t, r); got != "event: function\ndata: {\"name\":\"hello\",\"change\":\"updated\",\"revision\":2}" {
		t.Errorf("got %s", got)
	}
	for range 60 {
		c.s.Events.Invocation(&cove.Invocation{Function: "hello"})
	}
	for got := ""; !strings.HasPrefix(got, "event: skipped\ndata: {\"invocations\":"); {
		got = event(t, r)
	}
	c.want(c.json("GET", "/api/v1/events?function=NO", ""), cove.CodeInvalid)
	// There are only so many; what is left free is so again at once.
	var open []io.Closer
	for range 63 {
		res, _ := c.stream("/api/v1/events")
		open = append(open, res.Body)
	}
	c.want(c.json("GET", "/api/v1/events", ""), cove.CodeTooManyRequests)
	for _, o := range open {
		_ = o.Close()
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, err := c.s.Events.Subscribe("")
		if err == nil {
			s.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal("who has left is still counted")
		}
	}
}
