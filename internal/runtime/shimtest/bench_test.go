package shimtest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/runtime"
	"github.com/covefn/cove/internal/runtime/shimtest"
)

// language is what the benchmarks need of a runtime.
type language struct {
	name    string
	local   shimtest.Local
	files   map[string]string
	handler string
	// echo is a program that sends back what comes from the unix socket it is
	// given; bare is the end of a command that does nothing.
	echo string
	bare []string
}

func languages(b *testing.B) []language {
	b.Helper()
	ls := interpreters(b)
	compiled := ls[0]
	compiled.name = "python compiled"
	dir := b.TempDir()
	if err := runtime.NewCatalogue().WriteShims(dir); err != nil {
		b.Fatal(err)
	}
	compiled.local.ShimDir = runtime.ShimDir(dir, compiled.local.Runtime)
	compileShim(b, compiled.local, dir)
	return append(ls, compiled)
}

func interpreters(b *testing.B) []language {
	b.Helper()
	return []language{
		{
			"python", local(b, "python", shimtest.FindPython(b)),
			map[string]string{"main.py": "def handler(event, context):\n    return event\n"}, "main.handler",
			"import _socket, sys\ns = _socket.socket(1, 1)\ns.connect(sys.argv[1])\nwhile True:\n    d = s.recv(65536)\n    if not d: break\n    s.sendall(d)\n",
			[]string{"-c", "pass"},
		},
		{
			"node", local(b, "node", shimtest.FindNode(b)),
			map[string]string{"index.js": "exports.handler = async (event) => event;\n"}, "index.handler",
			"const s = require('net').connect(process.argv[2]); s.on('data', (d) => s.write(d)); s.on('end', () => process.exit());\n",
			[]string{"-e", "0"},
		},
	}
}

// BenchmarkStart is the time from exec to HELLO, beside that of a bare
// interpreter with the same flags from exec to its end.
func BenchmarkStart(b *testing.B) {
	for _, l := range languages(b) {
		b.Run(l.name+"/hello", func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				begin := time.Now()
				p := l.local.Start(b, nil)
				conn := runtime.NewConn(p.Conn, runtime.Options{})
				if _, err := conn.Hello(b.Context()); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(begin))
				end(b, conn, p)
			}
			report(b, times)
		})
		b.Run(l.name+"/ready", func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				begin := time.Now()
				conn, p := ready(b, l)
				times = append(times, time.Since(begin))
				end(b, conn, p)
			}
			report(b, times)
		})
		b.Run(l.name+"/specialise", func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				p := l.local.Start(b, l.files)
				conn := runtime.NewConn(p.Conn, runtime.Options{})
				if _, err := conn.Hello(b.Context()); err != nil {
					b.Fatal(err)
				}
				if err := conn.Prepared(b.Context()); err != nil { // A stem cell has been waiting.
					b.Fatal(err)
				}
				begin := time.Now()
				initialise(b, l, conn, p)
				if _, err := conn.Invoke(time.Now().Add(time.Minute), &runtime.Invoke{Kind: cove.KindDirect, Marker: "m"}); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(begin))
				end(b, conn, p)
			}
			report(b, times)
		})
		b.Run(l.name+"/bare", func(b *testing.B) {
			var times []time.Duration
			command := l.local.Command()
			args := append(slices.Clone(command[1:len(command)-1]), l.bare...)
			for b.Loop() {
				begin := time.Now()
				if err := exec.Command(command[0], args...).Run(); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(begin))
			}
			report(b, times)
		})
	}
}

// BenchmarkRoundTrip is a call of a handler that does nothing, beside a program
// in the same language that sends back what it gets.
func BenchmarkRoundTrip(b *testing.B) {
	for _, l := range languages(b) {
		b.Run(l.name+"/handler", func(b *testing.B) {
			conn, p := ready(b, l)
			go func() { _, _ = io.Copy(io.Discard, p.Stdout) }()
			go func() { _, _ = io.Copy(io.Discard, p.Stderr) }()
			var times []time.Duration
			inv := &runtime.Invoke{Kind: cove.KindDirect, RequestID: "0123456789abcdef", Marker: fmt.Sprintf("\x1ecove %032x", 1), Payload: []byte(`{"name":"world"}`)}
			for b.Loop() {
				a, err := conn.Invoke(time.Now().Add(time.Minute), inv)
				if err != nil {
					b.Fatal(err)
				}
				times = append(times, a.Took)
			}
			report(b, times)
			end(b, conn, p)
		})
		b.Run(l.name+"/echo", func(b *testing.B) { echoes(b, l) })
	}
}

func echoes(b *testing.B, l language) {
	dir, err := os.MkdirTemp("", "echo")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "echo.js")
	if err := os.WriteFile(program, []byte(l.echo), 0o600); err != nil {
		b.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		b.Fatal(err)
	}
	defer socket.Close()
	command := l.local.Command()
	cmd := exec.Command(command[0], append(slices.Clone(command[1:len(command)-1]), program, socket.Addr().String())...)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	conn, err := socket.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 150)
	var times []time.Duration
	for b.Loop() {
		begin := time.Now()
		if _, err := conn.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(begin))
	}
	report(b, times)
}

func ready(b *testing.B, l language) (*runtime.Conn, *shimtest.Process) {
	b.Helper()
	p := l.local.Start(b, l.files)
	conn := runtime.NewConn(p.Conn, runtime.Options{})
	if _, err := conn.Hello(b.Context()); err != nil {
		b.Fatal(err)
	}
	initialise(b, l, conn, p)
	return conn, p
}

func initialise(b *testing.B, l language, conn *runtime.Conn, p *shimtest.Process) {
	b.Helper()
	err := conn.Init(b.Context(), runtime.Init{
		Function: "f", Version: 1, Handler: l.handler, CodeDir: p.CodeDir, MaxAnswer: runtime.MaxPayload, Entropy: make([]byte, 32),
	})
	if err != nil {
		b.Fatal(err)
	}
}

// end ends a shim within an iteration, so that thousands do not pile up.
func end(b *testing.B, conn *runtime.Conn, p *shimtest.Process) {
	b.Helper()
	_ = conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := p.Wait(ctx); err != nil {
		b.Fatal(err)
	}
}

// report adds the median and the 99th percentile.
func report(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
}
