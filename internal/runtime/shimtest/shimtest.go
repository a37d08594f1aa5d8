// Package shimtest is the conformance suite of the runtime protocol's shims:
// what docs/runtime-protocol.md promises, tried on a real interpreter.
//
// A Starter says how a shim is started. Local starts it as a plain process on
// this machine; the suite of a driver may start the same shims in its sandboxes.
package shimtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
)

// patience bounds every wait of the suite.
const patience = 20 * time.Second

// Process is a shim that was started, before its HELLO was read.
type Process struct {
	// Conn is the protocol's stream, Stdout and Stderr are those of the log.
	Conn           net.Conn
	Stdout, Stderr io.Reader
	// CodeDir is where the package is, as the shim sees it.
	CodeDir string
	// Wait returns the exit code when the process has ended.
	Wait func(ctx context.Context) (int, error)
}

// Starter starts shims of one runtime.
type Starter interface {
	// Start starts a shim whose package has files, their contents by
	// slash-separated path, and the environment variables env ("NAME=value")
	// beside the runtime's own. It ends and removes everything by t.Cleanup.
	Start(t testing.TB, files map[string]string, env ...string) *Process
}

// Language is what the suite must know of a runtime to write functions for it.
type Language string

// The languages that the suite speaks.
const (
	Python     Language = "python"
	JavaScript Language = "javascript"
)

// source is one function in every language.
type source struct{ python, javascript string }

// rule is one promise of the protocol.
type rule struct {
	name string
	// code is the handler's file; a language without code is not concerned.
	code source
	run  func(t *testing.T, s *session)
}

// Run tries every rule on the shims that starter starts.
func Run(t *testing.T, lang Language, starter Starter) {
	for _, rules := range [][]rule{payloadRules(), answerRules(), streamRules(), errorRules(), logRules(), processRules(), contextRules(), sharedRules(lang)} {
		for _, r := range rules {
			code := r.code.python
			if lang == JavaScript {
				code = r.code.javascript
			}
			if code == "" {
				continue
			}
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				s := start(t, lang, starter, files(lang, code))
				s.code = code
				r.run(t, s)
			})
		}
	}
	if lang == JavaScript { // Python's random seeds itself from the kernel when it is imported.
		t.Run("the entropy of INIT seeds Math.random", func(t *testing.T) { t.Parallel(); reseed(t, starter) })
	}
	if lang == Python {
		t.Run("a file called like a module of Python's own is the same in every sandbox", func(t *testing.T) { t.Parallel(); early(t, starter) })
	}
	t.Run("a variable works from INIT on, or is early", func(t *testing.T) { t.Parallel(); environment(t, lang, starter) })
	t.Run("what cannot be loaded is told apart", func(t *testing.T) { t.Parallel(); loadErrors(t, lang, starter) })
	t.Run("a package is compiled without being run", func(t *testing.T) { t.Parallel(); compiles(t, lang, starter) })
	t.Run("every form of a file is found", func(t *testing.T) { t.Parallel(); loadForms(t, lang, starter) })
}

// files is a package of one file.
func files(lang Language, code string) map[string]string {
	if lang == JavaScript {
		return map[string]string{"index.js": code}
	}
	return map[string]string{"main.py": code}
}

// session is one shim with the host's side of its protocol.
type session struct {
	lang Language
	proc *Process
	conn *runtime.Conn
	logs *logs // stdout
	errs *logs // stderr
	init runtime.Init
	code string
	id   int
	// last is the marker of the latest call, and timeout bounds the calls.
	last    string
	timeout time.Duration
}

// start starts a shim and reads its HELLO.
func start(t *testing.T, lang Language, starter Starter, files map[string]string, env ...string) *session {
	t.Helper()
	p := starter.Start(t, files, env...)
	return greet(t, lang, p, p.Conn)
}

