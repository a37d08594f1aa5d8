package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/covefn/cove/client"
)

const (
	// readyTime bounds the daemon's start, drainTime its end: the drain timeout
	// that start sets, and room for a machine that is busy.
	readyTime    = 60 * time.Second
	drainTimeout = 10 * time.Second
	stopTime     = drainTimeout + 80*time.Second
	// requestTime bounds one request of a test.
	requestTime = 90 * time.Second
)

// isolations are those that every test of sandboxes runs on.
var isolations = []string{"docker", "gvisor"}

// options say how a daemon is started. The zero value suits most tests.
type options struct {
	// Plain takes the binary without the race detector.
	Plain bool
	// Args are added to the command line and Env to the environment.
	Args []string
	Env  []string
	// Lab runs the daemon on a network host of its own; see newLab.
	Lab *lab
	// Long gives the data directory a long path.
	Long bool
	// Output takes what the daemon writes instead of the harness, which then has
	// no log of it.
	Output *os.File
	// NoCensus leaves out the search for leftovers when the test ends.
	NoCensus bool
}

// A harness is one data directory and the daemon that runs on it.
//
//	h := start(t, options{})
//	h.deploy(t, cove.Config{Name: "hello", Runtime: "python", Route: "/hello", Isolation: "docker"},
//		files{"main.py": "def handler(event, context):\n    return 'hello'\n"})
//	a := h.get(t, "/hello")          // through the gateway; a.Status, a.Header, a.Body
//	r := h.invoke(t, "hello", `{}`)  // through the control API; r.Outcome, r.Answer, r.Logs
//	h.cove(t, "ls")                  // the command line
//	h.Client.Delete(ctx, "hello", 0) // the Go client
//
// The daemon is stopped when the test ends; whatever it left on the host, a
// data race, or a panic fails the test, and a failed test prints its log.
// Methods take the testing.TB of the test or sub-test that calls them and are
// safe for concurrent use, but for stop, kill and launch.
type harness struct {
	// Data is the data directory; Gateway and API are the base URLs of the two
	// doors, and Token is the admin token.
	Data    string
	Gateway string
	API     string
	Token   string
	// Client speaks to the control API and HTTP to the gateway. HTTP follows no
	// redirects and has no time limit but that of a request's context.
	Client *client.Client
	HTTP   *http.Client

	// home is the user's directory, in which the data directory is.
	home    string
	options options
	binary  string
	log     *logBuffer
	cmd     *exec.Cmd
	exited  chan struct{}
	exit    error
}

// start runs a daemon with a new data directory and returns when it is ready.
// The kernel chooses its ports.
func start(t testing.TB, o options) *harness {
	t.Helper()
	needDependencies(t)
	h := &harness{options: o, binary: binary(t, !o.Plain), log: &logBuffer{}}
	// Unix sockets' paths are short, so t.TempDir with the test's name is not
	// for this.
	dir, err := os.MkdirTemp("", "cove-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	h.home, h.Data = dir, filepath.Join(dir, "data")
	if o.Long {
		h.Data = filepath.Join(dir, strings.Repeat("long", 20), strings.Repeat("path", 20), "data")
	}
	t.Cleanup(func() {
		h.finish(t)
		h.log.close()
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the data directory: %v", err)
		}
	})
	h.HTTP = &http.Client{
		Transport:     &http.Transport{DialContext: h.dial, MaxIdleConnsPerHost: 64, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(h.HTTP.CloseIdleConnections)
	h.launch(t)
	return h
}

// dial connects from where the daemon is.
func (h *harness) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	var d net.Dialer
	if h.options.Lab == nil {
		return d.DialContext(ctx, network, addr)
	}
	err = h.options.Lab.host.do(func() error {
		conn, err = d.DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// launch runs a daemon on the data directory, after stop or kill, and returns
// when it is ready. The ports are new ones.
func (h *harness) launch(t testing.TB) {
	t.Helper()
	h.run(t)
	deadline := time.Now().Add(readyTime)
	for !h.ready() {
		select {
		case <-h.exited:
			t.Fatalf("the daemon ended before it was ready: %v\n%s", h.exit, h.log.tail())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the daemon was not ready within %s\n%s", readyTime, h.log.tail())
		}
	}
	token, err := os.ReadFile(filepath.Join(h.Data, "admin.token"))
	if err != nil {
		t.Fatalf("the admin token: %v", err)
	}
	h.Token = strings.TrimSpace(string(token))
	if h.Client, err = client.New(h.API, h.Token, client.WithHTTPClient(h.HTTP)); err != nil {
		t.Fatal(err)
	}
	system, err := h.Client.System(t.Context())
	if err != nil {
		t.Fatalf("ask the daemon where its gateway is: %v", err)
	}
	h.Gateway = system.Gateway
}

// run starts the process and does not wait until it is ready.
func (h *harness) run(t testing.TB) {
	t.Helper()
	h.API = ""
	cmd := exec.Command(h.binary, append(h.serveArgs(), h.options.Args...)...)
	cmd.Env = append(h.environment(), h.options.Env...)
	cmd.Dir = h.home
	cmd.Stdout, cmd.Stderr = h.log, h.log
	if h.options.Output != nil {
		cmd.Stdout, cmd.Stderr = h.options.Output, h.options.Output
	}
	// What the terminal sends to the tests is not for the daemon; their end is.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	err := suite.spawn(func() error {
		if h.options.Lab != nil {
			return h.options.Lab.host.do(cmd.Start)
		}
		return cmd.Start()
	})
	if err != nil {
		t.Fatalf("start the daemon: %v", err)
	}
	exited := make(chan struct{})
	h.cmd, h.exited = cmd, exited
	go func() {
		h.exit = cmd.Wait()
		close(exited)
	}()
}

func (h *harness) serveArgs() []string {
	return []string{
		"serve", "--data", h.Data, "--gateway", "127.0.0.1:0", "--api", "127.0.0.1:0",
		"--images", imagesDir(), "--runsc", runscPath(),
		"--drain-timeout", drainTimeout.String(), "--log-level", "debug",
	}
}

// ready says whether the daemon takes requests. Where it listens is in the note
// that it leaves for the command line of the same user.
func (h *harness) ready() bool {
	data, err := os.ReadFile(filepath.Join(h.home, ".config", "cove", "server.json"))
	if err != nil {
		return false
	}
	var note struct {
		API string `json:"api"`
		PID int    `json:"pid"`
	}
	if json.Unmarshal(data, &note) != nil || note.PID != h.pid() {
		return false
	}
	h.API = note.API
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.API+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := h.HTTP.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusOK
}

// pid is the daemon's process.
func (h *harness) pid() int { return h.cmd.Process.Pid }

// running says whether the daemon's process is there.
func (h *harness) running() bool {
	if h.cmd == nil {
		return false
	}
	select {
	case <-h.exited:
		return false
	default:
		return true
	}
}

// stop ends the daemon with SIGTERM and fails the test if that takes too long
// or does not end well.
func (h *harness) stop(t testing.TB) {
	t.Helper()
	if !h.running() {
		return
	}
	h.HTTP.CloseIdleConnections()
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("SIGTERM: %v", err)
	}
	h.wait(t)
	if h.exit != nil {
		t.Errorf("the daemon ended with %v after SIGTERM", h.exit)
	}
}

// wait returns when the daemon has ended. One that does not end prints where it
// hangs, and is killed.
func (h *harness) wait(t testing.TB) {
	t.Helper()
	select {
	case <-h.exited:
		return
	case <-time.After(stopTime):
	}
	t.Errorf("the daemon did not end within %s", stopTime)
	_ = h.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-h.exited:
	case <-time.After(5 * time.Second):
		h.kill(t)
	}
}

