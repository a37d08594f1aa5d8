package code

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
)

// compiledDir is the directory of a package that is Cove's own.
const compiledDir = ".cove"

// compiledBy is what may be named as the compiler, which becomes part of a path.
var compiledBy = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Compiled says whether pkg holds what the compiler by has made of it.
func (s *Store) Compiled(pkg cove.Package, by string) bool {
	root, err := s.root(pkg)
	if err != nil || !compiledBy.MatchString(by) {
		return false
	}
	defer root.Close()
	_, err = root.Lstat(compiledMark(by))
	return err == nil
}

func compiledMark(by string) string { return path.Join(compiledDir, "compiled-"+by) }

// KeepCompiled puts compiled files into the unpacked files of pkg, which the
// caller holds: Python's bytecode beside its source, anything else under ".cove".
// By names the compiler and its version, for Compiled. compile makes the files and
// gives each to keep, which says no to a path where none belongs; data is not kept
// by it. The files appear after compile has returned nil, when they are on disk,
// and never in place of one that is there. One call at a time works on a package:
// another one does nothing and returns nil.
func (s *Store) KeepCompiled(pkg cove.Package, by string, compile func(keep func(name string, data []byte) error) error) (err error) {
	if !compiledBy.MatchString(by) {
		return fmt.Errorf("keep compiled files: %q is no name of a compiler", by)
	}
	root, err := s.root(pkg)
	if err != nil {
		return err
	}
	defer root.Close()
	if !s.beginCompiling(pkg.SHA256) {
		return nil
	}
	defer s.endCompiling(pkg.SHA256)
	c := &compilation{root: root, left: int64(s.limits.Unpacked), opened: map[string]bool{}}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.begin(); err != nil {
		return fmt.Errorf("keep compiled files: %w", err)
	}
	if err := compile(c.keep); err != nil {
		return err
	}
	if err := c.publish(compiledMark(by)); err != nil {
		return fmt.Errorf("keep compiled files: %w", err)
	}
	return nil
}

func (s *Store) beginCompiling(sha string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.compiling[sha] {
		return false
	}
	s.compiling[sha] = true
	return true
}

func (s *Store) endCompiling(sha string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.compiling, sha)
}

// compilation is the compiled files of one package on their way in.
type compilation struct {
	root  *os.Root
	stage string // the directory of what is not complete yet
	left  int64
	names []string
	// opened are the directories that are writable for the time being.
	opened map[string]bool
}

// begin makes the directory to write to, and removes what an earlier daemon was
// in the middle of.
func (c *compilation) begin() error {
	if err := c.open("."); err != nil {
		return err
	}
	if err := c.mkdir(compiledDir); err != nil {
		return err
	}
	old, err := fs.Glob(c.root.FS(), compiledDir+"/new-*")
	if err != nil {
		return err
	}
	for _, dir := range old {
		if err := c.root.RemoveAll(dir); err != nil {
			return err
		}
	}
	c.stage = path.Join(compiledDir, "new-"+rand.Text())
	return c.root.Mkdir(c.stage, 0o700)
}

// keep takes one file.
func (c *compilation) keep(name string, data []byte) error {
	if err := c.allowed(name); err != nil {
		return err
	}
	if c.left -= int64(len(data)); c.left < 0 {
		return errors.New("the compiled files are larger than a package may be")
	}
	if _, err := c.root.Lstat(name); err == nil {
		return nil // The package has its own, or an earlier compilation made it.
	}
	staged := path.Join(c.stage, name)
	if err := c.root.MkdirAll(path.Dir(staged), 0o700); err != nil {
		return err
	}
	f, err := c.root.OpenFile(staged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		_ = f.Close()
		return err
	}
	if err := errors.Join(f.Chmod(0o444), f.Close()); err != nil { // Whatever the umask.
		return err
	}
	c.names = append(c.names, name)
	return nil
}

// allowed says no to names where compiled files do not belong: a sandbox made
// them up.
func (c *compilation) allowed(name string) error {
	dir, file := path.Split(name)
	if !fs.ValidPath(name) || len(name) > 1024 {
		return fmt.Errorf("%.100q is no path in a package", name)
	}
	if strings.HasPrefix(name, compiledDir+"/v8/") {
		return nil
	}
	module, _, bytecode := strings.Cut(file, ".cpython-")
	source := path.Join(path.Dir(strings.TrimSuffix(dir, "/")), module+".py")
	if !bytecode || path.Base(dir) != "__pycache__" || !strings.HasSuffix(file, ".pyc") {
		return fmt.Errorf("%.100q is no path of a compiled file", name)
	}
	if info, err := c.root.Lstat(source); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%.100q has no source", name)
	}
	return nil
}

// publish moves all files to where they are looked for, once they are on disk,
// and the mark last.
func (c *compilation) publish(mark string) error {
	if err := c.sync(); err != nil {
		return err
	}
	for _, name := range c.names {
		if err := c.mkdirAll(path.Dir(name)); err != nil {
			return err
		}
		if err := c.root.Rename(path.Join(c.stage, name), name); err != nil {
			return err
		}
	}
	if err := c.root.WriteFile(mark, nil, 0o444); err != nil {
		return err
	}
	return c.sync()
}

// sync writes the file system to disk; it is one call for any number of files.
func (c *compilation) sync() error {
	f, err := c.root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

func (c *compilation) mkdirAll(dir string) error {
	if dir == "." || c.opened[dir] {
		return nil
	}
	if err := c.mkdirAll(path.Dir(dir)); err != nil {
		return err
	}
	return c.mkdir(dir)
}

// mkdir makes a directory, or opens the one that is there, to be closed again by
// close. A link or a file in its place is an error.
func (c *compilation) mkdir(dir string) error {
	if err := c.root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return c.open(dir)
}

func (c *compilation) open(dir string) error {
	info, err := c.root.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%q is no directory", dir)
	}
	c.opened[dir] = true
	return c.root.Chmod(dir, dirMode|0o200)
}

// close takes away what is not complete and makes the directories read-only.
func (c *compilation) close() error {
	var errs []error
	if c.stage != "" {
		errs = append(errs, c.root.RemoveAll(c.stage))
	}
	for dir := range c.opened {
		if dir != "." { // That stays writable for its owner; see tree.finish.
			errs = append(errs, c.root.Chmod(dir, dirMode))
		}
	}
	return errors.Join(errs...)
}
