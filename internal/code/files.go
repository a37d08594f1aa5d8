package code

import (
	"context"
	"io"
	"io/fs"
	"os"

	"github.com/covefn/cove"
)

// The bounds of Files.
const (
	filesEach  = int64(cove.MiB)
	filesTotal = int64(16 * cove.MiB)
	filesCount = 2000
	// skippedCount is how many paths of what was left out are told.
	skippedCount = 1000
)

// Files are the contents of a package's files by path.
type Files struct {
	Contents map[string][]byte
	// Skipped are the paths of what was left out, in lexical order: files that are
	// too large or too many, and links to directories.
	Skipped []string
}

// Files reads the files of pkg, a file behind a link as if it were in the link's
// place: up to 1 MiB each, and 16 MiB and 2,000 of them in all; of what is left
// out the first 1,000 paths are told. Nothing outside of the package is ever read.
func (s *Store) Files(ctx context.Context, pkg cove.Package) (Files, error) {
	release := s.Hold(pkg.SHA256)
	defer release()
	root, err := s.root(pkg)
	if err != nil {
		return Files{}, err
	}
	defer root.Close()
	out := Files{Contents: map[string][]byte{}}
	left := filesTotal
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && (path == compiledDir || d.Name() == "__pycache__"):
			return fs.SkipDir // What was compiled is nobody's source.
		case d.IsDir():
			return nil
		}
		var data []byte
		ok := len(out.Contents) < filesCount
		if ok {
			if data, ok, err = readBounded(root, path, min(filesEach, left)); err != nil {
				return err
			}
		}
		if ok {
			out.Contents[path] = data
			left -= int64(len(data))
		} else if len(out.Skipped) < skippedCount {
			out.Skipped = append(out.Skipped, path)
		}
		return nil
	})
	if ctx.Err() != nil {
		return Files{}, ctx.Err()
	}
	if err != nil {
		return Files{}, internal("read the package", err)
	}
	return out, nil
}

// readBounded is the regular file at path; it is not ok if it is none, or larger
// than limit.
func readBounded(root *os.Root, path string, limit int64) (data []byte, ok bool, err error) {
	// Before it is opened: opening what is no file may wait for ever.
	info, err := root.Stat(path)
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, false, nil
	}
	f, err := root.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	return data, err == nil && int64(len(data)) <= limit, err
}
