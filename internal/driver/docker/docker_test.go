package docker

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/client"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a driver with an image to make sandboxes of.
type fixture struct {
	*Driver
	owner string
	image driver.Image
	shim  string
	run   string
}

func setup(t testing.TB, address string) *fixture {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests make containers, mounts and control groups and must run as root: sudo make test")
	}
	f := &fixture{owner: "t" + strconv.FormatInt(time.Now().UnixNano()%1e12, 36), run: t.TempDir(), shim: t.TempDir()}
	f.image = testImage(t, "cove-test/"+f.owner+":1")
	d, err := New(Options{Host: address, RunDir: f.run, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	f.Driver = d
	t.Cleanup(func() {
		_, _ = f.api.ImageRemove(context.Background(), f.image.Ref, client.ImageRemoveOptions{Force: true})
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// setupShared uses the daemon of this host.
func setupShared(t testing.TB) *fixture {
	t.Helper()
	f := setup(t, "")
	if report := f.Probe(t.Context()); !report.Available {
		t.Fatalf("these tests need Docker: %s: run %s", report.Reason, report.Fix)
	}
	return f
}

// testImage is an image that holds one program, the shim of these tests.
func testImage(t testing.TB, ref string) driver.Image {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "shim")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./testdata/shim")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the test's shim: %v: %s", err, out)
	}
	content, err := os.ReadFile(binary)
	must(t, err)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	must(t, w.WriteHeader(&tar.Header{Name: "shim", Mode: 0o755, Size: int64(len(content))}))
	_, err = w.Write(content)
	must(t, err)
	must(t, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	must(t, err)
	image, err := mutate.AppendLayers(empty.Image, l)
	must(t, err)
	image, err = mutate.Config(image, v1.Config{Env: []string{"OF_THE_IMAGE=1", "PATH=/image"}, Entrypoint: []string{"/no-such-program"}})
	must(t, err)
	tag, err := name.NewTag(ref)
	must(t, err)
	var file bytes.Buffer
	must(t, tarball.Write(tag, image, &file))
	return driver.Image{Ref: ref, Tarball: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(file.Bytes())), nil
	}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) spec(id string) driver.Spec {
	return driver.Spec{
		ID: id, Owner: f.owner, Image: f.image, ShimDir: f.shim, Command: []string{"/shim"}, Env: []string{"LANG=C.UTF-8"},
		Limits: driver.Limits{Memory: 64 * cove.MiB, CPU: 1, PIDs: 64, Tmp: 8 * cove.MiB},
	}
}

func (f *fixture) create(t testing.TB, spec driver.Spec) *inside {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	s, err := f.Create(ctx, spec)
	must(t, err)
	t.Cleanup(func() { destroy(t, s) })
	return &inside{t: t, Sandbox: s, answers: bufio.NewReader(s.Conn())}
}

func destroy(t testing.TB, s driver.Sandbox) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Destroy(ctx, "the test ends"); err != nil {
		t.Error(err)
	}
}

// inside is a sandbox that can be told to do things.
type inside struct {
	t testing.TB
	driver.Sandbox
	answers *bufio.Reader
}

func (s *inside) do(line string) string {
	s.t.Helper()
	_ = s.Conn().SetDeadline(time.Now().Add(20 * time.Second))
	_, err := fmt.Fprintln(s.Conn(), line)
	must(s.t, err)
	answer, err := s.answers.ReadString('\n')
	must(s.t, err)
	return strings.TrimSpace(answer)
}

func (s *inside) tell(line string) {
	s.t.Helper()
	_, err := fmt.Fprintln(s.Conn(), line)
	must(s.t, err)
}

func (s *inside) wait() driver.Exit {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	exit, err := s.Wait(ctx)
	must(s.t, err)
	return exit
}

// remains lists what is left of the fixture's sandboxes on this host.
func (f *fixture) remains(t testing.TB) []string {
	t.Helper()
	var found []string
	list, err := f.api.ContainerList(context.Background(), client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", labelOwner+"="+f.owner)})
	must(t, err)
	for _, c := range list.Items {
		found = append(found, "container "+c.Names[0])
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, f.run) {
			found = append(found, "mount "+line)
		}
	}
	groups, err := f.cgroups.Recover(f.owner)
	must(t, err)
	for _, g := range groups {
		found = append(found, "cgroup "+g.Parent())
	}
	for _, pattern := range []string{"box/*", "net/*"} {
		files, err := filepath.Glob(filepath.Join(f.dir, pattern))
		must(t, err)
		found = append(found, files...)
	}
	links, err := net.Interfaces()
	must(t, err)
	for _, l := range links {
		alias, _ := os.ReadFile("/sys/class/net/" + l.Name + "/ifalias")
		if strings.HasPrefix(string(alias), "cove:"+f.owner+":") {
			found = append(found, "link "+l.Name)
		}
	}
	return found
}

