package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

// talker prints on both streams, by itself and from a child, and a line with a
// level; "fail" raises, "flood" prints without end for the seconds in the event.
var talker = files{"main.py": `
import json, os, subprocess, sys, time

def handler(event, context):
    mark = event.get("mark", "")
    if mark == "fail":
        raise ValueError("the card was refused")
    if mark == "flood":
        end = time.monotonic() + event["s"]
        while time.monotonic() < end:
            os.write(1, b"x" * 99 + b"\n")
        return "flooded"
    print("out " + mark)
    print("err " + mark, file=sys.stderr)
    print(json.dumps({"level": "warn", "msg": "careful " + mark}))
    subprocess.run(["/bin/sh", "-c", "echo child out; echo child err >&2"])
    return mark
`}

// What a function printed is found by invocation, with its stream and its time,
// while it runs, after its sandbox is gone, and after the daemon was restarted.
func TestLogs(t *testing.T) {
	t.Parallel()
	h := start(t, options{})
	ids := map[string]string{}
	for _, isolation := range isolations {
		name := "talk-" + isolation
		h.deploy(t, function(name, "python", isolation), talker)
		before := time.Now()
		r := h.invoke(t, name, `{"mark":"A-`+isolation+`"}`)
		ids[name] = r.RequestID
		h.wantLines(t, name, r.RequestID, before)
		if len(r.Logs) != 5 {
			t.Errorf("%s: the answer has %d lines", isolation, len(r.Logs))
		}
		h.invoke(t, name, `{"mark":"fail"}`)
	}
	h.searchLogs(t)
	began := time.Now()
	for name, id := range ids {
		if _, err := h.Client.Recycle(t.Context(), name, wire.Recycle{Now: true}); err != nil {
			t.Fatal(err)
		}
		h.wantLines(t, name, id, time.Time{})
	}
	h.stop(t)
	h.launch(t)
	for name, id := range ids {
		h.wantLines(t, name, id, time.Time{})
		if detail, err := h.Client.Invocation(t.Context(), id); err != nil || len(detail.Logs) != 5 {
			t.Errorf("the record of %s has %d lines: %v", name, len(detail.Logs), err)
		}
	}
	h.followLogs(t, began)
	last := h.invoke(t, "talk-gvisor", `{"mark":"A-gvisor"}`).RequestID
	time.Sleep(2 * time.Second) // SIGKILL may take what is younger than a second.
	h.kill(t)
	h.launch(t)
	h.wantLines(t, "talk-gvisor", last, began)
	h.remove(t, "talk-docker")
	if lines, err := h.Client.Logs(t.Context(), "", client.LogQuery{Tail: 1000, Text: "talk-docker"}); err != nil || len(lines) != 0 {
		t.Errorf("%d lines of a deleted function, %v", len(lines), err)
	}
	for _, l := range h.allLines(t, client.LogQuery{}) {
		if l.Function == "talk-docker" {
			t.Fatalf("a deleted function's line is left: %+v", l)
		}
	}
	h.deploy(t, function("talk-docker", "python", "docker"), talker)
	if lines, err := h.Client.Logs(t.Context(), "talk-docker", client.LogQuery{Tail: 1000}); err != nil || len(lines) != 0 {
		t.Errorf("%d lines of one that was deleted under its name, %v", len(lines), err)
	}
}

// wantLines checks what an invocation of talker left.
func (h *harness) wantLines(t *testing.T, function, id string, since time.Time) {
	t.Helper()
	lines, err := h.Client.Logs(t.Context(), function, client.LogQuery{RequestID: id, Tail: 100})
	if err != nil {
		t.Fatal(err)
	}
	mark := strings.Replace(function, "talk-", "A-", 1)
	got := map[string]string{}
	for _, l := range lines {
		got[l.Stream] += l.Text + "|"
		if l.RequestID != id || l.Function != function || l.Version != 1 || l.Instance == "" || l.Platform {
			t.Errorf("line %+v", l)
		}
		if l.Time.Before(since) || l.Time.After(time.Now()) {
			t.Errorf("the line's time is %s, which is not in the call", l.Time)
		}
		if level := map[bool]string{true: "warn", false: ""}[strings.HasPrefix(l.Text, "{")]; l.Level != level {
			t.Errorf("the level of %q is %q", l.Text, l.Level)
		}
	}
	wantOut := "out " + mark + `|{"level": "warn", "msg": "careful ` + mark + `"}|child out|`
	if got["stdout"] != wantOut || got["stderr"] != "err "+mark+"|child err|" || len(got) != 2 {
		t.Errorf("%s: got %q", function, got)
	}
}

