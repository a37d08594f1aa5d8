package compare

import (
	"os"
	goruntime "runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/bench"
)

// machine describes the one this runs on.
func machine() (bench.Machine, error) {
	m := bench.Machine{OS: goruntime.GOOS, Arch: goruntime.GOARCH, CPUs: goruntime.NumCPU()}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return m, err
	}
	m.Kernel = unix.ByteSliceToString(name.Release[:])
	if release, err := os.ReadFile("/etc/os-release"); err == nil {
		if pretty := field(string(release), "PRETTY_NAME", "="); pretty != "" {
			m.OS = strings.Trim(pretty, `"`)
		}
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = field(string(info), "model name", ":")
	}
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		kib, _ := strconv.ParseInt(strings.TrimSuffix(field(string(info), "MemTotal", ":"), " kB"), 10, 64)
		m.Memory = cove.ByteSize(kib << 10)
	}
	host, err := bench.HostNow()
	m.LoadBefore = host.Load
	return m, err
}

// field is the value of the first line that begins with name; "" if there is none.
func field(text, name, separator string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