func (f *fixture) nothingRemains(t testing.TB) {
	t.Helper()
	if left := f.remains(t); len(left) > 0 {
		t.Errorf("there is left: %s", strings.Join(left, ", "))
	}
}

func TestSandboxIsWalledIn(t *testing.T) {
	t.Parallel()
	f := setupShared(t)
	s := f.create(t, f.spec("walls"))
	for _, c := range []struct{ line, want string }{
		{"id", "1 65532 65532 cove"},
		{"env", "LANG=C.UTF-8 HOME=/"},
		{"interfaces", "lo"},
		{"read /etc/hosts", `"127.0.0.1\tlocalhost cove\n"`},
		{"write /file 1", "error: open /file: read-only file system"},
		{"write /cove/file 1", "error: open /cove/file: read-only file system"},
		{"write /tmp/ok 100000", "ok"},
		{"write /tmp/no 9000000", "error: write /tmp/no: no space left on device"},
		// A socket to the hypervisor, which is the same in every network
		// namespace, and the ways past a filter of system calls.
		{fmt.Sprint("call ", unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, 0), "operation not permitted"},
		{fmt.Sprint("call ", unix.SYS_IO_URING_SETUP, 1, 0, 0), "operation not permitted"},
		{fmt.Sprint("call ", unix.SYS_UNSHARE, unix.CLONE_NEWUSER, 0, 0), "operation not permitted"},
	} {
		if got := s.do(c.line); got != c.want {
			t.Errorf("%s answered %q, want %q", c.line, got, c.want)
		}
	}
	status := s.do("read /proc/self/status")
	for _, want := range []string{`CapEff:\t0000000000000000`, `CapBnd:\t0000000000000000`, `NoNewPrivs:\t1`, `Seccomp:\t2`} {
		if !strings.Contains(status, want) {
			t.Errorf("its status does not say %s:\n%s", want, status)
		}
	}
	inspected, err := f.api.ContainerInspect(t.Context(), containerName(f.owner, "walls"), client.ContainerInspectOptions{})
	must(t, err)
	if c := inspected.Container.HostConfig; c.LogConfig.Type != "none" || c.AutoRemove || c.Privileged {
		t.Errorf("the container is configured as %+v", c)
	}
	destroy(t, s)
	f.nothingRemains(t)
}

func TestSandboxTakesAPackageAndLimitsWhileItRuns(t *testing.T) {
	t.Parallel()
	f := setupShared(t)
	s := f.create(t, f.spec("stem"))
	code := t.TempDir()
	must(t, os.WriteFile(filepath.Join(code, "main.py"), []byte("x"), 0o644))
	must(t, s.Sandbox.(driver.Mounter).Mount(t.Context(), code))
	if got := s.do("read /cove/code/main.py"); got != `"x"` {
		t.Errorf("the package's file reads %s", got)
	}
	if got := s.do("write /cove/code/main.py 1"); !strings.Contains(got, "read-only") {
		t.Errorf("writing to the package answered %s", got)
	}
	must(t, s.Sandbox.(driver.Resizer).Resize(t.Context(), driver.Limits{Memory: 256 * cove.MiB, CPU: 0.5, PIDs: 32}))
	if got := s.do("alloc 134217728"); got != "134217728" {
		t.Errorf("allocating within the new limit answered %s", got)
	}
	usage, err := s.Usage(t.Context())
	must(t, err)
	if usage.PeakMemory < 128*cove.MiB || usage.CPU == 0 {
		t.Errorf("the usage is %+v", usage)
	}
	destroy(t, s)
	f.nothingRemains(t)
}

func TestSandboxPauses(t *testing.T) {
	t.Parallel()
	f := setupShared(t)
	s := f.create(t, f.spec("pause"))
	p := s.Sandbox.(driver.Pauser)
	must(t, p.Pause(t.Context()))
	must(t, p.Pause(t.Context()))
	s.tell("ping")
	_ = s.Conn().SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if _, err := s.answers.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a paused sandbox answered: %v", err)
	}
	must(t, p.Resume(t.Context()))
	_ = s.Conn().SetReadDeadline(time.Now().Add(20 * time.Second))
	if got, err := s.answers.ReadString('\n'); got != "pong\n" {
		t.Errorf("after that it answered %q, %v", got, err)
	}
	must(t, p.Pause(t.Context()))
	destroy(t, s)
	f.nothingRemains(t)
}

