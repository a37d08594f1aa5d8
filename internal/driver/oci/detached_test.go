package oci

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/covefn/cove/internal/driver"
)

// TestAskForEnd plays gVisor's end of its control socket.
func TestAskForEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		want   driver.Exit
		failed bool
	}{
		"an exit code":                       {`{"success":true,"err":"","result":1792}`, driver.Exit{Code: 7}, false},
		"success":                            {`{"success":true,"err":"","result":0}`, driver.Exit{}, false},
		"a signal":                           {`{"success":true,"err":"","result":11}`, driver.Exit{Code: 139, Signal: 11}, false},
		"nothing, since it was killed":       {"", killed, false},
		"the beginning of an answer":         {`{"success":true,"er`, killed, false},
		"an error":                           {`{"success":false,"err":"no such method"}`, driver.Exit{Code: -1}, true},
		"something else":                     {"HTTP/1.1 400 Bad Request\r\n", driver.Exit{Code: -1}, true},
		"a number that is no status":         {`{"success":true,"result":-5}`, driver.Exit{Code: -1}, true},
		"more than anybody wants to read of": {`{"err":"` + strings.Repeat("x", 2*maxAnswer), killed, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
			s := answering(t, state, c.answer)
			got, err := s.askForEnd()
			s.question.close()
			if got != c.want || (err != nil) != c.failed {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		s := &sandbox{driver: &Driver{options: Options{StateDir: t.TempDir()}}, id: "absent"}
		if got, err := s.askForEnd(); got != killed || err == nil {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// answering is a sandbox whose control socket gives one answer to whatever it
// is asked.
func answering(t *testing.T, state, answer string) *sandbox {
	t.Helper()
	s := &sandbox{driver: &Driver{options: Options{StateDir: state}}, id: "x"}
	l := listenIn(t, state, controlSocket(s.id))
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 1024))
		_, _ = conn.Write([]byte(answer))
		_ = conn.Close()
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return s
}

// listenIn listens on a socket in dir, whose path may be of any length.
func listenIn(t *testing.T, dir, name string) net.Listener {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	l, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name))
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	return l
}
