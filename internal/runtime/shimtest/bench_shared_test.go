package shimtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
	"github.com/covefn/cove/internal/runtime/shimtest"
)

// share makes an instance of l that takes n calls at once.
func share(b *testing.B, l language, n int) (*runtime.Conn, *shimtest.Process) {
	b.Helper()
	p := l.local.Start(b, l.files)
	go func() { _, _ = io.Copy(io.Discard, p.Stdout) }()
	go func() { _, _ = io.Copy(io.Discard, p.Stderr) }()
	conn := runtime.NewConn(p.Conn, runtime.Options{})
	if _, err := conn.Hello(b.Context()); err != nil {
		b.Fatal(err)
	}
	err := conn.Init(b.Context(), runtime.Init{
		Function: "f", Version: 1, Handler: l.handler, CodeDir: p.CodeDir, MaxAnswer: runtime.MaxPayload, Entropy: make([]byte, 32),
		Concurrency: n,
	})
	if err != nil {
		b.Fatal(err)
	}
	return conn, p
}

func sharedInvoke(i int) *runtime.Invoke {
	return &runtime.Invoke{
		Kind: cove.KindDirect, RequestID: "0123456789abcdef", Marker: fmt.Sprintf("\x1e cove %032x", i), Payload: []byte(`{"name":"world"}`),
	}
}

// BenchmarkSharedRoundTrip is BenchmarkRoundTrip's handler on an instance that
// takes several calls at once, given one at a time.
func BenchmarkSharedRoundTrip(b *testing.B) {
	ls := languages(b)
	coroutine := ls[0]
	coroutine.name, coroutine.files = "python coroutine", map[string]string{"main.py": "async def handler(event, context):\n    return event\n"}
	for _, l := range append(ls, coroutine) {
		b.Run(l.name, func(b *testing.B) {
			conn, p := share(b, l, 8)
			m := runtime.NewMux(conn)
			var times []time.Duration
			for b.Loop() {
				a, err := m.Caller().Invoke(time.Now().Add(time.Minute), sharedInvoke(1))
				if err != nil {
					b.Fatal(err)
				}
				times = append(times, a.Took)
			}
			report(b, times)
			_ = m.Close()
			end(b, conn, p)
		})
	}
}

// BenchmarkWorkers is what another call at once costs: a process forked by the
// instance beside a second shim that imports the same, in time to the first
// answer and in memory (PSS).
func BenchmarkWorkers(b *testing.B) {
	l := languages(b)[0]
	imports := "import asyncio, concurrent.futures, csv, ctypes, dataclasses, decimal, email.message, email.mime.text, fractions, http.client, http.server, inspect, logging.config, multiprocessing, pathlib, pickle, sqlite3, ssl, statistics, tarfile, tempfile, typing, unittest, urllib.request, uuid, xml.dom.minidom, zipfile\n"
	for name, head := range map[string]string{"small": "", "heavy": imports} {
		l.files = map[string]string{"main.py": head + "import os, time\ndef handler(event, context):\n    time.sleep(event)\n    return os.getpid()\n"}
		b.Run(name+"/fork", func(b *testing.B) {
			var times []time.Duration
			var extra, whole, first []float64
			for b.Loop() {
				conn, p := share(b, l, 2)
				m := runtime.NewMux(conn)
				one := pid(b, m.Caller(), 1, "0")
				hold := make(chan struct{})
				go func() { defer close(hold); pid(b, m.Caller(), 2, "0.3") }()
				time.Sleep(50 * time.Millisecond)
				begin := time.Now()
				two := pid(b, m.Caller(), 3, "0")
				times = append(times, time.Since(begin))
				whole = append(whole, pss(b, parent(b, one)))
				first = append(first, pss(b, one))
				extra = append(extra, pss(b, two))
				<-hold
				_ = m.Close()
				end(b, conn, p)
			}
			report(b, times)
			b.ReportMetric(middle(whole), "parent-PSS-KiB")
			b.ReportMetric(middle(first), "first-PSS-KiB")
			b.ReportMetric(middle(extra), "second-PSS-KiB")
		})
		b.Run(name+"/second shim", func(b *testing.B) {
			var times []time.Duration
			var whole []float64
			for b.Loop() {
				p := l.local.Start(b, l.files)
				conn := runtime.NewConn(p.Conn, runtime.Options{})
				if _, err := conn.Hello(b.Context()); err != nil {
					b.Fatal(err)
				}
				if err := conn.Prepared(b.Context()); err != nil { // It is the best case: a stem cell.
					b.Fatal(err)
				}
				begin := time.Now()
				initialise(b, l, conn, p)
				one := pid(b, conn, 1, "0")
				times = append(times, time.Since(begin))
				whole = append(whole, pss(b, one))
				end(b, conn, p)
			}
			report(b, times)
			b.ReportMetric(middle(whole), "PSS-KiB")
		})
	}
}

type invoker interface {
	Invoke(deadline time.Time, inv *runtime.Invoke) (*runtime.Answer, error)
}

// pid makes a call that answers with its process's id.
func pid(b *testing.B, c invoker, i int, payload string) int {
	inv := sharedInvoke(i)
	inv.Payload = []byte(payload)
	a, err := c.Invoke(time.Now().Add(time.Minute), inv)
	if err != nil {
		b.Error(err)
		return 0
	}
	var n int
	if err := json.Unmarshal(a.Payload, &n); err != nil {
		b.Error(err)
	}
	return n
}

// parent is the process that made pid.
func parent(b *testing.B, pid int) int {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	var state string
	var n int
	_, rest, _ := strings.Cut(string(stat), ") ")
	if _, err := fmt.Sscan(rest, &state, &n); err != nil {
		b.Fatal(err)
	}
	return n
}

// pss is a process's share of the memory in KiB.
func pss(b *testing.B, pid int) float64 {
	b.Helper()
	all, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(all), "\nPss:")
	var n float64
	if _, err := fmt.Sscan(rest, &n); err != nil {
		b.Fatal(err)
	}
	return n
}

func middle(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
