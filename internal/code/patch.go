package code

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/covefn/cove"
)

// Patch keeps a package that is base but for some of its files: edits are contents
// by path, nil for a file that is to go. Links, modes and times of the others stay.
// Edits that change nothing are base itself. The rest is as with Add; a path that is
// to go and is not there is CodeInvalid.
func (s *Store) Patch(ctx context.Context, base cove.Package, edits map[string][]byte) (pkg cove.Package, release func(), err error) {
	hold := s.Hold(base.SHA256)
	defer hold()
	root, err := s.root(base)
	if err != nil {
		return cove.Package{}, nil, err
	}
	defer root.Close()
	if err := s.checkEdits(root, edits); err != nil {
		return cove.Package{}, nil, err
	}
	if unchanged(root, edits) {
		return base, s.Hold(base.SHA256), nil
	}
	r, w := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		w.CloseWithError(repack(w, root, edits))
	}()
	pkg, release, err = s.Add(ctx, Source{Archive: r, Format: FormatTarGz})
	// If nobody reads to the end, the writer still waits.
	r.Close()
	<-written
	return pkg, release, err
}

// unchanged says whether edits make no difference.
func unchanged(root *os.Root, edits map[string][]byte) bool {
	for path, content := range edits {
		if content == nil || !same(root, path, content) {
			return false
		}
	}
	return true
}

// checkEdits refuses paths that are none, and those that are to go and are not there.
func (s *Store) checkEdits(root *os.Root, edits map[string][]byte) error {
	var wrong []cove.FieldError
	for _, path := range slices.Sorted(maps.Keys(edits)) {
		name, bad := s.limits.cleanName(path)
		_, statErr := root.Lstat(path)
		switch {
		case bad != nil:
			wrong = append(wrong, cove.FieldError{Field: "files", Message: bad.Message})
		case name != path:
			wrong = append(wrong, cove.FieldError{Field: "files", Message: "write the path " + prefix(path, 100) + " as " + prefix(name, 100)})
		case edits[path] == nil && errors.Is(statErr, fs.ErrNotExist):
			wrong = append(wrong, cove.FieldError{Field: "files", Message: "there is no file " + prefix(path, 100) + " that could be removed"})
		}
	}
	if wrong != nil {
		return cove.InvalidFields(wrong)
	}
	return nil
}

// repack writes the files of root, with edits in their place or besides, as a tar.gz.
func repack(w io.Writer, root *os.Root, edits map[string][]byte) error {
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	left := maps.Clone(edits)
	err := fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == compiledDir || d.Name() == "__pycache__"):
			return fs.SkipDir // It is made anew.
		case path == ".":
			return nil
		}
		content, edited := edits[path]
		delete(left, path)
		if edited && content == nil {
			return nil
		}
		return copyEntry(archive, root, path, content)
	})
	for _, path := range slices.Sorted(maps.Keys(left)) {
		if err == nil {
			err = writeFile(archive, &tar.Header{Name: path, Mode: 0o644, ModTime: time.Now()}, int64(len(left[path])), bytes.NewReader(left[path]))
		}
	}
	return errors.Join(err, archive.Close(), zipped.Close())
}

// copyEntry writes one entry of root, with other content if that is not nil. What
// does not matter of it is always the same, so that the same files are the same
// package.
func copyEntry(archive *tar.Writer, root *os.Root, path string, content []byte) error {
	info, err := root.Lstat(path)
	if err != nil {
		return err
	}
	h := &tar.Header{Name: path, Mode: 0o644}
	switch {
	case content != nil:
		if h.ModTime = time.Now(); same(root, path, content) {
			h.ModTime = info.ModTime()
		}
	case info.IsDir():
		return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: path + "/", Mode: 0o755})
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(path)
		if err != nil {
			return err
		}
		return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: path, Linkname: target, Mode: 0o777})
	default:
		h.ModTime = info.ModTime()
	}
	if info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
		h.Mode = 0o755
	}
	if content != nil {
		return writeFile(archive, h, int64(len(content)), bytes.NewReader(content))
	}
	f, err := root.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return writeFile(archive, h, info.Size(), f)
}

// same says whether path is a file of that content.
func same(root *os.Root, path string, content []byte) bool {
	info, err := root.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(content)) {
		return false
	}
	old, err := root.ReadFile(path)
	return err == nil && bytes.Equal(old, content)
}

func writeFile(archive *tar.Writer, h *tar.Header, size int64, content io.Reader) error {
	h.Typeflag, h.Size, h.ModTime = tar.TypeReg, size, h.ModTime.Truncate(time.Second)
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(archive, content)
	return err
}
