package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove/internal/driver"
)

// groupRoot is the control group beneath which all of Cove's are, in every
// hierarchy: /cove/<owner>/<id>.
const groupRoot = "cove"

// Cgroups is this host's control group file system, of version 1 or 2. It is
// safe for concurrent use and, but between Hurry and its end, holds nothing.
type Cgroups struct {
	version int
	// mounts are the hierarchies' mount points by controller (version 1: every
	// controller and named hierarchy; the tree of version 2 is under "", also
	// where it is an empty one beside version 1).
	mounts map[string]string
	// mkdir makes one group. It is os.Mkdir but in tests, where a directory of
	// plain files plays the kernel's part.
	mkdir func(path string, perm fs.FileMode) error
	hurry hurry
}

// controllersV1 are those without which Cove cannot bound, measure and stop a
// sandbox.
var controllersV1 = []string{"memory", "cpu", "cpuacct", "pids", "freezer"}

// FindCgroups looks at how control groups are mounted here. A host that has
// version 1 hierarchies with controllers and an empty version 2 tree beside
// them ("hybrid") counts as version 1.
func FindCgroups() (*Cgroups, error) {
	entries, err := readMountInfo()
	if err != nil {
		return nil, err
	}
	return cgroupsOf(entries)
}

func cgroupsOf(entries []mountEntry) (*Cgroups, error) {
	v1, unified := map[string]string{}, ""
	for _, e := range entries {
		switch e.fstype {
		case "cgroup":
			for option := range strings.SplitSeq(e.super, ",") {
				if option != "rw" && option != "ro" && v1[option] == "" {
					v1[option] = e.point
				}
			}
		case "cgroup2":
			if unified == "" {
				unified = e.point
			}
		}
	}
	var missing []string
	for _, c := range controllersV1 {
		if v1[c] == "" {
			missing = append(missing, c)
		}
	}
	switch {
	case len(missing) == 0:
		if unified != "" {
			// Cove makes nothing there, but runc does, and leaves its parents.
			v1[""] = unified
		}
		return &Cgroups{version: 1, mounts: v1, mkdir: os.Mkdir}, nil
	case unified != "" && v1["memory"] == "":
		return CgroupsV2(unified), nil
	case len(v1) == 0:
		return nil, errors.New("no control groups are mounted: mount them, or run Cove's container with --privileged or --cgroupns=host and /sys/fs/cgroup writable")
	default:
		return nil, fmt.Errorf("the control group controllers %s are not mounted", strings.Join(missing, ", "))
	}
}

// CgroupsV2 is a version 2 tree mounted at root.
func CgroupsV2(root string) *Cgroups {
	return &Cgroups{version: 2, mounts: map[string]string{"": root}, mkdir: os.Mkdir}
}

// Version is 1 or 2.
func (s *Cgroups) Version() int { return s.version }

// New makes the group of one sandbox and bounds it by l; a limit that is zero
// is not set. The runtime puts a group of its own beneath Cgroup.Parent. The
// caller gives it back with Remove, which also closes it. On an error nothing
// is left. A group that is there already is an error that is fs.ErrExist.
func (s *Cgroups) New(owner, id string, l driver.Limits) (*Cgroup, error) {
	c := s.group(filepath.Join(groupRoot, owner, id))
	c.owned = true
	if err := s.makeGroup(c.path); err != nil {
		return nil, fmt.Errorf("make the control group: %w", err)
	}
	err := c.ops.begin()
	if err == nil {
		err = c.ops.open(true)
	}
	if err == nil {
		err = c.ops.setLimits(l, true)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up the control group %s: %w", c.path, err), c.Remove())
	}
	return c, nil
}

