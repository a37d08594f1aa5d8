// Package code receives the code packages of functions, checks and unpacks
// them, and keeps them by the SHA-256 of the archive.
//
// What is uploaded is hostile. An archive is unpacked once, when it is
// received, below a temporary directory that cannot be left (os.Root), by
// counting what really comes out of it; only a package in which nothing was
// wrong is published, by renaming, after everything in it has reached the disk.
//
//	DIR/packages/<sha256>.zip|.tgz   as uploaded
//	DIR/code/<sha256>/               unpacked, read-only
//	DIR/tmp/                         under way; emptied at start
package code

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/covefn/cove"
)

// The formats of an archive, as Package.Format names them.
const (
	FormatZip   = "zip"
	FormatTarGz = "tar.gz"
)

// Limits bound a package. What is zero takes its default.
type Limits struct {
	// Archive is the largest archive; 50 MiB.
	Archive cove.ByteSize
	// Unpacked is the most that the files of one may hold; 250 MiB.
	Unpacked cove.ByteSize
	// Files is how many files and links there may be, and as many
	// directories; 10,000.
	Files int
	// Path is the longest path in bytes, 512, and Depth how many directories
	// deep a file may lie, 32.
	Path  int
	Depth int
}

func (l Limits) withDefaults() Limits {
	if l.Archive <= 0 {
		l.Archive = 50 * cove.MiB
	}
	if l.Unpacked <= 0 {
		l.Unpacked = 250 * cove.MiB
	}
	if l.Files <= 0 {
		l.Files = 10_000
	}
	if l.Path <= 0 {
		l.Path = 512
	}
	if l.Depth <= 0 {
		l.Depth = 32
	}
	return l
}

// Source is a package on its way in: an archive, or files given one by one.
type Source struct {
	// Archive is read to its end, once, as a stream. Format is FormatZip or
	// FormatTarGz; empty means that the first bytes decide.
	Archive io.Reader
	Format  string
	// Files are the contents by path, instead of Archive.
	Files map[string][]byte
}

// Store keeps packages in one directory. It is safe for concurrent use; two
// processes must not share a directory.
type Store struct {
	dir    string
	limits Limits
	log    *slog.Logger

	// mu guards holds and touched, and makes publishing and removing a package
	// one step each.
	mu    sync.Mutex
	holds map[string]int
	// touched is what was held since the sweep under way began, which may
	// have been referred to after the sweep asked; nil while there is none.
	touched map[string]bool
	sweeps  sync.Mutex
	// compiling are the packages whose compiled files are being written; mu
	// guards it.
	compiling map[string]bool
}

// New opens the packages in dir, makes it where there is none, and removes
// what an earlier daemon was in the middle of.
func New(dir string, limits Limits, log *slog.Logger) (*Store, error) {
	s := &Store{dir: dir, limits: limits.withDefaults(), log: log, holds: map[string]int{}, compiling: map[string]bool{}}
	if err := removeTree(filepath.Join(dir, "tmp")); err != nil {
		return nil, fmt.Errorf("remove what an earlier start left of packages: %w", err)
	}
	for _, sub := range []string{"packages", "code", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("make the directory for packages: %w", err)
		}
	}
	if err := syncDir(dir); err != nil {
		return nil, fmt.Errorf("write the directory for packages: %w", err)
	}
	return s, nil
}

// Add receives a package and keeps it. When it returns without error, the
// archive and its unpacked files are on disk, and the package is held until
// release is called, so that no sweep removes it before somebody has written
// down that it is needed. A package that is there already is kept once.
//
// An error is a *cove.Error of CodeInvalid or CodeTooLarge that names the
// entry and the limit, and nothing is kept. The memory it takes does not
// depend on the size of the archive.
func (s *Store) Add(ctx context.Context, src Source) (pkg cove.Package, release func(), err error) {
	tmp, err := os.MkdirTemp(filepath.Join(s.dir, "tmp"), "add-")
	if err != nil {
		return cove.Package{}, nil, internal("make a directory for the package", err)
	}
	defer func() {
		if rmErr := removeTree(tmp); rmErr != nil {
			s.log.Warn("a temporary directory could not be removed; the next start does", "dir", tmp, "error", rmErr)
		}
	}()
	pkg, err = s.unpack(ctx, src, tmp)
	if err != nil {
		return cove.Package{}, nil, err
	}
	release = s.Hold(pkg.SHA256)
	if err := s.publish(pkg, tmp); err != nil {
		release()
		return cove.Package{}, nil, internal("keep the package", err)
	}
	return pkg, release, nil
}