func TestSandboxSaysHowItEnded(t *testing.T) {
	t.Parallel()
	f := setupShared(t)
	t.Run("an exit code is told", func(t *testing.T) {
		t.Parallel()
		s := f.create(t, f.spec("exit"))
		s.tell("exit 3")
		if got := s.wait(); got.Code != 3 || got.Signal != 0 || got.OOM || got.PeakMemory == 0 {
			t.Errorf("it ended with %+v", got)
		}
	})
	t.Run("the end of the first process ends all others", func(t *testing.T) {
		t.Parallel()
		s := f.create(t, f.spec("abort"))
		s.tell("abort")
		if got := s.wait(); got.Code != 2 {
			t.Errorf("it ended with %+v", got)
		}
		if empty, err := s.Sandbox.(*sandbox).cgroup.Empty(); err != nil || !empty {
			t.Errorf("there are processes left: %v", err)
		}
	})
	t.Run("want of memory is told", func(t *testing.T) {
		t.Parallel()
		s := f.create(t, f.spec("oom"))
		s.tell("alloc 134217728")
		if got := s.wait(); !got.OOM || got.Code != 137 || got.Signal != 9 {
			t.Errorf("it ended with %+v", got)
		}
	})
	t.Run("the log is kept until it is read", func(t *testing.T) {
		t.Parallel()
		s := f.create(t, f.spec("log"))
		s.do("log hello there")
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(100 * time.Millisecond)
			stdout, _ := s.Logs()
			got, err := io.ReadAll(stdout)
			if string(got) != "hello there\n" {
				t.Errorf("the log reads %q, %v", got, err)
			}
		})
		destroy(t, s)
		wg.Wait()
		if got := s.wait(); got.Code != 137 || got.Reason != "the test ends" {
			t.Errorf("it ended with %+v", got)
		}
	})
}

func TestCreateThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	f := setupShared(t)
	_, err := f.ensureImage(t.Context(), f.image)
	must(t, err)
	t.Run("a shim that ends is noticed", func(t *testing.T) {
		spec := f.spec("ends")
		spec.Command = []string{"/shim", "exit", "7"}
		_, err := f.Create(t.Context(), spec)
		if cove.CodeOf(err) != cove.CodeSandboxStartFailed || !strings.Contains(err.Error(), "exit code 7") {
			t.Errorf("the error is %v", err)
		}
		f.nothingRemains(t)
	})
	t.Run("a program that does not exist is named", func(t *testing.T) {
		spec := f.spec("missing")
		spec.Command = []string{"/missing"}
		_, err := f.Create(t.Context(), spec)
		if cove.CodeOf(err) != cove.CodeSandboxStartFailed || !strings.Contains(err.Error(), "/missing") {
			t.Errorf("the error is %v", err)
		}
		f.nothingRemains(t)
	})
	t.Run("an image that does not exist is named", func(t *testing.T) {
		spec := f.spec("noimage")
		spec.Image = driver.Image{Ref: "cove-test/missing:1"}
		_, err := f.Create(t.Context(), spec)
		if cove.CodeOf(err) != cove.CodeSandboxStartFailed || !strings.Contains(err.Error(), spec.Image.Ref) {
			t.Errorf("the error is %v", err)
		}
		f.nothingRemains(t)
	})
	t.Run("a context that ends at any moment ends it", func(t *testing.T) {
		for i := range 12 {
			spec := f.spec("given-up-" + strconv.Itoa(i))
			spec.Command = []string{"/shim", "sleep"}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*40*time.Millisecond)
			_, err := f.Create(ctx, spec)
			cancel()
			if err == nil || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("after %d ms the error is %v", i*40, err)
			}
			if left, ok := errors.AsType[*driver.Remains](err); ok {
				destroy(t, left.Sandbox) // Docker takes longer than Create waits.
			}
			f.nothingRemains(t)
		}
	})
}

func TestImageIsLoadedOnceAndAgainWhenItIsGone(t *testing.T) {
	t.Parallel()
	f := setupShared(t)
	opened := make(chan struct{}, 10)
	open := f.image.Tarball
	f.image.Tarball = func(ctx context.Context) (io.ReadCloser, error) { opened <- struct{}{}; return open(ctx) }
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			s, err := f.Create(t.Context(), f.spec("n"+strconv.Itoa(i)))
			if err != nil {
				t.Error(err)
				return
			}
			destroy(t, s)
		})
	}
	wg.Wait()
	_, err := f.api.ImageRemove(t.Context(), f.image.Ref, client.ImageRemoveOptions{Force: true})
	must(t, err)
	f.create(t, f.spec("again"))
	if len(opened) != 2 {
		t.Errorf("the image was loaded %d times, want 2", len(opened))
	}
}

