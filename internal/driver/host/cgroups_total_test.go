package host

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/covefn/cove"
)

func TestTotal(t *testing.T) {
	t.Parallel()
	put := func(t *testing.T, path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("of version 2 it is read from the owner's group", func(t *testing.T) {
		t.Parallel()
		root := t.TempDir()
		put(t, root+"/cove/me/cpu.stat", "usage_usec 2500000\nuser_usec 1\n")
		put(t, root+"/cove/me/memory.current", "1048576\n")
		if cpu, memory := CgroupsV2(root).Total("me"); cpu != 2500*time.Millisecond || memory != cove.MiB {
			t.Errorf("got %s, %s", cpu, memory)
		}
	})
	t.Run("of version 1 it is read from two hierarchies", func(t *testing.T) {
		t.Parallel()
		root := t.TempDir()
		s := &Cgroups{version: 1, mounts: map[string]string{"cpuacct": root + "/cpuacct", "memory": root + "/memory"}}
		put(t, root+"/cpuacct/cove/me/cpuacct.usage", "1500000000\n")
		put(t, root+"/memory/cove/me/memory.usage_in_bytes", "2097152\n")
		if cpu, memory := s.Total("me"); cpu != 1500*time.Millisecond || memory != 2*cove.MiB {
			t.Errorf("got %s, %s", cpu, memory)
		}
	})
	t.Run("without a sandbox it is nothing", func(t *testing.T) {
		t.Parallel()
		if cpu, memory := CgroupsV2(t.TempDir()).Total("me"); cpu != 0 || memory != 0 {
			t.Errorf("got %s, %s", cpu, memory)
		}
	})
}