// publish moves the package from tmp to where it stays. The tree goes first:
// an archive is never there without its files.
func (s *Store) publish(pkg cove.Package, tmp string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tree := s.Dir(pkg)
	if _, err := os.Lstat(tree); errors.Is(err, fs.ErrNotExist) {
		if err := os.Rename(filepath.Join(tmp, "tree"), tree); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(tree)); err != nil {
		return err
	}
	archive := s.archive(pkg)
	if err := os.Rename(filepath.Join(tmp, "archive"), archive); err != nil {
		return err
	}
	return syncDir(filepath.Dir(archive))
}

// Dir is the directory with the unpacked files of pkg, for a sandbox to be
// shown. It must not be written to.
func (s *Store) Dir(pkg cove.Package) string { return filepath.Join(s.dir, "code", pkg.SHA256) }

func (s *Store) archive(pkg cove.Package) string {
	ext := ".zip"
	if pkg.Format == FormatTarGz {
		ext = ".tgz"
	}
	return filepath.Join(s.dir, "packages", pkg.SHA256+ext)
}

// Open opens the archive of pkg as it was uploaded. The caller closes it; it
// can be read to its end even if the package is removed meanwhile.
func (s *Store) Open(pkg cove.Package) (io.ReadCloser, error) {
	if !digest.MatchString(pkg.SHA256) {
		return nil, cove.Errorf(cove.CodeNoCode, "there is no package %q", pkg.SHA256)
	}
	f, err := os.Open(s.archive(pkg))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cove.Errorf(cove.CodeInternal, "the package %s is missing from the data directory: deploy the function's code again", pkg.SHA256)
	}
	if err != nil {
		return nil, internal("open the package", err)
	}
	return f, nil
}

// Present says whether pkg is here, both as an archive and unpacked.
func (s *Store) Present(pkg cove.Package) bool {
	if !digest.MatchString(pkg.SHA256) {
		return false
	}
	if _, err := os.Lstat(s.archive(pkg)); err != nil {
		return false
	}
	info, err := os.Lstat(s.Dir(pkg))
	return err == nil && info.IsDir()
}

// Exists says whether pkg holds a regular file at path, also by way of a link.
func (s *Store) Exists(pkg cove.Package, path string) bool {
	root, err := s.root(pkg)
	if err != nil {
		return false
	}
	defer root.Close()
	info, err := root.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// List is the paths of the first files of pkg in lexical order, at most limit,
// directories not among them. more says that there are others.
func (s *Store) List(pkg cove.Package, limit int) (paths []string, more bool, err error) {
	root, err := s.root(pkg)
	if err != nil {
		return nil, false, err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == compiledDir || d.Name() == "__pycache__"):
			return fs.SkipDir // What was compiled is nobody's source.
		case d.IsDir():
			return nil
		case len(paths) == limit:
			more = true
			return fs.SkipAll
		}
		paths = append(paths, path)
		return nil
	})
	if err != nil {
		return nil, false, internal("list the package", err)
	}
	return paths, more, nil
}

func (s *Store) root(pkg cove.Package) (*os.Root, error) {
	if !digest.MatchString(pkg.SHA256) {
		return nil, cove.Errorf(cove.CodeNoCode, "there is no package %q", pkg.SHA256)
	}
	root, err := os.OpenRoot(s.Dir(pkg))
	if err != nil {
		return nil, internal("open the package", err)
	}
	return root, nil
}

// digest is what a package is named by; anything else never becomes a path.
var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)
