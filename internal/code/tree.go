package code

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
)

// The modes of what is unpacked. Whoever runs the function may read all of it
// and nobody may change it; set-uid and the like are gone.
const (
	fileMode fs.FileMode = 0o444
	execMode fs.FileMode = 0o555
	dirMode  fs.FileMode = 0o555
)

// entryKind says what a path of the tree is.
type entryKind uint8

const (
	kindDir entryKind = iota + 1
	kindFile
	kindLink
)

// tree writes the entries of one archive into a directory. It knows every path
// that it made, and makes symbolic links only when all else is written: so
// nothing is ever written through a link, and os.Root is the second wall.
type tree struct {
	root   *os.Root
	limits Limits
	now    time.Time
	known  map[string]entryKind
	links  map[string]string
	// files counts files and links, dirs directories, size the bytes in files.
	files, dirs int
	size        int64
	buf         []byte
}

func newTree(dir string, limits Limits) (*tree, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &tree{
		root: root, limits: limits, now: time.Now(), buf: make([]byte, 64<<10),
		known: map[string]entryKind{}, links: map[string]string{},
	}, nil
}

// dir makes a directory; one that is there already is fine.
func (t *tree) dir(raw string) error {
	name, bad := t.limits.cleanName(raw)
	if bad != nil {
		return bad
	}
	return t.ensureDir(name, raw)
}

func (t *tree) ensureDir(name, raw string) error {
	if name == "" || name == "." {
		return nil
	}
	switch t.known[name] {
	case kindDir:
		return nil
	case kindFile:
		return invalid("the entry %q: %q is both a file and a directory", raw, name)
	case kindLink:
		return invalid("the entry %q lies behind the link %q", raw, name)
	}
	if err := t.ensureDir(path.Dir(name), raw); err != nil {
		return err
	}
	if t.dirs++; t.dirs > t.limits.Files {
		return tooLarge("the archive has more than %d directories, which is the limit", t.limits.Files)
	}
	t.known[name] = kindDir
	return t.root.Mkdir(name, 0o700)
}

// claim checks the name of a file or link, makes its parents and notes it.
func (t *tree) claim(raw string, kind entryKind) (string, error) {
	name, bad := t.limits.cleanName(raw)
	if bad != nil {
		return "", bad
	}
	if name == "" {
		return "", invalid("the entry %q has no name", raw)
	}
	if t.files++; t.files > t.limits.Files {
		return "", tooLarge("the archive has more than %d files, which is the limit", t.limits.Files)
	}
	switch t.known[name] {
	case kindDir:
		return "", invalid("the entry %q is both a file and a directory", raw)
	case kindFile, kindLink:
		return "", invalid("the entry %q is there twice", raw)
	}
	if err := t.ensureDir(path.Dir(name), raw); err != nil {
		return "", err
	}
	t.known[name] = kind
	return name, nil
}

// file writes one file from r, read to its end. The limit counts what comes,
// whatever any header said. A fault of r is returned as it is.
func (t *tree) file(raw string, mode fs.FileMode, mtime time.Time, r io.Reader) error {
	name, err := t.claim(raw, kindFile)
	if err != nil {
		return err
	}
	keep := fileMode
	if mode&0o111 != 0 {
		keep = execMode
	}
	f, err := t.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	left := int64(t.limits.Unpacked) - t.size
	n, err := io.CopyBuffer(onlyWriter{f}, io.LimitReader(r, left+1), t.buf)
	if err != nil {
		return err
	}
	if t.size += n; n > left {
		return tooLarge("unpacked, the files are larger than %s, which is the limit; it was passed at %q", t.limits.Unpacked, raw)
	}
	if err := f.Chmod(keep); err != nil {
		return err
	}
	// The times matter: compiled Python files in the package name the time of
	// their source and are thrown away when it differs.
	mtime = t.sane(mtime)
	tv := []unix.Timeval{unix.NsecToTimeval(mtime.UnixNano()), unix.NsecToTimeval(mtime.UnixNano())}
	if err := unix.Futimes(int(f.Fd()), tv); err != nil {
		return err
	}
	return f.Close()
}

