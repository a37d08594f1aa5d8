package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/covefn/cove"
)

// What one image may hold unpacked, all layers together.
const (
	maxUnpacked = 16 * cove.GiB
	maxEntries  = 2_000_000
	maxLinks    = 40
)

const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// unpacker applies layers to a directory. The layers are not trusted: nothing
// is written, linked or removed outside the directory, whatever their names and
// links say. Devices, pipes and sockets are left out, and so are the set-user
// and set-group bits and extended attributes: no sandbox honours them, and on
// the host they would be a danger.
type unpacker struct {
	root *os.Root
	// chown says whether files get the owners that the layers name.
	chown bool

	entries  int
	unpacked cove.ByteSize
	// dirs are the directories' modes and times, set at last: before, files
	// are still put into them.
	dirs map[string]dirMeta
}

type dirMeta struct {
	mode    fs.FileMode
	modTime time.Time
}

// newUnpacker unpacks into dir, which must exist and be empty.
func newUnpacker(dir string) (*unpacker, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &unpacker{root: root, chown: os.Geteuid() == 0, dirs: map[string]dirMeta{".": {mode: 0o755, modTime: epoch}}}, nil
}

// layer applies one layer, a tar stream without compression. It reads the
// stream to its end.
func (u *unpacker) layer(ctx context.Context, r io.Reader) error {
	tr := tar.NewReader(r)
	own := map[string]bool{} // what this layer itself put down, and the directories of that
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return fmt.Errorf("read the layer: %w", err)
		}
		if u.entries++; u.entries > maxEntries {
			return cove.Errorf(cove.CodeTooLarge, "the image holds more than %d files", maxEntries)
		}
		if err := u.entry(hdr, tr, own); err != nil {
			return fmt.Errorf("unpack %q: %w", hdr.Name, err)
		}
	}
}

func (u *unpacker) entry(hdr *tar.Header, content io.Reader, own map[string]bool) error {
	name, err := inside(hdr.Name)
	if err != nil {
		return err
	}
	if name == "." {
		if hdr.Typeflag == tar.TypeDir {
			// A root made in a private directory is often 0700, which would
			// shut out the user that functions run as.
			u.dirs["."] = dirMeta{mode(hdr) | 0o755, hdr.ModTime}
		}
		return nil
	}
	parent, err := u.resolve(path.Dir(name))
	if err != nil {
		return err
	}
	name = path.Join(parent, path.Base(name))
	if strings.HasPrefix(path.Base(name), whiteoutPrefix) {
		return u.whiteout(name, own)
	}
	if err := u.mkdirAll(parent); err != nil {
		return err
	}
	for at := name; at != "." && !own[at]; at = path.Dir(at) {
		own[at] = true
	}
	switch hdr.Typeflag {
	case tar.TypeDir:
		return u.dir(name, hdr)
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.file(name, hdr, content)
	case tar.TypeSymlink:
		if err := u.clear(name); err != nil {
			return err
		}
		if err := u.root.Symlink(hdr.Linkname, name); err != nil {
			return err
		}
		return u.own(name, hdr)
	case tar.TypeLink:
		return u.link(name, hdr.Linkname)
	default: // devices, pipes, and what tar may yet invent
		return nil
	}
}

// inside is name as a clean path relative to the root. A name that would leave
// the root is an error: no honest image has one.
func inside(name string) (string, error) {
	if slices.Contains(strings.Split(name, "/"), "..") || strings.ContainsRune(name, 0) {
		return "", cove.Errorf(cove.CodeInvalid, "a path in the image leaves its root: %q", name)
	}
	return path.Clean(strings.TrimLeft(path.Clean("/"+name), "/")), nil
}

// resolve follows the links in dir as they would be followed with the root as
// "/". The result has no links in it; what does not exist yet stays as it is.
func (u *unpacker) resolve(dir string) (string, error) {
	done, rest := ".", strings.Split(dir, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		info, err := u.root.Lstat(next)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", cove.Errorf(cove.CodeInvalid, "too many symbolic links in the path %q", dir)
		}
		target, err := u.root.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			done = "."
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}