func (h *harness) allLines(t *testing.T, q client.LogQuery) []wire.LogLine {
	t.Helper()
	q.Tail = 1000
	lines, err := h.Client.Logs(t.Context(), "", q)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// searchLogs tries each way of choosing lines, by the client and by the command.
func (h *harness) searchLogs(t *testing.T) {
	t.Helper()
	for what, c := range map[string]struct {
		q    client.LogQuery
		want int
	}{
		"text":            {client.LogQuery{Text: "CARD was"}, 4}, // The error, and its line of the code.
		"stderr":          {client.LogQuery{Text: "child", Stream: "stderr"}, 2},
		"least level":     {client.LogQuery{Level: "warn"}, 4},
		"errors":          {client.LogQuery{Level: "error"}, 2},
		"a moment ago":    {client.LogQuery{Level: "error", From: "-10m"}, 2},
		"long ago":        {client.LogQuery{To: "-10m"}, 0},
		"what is nowhere": {client.LogQuery{Text: "no such text"}, 0},
	} {
		if lines := h.allLines(t, c.q); len(lines) != c.want {
			t.Errorf("%s: %d lines, not %d: %+v", what, len(lines), c.want, lines)
		}
	}
	r := h.cove(t, "logs", "--level", "error", "--since", "10m", "--grep", "card")
	if r.Code != 0 || strings.Count(r.Stdout, "\n") != 2 || !strings.Contains(r.Stdout, "talk-gvisor") || !strings.Contains(r.Stdout, " err  [ERROR] ValueError: the card was refused") {
		t.Errorf("cove logs printed %q, %q", r.Stdout, r.Stderr)
	}
	failed := h.allLines(t, client.LogQuery{Level: "error"})[0]
	r = h.cove(t, "logs", "--request", failed.RequestID)
	if r.Code != 0 || !strings.Contains(r.Stdout, "refused") || !strings.Contains(r.Stderr, failed.Function+" version 1, ") || !strings.Contains(r.Stderr, "function_error in ") {
		t.Errorf("cove logs --request printed %q, %q", r.Stdout, r.Stderr)
	}
	r = h.cove(t, "logs", "talk-docker", "-o", "json", "-n", "1", "--stream", "stdout")
	var line wire.LogLine
	if err := json.Unmarshal([]byte(r.Stdout), &line); err != nil || line.Text != "child out" || line.Stream != "stdout" {
		t.Errorf("cove logs -o json printed %q, %q", r.Stdout, r.Stderr)
	}
}

// followLogs reads new lines as they come, of one function as JSON and of all as
// events.
func (h *harness) followLogs(t *testing.T, since time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), requestTime)
	defer cancel()
	events := make(chan string, 100)
	go h.readEvents(ctx, "/api/v1/logs?follow=true&tail=0&q=careful", events)
	if got := <-events; got != "open" {
		t.Fatalf("following: %s", got)
	}
	go func() {
		for range 3 {
			_, _ = h.Client.Invoke(ctx, "talk-gvisor", []byte(`{"mark":"live"}`))
		}
	}()
	n := 0
	for line, err := range h.Client.FollowLogs(ctx, "talk-gvisor", client.LogQuery{Tail: 2, Text: "live", From: since.Format(time.RFC3339)}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; !strings.Contains(line.Text, "live") {
			t.Errorf("followed %+v", line)
		}
		if n == 7 {
			break
		}
	}
	for range 3 {
		if e := <-events; !strings.Contains(e, "careful live") {
			t.Errorf("the event is %s", e)
		}
	}
}

