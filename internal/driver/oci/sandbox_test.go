package oci_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/drivertest"
	"github.com/covefn/cove/internal/driver/oci"
)

// script is a shim that connects, writes what it is told to find out to the
// stream, and waits for its end.
func script(t *testing.T, subject drivertest.Subject, id, python string) driver.Spec {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	source := `import os, socket
logs = [socket.socket(socket.AF_UNIX) for _ in range(2)]; [log.connect("/cove/log.sock") for log in logs]
conn = socket.socket(socket.AF_UNIX); conn.connect("/cove/conn.sock")
def say(s): conn.sendall(s.encode())
` + python + "\nconn.recv(1)\n"
	if err := os.WriteFile(filepath.Join(dir, "shim.py"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	return driver.Spec{
		ID: id, Owner: subject.Owner, Image: subject.Image, ShimDir: dir,
		Command: []string{"/usr/bin/python3", "-S", "/opt/cove/shim.py"},
		Limits:  driver.Limits{Memory: 128 * cove.MiB, CPU: 1, PIDs: 64, Tmp: cove.MiB}, Network: cove.NetworkNone,
	}
}

func subjects(t *testing.T) map[string]drivertest.Subject {
	t.Helper()
	return map[string]drivertest.Subject{
		oci.GVisor: subject(t, oci.GVisor, drivertest.Runsc(t)),
		oci.Runc:   subject(t, oci.Runc, ""),
	}
}

func TestEgress(t *testing.T) {
	for isolation, s := range subjects(t) {
		t.Run("a sandbox of "+isolation+" with egress has an interface and a resolver, and leaves nothing", func(t *testing.T) {
			d := s.New(t)
			spec := script(t, s, "egress-"+isolation, `say(",".join(sorted(n for _, n in socket.if_nameindex())) + " " + open("/etc/resolv.conf").read() + "\0")`)
			spec.Network = cove.NetworkEgress
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			sb, err := d.Create(ctx, spec)
			if err != nil {
				t.Fatal(err)
			}
			var said []byte
			for buf := make([]byte, 1024); !slices.Contains(said, 0); {
				n, err := sb.Conn().Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				said = append(said, buf[:n]...)
			}
			interfaces, resolver, _ := strings.Cut(string(said), " ")
			if !strings.Contains(interfaces, ",") || !strings.Contains(resolver, "nameserver") {
				t.Errorf("it found %q", said)
			}
			if err := errors.Join(sb.Destroy(ctx, "seen"), d.Close()); err != nil {
				t.Error(err)
			}
			drivertest.Census{Owner: s.Owner, DataDir: s.DataDir, Elsewhere: true}.Same(t, drivertest.Counts{
				"processes": 0, "mounts": 0, "cgroups": 0, "firewall rules": 0,
				// data, run, box, bundle, state
				"entries": 5,
			})
		})
	}
}

// crashID makes a run of this test binary a daemon that is killed.
const crashID = "COVE_TEST_CRASH"

func TestRecoverAfterKill(t *testing.T) {
	if at := os.Getenv(crashID); at != "" {
		beAKilledDaemon(t, at)
		return
	}
	for isolation, s := range subjects(t) {
		for _, when := range []string{"starting", "running"} {
			t.Run("what a daemon killed while "+isolation+" was "+when+" left is removed", func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRecoverAfterKill$")
				cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), crashID+"="+strings.Join([]string{isolation, when, s.DataDir, s.Owner}, "|"))
				_ = cmd.Run() // it kills itself
				d := s.New(t)
				found, err := d.Recover(t.Context(), s.Owner)
				if err != nil || len(found) != 1 || found[0].ID() != "crash" {
					t.Errorf("found %v, %v", found, err)
				}
				for _, f := range found {
					if err := f.Destroy(t.Context(), "left"); err != nil {
						t.Error(err)
					}
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
				drivertest.Census{Owner: s.Owner, DataDir: s.DataDir, Elsewhere: true}.Same(t, drivertest.Counts{
					"processes": 0, "mounts": 0, "cgroups": 0, "entries": 5, "firewall rules": 0,
				})
			})
		}
	}
}