// onlyWriter hides ReadFrom, so that CopyBuffer uses its buffer.
type onlyWriter struct{ io.Writer }

// sane is a time that file formats and languages can hold.
func (t *tree) sane(m time.Time) time.Time {
	if first := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC); m.Before(first) {
		return first
	}
	if m.After(t.now) {
		return t.now
	}
	return m
}

// hardLink makes raw another name of a file that came before.
func (t *tree) hardLink(raw, target string) error {
	to, bad := t.limits.cleanName(target)
	if bad != nil {
		return invalid("the hard link %q leaves the package: it points to %q", raw, prefix(target, 100))
	}
	if t.known[to] != kindFile {
		return invalid("the hard link %q points to %q, which is no file that comes before it", raw, target)
	}
	name, err := t.claim(raw, kindFile)
	if err != nil {
		return err
	}
	return t.root.Link(to, name)
}

// link notes a symbolic link; finish checks and makes it.
func (t *tree) link(raw, target string) error {
	switch {
	case target == "" || len(target) > t.limits.Path:
		return invalid("the link %q has a target of %d bytes; the limit is %d", raw, len(target), t.limits.Path)
	case strings.HasPrefix(target, "/") || strings.ContainsAny(target, "\\\x00"):
		return invalid("the link %q points to %q: only relative paths within the package are allowed", raw, target)
	}
	name, err := t.claim(raw, kindLink)
	if err != nil {
		return err
	}
	t.links[name] = target
	return nil
}

// finish makes the links, closes the directories and writes all to disk.
func (t *tree) finish(dir string) error {
	if t.files == 0 {
		return invalid("the archive holds no files")
	}
	for name, target := range t.links {
		if bad := t.resolve(name); bad != nil {
			return bad
		}
		if err := t.root.Symlink(target, name); err != nil {
			return err
		}
	}
	for name, kind := range t.known {
		if kind != kindDir {
			continue
		}
		if err := t.root.Chmod(name, dirMode); err != nil {
			return err
		}
	}
	// The outermost stays writable for its owner: without root's rights nobody
	// could move it otherwise.
	if err := os.Chmod(dir, dirMode|0o200); err != nil {
		return err
	}
	return t.sync(dir)
}

// resolve follows a link through the package as the kernel would and refuses
// one that leaves it on any step, goes round, or ends nowhere.
func (t *tree) resolve(link string) *cove.Error {
	at, rest := "", strings.Split(link, "/")
	for steps := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if at == "" {
				return invalid("the link %q leaves the package: it points to %q", link, t.links[link])
			}
			if at = path.Dir(at); at == "." {
				at = ""
			}
			continue
		}
		next := path.Join(at, part)
		switch kind := t.known[next]; {
		case kind == kindLink:
			if steps++; steps > 40 {
				return invalid("the link %q goes round in a circle", link)
			}
			rest = slices.Concat(strings.Split(t.links[next], "/"), rest)
		case kind == kindDir || kind == kindFile && len(rest) == 0:
			at = next
		default:
			return invalid("the link %q points to %q, which is not in the package", link, t.links[link])
		}
	}
	return nil
}

// syncEach is up to how many files are written to disk one by one; for more,
// one call for the whole file system is quicker.
const syncEach = 32

func (t *tree) sync(dir string) error {
	if t.files+t.dirs > syncEach {
		f, err := os.Open(dir)
		if err != nil {
			return err
		}
		defer f.Close()
		return unix.Syncfs(int(f.Fd()))
	}
	for name, kind := range t.known {
		if kind == kindLink {
			continue // It is part of its directory.
		}
		if err := syncDir(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// syncDir writes a directory's entries, or a file, to disk.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}