// mkdirAll makes dir, whose path has no links in it. A file in its way goes.
func (u *unpacker) mkdirAll(dir string) error {
	err := u.root.MkdirAll(dir, 0o755)
	if err == nil || dir == "." {
		return err
	}
	for at := dir; at != "."; at = path.Dir(at) {
		info, err := u.root.Lstat(at)
		if err == nil && !info.IsDir() {
			if err := u.root.Remove(at); err != nil {
				return err
			}
		}
	}
	return u.root.MkdirAll(dir, 0o755)
}

// clear removes what lies at name, if anything does.
func (u *unpacker) clear(name string) error {
	info, err := u.root.Lstat(name)
	if err != nil {
		return ignoreNotExist(err)
	}
	if !info.IsDir() {
		return u.root.Remove(name)
	}
	maps.DeleteFunc(u.dirs, func(dir string, _ dirMeta) bool {
		return dir == name || strings.HasPrefix(dir, name+"/")
	})
	return u.root.RemoveAll(name)
}

func (u *unpacker) dir(name string, hdr *tar.Header) error {
	info, err := u.root.Lstat(name)
	if err == nil && !info.IsDir() {
		err = u.clear(name)
		if err == nil {
			err = fs.ErrNotExist
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = u.root.Mkdir(name, 0o755)
	}
	if err != nil {
		return err
	}
	u.dirs[name] = dirMeta{mode(hdr), hdr.ModTime}
	return u.own(name, hdr)
}

func (u *unpacker) file(name string, hdr *tar.Header, content io.Reader) error {
	if u.unpacked += cove.ByteSize(hdr.Size); u.unpacked > maxUnpacked {
		return cove.Errorf(cove.CodeTooLarge, "the image is larger than %s unpacked", maxUnpacked)
	}
	if err := u.clear(name); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil && u.chown {
		err = f.Chown(hdr.Uid, hdr.Gid)
	}
	if err == nil {
		err = f.Chmod(mode(hdr))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return u.root.Chtimes(name, hdr.ModTime, hdr.ModTime)
}

// link makes name a second name of target, a file that an earlier entry made.
func (u *unpacker) link(name, target string) error {
	target, err := inside(target)
	if err != nil {
		return err
	}
	parent, err := u.resolve(path.Dir(target))
	if err != nil {
		return err
	}
	target = path.Join(parent, path.Base(target))
	info, err := u.root.Lstat(target)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return cove.Errorf(cove.CodeInvalid, "a hard link to %q, which is no file of the image", target)
	}
	if err != nil || target == name {
		return err
	}
	if err := u.clear(name); err != nil {
		return err
	}
	return u.root.Link(target, name)
}

// whiteout removes what a lower layer put down.
func (u *unpacker) whiteout(name string, own map[string]bool) error {
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if base == whiteoutOpaque {
		return u.removeLower(dir, own)
	}
	hidden := strings.TrimPrefix(base, whiteoutPrefix)
	if strings.HasPrefix(hidden, whiteoutPrefix) || hidden == "" || hidden == "." || hidden == ".." {
		return nil // bookkeeping of a storage driver
	}
	return u.clear(path.Join(dir, hidden))
}

// removeLower removes what is in dir and not of this layer.
func (u *unpacker) removeLower(dir string, own map[string]bool) error {
	entries, err := fs.ReadDir(u.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case !own[name]:
			err = u.clear(name)
		case e.IsDir():
			err = u.removeLower(name, own)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) own(name string, hdr *tar.Header) error {
	if !u.chown {
		return nil
	}
	return u.root.Lchown(name, hdr.Uid, hdr.Gid)
}

// mode is the header's mode without the bits that have no place on the host.
func mode(hdr *tar.Header) fs.FileMode {
	m := fs.FileMode(hdr.Mode).Perm()
	if hdr.Mode&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// finish sets what could not be set before and closes the root.
func (u *unpacker) finish() error {
	var errs []error
	for name, meta := range u.dirs {
		perm := meta.mode
		if !u.chown {
			perm |= 0o700 // else its owner could never remove it
		}
		errs = append(errs, u.root.Chmod(name, perm))
	}
	for name, meta := range u.dirs {
		errs = append(errs, u.root.Chtimes(name, meta.modTime, meta.modTime))
	}
	return errors.Join(append(errs, u.root.Close())...)
}

// discard closes the root of an unpacking that failed.
func (u *unpacker) discard() { u.root.Close() }
