package gateway

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/invoke"
)

const get = "GET /f HTTP/1.1\r\nHost: h\r\n\r\n"

// busy is a Doer whose requests run until release is called; began counts them.
func busy(t *testing.T) (do doFunc, began *atomic.Int64, release func()) {
	let, done := context.WithCancel(t.Context())
	began = &atomic.Int64{}
	return func(_ context.Context, _ *invoke.Request, sink invoke.Sink) *cove.Error {
		began.Add(1)
		<-let.Done()
		return sinkOK(sink)
	}, began, done
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about", what)
		}
	}
}

func TestConnections(t *testing.T) {
	t.Parallel()

	t.Run("the longest idle gives way to a new one", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: text("ok"), MaxConnections: 3}, function("f", "/f"))
		silent := w.raw() // It has never sent anything.
		first, second := w.raw(), w.raw()
		call := func(r *raw) {
			r.say(get)
			r.answer("GET")
			// The caller may have the answer before the server is done with it.
			until(t, "that all are idle", func() bool {
				w.server.all.mu.Lock()
				defer w.server.all.mu.Unlock()
				return len(w.server.all.idlest(9)) == len(w.server.all.open)
			})
		}
		for _, r := range []*raw{first, second, first} {
			call(r)
		}
		third := w.raw()
		call(third)
		if said := silent.closed(); said != "" {
			t.Errorf("the silent one was told %q", said)
		}
		fourth := w.raw()
		call(fourth)
		if said := second.closed(); said != "" {
			t.Errorf("the second one was told %q", said)
		}
		for _, r := range []*raw{first, third, fourth} {
			r.say(get)
			if a := r.answer("GET"); a.text != "ok" {
				t.Errorf("one that stays was answered %s", a.Status)
			}
		}
	})

	t.Run("one with a request is never closed: the next waits until it ends", func(t *testing.T) {
		t.Parallel()
		do, began, release := busy(t)
		w := setup(t, Options{Invoke: do, MaxConnections: 2}, function("f", "/f"))
		held := []*raw{w.raw(), w.raw()}
		for _, r := range held {
			r.say(get)
		}
		until(t, "two requests under way", func() bool { return began.Load() == 2 })
		next := w.raw()
		next.say(strings.Replace(get, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
		time.Sleep(20 * time.Millisecond)
		if began.Load() != 2 {
			t.Error("a third connection was served")
		}
		release()
		for _, r := range held {
			if a := r.answer("GET"); a.StatusCode != 200 {
				t.Errorf("a request under way was answered %s", a.Status)
			}
		}
		if a := next.answer("GET"); a.StatusCode != 200 {
			t.Errorf("the next was answered %s", a.Status)
		}
	})

	t.Run("one that was chosen and then has a request is not closed, and one that is being closed begins none", func(t *testing.T) {
		t.Parallel()
		all := newConnections(2, nil)
		open := func() *conn {
			here, there := net.Pipe()
			t.Cleanup(func() { _ = there.Close() })
			c := &conn{Conn: here, all: all}
			all.idled(c)
			all.open[c] = struct{}{}
			return c
		}
		quick, slow := open(), open()
		chosen := all.idlest(2)
		if !quick.begin() {
			t.Error("no request can begin on an open connection")
		}
		for _, i := range chosen {
			i.c.closeIdle(i.since)
		}
		if _, there := all.open[quick]; !there {
			t.Error("the one with a request was closed")
		}
		if _, there := all.open[slow]; there || slow.begin() {
			t.Error("the idle one was not closed, or begins a request all the same")
		}
		_ = quick.Close()
	})

	t.Run("the end does not wait for room", func(t *testing.T) {
		t.Parallel()
		do, began, release := busy(t)
		w := setup(t, Options{Invoke: do, MaxConnections: 1}, function("f", "/f"))
		w.raw().say(get)
		until(t, "a request under way", func() bool { return began.Load() == 1 })
		waiting := w.raw()
		waiting.say(get)
		time.Sleep(5 * time.Millisecond) // It is accepted and waits, or is not yet; either must end.
		ended := make(chan error, 1)
		go func() { ended <- w.server.Shutdown(t.Context()) }()
		waiting.closed()
		release()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	t.Run("HTTP/2 connections without a request give way too", func(t *testing.T) {
		t.Parallel()
		w := setup(t, Options{Invoke: text("ok"), MaxConnections: 1}, function("f", "/f"))
		for range 3 {
			for _, http2 := range []bool{true, false} {
				// A new client each time: one may take a connection that is being
				// closed for a good one.
				if a := w.send(w.client(http2), "GET", "/f", ""); a.StatusCode != 200 {
					t.Error(a.Status)
				}
			}
		}
	})
}
