package code

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Hold keeps a package from being swept until release is called, which may be
// done more than once. It may be taken before the package is there.
func (s *Store) Hold(sha256 string) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds[sha256]++
	if s.touched != nil {
		s.touched[sha256] = true
	}
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.holds[sha256]--; s.holds[sha256] == 0 {
			delete(s.holds, sha256)
		}
	})
}

// Sweep removes every package that is neither held nor in what keep returns,
// and says how many. It calls keep itself, after it has begun to watch the
// holds: what is added and written down while keep looks is then spared,
// though keep has not seen it. Sweeps run one at a time.
func (s *Store) Sweep(ctx context.Context, keep func(context.Context) (map[string]bool, error)) (removed int, err error) {
	s.sweeps.Lock()
	defer s.sweeps.Unlock()
	s.mu.Lock()
	s.touched = map[string]bool{}
	for sha := range s.holds {
		s.touched[sha] = true
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.touched = nil
		s.mu.Unlock()
	}()
	kept, err := keep(ctx)
	if err != nil {
		return 0, err
	}
	found, err := s.stored()
	if err != nil {
		return 0, internal("list the packages", err)
	}
	for sha := range found {
		if kept[sha] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		done, err := s.remove(sha)
		if err != nil {
			return removed, internal("remove a package that nothing needs", err)
		}
		if done {
			removed++
		}
	}
	return removed, nil
}

// stored is the digests of what is on disk, whole or in part.
func (s *Store) stored() (map[string]bool, error) {
	found := map[string]bool{}
	for _, sub := range []string{"packages", "code"} {
		entries, err := os.ReadDir(filepath.Join(s.dir, sub))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			sha, _, _ := strings.Cut(e.Name(), ".")
			if digest.MatchString(sha) {
				found[sha] = true
			}
		}
	}
	return found, nil
}

// remove takes one package away unless it is, or was meanwhile, held. Under
// the lock it is only renamed; deleting a large tree takes its time outside.
func (s *Store) remove(sha string) (bool, error) {
	trash, err := os.MkdirTemp(filepath.Join(s.dir, "tmp"), "del-")
	if err != nil {
		return false, err
	}
	defer func() { _ = removeTree(trash) }() // The next start tries again.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds[sha] > 0 || s.touched[sha] {
		return false, nil
	}
	tree := filepath.Join(s.dir, "code", sha)
	for _, path := range []string{
		filepath.Join(s.dir, "packages", sha+".zip"),
		filepath.Join(s.dir, "packages", sha+".tgz"), tree,
	} {
		err := os.Rename(path, filepath.Join(trash, filepath.Base(path)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return true, nil
}

// removeTree is os.RemoveAll for a tree with directories that cannot be
// written to, which only root may otherwise empty.
func removeTree(dir string) error {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