func TestRecoverFindsWhatADeadDaemonLeft(t *testing.T) {
	t.Parallel()
	f := setupShared(t)
	spec := f.spec("left")
	spec.Network = cove.NetworkEgress
	f.create(t, spec)
	later, err := New(Options{RunDir: f.run})
	must(t, err)
	defer func() { must(t, later.Close()) }()
	found, err := later.Recover(t.Context(), f.owner)
	must(t, err)
	if len(found) != 1 || found[0].ID() != "left" {
		t.Fatalf("it found %v", found)
	}
	destroy(t, found[0])
	f.nothingRemains(t)
	if found, err := later.Recover(t.Context(), f.owner); err != nil || len(found) > 0 {
		t.Errorf("after that it found %v, %v", found, err)
	}
}

func TestDockerThatIsAway(t *testing.T) {
	t.Parallel()
	address := "unix://" + filepath.Join(t.TempDir(), "no.sock")
	f := setup(t, address)
	begun := time.Now()
	_, err := f.Create(t.Context(), f.spec("one"))
	if cove.CodeOf(err) != cove.CodeUnavailable || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "cove doctor") {
		t.Errorf("the error is %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s to say so", took)
	}
	if found, err := f.Recover(t.Context(), f.owner); err != nil || len(found) > 0 {
		t.Errorf("it recovered %v, %v", found, err)
	}
	if report := f.Probe(t.Context()); report.Available || report.Reason == "" || report.Fix == "" {
		t.Errorf("the report is %+v", report)
	}
}

func TestSandboxWithEgress(t *testing.T) {
	t.Parallel()
	f := setupShared(t)
	spec := f.spec("egress")
	spec.Network = cove.NetworkEgress
	s := f.create(t, spec)
	if got := s.do("interfaces"); got != "lo eth0" {
		t.Errorf("its interfaces are %s", got)
	}
	if got := s.do("read /etc/resolv.conf"); !strings.Contains(got, "nameserver") {
		t.Errorf("its resolv.conf is %s", got)
	}
	if got := s.do("dial " + world(t)); got != "connected" {
		t.Errorf("calling the world answered %s", got)
	}
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	addresses, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range addresses {
		if ip := a.(*net.IPNet).IP.To4(); ip != nil {
			target := net.JoinHostPort(ip.String(), strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
			if got := s.do("dial " + target); got == "connected" {
				t.Errorf("the host is reachable at %s", target)
			}
		}
	}
	destroy(t, s)
	f.nothingRemains(t)
}

// world is a network namespace behind this host, and the address of a listener
// in it. It knows no way back but to the host.
func world(t *testing.T) string {
	t.Helper()
	subnet := 4 * rand.IntN(64)
	here, there := fmt.Sprintf("198.51.100.%d/30", subnet+1), fmt.Sprintf("198.51.100.%d", subnet+2)
	ready, done := make(chan error), make(chan struct{})
	var wg sync.WaitGroup
	t.Cleanup(func() { close(done); wg.Wait() })
	wg.Go(func() {
		// The thread is never unlocked and so ends here, and with it the namespace.
		runtime.LockOSThread()
		ready <- makeWorld(fmt.Sprintf("ctw%d", subnet), here, there+"/30")
		<-done
	})
	must(t, <-ready)
	return there + ":80"
}

func makeWorld(name, here, there string) error {
	host, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer func() { _ = host.Close() }()
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "0.0.0.0:80")
	if err != nil {
		return err
	}
	// The kernel takes calls without anybody accepting them. It is closed by
	// the collector, with the namespace.
	runtime.KeepAlive(l)
	veth := netlink.NewVeth(netlink.LinkAttrs{Name: "eth0"})
	veth.PeerName, veth.PeerNamespace = name, netlink.NsFd(host.Fd())
	if err := errors.Join(netlink.LinkAdd(veth), up(nil, "eth0", there)); err != nil {
		return err
	}
	return up(host, name, here)
}

// up gives a link its address and sets it up, in another namespace if one is
// given.
func up(ns *os.File, name, address string) error {
	h, err := netlink.NewHandle()
	if ns != nil {
		h, err = netlink.NewHandleAt(netns.NsHandle(ns.Fd()))
	}
	if err != nil {
		return err
	}
	defer h.Close()
	l, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	return errors.Join(h.AddrAdd(l, a), h.LinkSetUp(l))
}

