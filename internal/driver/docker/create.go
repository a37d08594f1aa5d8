package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
)

const (
	// giveUpTime is how long Create still waits, after its ctx has ended, for
	// the request to Docker that is under way, to leave nothing behind.
	giveUpTime = 3 * time.Second
	// lookEvery is how often a container whose shim has not connected yet is
	// looked at, whether it is still alive.
	lookEvery = 50 * time.Millisecond
)

// Create starts a container and returns when its shim has connected. When ctx
// ends while Docker does not answer, Create returns after a short while, and
// what Docker may have made is removed in the background once it answers.
func (d *Driver) Create(ctx context.Context, spec driver.Spec) (driver.Sandbox, error) {
	if len(spec.Command) == 0 {
		return nil, cove.Invalid("command", "a sandbox needs a command that starts its shim")
	}
	if err := d.refuse(); err != nil {
		return nil, err
	}
	s := newSandbox(d, spec)
	// taken says who is responsible for the sandbox at the end: its caller if
	// Create still waits, and the background otherwise.
	var taken atomic.Bool
	result, built := make(chan error, 1), make(chan struct{})
	d.background.Go(func() {
		err := s.build(ctx)
		if err == nil && !taken.CompareAndSwap(false, true) {
			err = context.Cause(ctx)
		}
		close(built)
		if err != nil && s.undo(ctx) != nil {
			err = &driver.Remains{Sandbox: s, Err: err}
		}
		result <- err
	})
	var err error
	select {
	case err = <-result:
	case <-ctx.Done():
		select {
		case err = <-result:
		case <-time.After(giveUpTime):
			if taken.CompareAndSwap(false, true) {
				return nil, d.failure(spec, &driver.Remains{
					Sandbox: unbuilt{s, built}, Err: fmt.Errorf("%w while Docker had not answered", context.Cause(ctx)),
				})
			}
			err = <-result
		}
	}
	if err != nil {
		return nil, d.failure(spec, err)
	}
	return s, nil
}

func (d *Driver) failure(spec driver.Spec, err error) error {
	if _, ok := errors.AsType[*cove.Error](err); ok {
		return err
	}
	return cove.Errorf(cove.CodeSandboxStartFailed, "start the Docker sandbox %s: %w", spec.ID, err)
}

// undo removes what build made, and comes back when it is done or, if that
// takes long, goes on in the background. The error says that it does; the removal
// tells of its own in the log.
func (s *sandbox) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
	defer cancel()
	return s.Destroy(ctx, "it could not be started")
}

// unbuilt is a sandbox that nobody waits for any more, and that is removed when
// Docker has answered.
type unbuilt struct {
	*sandbox
	built <-chan struct{}
}

