package main

import (
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/covefn/cove/internal/runtime"
)

// programs are what runs in the arms: a directory for each language, and one for each
// of the other handlers in Python.
//
//go:embed programs
var programs embed.FS

// language is a runtime with the programs in its language.
type language struct {
	runtime.Runtime
	// dir is the host's directory with the programs.
	dir string
	// interpreter is the language's program in the image.
	interpreter string
	// handler is the file that every arm runs; code is its text.
	handler string
	code    []byte
	// idle waits with the handler loaded; shim is the name that echo takes in the
	// shim's place.
	idle, echo, shim string
	// servers are the bare ones, the one that the table names first.
	servers []server
}

// server is a bare HTTP server around the handler.
type server struct{ name, file string }

// languages writes the programs out.
func (l *lab) languages() ([]language, error) {
	python := language{
		interpreter: "/usr/bin/python3", handler: "main.py", idle: "idle.py", echo: "echo.py", shim: "shim.py",
		servers: []server{{"http.server", "threaded.py"}},
	}
	if l.asgi != "" {
		python.servers = append(python.servers, server{"uvicorn", "asgi.py"})
	}
	node := language{
		interpreter: "/usr/local/bin/node", handler: "index.js", idle: "idle.js", echo: "echo.js", shim: "shim.cjs",
		servers: []server{{"node http", "http.js"}},
	}
	for name, lang := range map[string]*language{"python": &python, "node": &node} {
		var err error
		lang.Runtime, _ = l.catalog.Lookup(name)
		if lang.dir, err = l.mkdir(name); err != nil {
			return nil, err
		}
		if err := writePrograms("programs/"+name, lang.dir); err != nil {
			return nil, err
		}
		if lang.code, err = os.ReadFile(filepath.Join(lang.dir, lang.handler)); err != nil {
			return nil, err
		}
	}
	return []language{python, node}, nil
}

// variant is python with another handler, that of a directory of programs, behind
// the first of its servers.
func (l *lab) variant(python language, handler string) (language, error) {
	var err error
	if python.dir, err = l.mkdir(handler); err != nil {
		return python, err
	}
	for _, from := range []string{"python", handler} {
		if err := writePrograms("programs/"+from, python.dir); err != nil {
			return python, err
		}
	}
	python.servers = python.servers[:1]
	python.code, err = os.ReadFile(filepath.Join(python.dir, python.handler))
	return python, err
}

func writePrograms(from, to string) error {
	return fs.WalkDir(programs, from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := programs.ReadFile(path)
		if err != nil {
			return err
		}
		file := filepath.Join(to, filepath.Base(path))
		return errors.Join(os.WriteFile(file, data, 0o644), os.Chmod(file, 0o644))
	})
}

// label is the language as people write it.
func (g language) label() string {
	if g.Language == "python" {
		return "Python"
	}
	return "Node"
}

// shimDir is the shim that Cove uses.
func (l *lab) shimDir(r runtime.Runtime) string { return runtime.ShimDir(l.shims, r) }
