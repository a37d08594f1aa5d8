package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/covefn/cove/internal/image"
	"github.com/covefn/cove/internal/runtime"
)

// patience bounds every single thing that is waited for.
const patience = time.Minute

// lab is where the arms run: a directory of its own, the images, and what has to
// be put away at the end. It is for one goroutine.
type lab struct {
	dir     string
	images  *image.Store
	catalog *runtime.Catalogue
	shims   string
	runsc   string
	cove    string
	// asgi is the directory with uvicorn's modules, "" where it is not to be had.
	asgi string
	say  io.Writer
	// bodies is what remains to be undone, the last done first.
	undo []func() error
	made int
}

// envOr is an environment variable, or a path in the tree.
func envOr(name, otherwise string) (string, error) {
	if v := os.Getenv(name); v != "" {
		return v, nil
	}
	return filepath.Abs(otherwise)
}

// newLab makes the lab. close must be called, also after an error.
func newLab(say io.Writer) (*lab, error) {
	l := &lab{catalog: runtime.NewCatalogue(), say: say}
	if os.Geteuid() != 0 {
		return l, errors.New("the benchmarks make sandboxes and mounts: run them as root (make bench does)")
	}
	var err error
	if l.dir, err = os.MkdirTemp("", "cove-bench-"); err != nil { // Short: sockets lie in it.
		return l, err
	}
	l.later(func() error { return os.RemoveAll(l.dir) })
	if err := os.Chmod(l.dir, 0o755); err != nil {
		return l, err
	}
	l.shims = filepath.Join(l.dir, "shims")
	if err := l.catalog.WriteShims(l.shims); err != nil {
		return l, err
	}
	return l, l.find()
}

// find looks for what `make` has built.
func (l *lab) find() error {
	images, err := envOr("COVE_IMAGES", ".cache/images")
	if err != nil {
		return err
	}
	if l.images, err = image.New(images, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	l.later(l.images.Close)
	if l.runsc, err = envOr("COVE_RUNSC", "bin/runsc"); err != nil {
		return err
	}
	if l.cove, err = envOr("COVE_BINARY", "bin/cove"); err != nil {
		return err
	}
	for _, file := range []string{l.runsc, l.cove} {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("%w: run `make build runsc images`", err)
		}
	}
	asgi, err := envOr("COVE_BENCH_ASGI", ".cache/asgi")
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(asgi, "uvicorn")); err == nil {
		l.asgi = asgi
	}
	return nil
}

// later puts f on the list of what close does.
func (l *lab) later(f func() error) { l.undo = append(l.undo, f) }

// mark and release put away what was made since the mark.
func (l *lab) mark() int { return len(l.undo) }

func (l *lab) release(mark int) error {
	var errs []error
	for _, f := range slices.Backward(l.undo[mark:]) {
		errs = append(errs, f())
	}
	l.undo = l.undo[:mark]
	return errors.Join(errs...)
}

// close puts everything away.
func (l *lab) close() error { return l.release(0) }

// name is one that nothing else has: for sandboxes, directories and functions.
func (l *lab) name(kind string) string {
	l.made++
	return fmt.Sprintf("%s-%d", kind, l.made)
}

// mkdir makes a directory that everybody can enter.
func (l *lab) mkdir(kind string) (string, error) {
	dir := filepath.Join(l.dir, l.name(kind))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// logf tells the user what goes on.
func (l *lab) logf(format string, args ...any) { fmt.Fprintf(l.say, format+"\n", args...) }

// command runs a program to its end and returns what it printed.
func command(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %.300s", name, err, out)
	}
	return string(out), nil
}
