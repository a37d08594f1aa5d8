package drivertest

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove/internal/driver"
)

// shimSource is the suite's own program for inside a sandbox. It needs nothing
// but Python, so that drivers can be tested without the runtimes' real shims.
//
//go:embed shim.py
var shimSource []byte

// patience bounds every wait of the suite. It is long, since it is only waited
// for by what fails, and what is tested may share its machine.
const patience = 30 * time.Second

// shimDir makes a directory with the suite's shim in it.
func shimDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "suite.py"), shimSource, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// reply is a line from the shim.
type reply struct {
	Hello  int             `json:"hello"`
	Beat   int64           `json:"beat"`
	Result json.RawMessage `json:"result"`
}

// running is a sandbox with the suite's shim, which has said HELLO.
type running struct {
	*driver.Guarded
	t     testing.TB
	lines *bufio.Reader
	logs  *logBuffer // stdout
	errs  *logBuffer // stderr
}

// logBuffer drains a log and keeps it.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
	done chan struct{}
}

func drain(r io.Reader) *logBuffer {
	l := &logBuffer{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		_, _ = io.Copy(l, r)
	}()
	return l
}

func drainBoth(s driver.Sandbox) (stdout, stderr *logBuffer) {
	out, err := s.Logs()
	return drain(out), drain(err)
}

// Write implements io.Writer.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// create makes a sandbox of spec, which is destroyed when the test ends.
func create(t testing.TB, d driver.Driver, spec driver.Spec) *running {
	t.Helper()
	r, err := tryCreate(t, d, spec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryCreate(t testing.TB, d driver.Driver, spec driver.Spec) (*running, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	inner, err := d.Create(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("create a sandbox: %w", err)
	}
	r := &running{Guarded: driver.Guard(inner), t: t, lines: bufio.NewReader(inner.Conn())}
	r.logs, r.errs = drainBoth(inner)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Destroy(ctx, "the test has ended"); err != nil {
			t.Errorf("destroy the sandbox: %v", err)
		}
		for _, l := range []*logBuffer{r.logs, r.errs} {
			select {
			case <-l.done:
			case <-time.After(patience):
				t.Error("the log did not end with the sandbox")
			}
		}
	})
	if _, err := r.next(); err != nil {
		return nil, fmt.Errorf("the shim's first line: %w; its log: %s", err, r.logs)
	}
	return r, nil
}

// next reads the shim's next line.
func (r *running) next() (reply, error) {
	if err := r.Conn().SetReadDeadline(time.Now().Add(patience)); err != nil {
		return reply{}, err
	}
	line, err := r.lines.ReadBytes('\n')
	if err != nil {
		return reply{}, err
	}
	var p reply
	return p, json.Unmarshal(line, &p)
}

// tell gives the shim a command.
func (r *running) tell(do string, arg any) error {
	line, err := json.Marshal(map[string]any{"do": do, "arg": arg})
	if err != nil {
		return err
	}
	if err := r.Conn().SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = r.Conn().Write(append(line, '\n'))
	return err
}

// ask gives the shim a command and reads its result into result, if not nil.
func (r *running) ask(do string, arg, result any) error {
	if err := r.tell(do, arg); err != nil {
		return err
	}
	for {
		p, err := r.next()
		if err != nil {
			return fmt.Errorf("%s: %w", do, err)
		}
		if p.Result == nil {
			continue // a beat
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(p.Result, result)
	}
}

// must is ask for commands that cannot fail.
func (r *running) must(do string, arg, result any) {
	r.t.Helper()
	if err := r.ask(do, arg, result); err != nil {
		r.t.Fatalf("%v; its log: %s", err, r.logs)
	}
}

// text is must for a result that is a string.
func (r *running) text(do string, arg any) string {
	r.t.Helper()
	var s string
	r.must(do, arg, &s)
	return s
}

// silent reads what was sent up to now and says whether anything was sent
// after that.
func (r *running) silent() bool {
	r.t.Helper()
	// What the kernel still holds was sent before: a stream is in order, so
	// after one silence nothing of it is left.
	for _, wait := range []time.Duration{20 * time.Millisecond, 100 * time.Millisecond} {
		n := 0
		for {
			_ = r.Conn().SetReadDeadline(time.Now().Add(wait))
			m, err := r.Conn().Read(make([]byte, 64<<10))
			n += m
			if err != nil {
				break
			}
		}
		if wait > 50*time.Millisecond && n > 0 {
			return false
		}
	}
	return true
}

// ended says whether the sandbox has ended.
func (r *running) ended() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := r.Wait(ctx)
	return err == nil
}

// exit waits for the sandbox's end.
func (r *running) exit() driver.Exit {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	e, err := r.Wait(ctx)
	if err != nil {
		r.t.Fatalf("wait for the sandbox's end: %v", err)
	}
	return e
}

// eventually waits until ok, and says whether it came to that.
func eventually(ok func() bool) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}
