package app

import (
	"context"
	"strings"
	"sync"

	"github.com/covefn/cove"
)

// worthCompiling is from which size on a package, unpacked, is compiled ahead of
// its first use. Below it, translating takes a few tenths of a millisecond, less
// than finding and reading what was compiled.
const worthCompiling = int64(16 * cove.KiB)

// compiler translates packages beside everything else, one at a time: those of
// versions that became active without having been made ready before.
type compiler struct {
	app  *App
	wake chan struct{} // holds a token when there may be something to do

	mu      sync.Mutex
	waiting map[string]*cove.Version // by function, the latest
}

func newCompiler(a *App) *compiler {
	return &compiler{app: a, wake: make(chan struct{}, 1), waiting: map[string]*cove.Version{}}
}

// add has v's package compiled soon.
func (c *compiler) add(v *cove.Version) {
	if v.Package.Unpacked < worthCompiling {
		return
	}
	c.mu.Lock()
	c.waiting[v.Function] = v
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *compiler) next() *cove.Version {
	c.mu.Lock()
	defer c.mu.Unlock()
	for function, v := range c.waiting {
		delete(c.waiting, function)
		return v
	}
	return nil
}

// run compiles what add was given until ctx ends.
func (c *compiler) run(ctx context.Context) {
	for {
		for v := c.next(); v != nil && ctx.Err() == nil; v = c.next() {
			c.app.compile(ctx, v)
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		}
	}
}

// compile translates v's package, once for each runtime image, so that no instance
// has to: Python's bytecode, V8's code cache. That it cannot be done keeps nothing
// from working.
func (a *App) compile(ctx context.Context, v *cove.Version) {
	r, ok := a.runtimes.Lookup(v.Config.Runtime)
	if !ok || v.Package.Unpacked < worthCompiling {
		return
	}
	image, err := a.images.DriverImage(r.Image)
	if err != nil {
		return // Loading the version will say so.
	}
	_, content, _ := strings.Cut(image.Ref, ":")
	by := r.Name + "-" + content
	defer a.packages.Hold(v.Package.SHA256)()
	if a.packages.Compiled(v.Package, by) {
		return
	}
	err = a.packages.KeepCompiled(v.Package, by, func(keep func(string, []byte) error) error {
		return a.pool.Compile(ctx, v, keep)
	})
	if err != nil && ctx.Err() == nil {
		a.log.Warn("a package could not be compiled ahead of its first use", "function", v.Function, "version", v.Number, "error", err)
	}
}
