package runtime

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/covefn/cove/internal/driver"
)

// Runtime is a language environment that functions can be written for.
type Runtime struct {
	// Name is what a function's configuration says and what is stored:
	// "python3.13". Aliases stand for it and may move to a newer one.
	Name    string   `json:"name"`
	Aliases []string `json:"aliases"`
	// Language is "python" or "javascript", and Version its version as text.
	Language string `json:"language"`
	Version  string `json:"version"`
	// Image is the name of the root file system it runs in.
	Image string `json:"image"`
	// Command starts the shim inside a sandbox, and Env is the environment that
	// it starts with, "NAME=value".
	Command []string `json:"-"`
	Env     []string `json:"-"`
	// Extensions are those of the files a handler can be in, the first one that
	// is there wins.
	Extensions []string `json:"extensions"`
	// DefaultHandler is the handler of a function that names none, and
	// DefaultFile the file that it is in.
	DefaultHandler string `json:"default_handler"`
	DefaultFile    string `json:"default_file"`
	// SizedAtStart says that the language reads the sandbox's memory limit when
	// it starts and sizes its heap by it, so that a stem cell can only become an
	// instance of the memory it was started with.
	SizedAtStart bool `json:"-"`

	// shim is the directory of the shim's files in the embedded tree.
	shim string
	// packages says that a directory with an __init__ file is a module, and
	// that dots in the file's part of a handler stand for directories.
	packages bool
	// early is the variables that this language needs before it starts.
	early early
}

// Catalogue is the runtimes that this Cove knows. It never changes and is safe
// for concurrent use.
type Catalogue struct {
	runtimes []Runtime
	byName   map[string]int
}

// NewCatalogue makes the catalogue.
func NewCatalogue() *Catalogue {
	// Within a language the newest comes first.
	c := &Catalogue{runtimes: []Runtime{python(), node()}, byName: make(map[string]int)}
	for i, r := range c.runtimes {
		for _, name := range append([]string{r.Name}, r.Aliases...) {
			c.byName[name] = i
		}
	}
	return c
}

// python is started without site (-S), which the shim runs itself once it has
// said HELLO: that takes a third off the start. -P keeps the shim's own
// directory out of sys.path and -s the user's home; -B saves the attempt to
// write bytecode beside code that is read-only. PYTHON* variables are honoured,
// which is why it is not -I or -E: they are the function's own.
func python() Runtime {
	return Runtime{
		Name: "python3.13", Aliases: []string{"python", "python3"},
		Language: "python", Version: "3.13", Image: "python3.13",
		Command: []string{"/usr/bin/python3", "-S", "-s", "-P", "-B", "-X", "utf8", driver.ShimDir + "/shim.py"},
		Env: []string{
			"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8",
			"COVE_RUNTIME=python3.13",
		},
		Extensions: []string{".py"}, DefaultHandler: "main.handler", DefaultFile: "main.py",
		shim: "python", packages: true, early: pythonEarly,
	}
}

// node is started with its foreign function interface, by which the shim puts
// the log stream under file descriptors 1 and 2: JavaScript has no dup2.
func node() Runtime {
	return Runtime{
		Name: "node26", Aliases: []string{"node", "nodejs", "javascript"},
		Language: "javascript", Version: "26", Image: "node26",
		Command: []string{"/usr/local/bin/node", "--experimental-ffi", driver.ShimDir + "/shim.cjs"},
		Env: []string{
			"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8",
			"COVE_RUNTIME=node26",
		},
		Extensions:     []string{".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"},
		DefaultHandler: "index.handler", DefaultFile: "index.js", SizedAtStart: true,
		shim: "node", early: nodeEarly,
	}
}

// Lookup is the runtime that name stands for: its name or an alias of it.
func (c *Catalogue) Lookup(name string) (Runtime, bool) {
	i, ok := c.byName[name]
	if !ok {
		return Runtime{}, false
	}
	return c.runtimes[i].clone(), true
}

// All is every runtime in the order in which they are to be shown.
func (c *Catalogue) All() []Runtime {
	all := make([]Runtime, len(c.runtimes))
	for i, r := range c.runtimes {
		all[i] = r.clone()
	}
	return all
}

// clone keeps what a caller does to the slices out of the catalogue.
func (r Runtime) clone() Runtime {
	r.Aliases, r.Command = slices.Clone(r.Aliases), slices.Clone(r.Command)
	r.Env, r.Extensions = slices.Clone(r.Env), slices.Clone(r.Extensions)
	return r
}

var (
	pythonHandler = regexp.MustCompile(`^[\pL_][\pL\pN_]*([./][\pL_][\pL\pN_]*)*\.[\pL_][\pL\pN_]*$`)
	nodeHandler   = regexp.MustCompile(`^[^./\\][^/\\]*(/[^./\\][^/\\]*)*$`)
)

// ErrNoHandlerFile says that a package has no file for its handler.
var ErrNoHandlerFile = errors.New("no file for the handler")

// HandlerFile is the path of the file in a package that handler is in, which
// the shim will load. exists says whether the package has a regular file of that
// slash-separated path. The error says what is wrong in words for the user, and
// is ErrNoHandlerFile if handler is well formed and its file is missing.
func (r Runtime) HandlerFile(handler string, exists func(path string) bool) (string, error) {
	candidates, err := r.handlerFiles(handler)
	if err != nil {
		return "", err
	}
	for _, file := range candidates {
		if exists(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("%w: handler %q needs a file %s in the package", ErrNoHandlerFile, handler, orList(candidates))
}

// handlerFiles are the files that handler can be in, the first wins. The shims
// have the same rules.
func (r Runtime) handlerFiles(handler string) ([]string, error) {
	form := nodeHandler
	if r.packages {
		form = pythonHandler
	}
	dot := strings.LastIndexByte(handler, '.')
	if len(handler) > 256 || dot <= 0 || dot == len(handler)-1 || !form.MatchString(handler) {
		return nil, fmt.Errorf("handler %.256q is not valid: write file.function, such as %s", handler, r.DefaultHandler)
	}
	base := handler[:dot]
	if r.packages {
		base = strings.ReplaceAll(base, ".", "/")
	}
	if path.Clean(base) != base {
		return nil, fmt.Errorf("handler %.256q is not valid: its file must be named by a plain path within the package", handler)
	}
	var files []string
	if r.packages {
		// The order of Python's own import: a package hides a module.
		files = append(files, base+"/__init__"+r.Extensions[0])
	}
	for _, ext := range r.Extensions {
		files = append(files, base+ext)
	}
	return files, nil
}

// orList is "a, b or c".
func orList(items []string) string {
	if len(items) == 1 {
		return items[0]
	}
	return strings.Join(items[:len(items)-1], ", ") + " or " + items[len(items)-1]
}
