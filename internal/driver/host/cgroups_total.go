package host

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/covefn/cove"
)

// Total is what the group above all sandboxes of owner counts: processor time since
// that group was made, and memory now. It is removed with the last sandbox, and
// then counts nothing.
func (s *Cgroups) Total(owner string) (cpu time.Duration, memory cove.ByteSize) {
	group := filepath.Join(groupRoot, owner)
	if s.version == 2 {
		dir := filepath.Join(s.mounts[""], group)
		return time.Duration(statKey(filepath.Join(dir, "cpu.stat"), "usage_usec")) * time.Microsecond, cove.ByteSize(number(filepath.Join(dir, "memory.current")))
	}
	cpu = time.Duration(number(filepath.Join(s.mounts["cpuacct"], group, "cpuacct.usage")))
	return cpu, cove.ByteSize(number(filepath.Join(s.mounts["memory"], group, "memory.usage_in_bytes")))
}

// number is what stands in a file of the kernel, 0 if it is not there.
func number(path string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// statKey is the value of a key in a file of lines "key value", 0 if it is not
// there.
func statKey(path, key string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, key+" "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return n
		}
	}
	return 0
}