// Adopt is the group in which the process pid is, which somebody else made:
// Docker with the systemd driver. Its limits stay as they are, and as in a group
// of New, nothing is swapped and want of memory ends everything in it where the
// kernel can do that. Remove only closes it.
func (s *Cgroups) Adopt(pid int) (*Cgroup, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, fmt.Errorf("find the control group of process %d: %w", pid, err)
	}
	controller := ""
	if s.version == 1 {
		controller = "memory"
	}
	path, ok := groupOf(string(data), controller)
	if !ok || path == "/" {
		return nil, fmt.Errorf("process %d is in no control group of its own", pid)
	}
	c := s.group(strings.TrimPrefix(path, "/"))
	err = c.ops.open(true)
	if err == nil {
		err = c.ops.adopt()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("adopt the control group %s: %w", path, err), c.Remove())
	}
	return c, nil
}

// groupOf finds a controller's group in the form of /proc/<pid>/cgroup.
func groupOf(data, controller string) (string, bool) {
	for line := range strings.Lines(data) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) == 3 && slices.Contains(strings.Split(parts[1], ","), controller) {
			return parts[2], true
		}
	}
	return "", false
}

// Recover finds the groups that a dead daemon left under owner. Of what it
// returns Kill, Empty, Usage and Remove work.
func (s *Cgroups) Recover(owner string) ([]*Cgroup, error) {
	ids := map[string]bool{}
	for _, dir := range s.dirs(filepath.Join(groupRoot, owner)) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("list the control groups of %s: %w", owner, err)
		}
		for _, e := range entries {
			if e.IsDir() {
				ids[e.Name()] = true
			}
		}
	}
	var found []*Cgroup
	for id := range ids {
		c := s.group(filepath.Join(groupRoot, owner, id))
		c.owned = true
		// What of it is gone cannot be opened, and need not be.
		_ = c.ops.open(false)
		found = append(found, c)
	}
	slices.SortFunc(found, func(a, b *Cgroup) int { return strings.Compare(a.path, b.path) })
	return found, nil
}

// group is the handle of a group, with nothing made or opened.
func (s *Cgroups) group(path string) *Cgroup {
	c := &Cgroup{set: s, path: path}
	if s.version == 1 {
		c.ops = &groupV1{set: s, path: path, weight: weight{
			dir: filepath.Join(s.mounts["cpu"], path), file: "cpu.shares", lowest: 2, normal: 1024,
		}}
	} else {
		dir := filepath.Join(s.mounts[""], path)
		c.ops = &groupV2{dir: dir, weight: weight{dir: dir, file: "cpu.weight", lowest: 1, normal: 100}}
	}
	return c
}

