package docker

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/covefn/cove"
)

// BenchmarkCreate measures Create beside `docker run` of the same image, in
// turns, each until the program inside has connected.
//
//	go test -run - -bench Create -benchtime 20x ./internal/driver/docker
func BenchmarkCreate(b *testing.B) {
	f := setupShared(b)
	_, err := f.ensureImage(b.Context(), f.image)
	must(b, err)
	took := map[string][]time.Duration{}
	measure := func(name string, run func(id string) (remove func())) {
		begun := time.Now()
		remove := run(fmt.Sprint(name, len(took[name])))
		took[name] = append(took[name], time.Since(begun))
		begun = time.Now()
		remove()
		took[name+"-remove"] = append(took[name+"-remove"], time.Since(begun))
	}
	for b.Loop() {
		measure("cove", func(id string) func() { return f.measured(b, id, cove.NetworkNone) })
		measure("raw", func(id string) func() { return f.raw(b, id) })
		measure("egress", func(id string) func() { return f.measured(b, id, cove.NetworkEgress) })
	}
	for name, all := range took {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"-ms")
	}
	b.ReportMetric(0, "ns/op")
}

func (f *fixture) measured(b *testing.B, id string, network cove.Network) func() {
	spec := f.spec(id)
	spec.Network = network
	s, err := f.Create(b.Context(), spec)
	must(b, err)
	return func() { destroy(b, s) }
}

func (f *fixture) raw(b *testing.B, id string) func() {
	dir := b.TempDir()
	must(b, os.Chmod(dir, 0o755))
	var listeners []net.Listener
	for _, name := range []string{"log.sock", "conn.sock"} {
		l, err := net.Listen("unix", filepath.Join(dir, name))
		must(b, err)
		must(b, os.Chmod(filepath.Join(dir, name), 0o666))
		listeners = append(listeners, l)
	}
	cmd := exec.CommandContext(b.Context(), "docker", "run", "--name", f.owner+id, "--network", "none", "--log-driver", "none",
		"-v", dir+":/cove", "--entrypoint", "/shim", f.image.Ref)
	must(b, cmd.Start())
	for _, l := range listeners {
		c, err := l.Accept()
		must(b, err)
		b.Cleanup(func() { _ = c.Close() })
	}
	return func() {
		if out, err := exec.CommandContext(context.Background(), "docker", "rm", "-f", f.owner+id).CombinedOutput(); err != nil {
			b.Errorf("docker rm: %v: %s", err, out)
		}
		_ = cmd.Wait()
		for _, l := range listeners {
			_ = l.Close()
		}
	}
}
