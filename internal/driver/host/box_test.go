package host

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts and makes control groups: run it as root (sudo make test)")
	}
}

func newBox(t *testing.T) *Box {
	t.Helper()
	needRoot(t)
	// Longer than the address of a unix socket can be.
	b, err := NewBox(filepath.Join(t.TempDir(), strings.Repeat("a long way/", 15), "box"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Remove(); err != nil {
			t.Errorf("remove the box: %v", err)
		}
	})
	return b
}

// dial connects to a socket of a box as a sandbox does, by a short path.
func dial(b *Box, name string) (net.Conn, error) {
	dir, err := os.Open(b.Dir())
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	return net.Dial("unix", shortPath(dir, name))
}

func mountsAt(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := readMountInfo()
	if err != nil {
		t.Fatal(err)
	}
	var points []string
	for _, e := range entries {
		if strings.HasPrefix(e.point, dir) {
			points = append(points, e.point)
		}
	}
	return points
}

func TestBoxAccept(t *testing.T) {
	t.Parallel()

	t.Run("two connections of the log and one of the protocol, and then there are no sockets", func(t *testing.T) {
		t.Parallel()
		b := newBox(t)
		shimLogs, err := dial(b, "log.sock")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = shimLogs.Close() }()
		shimErrors, err := dial(b, "log.sock")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = shimErrors.Close() }()
		shimConn, err := dial(b, "conn.sock")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = shimConn.Close() }()
		conn, logs, err := b.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _, _ = conn.Close(), logs.Close() }()
		if _, err := shimConn.Write([]byte("C")); err != nil {
			t.Fatal(err)
		}
		if _, err := shimLogs.Write([]byte("L")); err != nil {
			t.Fatal(err)
		}
		if _, err := shimErrors.Write([]byte("E")); err != nil {
			t.Fatal(err)
		}
		for want, c := range map[string]net.Conn{"C": conn, "L": logs.Stdout, "E": logs.Stderr} {
			buf := make([]byte, 1)
			if _, err := c.Read(buf); err != nil || string(buf) != want {
				t.Errorf("read %q, %v; want %q", buf, err, want)
			}
		}
		for _, name := range []string{"log.sock", "conn.sock"} {
			if _, err := dial(b, name); err == nil {
				t.Errorf("%s still takes connections", name)
			}
		}
		if _, _, err := b.Accept(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a second Accept: %v", err)
		}
	})

	t.Run("the end of the context ends the wait and removes the sockets", func(t *testing.T) {
		t.Parallel()
		b := newBox(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, _, err := b.Accept(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, err := os.Lstat(filepath.Join(b.Dir(), "conn.sock")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})

	t.Run("the context ends while the shim has connected to the log only", func(t *testing.T) {
		t.Parallel()
		b := newBox(t)
		c, err := dial(b, "log.sock")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, _, err := b.Accept(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the accepted log connection was left open")
		}
	})

	t.Run("removing the box ends the wait", func(t *testing.T) {
		t.Parallel()
		b := newBox(t)
		time.AfterFunc(10*time.Millisecond, func() { _ = b.Remove() })
		if _, _, err := b.Accept(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBoxMount(t *testing.T) {
	t.Parallel()
	newPackage := func(t *testing.T) string {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.py"), []byte("pass"), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}

	t.Run("a package appears, cannot be written to, and survives the box", func(t *testing.T) {
		t.Parallel()
		b, pkg := newBox(t), newPackage(t)
		if err := b.Mount(pkg); err != nil {
			t.Fatal(err)
		}
		inside := filepath.Join(b.Dir(), "code", "main.py")
		if _, err := os.Stat(inside); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(inside, []byte("changed"), 0o644); !errors.Is(err, unix.EROFS) {
			t.Errorf("writing through the mount: %v", err)
		}
		if err := b.Mount(pkg); err == nil {
			t.Error("a second package was mounted over the first")
		}
		for range 2 {
			if err := b.Remove(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(filepath.Join(pkg, "main.py")); err != nil {
			t.Errorf("the package was harmed: %v", err)
		}
		if left := mountsAt(t, b.Dir()); len(left) > 0 {
			t.Errorf("mounts are left: %q", left)
		}
		if _, err := os.Lstat(b.Dir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the directory is left: %v", err)
		}
		if err := b.Mount(pkg); !errors.Is(err, net.ErrClosed) {
			t.Errorf("mounting into a removed box: %v", err)
		}
	})

	t.Run("what is mounted later is read-only in a mount namespace made earlier", func(t *testing.T) {
		t.Parallel()
		b, pkg := newBox(t), newPackage(t)
		// As a runtime does: a mount of the box, read-only and a slave.
		cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "unchanged", "sh", "-c",
			`mount --bind "$1" /mnt && mount --make-rslave /mnt && mount -o remount,bind,ro /mnt && echo ready && read go &&
			cat /mnt/code/main.py && echo x > /mnt/code/main.py`, "sh", b.Dir())
		var out strings.Builder
		cmd.Stderr = &out
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64)
		if n, err := stdout.Read(buf); err != nil || string(buf[:n]) != "ready\n" {
			t.Fatalf("%q %v %s", buf[:n], err, &out)
		}
		if err := b.Mount(pkg); err != nil {
			t.Fatal(err)
		}
		if _, err := stdin.Write([]byte("go\n")); err != nil {
			t.Fatal(err)
		}
		n, _ := stdout.Read(buf)
		if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), "Read-only file system") {
			t.Errorf("writing inside: %v, %s", err, &out)
		}
		if string(buf[:n]) != "pass" {
			t.Errorf("read %q inside", buf[:n])
		}
	})

	t.Run("beneath a shared mount nothing spreads to its other mounts", func(t *testing.T) {
		t.Parallel()
		needRoot(t)
		parent := t.TempDir()
		if err := makeShared(parent); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unmountAll(parent) })
		b, err := NewBox(filepath.Join(parent, "box"))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Mount(newPackage(t)); err != nil {
			t.Fatal(err)
		}
		points := mountsAt(t, b.Dir())
		slices.Sort(points)
		if want := []string{b.Dir(), filepath.Join(b.Dir(), "code")}; !slices.Equal(points, want) {
			t.Errorf("mounted are %q, want %q", points, want)
		}
		if err := b.Remove(); err != nil {
			t.Error(err)
		}
		if left := mountsAt(t, b.Dir()); len(left) > 0 {
			t.Errorf("mounts are left: %q", left)
		}
	})
}

func TestNewBox(t *testing.T) {
	t.Parallel()

	t.Run("a directory that is there already is not taken over", func(t *testing.T) {
		t.Parallel()
		b := newBox(t)
		if _, err := NewBox(b.Dir()); !errors.Is(err, os.ErrExist) {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(filepath.Join(b.Dir(), "conn.sock")); err != nil {
			t.Errorf("the first box was harmed: %v", err)
		}
	})

	t.Run("a file that Cove did not put there is never deleted", func(t *testing.T) {
		t.Parallel()
		b := newBox(t)
		foreign := filepath.Join(b.Dir(), "foreign")
		if err := os.WriteFile(foreign, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := b.Remove(); err == nil {
			t.Error("Remove hides that a file is left")
		}
		if err := os.Remove(foreign); err != nil {
			t.Error(err)
		}
	})
}

func TestRecoverBoxes(t *testing.T) {
	t.Parallel()
	needRoot(t)
	run := filepath.Join(t.TempDir(), "run")
	if boxes, err := RecoverBoxes(run); err != nil || len(boxes) > 0 {
		t.Fatalf("without a directory: %v, %v", boxes, err)
	}
	pkg := t.TempDir()
	if err := os.WriteFile(filepath.Join(pkg, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b with space", "c"} {
		b, err := NewBox(filepath.Join(run, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Mount(pkg); err != nil {
			t.Fatal(err)
		}
		// A dead daemon holds no descriptors.
		_, _ = b.logs.Close(), b.conn.Close()
	}
	boxes, err := RecoverBoxes(run)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range boxes {
		names = append(names, filepath.Base(b.Dir()))
		if err := b.Remove(); err != nil {
			t.Error(err)
		}
	}
	if want := []string{"a", "b with space", "c"}; !slices.Equal(names, want) {
		t.Errorf("found %q, want %q", names, want)
	}
	if left := mountsAt(t, run); len(left) > 0 {
		t.Errorf("mounts are left: %q", left)
	}
	if entries, err := os.ReadDir(run); err != nil || len(entries) > 0 {
		t.Errorf("directories are left: %v, %v", entries, err)
	}
	if _, err := os.Stat(filepath.Join(pkg, "f")); err != nil {
		t.Errorf("the package was harmed: %v", err)
	}
}

func TestParseMountInfo(t *testing.T) {
	t.Parallel()
	got := parseMountInfo([]byte(`36 35 98:0 /mnt1\040x /mnt2\134y rw,noatime master:1 - ext3 /dev/root rw,errors=continue
garbage
37 35 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
`))
	want := []mountEntry{
		{root: "/mnt1 x", point: `/mnt2\y`, fstype: "ext3", super: "rw,errors=continue"},
		{root: "/", point: "/sys/fs/cgroup/cpu,cpuacct", fstype: "cgroup", super: "rw,cpu,cpuacct"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}

func FuzzParseMountInfo(f *testing.F) {
	f.Add([]byte("36 35 98:0 /mnt1\\040x /mnt2 rw - ext3 /dev/root rw\n"))
	f.Add([]byte("a b c d\\1 e\\777 f - g h i\\"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, e := range parseMountInfo(data) {
			if e.fstype == "" {
				t.Errorf("an entry without a type: %+v", e)
			}
		}
	})
}
