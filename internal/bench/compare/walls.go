package compare

import "github.com/covefn/cove/internal/bench"

// wall says what an isolation keeps from a function and what it does not, as its
// own documentation does. One that is not known here has no words of its own.
func wall(name, version string) bench.Isolation {
	i := bench.Isolation{Name: name, Protects: []string{}, Exposes: []string{}, Links: []string{}}
	switch name {
	case "docker":
		i = container("Containers made by the Docker Engine: Linux namespaces, control groups, capabilities dropped, a filter of system calls.")
		i.Exposes = append(i.Exposes, "The Docker daemon runs as root and has every container of the host in its hands, also those that are not Cove's.")
		i.Links = []string{"https://docs.docker.com/engine/security/", "https://docs.docker.com/engine/security/seccomp/"}
	case "runc":
		i = container("Containers made by runc directly, without a daemon: Linux namespaces, control groups, capabilities dropped, a filter of system calls.")
		i.Links = []string{"https://github.com/opencontainers/runc/blob/main/README.md", "https://man7.org/linux/man-pages/man7/namespaces.7.html"}
	case "gvisor":
		i = bench.Isolation{
			Wall: "A kernel of its own in user space, written in Go, answers the function's system calls; what that kernel needs of the host passes a narrow filter.",
			Protects: []string{
				"Code of the function never makes a system call of the host's kernel directly: most flaws of the kernel are out of its reach.",
				"A flaw in gVisor's own kernel leads into a process without rights, in namespaces and behind a filter of system calls: two walls.",
				"Files, processes, network and memory of the host and of other functions, as with containers.",
			},
			Exposes: []string{
				"Side channels of the processor: gVisor relies on the host's kernel and processor against them.",
				"Flaws in the few system calls of the host that gVisor itself makes.",
				"System calls are dearer, above all small and frequent ones and those on files; a few are not there.",
			},
			Links: []string{"https://gvisor.dev/docs/architecture_guide/security/", "https://gvisor.dev/docs/architecture_guide/performance/"},
		}
	}
	i.Name, i.Version = name, version
	return i
}

// container is what all containers that share the host's kernel have in common.
func container(words string) bench.Isolation {
	return bench.Isolation{
		Wall: words,
		Protects: []string{
			"Files, processes and network of the host and of other functions: they are not visible inside.",
			"Use of more memory, processor time or processes than allowed.",
			"Rights: everything inside runs as a user without any, and cannot gain some.",
		},
		Exposes: []string{
			"The kernel is the host's. A flaw in a system call that the filter lets pass is a way out of the container.",
			"Side channels of the processor between functions on the same machine.",
		},
	}
}