// kill ends the daemon with SIGKILL. What it leaves is for the next launch.
func (h *harness) kill(t testing.TB) {
	t.Helper()
	if !h.running() {
		return
	}
	_ = h.cmd.Process.Kill()
	select {
	case <-h.exited:
	case <-time.After(10 * time.Second):
		t.Fatal("the daemon did not end within 10 s of SIGKILL")
	}
	h.HTTP.CloseIdleConnections()
}

// finish is the end of every test.
func (h *harness) finish(t testing.TB) {
	t.Helper()
	h.stop(t)
	if !h.options.NoCensus {
		for _, what := range h.leftovers(t) {
			t.Errorf("left behind: %s", what)
		}
	}
	for _, sign := range []string{"WARNING: DATA RACE", "panic:", "fatal error:", "panicked"} {
		if at := strings.Index(h.log.String(), sign); at >= 0 {
			text := h.log.String()[at:]
			t.Errorf("the daemon's log has %q:\n%.6000s", sign, text)
		}
	}
	if t.Failed() {
		t.Logf("the daemon's log:\n%s", h.log.tail())
	}
}

// environment is this process's, without what would configure a Cove, and with
// a home directory of the harness's own: the daemon leaves a note there for the
// command line.
func (h *harness) environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "COVE_") && !strings.HasPrefix(v, "XDG_") && !strings.HasPrefix(v, "HOME=") {
			env = append(env, v)
		}
	}
	return append(env, "HOME="+h.home)
}

// imagesDir and runscPath are where `make deps runsc images` puts things, unless the
// environment says otherwise.
func imagesDir() string { return fromEnvironment("COVE_IMAGES", ".cache/images") }
func runscPath() string { return fromEnvironment("COVE_RUNSC", "bin/runsc") }

func fromEnvironment(name, path string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return filepath.Join(repository(), path)
}

func needDependencies(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests make sandboxes and must run as root: sudo make test")
	}
	for _, path := range []string{runscPath(), imagesDir()} {
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%v: run `make deps runsc images`", err)
		}
	}
	if err := dockerCall(t.Context(), "/_ping", nil); err != nil {
		t.Fatalf("Docker does not answer: %v: run `make deps runsc images`", err)
	}
}

// logBuffer keeps what a daemon writes. It is safe for concurrent use.
type logBuffer struct {
	mu     sync.Mutex
	text   strings.Builder
	closed bool
}

// maxLog bounds what is kept of a log; debug lines of 100,000 requests are not
// worth more.
const maxLog = 64 << 20

// Write keeps p.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed && b.text.Len() < maxLog {
		b.text.Write(p)
	}
	return len(p), nil
}

// String is everything so far.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// served matches the lines about requests with which all was well.
var served = regexp.MustCompile(`(?m)^.* msg=invocation .* outcome=ok .*\n`)

// tail is the end of it, which is what a person reads, without the requests with
// which all was well.
func (b *logBuffer) tail() string {
	const keep = 40_000
	s := served.ReplaceAllString(b.String(), "")
	if len(s) <= keep {
		return s
	}
	return fmt.Sprintf("[... %d bytes before]\n%s", len(s)-keep, s[len(s)-keep:])
}

func (b *logBuffer) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.text.Reset()
}
