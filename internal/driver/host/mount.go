package host

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// makeShared turns dir into a mount point that shares what is mounted beneath
// it with the sandboxes that have mounted it, and with nobody else.
func makeShared(dir string) error {
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s onto itself: %w", dir, err)
	}
	// A bind mount joins the peer group of what it was taken from. Were that
	// one shared (as / is under systemd), every package mounted here would
	// appear a second time beneath the old mount, and stay there. Private
	// first and shared then gives it a peer group of its own.
	for _, flag := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
		if err := unix.Mount("", dir, "", flag, ""); err != nil {
			return errors.Join(fmt.Errorf("share %s: %w", dir, err), unmountAll(dir))
		}
	}
	return nil
}

// mountReadOnly makes src appear at target, read-only, without devices and
// without set-uid programs.
//
// The mount is given these properties before it has a place: a bind mount that
// is remounted afterwards is read-only here and writable in every sandbox that
// it has already spread to, since flags do not spread.
func mountReadOnly(src, target string) error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, src, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return mountError("clone the mount of "+src, err)
	}
	defer func() { _ = unix.Close(tree) }()
	attr := unix.MountAttr{
		Attr_set:    unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV,
		Propagation: unix.MS_PRIVATE,
	}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		return mountError("make "+src+" read-only", err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return mountError("mount "+src+" on "+target, err)
	}
	return nil
}

func mountError(what string, err error) error {
	if errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("%s: the kernel is too old, Linux 5.12 or newer is needed: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// unmountAll takes away everything that is mounted on path, also what is
// stacked. A path that does not exist or is no mount point is fine.
func unmountAll(path string) error {
	for {
		switch err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); {
		case err == nil:
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT):
			return nil
		default:
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
}

// mountsBeneath lists the mount points that lie beneath dir, deepest first.
// dir itself is not one of them.
func mountsBeneath(dir string) ([]string, error) {
	entries, err := readMountInfo()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if strings.HasPrefix(e.point, strings.TrimSuffix(dir, "/")+"/") {
			found = append(found, e.point)
		}
	}
	slices.SortStableFunc(found, func(a, b string) int { return len(b) - len(a) })
	return found, nil
}

// mountEntry is what this package needs of a line of /proc/self/mountinfo.
type mountEntry struct {
	root, point, fstype, super string
}

func readMountInfo() ([]mountEntry, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read the list of mounts: %w", err)
	}
	return parseMountInfo(data), nil
}

// parseMountInfo reads the form of proc_pid_mountinfo(5). Lines of another
// form are left out.
func parseMountInfo(data []byte) []mountEntry {
	var entries []mountEntry
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		before, after := strings.Fields(left), strings.Fields(right)
		if !ok || len(before) < 6 || len(after) < 3 {
			continue
		}
		entries = append(entries, mountEntry{
			root: unescape(before[3]), point: unescape(before[4]), fstype: after[0], super: after[2],
		})
	}
	return entries
}

// unescape undoes the octal escapes of mountinfo (space, tab, newline, \).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