// startDockerd starts a daemon of the test's own.
func startDockerd(t *testing.T) (address string, process *os.Process) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cove-dockerd")
	must(t, err)
	address = "unix://" + dir + "/d.sock"
	log, err := os.Create(dir + "/log")
	must(t, err)
	cmd := exec.Command("dockerd", "--host", address, "--data-root", dir+"/data", "--exec-root", dir+"/exec", "--pidfile", dir+"/pid",
		"--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false")
	cmd.Stdout, cmd.Stderr = log, log
	// Its own network: a daemon without a bridge removes docker0 at its start,
	// whosever that is.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Cloneflags: syscall.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start dockerd: %v (apt-get install docker.io)", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		stop := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		stop.Stop()
		_ = log.Close()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if c, err := net.Dial("unix", dir+"/d.sock"); err == nil {
			_ = c.Close()
			return address, cmd.Process
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(dir + "/log")
			t.Fatalf("dockerd did not come up: %s", text)
		}
	}
}

func TestDockerThatHangsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	address, dockerd := startDockerd(t)
	f := setup(t, address)
	s, paused := f.create(t, f.spec("one")), f.create(t, f.spec("two"))
	must(t, dockerd.Signal(syscall.SIGSTOP))

	begun := time.Now()
	must(t, paused.Sandbox.(driver.Pauser).Pause(t.Context()))
	must(t, paused.Sandbox.(driver.Pauser).Resume(t.Context()))
	must(t, paused.Sandbox.(driver.Resizer).Resize(t.Context(), driver.Limits{Memory: 128 * cove.MiB}))
	must(t, paused.Sandbox.(driver.Mounter).Mount(t.Context(), t.TempDir()))
	must(t, s.Stop(t.Context()))
	if took := time.Since(begun); took > time.Second {
		t.Errorf("what needs no Docker took %s", took)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s.Destroy(ctx, "deadline"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("destroying gave %v", err)
	}
	if exit := s.wait(); exit.Signal != 9 || exit.Reason != "deadline" {
		t.Errorf("it ended with %+v", exit)
	}
	paused.tell("exit 5")
	if exit := paused.wait(); exit.Code != -1 && exit.Code != 5 {
		t.Errorf("the other ended with %+v", exit)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun = time.Now()
	_, err := f.Create(ctx, f.spec("three"))
	remains, ok := errors.AsType[*driver.Remains](err)
	if !errors.Is(err, context.DeadlineExceeded) || !ok {
		t.Fatalf("creating gave %v", err)
	}
	if err := remains.Sandbox.Destroy(ctx, "given up"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("destroying what is not made yet gave %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("giving up took %s", took)
	}

	if report := f.Probe(t.Context()); report.Available || !strings.Contains(report.Reason, "does not answer") {
		t.Errorf("the report is %+v", report)
	}
	if found, err := f.Recover(t.Context(), f.owner); err != nil || len(found) != 3 {
		t.Errorf("it recovered %v, %v; want what is on the host of three sandboxes", found, err)
	}

	must(t, dockerd.Signal(syscall.SIGCONT))
	destroy(t, s)
	destroy(t, paused)
	destroy(t, remains.Sandbox)
	for end := time.Now().Add(30 * time.Second); len(f.remains(t)) > 0 && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	f.nothingRemains(t)
}

func TestProbeTellsOfTheDaemon(t *testing.T) {
	t.Parallel()
	f := setupShared(t)
	report := f.Probe(t.Context())
	if !report.Available || !strings.HasPrefix(report.Version, "Docker ") || len(report.Features) != 4 {
		t.Errorf("the report is %+v", report)
	}
	t.Logf("%+v", report)
	must(t, host.CloseNetworks(t.Context(), f.owner))
}

func TestSettingsThatCannotWorkAreToldByTheProbe(t *testing.T) {
	t.Parallel()
	f := setup(t, "tcp://192.0.2.1:2375")
	if report := f.Probe(t.Context()); report.Available || !strings.Contains(report.Reason, "tcp://192.0.2.1:2375") {
		t.Errorf("the report is %+v", report)
	}
	if _, err := f.Create(t.Context(), f.spec("one")); cove.CodeOf(err) != cove.CodeUnavailable {
		t.Errorf("creating gave %v", err)
	}
}

func TestDockerThatLeavesRequestsUnansweredIsNotAskedForMore(t *testing.T) {
	t.Parallel()
	f := setup(t, "unix:///nowhere")
	f.pending[&request{sent: time.Now().Add(-hangTime - time.Second)}] = struct{}{}
	if _, err := f.Create(t.Context(), f.spec("one")); cove.CodeOf(err) != cove.CodeUnavailable || !strings.Contains(err.Error(), "has not answered for 21s") {
		t.Errorf("creating gave %v", err)
	}
}
