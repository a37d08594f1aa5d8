package runtime

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

//go:embed shim/python/*.py shim/node/*.cjs
var shimFiles embed.FS

// ShimDir is the host's directory with r's shim under dir, to be mounted at
// driver.ShimDir. Its name is that of the content, so that a newer Cove never
// changes what a running sandbox reads.
func ShimDir(dir string, r Runtime) string {
	return filepath.Join(dir, r.shim+"-"+shimHash(r))
}

// shimHash names the content of r's shim.
func shimHash(r Runtime) string {
	h := sha256.New()
	_ = eachShimFile(r, func(name string, data []byte) error {
		fmt.Fprintf(h, "%s %d\n%s", name, len(data), data)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func eachShimFile(r Runtime, f func(name string, data []byte) error) error {
	root := path.Join("shim", r.shim)
	entries, err := shimFiles.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := shimFiles.ReadFile(path.Join(root, e.Name()))
		if err != nil {
			return err
		}
		if err := f(e.Name(), data); err != nil {
			return err
		}
	}
	return nil
}

// WriteShims makes the directories that ShimDir names for every runtime of the
// catalogue. Each appears whole or not at all, so that several daemons and a crash
// do no harm; one that is there is left as it is.
func (c *Catalogue) WriteShims(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the shims: %w", err)
	}
	for _, r := range c.runtimes {
		if err := writeShim(dir, r); err != nil {
			return fmt.Errorf("write the shim of %s: %w", r.Name, err)
		}
	}
	return nil
}

func writeShim(dir string, r Runtime) error {
	final := ShimDir(dir, r)
	if _, err := os.Stat(final); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(dir, ".shim-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	err = eachShimFile(r, func(name string, data []byte) error {
		file := filepath.Join(tmp, name)
		if err := os.WriteFile(file, data, 0o444); err != nil {
			return err
		}
		return os.Chmod(file, 0o444) // Whatever the umask.
	})
	if err != nil {
		return err
	}
	// Renaming a directory needs the right to write it, so its mode comes last.
	if err := os.Rename(tmp, final); err != nil {
		if _, statErr := os.Stat(final); statErr == nil && (errors.Is(err, fs.ErrExist) || errors.Is(err, os.ErrExist)) {
			return nil // Another one was quicker.
		}
		return err
	}
	return os.Chmod(final, 0o555)
}
