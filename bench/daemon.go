package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

// daemon is a `cove serve` with a data directory of its own.
type daemon struct {
	lab     *lab
	cmd     *exec.Cmd
	data    string
	api     string
	gateway string
	token   string
	client  *client.Client

	mu      sync.Mutex
	classes map[string]cove.StartClass
	tail    []string
	watches bool
}

// daemon starts one and waits until it is ready. One that watches writes a line
// for every invocation into its log, from which class knows what each call
// found; that costs every call a few microseconds, so a warm call is measured on
// one that does not.
func (l *lab) daemon(ctx context.Context, watches bool) (*daemon, error) {
	return l.daemonBy(ctx, (*exec.Cmd).Start, watches)
}

// daemonBy is daemon with another way to start the process.
func (l *lab) daemonBy(ctx context.Context, start func(*exec.Cmd) error, watches bool) (*daemon, error) {
	d := &daemon{lab: l, classes: map[string]cove.StartClass{}, watches: watches}
	var err error
	if d.data, err = l.mkdir("data"); err != nil {
		return nil, err
	}
	ports := [2]int{}
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	d.gateway, d.api = "http://127.0.0.1:"+strconv.Itoa(ports[0]), "http://127.0.0.1:"+strconv.Itoa(ports[1])
	level := "info"
	if watches {
		level = "debug"
	}
	d.cmd = exec.Command(l.cove, "serve", "--data", d.data, "--images", l.images.Dir(), "--runsc", l.runsc,
		"--gateway", strings.TrimPrefix(d.gateway, "http://"), "--api", strings.TrimPrefix(d.api, "http://"),
		"--log-level", level, "--log-format", "json")
	// The note for the command line of this user stays as it is.
	d.cmd.Env = append(os.Environ(), "HOME="+d.data, "XDG_CONFIG_HOME="+d.data)
	d.cmd.Dir = d.data
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := start(d.cmd); err != nil {
		return nil, err
	}
	read := make(chan struct{})
	go func() { defer close(read); d.read(log) }()
	l.later(func() error {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(3*patience, func() { _ = d.cmd.Process.Kill() })
		defer kill.Stop()
		<-read
		if err := d.cmd.Wait(); err != nil {
			return fmt.Errorf("cove serve: %w: %s", err, d.words())
		}
		return nil
	})
	return d, d.connect(ctx)
}

// connect waits until the daemon is ready and makes a client of it.
func (d *daemon) connect(ctx context.Context) error {
	err := until(ctx, patience, func() error {
		res, err := http.Get(d.api + "/readyz")
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return errors.New(res.Status)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the daemon is not ready: %w: %s", err, d.words())
	}
	token, err := os.ReadFile(filepath.Join(d.data, "admin.token"))
	if err != nil {
		return err
	}
	d.token = strings.TrimSpace(string(token))
	if d.client, err = client.New(d.api, d.token); err != nil {
		return err
	}
	d.lab.later(func() error { d.client.Close(); return nil })
	return nil
}

// read follows the daemon's log to its end.
func (d *daemon) read(log io.Reader) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Bytes()
		var entry struct {
			Level string          `json:"level"`
			Msg   string          `json:"msg"`
			ID    string          `json:"id"`
			Start cove.StartClass `json:"start"`
		}
		err := json.Unmarshal(line, &entry)
		d.mu.Lock()
		switch {
		case err == nil && entry.Msg == "invocation" && entry.ID != "":
			d.classes[entry.ID] = entry.Start
		case err != nil || entry.Level != "DEBUG":
			d.tail = append(d.tail[max(0, len(d.tail)-9):], string(bytes.TrimSpace(line)))
		}
		d.mu.Unlock()
	}
}

// words are the last lines of the daemon's log.
func (d *daemon) words() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.tail, "\n")
}

// class is what the call with a request id found. Its line may come a moment
// after the answer.
func (d *daemon) class(ctx context.Context, id string) (class cove.StartClass, err error) {
	if !d.watches {
		return "", errors.New("the daemon does not watch")
	}
	err = until(ctx, 2*time.Second, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		var ok bool
		if class, ok = d.classes[id]; !ok {
			return fmt.Errorf("the daemon's log has no line for the request %s", id)
		}
		delete(d.classes, id)
		return nil
	})
	return class, err
}

// deploy makes a function of g's handler, with its route and its name as told by
// change, and returns the caller of its route.
func (d *daemon) deploy(ctx context.Context, g language, isolation string, change func(*cove.Config)) (*target, error) {
	name := d.lab.name(g.Language + "-" + isolation)
	cfg := cove.Config{Name: name, Runtime: g.Name, Isolation: isolation, Route: "/" + name, Auth: cove.AuthToken}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := d.client.Create(ctx, cfg, nil); err != nil {
		return nil, err
	}
	if _, err := d.client.PutFiles(ctx, name, wire.Files{g.handler: g.code}, 0); err != nil {
		return nil, err
	}
	t := newTarget(strings.TrimPrefix(d.gateway, "http://"), "/"+name, d.token)
	d.lab.later(t.close)
	t.function, t.daemon = name, d
	return t, nil
}

// groups are the directories of the control groups in which all sandboxes of the
// daemon are.
func (d *daemon) groups() (string, error) {
	owner, err := os.ReadFile(filepath.Join(d.data, "owner"))
	if err != nil {
		return "", err
	}
	for _, root := range []string{"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"} {
		dir := filepath.Join(root, "cove", strings.TrimSpace(string(owner)))
		if _, err := os.Stat(dir); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("the control groups of the daemon's sandboxes are not to be found")
}
