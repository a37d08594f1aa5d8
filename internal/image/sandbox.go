package image

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strconv"

	"github.com/covefn/cove/internal/driver"
)

// maxPasswd bounds the user and group files that are read.
const maxPasswd = 1 << 20

// missingFiles is what a sandbox needs and the unpacked image lacks, by path.
// The root of a sandbox is read-only, so everything that is mounted needs its
// mount point ahead; and many programs fail for a user without a name.
func missingFiles(u *unpacker) (map[string]file, error) {
	files := map[string]file{}
	for dir, mode := range map[string]int64{
		driver.BoxDir: 0o755, driver.ShimDir: 0o755, "/tmp": 0o1777,
		"/proc": 0o555, "/sys": 0o555, "/dev": 0o755, "/etc": 0o755,
	} {
		// Resolved without its last part: a link is no mount point.
		name, info, err := u.lookup(dir)
		if err != nil {
			return nil, err
		}
		if info == nil || !info.IsDir() {
			files[name] = file{dir: true, mode: mode}
		}
	}
	for name, content := range map[string]string{
		// Whoever gives a sandbox a network mounts its own over these.
		"/etc/resolv.conf": "",
		"/etc/hosts":       "127.0.0.1\tlocalhost\n::1\tlocalhost\n",
		"/etc/hostname":    "cove\n",
	} {
		name, info, err := u.lookup(name)
		if err != nil {
			return nil, err
		}
		if info == nil || !info.Mode().IsRegular() || content == "" && info.Size() > 0 {
			files[name] = file{mode: 0o644, content: []byte(content)}
		}
	}
	if err := u.nameFile(files, "/etc/passwd", driver.UID,
		fmt.Sprintf("cove:x:%d:%d:Cove function:/tmp:/usr/sbin/nologin\n", driver.UID, driver.GID)); err != nil {
		return nil, err
	}
	err := u.nameFile(files, "/etc/group", driver.GID, fmt.Sprintf("cove:x:%d:\n", driver.GID))
	return files, err
}

// lookup is the path of name with no links in its directories, and what is
// there; nil where nothing is.
func (u *unpacker) lookup(name string) (string, fs.FileInfo, error) {
	parent, err := u.resolve(path.Dir(name))
	if err != nil {
		return "", nil, err
	}
	name = path.Join(parent, path.Base(name))
	info, err := u.root.Lstat(name)
	if err != nil {
		return name, nil, ignoreNotExist(err)
	}
	return name, info, nil
}

// nameFile adds the file (passwd or group) with line to files unless it has a
// line for id already.
func (u *unpacker) nameFile(files map[string]file, name string, id int, line string) error {
	name, info, err := u.lookup(name)
	if err != nil {
		return err
	}
	var content []byte
	if info != nil && info.Mode().IsRegular() {
		if info.Size() > maxPasswd {
			return fmt.Errorf("%s is larger than %d bytes", name, maxPasswd)
		}
		if content, err = u.root.ReadFile(name); err != nil {
			return err
		}
	}
	for entry := range bytes.Lines(content) {
		fields := bytes.Split(bytes.TrimSpace(entry), []byte(":"))
		if len(fields) >= 3 && string(fields[2]) == strconv.Itoa(id) {
			return nil
		}
	}
	if len(content) > 0 && content[len(content)-1] != '\n' {
		content = append(content, '\n')
	}
	files[name] = file{mode: 0o644, content: append(content, line...)}
	return nil
}
