package drivertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFake(t *testing.T) {
	Run(t, func(t *testing.T) Subject {
		fake := NewFake(obey)
		fake.CreateErr = refuse
		return Subject{
			New:   func(testing.TB) driver.Driver { return fake },
			Image: driver.Image{Ref: "cove/fake:1", Root: t.TempDir()}, Owner: "fake", DataDir: t.TempDir(), InMemory: true,
		}
	})
}

// refuse plays what goes wrong in a creation.
func refuse(ctx context.Context, spec driver.Spec) error {
	command := strings.Join(spec.Command, " ")
	switch _, err := os.Stat(spec.Image.Root); {
	case err != nil:
		return err
	case strings.Contains(command, "no/such"), strings.Contains(command, "SystemExit"):
		return errors.New("it exited")
	case strings.Contains(command, "sleep"):
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return nil
}

// obey plays the suite's shim.
func obey(ctx context.Context, in *Inside) driver.Exit {
	var lock sync.Mutex
	send := func(v any) bool {
		lock.Lock()
		defer lock.Unlock()
		line, err := json.Marshal(v)
		return err == nil && in.Gate(ctx) && write(in, line)
	}
	var work sync.WaitGroup
	defer work.Wait()
	// Before work.Wait: who writes a beat is let go.
	defer func() { _ = in.Conn.Close() }()
	every := func(f func() bool) {
		work.Go(func() {
			for in.Gate(ctx) && f() {
				select {
				case <-time.After(2 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	send(map[string]any{"hello": 1})
	for lines := bufio.NewScanner(in.Conn); lines.Scan(); {
		var c struct {
			Do  string          `json:"do"`
			Arg json.RawMessage `json:"arg"`
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil || !in.Gate(ctx) {
			break
		}
		var text string
		_ = json.Unmarshal(c.Arg, &text)
		var result any
		switch c.Do {
		case "exit":
			var code int
			_ = json.Unmarshal(c.Arg, &code)
			return driver.Exit{Code: code}
		case "crash":
			return driver.Exit{Code: 139, Signal: 11}
		case "print":
			_, _ = in.Logs.Write([]byte(text + "\n"))
		case "complain":
			_, _ = in.Errs.Write([]byte(text + "\n"))
		case "beat":
			every(func() bool { return send(map[string]any{"beat": 1}) })
		case "spin":
			every(func() bool { in.Burn(2 * time.Millisecond); return ctx.Err() == nil })
		case "environ":
			environ := map[string]string{}
			for _, v := range in.Spec.Env {
				name, value, _ := strings.Cut(v, "=")
				environ[name] = value
			}
			result = environ
		case "read":
			result = "error: there is no such file"
			if data, err := os.ReadFile(filepath.Join(in.Code(), filepath.Base(text))); err == nil && in.Code() != "" {
				result = string(data)
			}
		case "write":
			result = "error: read-only"
		}
		send(map[string]any{"result": result})
	}
	return driver.Exit{Code: 137, Signal: 9}
}

func write(in *Inside, line []byte) bool {
	_, err := in.Conn.Write(append(line, '\n'))
	return err == nil
}

func TestFakeLimits(t *testing.T) {
	t.Parallel()
	limits := make(chan driver.Limits, 1)
	fake := NewFake(func(ctx context.Context, in *Inside) driver.Exit {
		<-ctx.Done()
		limits <- in.Limits()
		return driver.Exit{}
	})
	s, err := fake.Create(t.Context(), driver.Spec{ID: "a", Limits: driver.Limits{Tmp: cove.MiB}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.(driver.Resizer).Resize(t.Context(), driver.Limits{CPU: 2}); err != nil {
		t.Error(err)
	}
	if err := errors.Join(s.Destroy(t.Context(), "done"), fake.Close()); err != nil {
		t.Error(err)
	}
	if got, want := <-limits, (driver.Limits{CPU: 2, Tmp: cove.MiB}); got != want {
		t.Errorf("limits %+v", got)
	}
	if fake.Live() != 0 {
		t.Error("it still exists")
	}
}