func beAKilledDaemon(t *testing.T, at string) {
	parts := strings.Split(at, "|")
	isolation, when, data, owner := parts[0], parts[1], parts[2], parts[3]
	s := subjects(t)[isolation]
	s.Owner = owner
	d, err := oci.New(oci.Options{
		Isolation: isolation, Binary: map[string]string{oci.GVisor: drivertest.Runsc(t)}[isolation],
		StateDir: filepath.Join(data, "state"), RunDir: filepath.Join(data, "run"),
	})
	if err != nil {
		t.Fatal(err)
	}
	die := func() {
		p, err := os.FindProcess(os.Getpid())
		if err == nil {
			_ = p.Kill()
		}
	}
	if when == "starting" {
		time.AfterFunc(60*time.Millisecond, die)
	}
	// It goes on by itself when its stream ends, as no shim does.
	if _, err := d.Create(t.Context(), script(t, s, "crash", "import time; time.sleep(600)")); err != nil {
		t.Fatal(err)
	}
	die()
	time.Sleep(time.Minute)
}

func TestProbe(t *testing.T) {
	t.Parallel()
	probe := func(t *testing.T, binary string) driver.Report {
		t.Helper()
		d, err := oci.New(oci.Options{Isolation: oci.GVisor, Binary: binary, StateDir: filepath.Join(t.TempDir(), "s"), RunDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		return d.Probe(t.Context())
	}
	write := func(t *testing.T, source string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "runsc")
		if err := os.WriteFile(path, []byte(source), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}

	t.Run("a runtime that is missing is said to be, with what gets it", func(t *testing.T) {
		t.Parallel()
		if r := probe(t, "/no/such/runsc"); r.Available || !strings.Contains(r.Reason, "runsc was not found") || r.Fix != "make runsc" {
			t.Errorf("report %+v", r)
		}
	})
	t.Run("a runtime that does not work is said not to, in its own words", func(t *testing.T) {
		t.Parallel()
		r := probe(t, write(t, "#!/bin/sh\nif [ \"$1\" = --version ]; then echo runsc version 1; exit; fi\necho 'the platform is on strike' >&2; exit 1\n"))
		if r.Available || !strings.Contains(r.Reason, "the platform is on strike") {
			t.Errorf("report %+v", r)
		}
	})
	t.Run("a runtime that hangs does not make the probe hang", func(t *testing.T) {
		t.Parallel()
		start := time.Now()
		r := probe(t, write(t, "#!/bin/sh\nexec sleep 600\n"))
		if r.Available || time.Since(start) > 20*time.Second {
			t.Errorf("after %v: %+v", time.Since(start), r)
		}
	})
	t.Run("a runtime that works is available, with its version", func(t *testing.T) {
		t.Parallel()
		r := probe(t, drivertest.Runsc(t))
		if !r.Available || !strings.HasPrefix(r.Version, "runsc ") || strings.Contains(r.Version, "\n") {
			t.Errorf("report %+v", r)
		}
	})
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	s := subject(t, oci.GVisor, drivertest.Runsc(t))
	d := s.New(t)
	for name, change := range map[string]func(*driver.Spec){
		"an id that is a path":          func(s *driver.Spec) { s.ID = "../x" },
		"an owner that is a path":       func(s *driver.Spec) { s.Owner = "a/b" },
		"a command without a path":      func(s *driver.Spec) { s.Command = []string{"python3"} },
		"no command":                    func(s *driver.Spec) { s.Command = nil },
		"a network that does not exist": func(s *driver.Spec) { s.Network = "host" },
		"an image without mount points": func(s *driver.Spec) { s.Image.Root = t.TempDir() },
		"a shim that is not there":      func(s *driver.Spec) { s.ShimDir = "/no/such/shim" },
	} {
		t.Run(name, func(t *testing.T) {
			spec := script(t, s, "refused", "")
			change(&spec)
			if _, err := d.Create(t.Context(), spec); cove.CodeOf(err) != cove.CodeSandboxStartFailed {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestCreateThatCannotCleanUp(t *testing.T) {
	dir := t.TempDir()
	d, err := oci.New(oci.Options{Isolation: oci.Runc, StateDir: filepath.Join(dir, "state"), RunDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	spec := script(t, subject(t, oci.Runc, ""), "in-the-way", "")
	spec.Command = []string{"/no/such/program"}
	busy := filepath.Join(dir, "bundle", spec.ID, "busy")
	if err := os.MkdirAll(busy, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(dir, busy, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	unmount := sync.OnceValue(func() error { return unix.Unmount(busy, unix.MNT_DETACH) })
	defer func() { _ = unmount() }()

	_, err = d.Create(t.Context(), spec)
	remains, ok := errors.AsType[*driver.Remains](err)
	if cove.CodeOf(err) != cove.CodeSandboxStartFailed || !ok {
		t.Fatalf("the error is %v", err)
	}
	if err := remains.Sandbox.Destroy(t.Context(), "again"); err == nil {
		t.Error("it was removed while something was in the way")
	}
	if err := errors.Join(unmount(), remains.Sandbox.Destroy(t.Context(), "at last")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(busy)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the bundle is still there: %v", err)
	}
}

// BenchmarkCreate creates and destroys sandboxes one after another, and says
// what one of them holds in memory.
func BenchmarkCreate(b *testing.B) {
	for _, isolation := range []string{oci.GVisor, oci.Runc} {
		b.Run(isolation, func(b *testing.B) {
			data, binary := b.TempDir(), ""
			if isolation == oci.GVisor {
				binary = drivertest.Runsc(b)
			}
			d, err := oci.New(oci.Options{Isolation: isolation, Binary: binary, StateDir: filepath.Join(data, "state"), RunDir: filepath.Join(data, "run")})
			if err != nil {
				b.Fatal(err)
			}
			shim := b.TempDir()
			if err := os.WriteFile(filepath.Join(shim, "shim.py"), []byte(`import socket
logs = [socket.socket(socket.AF_UNIX) for _ in range(2)]; [log.connect("/cove/log.sock") for log in logs]
conn = socket.socket(socket.AF_UNIX); conn.connect("/cove/conn.sock")
conn.recv(1)
`), 0o644); err != nil {
				b.Fatal(err)
			}
			if err := os.Chmod(shim, 0o755); err != nil {
				b.Fatal(err)
			}
			image := drivertest.PythonImage(b)
			var created, destroyed []time.Duration
			var memory cove.ByteSize
			for b.Loop() {
				start := time.Now()
				s, err := d.Create(b.Context(), driver.Spec{
					ID: "bench", Owner: "bench", Image: image, ShimDir: shim,
					Command: []string{"/usr/bin/python3", "-I", "-S", "/opt/cove/shim.py"},
					Limits:  driver.Limits{Memory: 128 * cove.MiB, CPU: 2, PIDs: 64, Tmp: cove.MiB},
				})
				if err != nil {
					b.Fatal(err)
				}
				created = append(created, time.Since(start))
				u, err := s.Usage(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				memory = u.Memory
				start = time.Now()
				if err := s.Destroy(b.Context(), "measured"); err != nil {
					b.Fatal(err)
				}
				destroyed = append(destroyed, time.Since(start))
			}
			if err := d.Close(); err != nil {
				b.Fatal(err)
			}
			median := func(d []time.Duration) float64 {
				slices.Sort(d)
				return float64(d[len(d)/2].Microseconds()) / 1000
			}
			b.ReportMetric(median(created), "ms/create")
			b.ReportMetric(median(destroyed), "ms/destroy")
			b.ReportMetric(float64(memory)/(1<<20), "MiB")
		})
	}
}