// Destroy waits for that answer, and then for the removal.
func (u unbuilt) Destroy(ctx context.Context, reason string) error {
	select {
	case <-u.built:
		return u.sandbox.Destroy(ctx, reason)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// build makes the sandbox step by step; after an error Destroy removes what
// there is. It gives up between the steps when ctx ends.
func (s *sandbox) build(ctx context.Context) error {
	imageEnv, err := s.d.ensureImage(ctx, s.spec.Image)
	if err != nil {
		return err
	}
	engine, err := s.d.askEngine()
	if err != nil {
		return err
	}
	plan, err := s.prepare(ctx, engine)
	if err != nil {
		return err
	}
	plan.imageEnv = imageEnv
	defer s.d.cgroups.Hurry()()
	if err := s.startContainer(ctx, plan); err != nil {
		return err
	}
	if err := s.awaitShim(ctx, engine.systemd); err != nil {
		return err
	}
	if s.network != nil {
		if err := s.attachNetwork(ctx); err != nil {
			return err
		}
	}
	s.watched = true
	s.d.background.Go(s.watch)
	return context.Cause(ctx)
}

// prepare makes what the container needs of the host.
func (s *sandbox) prepare(ctx context.Context, engine engine) (blueprint, error) {
	plan := blueprint{spec: s.spec, systemd: engine.systemd, hosts: s.d.hosts()}
	if engine.defaultSeccomp {
		plan.seccomp = s.d.seccomp
	}
	var err error
	if s.box, err = host.NewBox(s.d.boxDir(s.spec.Owner, s.spec.ID)); err != nil {
		return plan, err
	}
	plan.box = s.box.Dir()
	if s.spec.Network == cove.NetworkEgress {
		if err := s.prepareNetwork(ctx); err != nil {
			return plan, err
		}
		plan.resolv = s.network.ResolvConf()
	}
	if s.cgroup, err = s.d.cgroups.New(s.spec.Owner, s.spec.ID, s.spec.Limits); err != nil {
		return plan, err
	}
	plan.parent = s.cgroup.Parent()
	if engine.systemd {
		plan.parent = s.cgroup.SystemdParent()
	}
	return plan, context.Cause(ctx)
}

func (s *sandbox) prepareNetwork(ctx context.Context) error {
	s.d.owners.Add(s.spec.Owner)
	dir := s.d.netDir(s.spec.Owner, s.spec.ID)
	if err := os.Mkdir(dir, 0o711); err != nil {
		return fmt.Errorf("make a directory for the network: %w", err)
	}
	s.hasNetDir = true
	var err error
	s.network, err = host.NewNetwork(ctx, host.NetworkOptions{
		NetworkConfig: s.d.network, Owner: s.spec.Owner, ID: s.spec.ID, Dir: dir, Late: true,
	})
	return err
}

func (s *sandbox) startContainer(ctx context.Context, plan blueprint) error {
	for again := true; ; again = false {
		// From here on there may be a container, whatever the answer is.
		s.mayExist = true
		created, err := s.createContainer(plan)
		if err == nil {
			s.container = created
			break
		}
		if errdefs.IsConflict(err) {
			// The name is that of a container that somebody else made.
			s.mayExist = false
		}
		if !errdefs.IsNotFound(err) || !again {
			return s.d.explain("create the container", err)
		}
		// Somebody removed the image since Docker was last asked for it.
		s.d.forgetImage(s.spec.Image.Ref)
		if plan.imageEnv, err = s.d.ensureImage(ctx, s.spec.Image); err != nil {
			return err
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	defer s.d.track()()
	if _, err := s.d.api.ContainerStart(s.d.ctx, s.container, client.ContainerStartOptions{}); err != nil {
		return s.d.explain("start the container", err)
	}
	return context.Cause(ctx)
}

func (s *sandbox) createContainer(plan blueprint) (id string, err error) {
	defer s.d.track()()
	created, err := s.d.api.ContainerCreate(s.d.ctx, plan.options())
	return created.ID, err
}

// awaitShim waits for the shim to connect and finds the container's first
// process. With systemd, Docker's own cgroup takes the place of Cove's.
func (s *sandbox) awaitShim(ctx context.Context, systemd bool) error {
	if systemd {
		if err := s.adopt(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.d.background.Go(func() { s.cancelIfDead(ctx, cancel) })
	conn, streams, err := s.box.Accept(ctx)
	if err != nil {
		return fmt.Errorf("wait for the shim to connect: %w", err)
	}
	s.conn, s.logs = conn, []*logs{newLogs(streams.Stdout), newLogs(streams.Stderr)}
	if s.process != nil {
		return nil
	}
	pid, err := peerOf(s.conn)
	if err != nil {
		return err
	}
	if pid = s.firstProcess(pid); pid == 0 {
		if pid, err = s.askForPID(); err != nil {
			return err
		}
	}
	return s.watchProcess(pid)
}

// cancelIfDead ends the wait for the shim of a container that has ended.
func (s *sandbox) cancelIfDead(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
		if empty, err := s.cgroup.Empty(); err == nil && empty {
			exit := s.inspectExit()
			cancel(fmt.Errorf("the container ended with exit code %d before its shim had connected", exit))
			return
		}
	}
}

// adopt takes over the cgroup that Docker made by way of systemd.
func (s *sandbox) adopt() error {
	pid, err := s.askForPID()
	if err != nil {
		return err
	}
	if err := s.watchProcess(pid); err != nil {
		return err
	}
	adopted, err := s.d.cgroups.Adopt(pid)
	if err != nil {
		return err
	}
	err = s.cgroup.Remove()
	s.cgroup = adopted
	return err
}

func (s *sandbox) watchProcess(pid int) error {
	process, err := host.WatchProcess(pid)
	if err != nil {
		return fmt.Errorf("watch the container's first process: %w", err)
	}
	s.pid, s.process = pid, process
	// Only now, while it is watched, is the number known to be still its own.
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil || !strings.Contains(string(groups), s.container) {
		return errors.Join(fmt.Errorf("process %d is not in the container any more", pid), err)
	}
	return nil
}

func (s *sandbox) askForPID() (int, error) {
	defer s.d.track()()
	found, err := s.d.api.ContainerInspect(s.d.ctx, s.container, client.ContainerInspectOptions{})
	if err != nil {
		return 0, s.d.explain("find the container's first process", err)
	}
	if state := found.Container.State; state != nil && state.Pid > 0 {
		return state.Pid, nil
	}
	return 0, errors.New("the container ended at once")
}

// peerOf is the process at the other end of a unix socket: the shim.
func peerOf(conn net.Conn) (int, error) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return 0, fmt.Errorf("the shim connected by %T", conn)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var peerErr error
	err = raw.Control(func(fd uintptr) { peer, peerErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, peerErr); err != nil {
		return 0, fmt.Errorf("find the process that connected: %w", err)
	}
	return int(peer.Pid), nil
}

// firstProcess is pid if that process is the first in the container, else 0.
func (s *sandbox) firstProcess(pid int) int {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			fields := strings.Fields(numbers)
			if len(fields) > 1 && fields[len(fields)-1] == "1" {
				return pid
			}
		}
	}
	return 0
}

// attachNetwork connects the container to the world. It waits idle until
// then: its shim has connected, and there is no function in it yet.
func (s *sandbox) attachNetwork(ctx context.Context) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", s.pid))
	if err != nil {
		return fmt.Errorf("open the container's network: %w", err)
	}
	defer func() { _ = ns.Close() }()
	select {
	case <-s.process.Done():
		return errors.New("the container ended before it was connected to the network")
	default:
		return s.network.Attach(ctx, ns)
	}
}