func greet(t *testing.T, lang Language, p *Process, c net.Conn) *session {
	t.Helper()
	handler := "main.handler"
	if lang == JavaScript {
		handler = "index.handler"
	}
	s := &session{
		lang: lang, proc: p, conn: runtime.NewConn(c, runtime.Options{}), logs: collect(p.Stdout), errs: collect(p.Stderr), timeout: patience,
		init: runtime.Init{
			Function: "hello", Version: 3, Handler: handler, CodeDir: p.CodeDir, MemoryMiB: 128, TimeoutMS: 10_000,
			MaxAnswer: runtime.MaxPayload, Poll: true, Entropy: bytes.Repeat([]byte{7}, 32), Now: time.Now().UnixNano(),
			Env: map[string]string{"GREETING": "hällo", "EMPTY": ""},
		},
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	h, err := s.conn.Hello(ctx)
	if err != nil {
		t.Fatalf("HELLO: %v; log: %s", err, s.everything())
	}
	if h.Runtime == "" || h.Version == "" {
		t.Fatalf("HELLO says %+v; it must name runtime and version", h)
	}
	return s
}

// prepared waits until the shim is ready for INIT.
func (s *session) prepared(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.conn.Prepared(ctx); err != nil {
		t.Fatalf("PREPARED: %v; log: %s", err, s.everything())
	}
}

// load sends INIT.
func (s *session) load(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return s.conn.Init(ctx, s.init)
}

func (s *session) mustLoad(t *testing.T) {
	t.Helper()
	if err := s.load(t); err != nil {
		t.Fatalf("INIT: %v; log: %s", err, s.everything())
	}
}

// invoke makes one call.
func (s *session) invoke(kind cove.Kind, event, payload string) (*runtime.Answer, error) {
	s.id++
	s.last = fmt.Sprintf("\x1ecove %032x", s.id)
	inv := &runtime.Invoke{
		Kind: kind, RequestID: fmt.Sprintf("request-%d", s.id), Marker: s.last, Payload: []byte(payload),
		Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	if kind == cove.KindHTTP {
		inv.Event = []byte(event)
	}
	return s.conn.Invoke(time.Now().Add(s.timeout), inv)
}

// direct is the answer to a direct call, which must not fail.
func (s *session) direct(t *testing.T, payload string) string {
	t.Helper()
	a, err := s.invoke(cove.KindDirect, "", payload)
	if err != nil {
		t.Fatalf("direct call: %v; log: %s", err, s.everything())
	}
	return string(a.Payload)
}

// http is the answer to an HTTP call, which must not fail.
func (s *session) http(t *testing.T, event, payload string) *runtime.Answer {
	t.Helper()
	a, err := s.invoke(cove.KindHTTP, event, payload)
	if err != nil {
		t.Fatalf("HTTP call: %v; log: %s", err, s.everything())
	}
	return a
}

// fails is the error of a direct call that must be the function's own.
func (s *session) fails(t *testing.T, payload string) *cove.FunctionError {
	t.Helper()
	a, err := s.invoke(cove.KindDirect, "", payload)
	return functionError(t, a, err)
}

func functionError(t *testing.T, a *runtime.Answer, err error) *cove.FunctionError {
	t.Helper()
	var e *cove.Error
	if !errors.As(err, &e) || e.Function == nil {
		t.Fatalf("answer %+v, error %v; want an error of the function", a, err)
	}
	return e.Function
}

// exit is the code with which the process ends.
func (s *session) exit(t *testing.T) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code, err := s.proc.Wait(ctx)
	if err != nil {
		t.Fatalf("the process did not end: %v; log: %s", err, s.everything())
	}
	return code
}

// printed is what came into stdout up to the marker of the latest call, and
// behind the one before.
func (s *session) printed(t *testing.T) string { return s.printedTo(t, s.logs) }

// complained is the same of stderr.
func (s *session) complained(t *testing.T) string { return s.printedTo(t, s.errs) }

func (s *session) printedTo(t *testing.T, l *logs) string {
	t.Helper()
	text, ok := l.until(s.last+"\n", patience)
	if !ok {
		t.Fatalf("no marker came into the log: %q", text)
	}
	before, _, _ := strings.Cut(text, s.last+"\n")
	if i := strings.LastIndex(before, "\x1ecove "); i >= 0 {
		before = before[i+len("\x1ecove ")+33:]
	}
	return before
}

// everything is what came into both streams.
func (s *session) everything() string { return s.logs.text() + s.errs.text() }

// logs collects a log stream.
type logs struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	sink io.Writer
	more chan struct{}
}

// to passes everything on to w, what has come already first.
func (l *logs) to(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = w.Write(l.buf.Bytes())
	l.sink = w
}

func collect(r io.Reader) *logs {
	l := &logs{more: make(chan struct{}, 1)}
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := r.Read(buf)
			l.mu.Lock()
			l.buf.Write(buf[:n])
			if l.sink != nil {
				_, _ = l.sink.Write(buf[:n])
			}
			l.mu.Unlock()
			select {
			case l.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return l
}

func (l *logs) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// until waits until text is in the log.
func (l *logs) until(text string, wait time.Duration) (string, bool) {
	timeout := time.After(wait)
	for {
		if all := l.text(); strings.Contains(all, text) {
			return all, true
		}
		select {
		case <-l.more:
		case <-timeout:
			return l.text(), false
		}
	}
}