// readEvents passes on the data of server-sent events, "open" first.
func (h *harness) readEvents(ctx context.Context, path string, to chan<- string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.API+path, nil)
	if err != nil {
		to <- err.Error()
		return
	}
	req.Header.Set("Authorization", "Bearer "+h.Token)
	req.Header.Set("Accept", "text/event-stream")
	res, err := h.HTTP.Do(req)
	if err != nil {
		to <- err.Error()
		return
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "text/event-stream" {
		to <- res.Status + " " + got
		return
	}
	to <- "open"
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			select {
			case to <- data:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Who listens to events is told of changes, of calls, and how the system is.
func TestEvents(t *testing.T) {
	t.Parallel()
	h := start(t, options{})
	ctx, cancel := context.WithTimeout(t.Context(), requestTime)
	defer cancel()
	events := make(chan string, 1000)
	go h.readEvents(ctx, "/api/v1/events", events)
	if got := <-events; got != "open" {
		t.Fatalf("events: %s", got)
	}
	h.deploy(t, function("seen", "python", "gvisor"), constant("python", 1))
	id := h.invoke(t, "seen", "1").RequestID
	h.remove(t, "seen")
	wanted := []string{`"change":"created"`, `"id":"` + id, `"change":"deleted"`, `"memory_budget"`}
	for len(wanted) > 0 {
		select {
		case e := <-events:
			for i, w := range wanted {
				if strings.Contains(e, w) {
					wanted = append(wanted[:i], wanted[i+1:]...)
					break
				}
			}
		case <-ctx.Done():
			t.Fatalf("no event has %q", wanted)
		}
	}
}

// A function that floods its log holds up nobody, and takes bounded memory of the
// daemon; what is dropped is counted.
func TestLogFlood(t *testing.T) {
	t.Parallel()
	h := start(t, options{Plain: true})
	flood := function("flood", "python", "gvisor")
	flood.Timeout = cove.Duration(time.Minute)
	h.deploy(t, flood, talker)
	h.deploy(t, function("quiet", "python", "gvisor"), talker)
	h.want(t, http.StatusOK, request{Path: "/quiet"})
	before := h.resident(t)
	done := make(chan wire.Result, 1)
	go func() {
		r, err := h.Client.Invoke(t.Context(), "flood", []byte(`{"mark":"flood","s":8}`))
		if err != nil {
			r.Outcome = err.Error()
		}
		done <- r
	}()
	calls, most := 0, cove.ByteSize(0)
	var slowest time.Duration
	for flooding := true; flooding; {
		a := h.want(t, http.StatusOK, request{Path: "/quiet"})
		calls, slowest, most = calls+1, max(slowest, a.Took), max(most, h.resident(t))
		select {
		case r := <-done:
			if r.Outcome != "ok" {
				t.Errorf("the flooding call: %s", r.Outcome)
			}
			flooding = false
		default:
		}
	}
	t.Logf("%d calls of another function meanwhile, the slowest %s; the daemon had %s before and %s at most", calls, slowest, before.InMiB(), most.InMiB())
	if calls < 20 || slowest > 5*time.Second {
		t.Errorf("%d calls meanwhile, the slowest took %s", calls, slowest)
	}
	if most > before+128*cove.MiB {
		t.Errorf("the daemon grew from %s to %s", before.InMiB(), most.InMiB())
	}
	lines, err := h.Client.Logs(t.Context(), "flood", client.LogQuery{Tail: 10, Stream: "platform"})
	if err != nil || len(lines) == 0 || !strings.Contains(lines[len(lines)-1].Text, "dropped") {
		t.Errorf("the log does not say that something was dropped: %+v, %v", lines, err)
	}
	if got := h.invocationLog(t, "quiet", h.invoke(t, "quiet", `{"mark":"after"}`).RequestID); len(got) != 5 {
		t.Errorf("after the flood a call's log is %q", got)
	}
}

// resident is the daemon's own memory.
func (h *harness) resident(t testing.TB) cove.ByteSize {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(h.pid()), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return cove.ByteSize(kib) * cove.KiB
		}
	}
	t.Fatal(errors.New("no VmRSS"))
	return 0
}
