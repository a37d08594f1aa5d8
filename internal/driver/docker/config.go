package docker

import (
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// Labels by which Recover finds containers.
const (
	labelOwner = "cove.owner"
	labelID    = "cove.id"
)

const (
	// hostname is what every sandbox believes to be called.
	hostname = "cove"
	// openFiles is how many descriptors a process inside may have.
	openFiles = 4096
	// sharedMemory is the size of /dev/shm, which is part of the sandbox's
	// memory; Python's multiprocessing needs it.
	sharedMemory = 64 * cove.MiB
)

// leastShares is the least weight for processor time that Docker takes.
const leastShares = 2

// blueprint is what a container is made of.
type blueprint struct {
	spec driver.Spec
	// box, hosts and resolv are the host's paths; resolv is "" without egress.
	box, hosts, resolv string
	// imageEnv are variables that the image sets and the sandbox must not have.
	imageEnv []string
	// parent is the cgroup to put the container into; systemd says that it is a
	// slice, and then the limits must be Docker's.
	parent  string
	systemd bool
	// seccomp is the filter of system calls; "" leaves it to Docker's settings.
	seccomp string
}

func containerName(owner, id string) string { return "cove-" + owner + "-" + id }

// options spell out how the container is walled in.
func (b blueprint) options() client.ContainerCreateOptions {
	user := strconv.Itoa(driver.UID) + ":" + strconv.Itoa(driver.GID)
	no := false
	hostConfig := &container.HostConfig{
		LogConfig:      container.LogConfig{Type: "none"},
		NetworkMode:    "none",
		ReadonlyRootfs: true,
		CapDrop:        []string{"ALL"},
		SecurityOpt:    b.security(),
		IpcMode:        container.IPCModePrivate,
		ShmSize:        int64(min(sharedMemory, b.spec.Limits.Tmp)),
		CgroupnsMode:   container.CgroupnsModePrivate,
		Init:           &no,
		Tmpfs:          map[string]string{"/tmp": tmpOptions(b.spec.Limits.Tmp)},
		Mounts:         b.mounts(),
		Resources:      b.resources(),
	}
	config := &container.Config{
		Image: b.spec.Image.Ref, User: user, Hostname: hostname, WorkingDir: "/",
		Entrypoint: b.spec.Command[:1], Cmd: b.spec.Command[1:], Env: b.env(),
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		// With a network "none" that is Docker's, each start runs a second
		// dockerd for a moment to tell Docker of the namespace. Disabled, the
		// container has a namespace of its own with nothing but lo all the same.
		NetworkDisabled: true,
		Labels:          map[string]string{labelOwner: b.spec.Owner, labelID: b.spec.ID},
	}
	return client.ContainerCreateOptions{
		Name: containerName(b.spec.Owner, b.spec.ID), Config: config, HostConfig: hostConfig,
	}
}

// security brings a filter of system calls along in place of the one that Docker
// came with. What older versions let pass is not held by the other walls: sockets
// to the machine's hypervisor know of no network namespaces, and io_uring makes
// system calls past the filter. A filter that somebody has configured in Docker
// stays.
func (b blueprint) security() []string {
	options := []string{"no-new-privileges"}
	if b.seccomp != "" {
		options = append(options, "seccomp="+b.seccomp)
	}
	return options
}

// tmpOptions allow to execute what is in /tmp: functions unpack tools into it
// and run them, and who can write there can run an interpreter on it anyway.
func tmpOptions(size cove.ByteSize) string {
	return "rw,exec,nosuid,nodev,mode=1777,size=" + strconv.FormatInt(int64(size), 10)
}

// env is the whole environment. A name without a value keeps away what the
// image or Docker would add.
func (b blueprint) env() []string {
	env := slices.Clone(b.spec.Env)
	for _, name := range append([]string{"HOSTNAME", "PATH"}, b.imageEnv...) {
		if !slices.ContainsFunc(b.spec.Env, func(e string) bool { return strings.HasPrefix(e, name+"=") }) {
			env = append(env, name)
		}
	}
	return env
}

func (b blueprint) mounts() []mount.Mount {
	bind := func(source, target string, propagation mount.Propagation) mount.Mount {
		return mount.Mount{
			Type: mount.TypeBind, Source: source, Target: target, ReadOnly: true,
			BindOptions: &mount.BindOptions{Propagation: propagation},
		}
	}
	all := []mount.Mount{
		bind(b.box, driver.BoxDir, mount.PropagationRSlave),
		bind(b.spec.ShimDir, driver.ShimDir, mount.PropagationRPrivate),
		bind(b.hosts, "/etc/hosts", mount.PropagationRPrivate),
	}
	if b.resolv != "" {
		all = append(all, bind(b.resolv, "/etc/resolv.conf", mount.PropagationRPrivate))
	}
	return all
}

// resources are the limits that are not set on Cove's own group.
func (b blueprint) resources() container.Resources {
	r := container.Resources{
		CgroupParent: b.parent,
		Ulimits: []*container.Ulimit{
			{Name: "nofile", Soft: openFiles, Hard: openFiles},
			// No core dumps: they would be written by the host, not the sandbox.
			{Name: "core", Soft: 0, Hard: 0},
		},
	}
	if b.systemd {
		pids := int64(b.spec.Limits.PIDs)
		r.Memory, r.MemorySwap = int64(b.spec.Limits.Memory), int64(b.spec.Limits.Memory)
		r.NanoCPUs = int64(b.spec.Limits.CPU * 1e9)
		r.PidsLimit = &pids
		if b.spec.Limits.Background {
			r.CPUShares = leastShares
		}
	}
	return r
}