// dirs are the directories of a group in every hierarchy there is, also in
// those that only a runtime uses and leaves its parents behind in.
func (s *Cgroups) dirs(path string) []string {
	var dirs []string
	for _, mount := range s.mounts {
		dirs = append(dirs, filepath.Join(mount, path))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// makeGroup makes path and, where they are missing, its parents. Parents are
// removed with their last child by others, so that one may vanish at any point
// in between; then it begins anew.
func (s *Cgroups) makeGroup(path string) error {
	var err error
	for range 20 {
		if err = s.tryMakeGroup(path); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
			break
		}
	}
	if errors.Is(err, unix.EROFS) {
		return fmt.Errorf("%w: run Cove's container with --privileged, or with /sys/fs/cgroup writable", err)
	}
	return err
}

func (s *Cgroups) tryMakeGroup(path string) error {
	var made []string
	for _, mount := range s.needed() {
		if s.version == 2 {
			if err := enableControllers(mount, mount); err != nil {
				return err
			}
		}
		dir := mount
		parts := strings.Split(path, "/")
		for i, part := range parts {
			dir = filepath.Join(dir, part)
			err := s.mkdir(dir, 0o755)
			if last := i == len(parts)-1; err != nil && (last || !errors.Is(err, fs.ErrExist)) {
				return errors.Join(err, removeGroups(made))
			} else if last {
				made = append(made, dir)
			}
			if s.version == 2 {
				if err := enableControllers(dir, mount); err != nil {
					return errors.Join(err, removeGroups(made))
				}
			}
		}
	}
	return nil
}

// removeParents removes the parents of a group that is gone, each with its last
// child; as long as there is another, the kernel refuses.
//
// In the hierarchies that only a runtime uses, a sandbox that is being made has
// nothing yet: the runtime makes its group there step by step, and fails if a
// parent goes in between. So a parent goes there only after it went where every
// sandbox has a group from its beginning.
func (s *Cgroups) removeParents(path string) {
	needed := s.needed()
	for parent := filepath.Dir(path); parent != "."; parent = filepath.Dir(parent) {
		for _, mount := range needed {
			if err := unix.Rmdir(filepath.Join(mount, parent)); err != nil && !errors.Is(err, unix.ENOENT) {
				return
			}
		}
		for _, dir := range s.dirs(parent) {
			_ = unix.Rmdir(dir)
		}
	}
}

// needed are the mount points in which New makes a group.
func (s *Cgroups) needed() []string {
	if s.version == 2 {
		return []string{s.mounts[""]}
	}
	var mounts []string
	for _, c := range controllersV1 {
		mounts = append(mounts, s.mounts[c])
	}
	slices.Sort(mounts)
	return slices.Compact(mounts)
}

// controllersV2 are handed down to the sandboxes' groups; cpuset, io and the
// others stay where they are.
var controllersV2 = []string{"cpu", "memory", "pids"}

// enableControllers lets the children of a version 2 group have controllers.
//
// A group whose children have some may not hold processes itself, but for the
// real root of the tree. Inside a container, root is not that: the processes
// found in it, this one among them, are then moved into a group beside Cove's.
func enableControllers(dir, root string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	have, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var want []string
	for _, c := range controllersV2 {
		if !slices.Contains(strings.Fields(string(have)), c) {
			want = append(want, "+"+c)
		}
	}
	if len(want) == 0 {
		return nil
	}
	err = writeFile(file, strings.Join(want, " "))
	if errors.Is(err, unix.EBUSY) && dir == root {
		if err = vacate(root); err == nil {
			err = writeFile(file, strings.Join(want, " "))
		}
	}
	if _, statErr := os.Stat(file); statErr == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the control group at %s lacks one of the controllers %s: whoever set it up has to delegate them", dir, strings.Join(controllersV2, ", "))
	}
	return err
}

// vacate moves every process of root into a group of its own.
func vacate(root string) error {
	init := filepath.Join(root, "cove-init")
	if err := os.Mkdir(init, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// What is moved may have forked meanwhile.
	for range 10 {
		pids, err := readPIDs(root)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			err := writeFile(filepath.Join(init, "cgroup.procs"), strconv.Itoa(pid))
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}

// writeFile writes to a file of the kernel: in one call, and never making it.
// Changes of limits are in the path of requests, and an os.File would also
// register these files with the poller, which takes longer than all the rest.
func writeFile(path, value string) error {
	fd, err := retried(func() (int, error) { return unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	if _, err := retried(func() (int, error) { return unix.Write(fd, []byte(value)) }); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// retried makes a system call again that a signal has interrupted.
func retried(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// removeGroups removes groups and all beneath them, deepest first, in one try.
func removeGroups(dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		tree, err := groupTree(dir)
		errs = append(errs, err)
		slices.Reverse(tree)
		for _, d := range tree {
			if err := unix.Rmdir(d); err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, fmt.Errorf("remove %s: %w", d, err))
			}
		}
	}
	return errors.Join(errs...)
}

// groupTree is dir and every directory beneath it, parents first; nothing when
// dir does not exist.
func groupTree(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tree := []string{dir}
	for _, e := range entries {
		if e.IsDir() {
			sub, err := groupTree(filepath.Join(dir, e.Name()))
			if err != nil {
				return nil, err
			}
			tree = append(tree, sub...)
		}
	}
	return tree, nil
}

// readPIDs lists the processes of one group, without those of its children.
func readPIDs(dir string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var pids []int
	for field := range strings.FieldsSeq(string(data)) {
		// A process of a foreign PID namespace is shown as 0, and a signal to
		// 0 is one to this very process and its group.
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
