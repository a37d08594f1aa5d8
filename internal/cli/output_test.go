package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

// evil are the sequences by which a text takes over a terminal that shows it:
// the usual one, and that of the C1 set, which JSON does not escape.
const evil = "\x1b]0;owned\a \u009b31m \x7f"

func controls(s string) bool {
	return strings.ContainsAny(s, "\x1b\a\x7f\u009b")
}

func TestWhatAFunctionSaysDoesNothingToATerminal(t *testing.T) {
	t.Parallel()
	failed := &cove.Error{Code: cove.CodeFunctionError, Message: "E: " + evil,
		Function: &cove.FunctionError{Type: "E" + evil, Message: "first" + evil + "\nsecond", Stack: []string{"at " + evil + "\n  deeper"}}}

	t.Run("as an error", func(t *testing.T) {
		t.Parallel()
		var out, errs bytes.Buffer
		a := &app{out: &out, err: harmless{&errs}}
		if got := a.report(a.root(), failed); got != exitFunction {
			t.Errorf("the exit code is %d", got)
		}
		if got := errs.String(); controls(got) || !strings.Contains(got, "\nsecond") || !strings.Contains(got, "\n      deeper") {
			t.Errorf("%q", got)
		}
	})
	t.Run("as a log line or an answer in JSON, which stays the same JSON", func(t *testing.T) {
		t.Parallel()
		quoted, err := json.Marshal(evil)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		a := &app{out: &out, output: "json"}
		a.printLines(&out, []wire.LogLine{{Text: evil}}, true)
		a.printLines(&out, []wire.LogLine{{Text: evil}}, false)
		if err := a.printResult(wire.Result{Answer: quoted}, invokeFlags{}); err != nil {
			t.Fatal(err)
		}
		a.output = "text"
		end := out.Len()
		if err := a.printResult(wire.Result{Answer: quoted}, invokeFlags{}); err != nil {
			t.Fatal(err)
		}
		if controls(out.String()) {
			t.Errorf("%q", out.String())
		}
		var back string
		if err := json.Unmarshal(out.Bytes()[end:], &back); err != nil || back != evil {
			t.Errorf("%q, %v", back, err)
		}
	})
	t.Run("as plain text on a terminal, while a file gets every byte", func(t *testing.T) {
		t.Parallel()
		quoted, err := json.Marshal(evil + "\nend")
		if err != nil {
			t.Fatal(err)
		}
		near, far := terminal(t)
		a := &app{out: far}
		if err := a.printResult(wire.Result{Answer: quoted}, invokeFlags{raw: true}); err != nil {
			t.Fatal(err)
		}
		_ = near.SetReadDeadline(time.Now().Add(5 * time.Second))
		shown := make([]byte, 1000)
		n, err := near.Read(shown)
		if got := string(shown[:n]); err != nil || controls(got) || !strings.HasSuffix(got, "\nend") {
			t.Errorf("%q, %v", got, err)
		}
		var file bytes.Buffer
		a.out = &file
		if err := a.printResult(wire.Result{Answer: quoted}, invokeFlags{raw: true}); err != nil || file.String() != evil+"\nend" {
			t.Errorf("%q, %v", file.String(), err)
		}
	})
}

// terminal is a terminal from both sides.
func terminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	raw, err := near.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	if ctlErr := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); ctlErr != nil || err != nil {
		t.Fatal(ctlErr, err)
	}
	if far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}
