// Package workloads holds the functions that isolations are compared with: one
// for each thing that walls make dearer, in every language. Each answers the same
// in all of them, so that an answer can be checked.
package workloads

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed python/*.py node/*.js
var sources embed.FS

// Noop is the name of the workload that does nothing. What is measured with it is
// everything but the function.
const Noop = "no-op"

// Workload is one of the functions.
type Workload struct {
	// Name is what a user says; Summary says in a line what it does.
	Name    string
	Summary string
	// Event is the JSON that it is called with, and Want the body of its answer,
	// whose status is 200.
	Event []byte
	Want  string
	// Loads says that its work is done while it is loaded, and not in the call.
	Loads bool

	file string
}

// payloadSize is that of the large event and of its answer.
const payloadSize = 512 << 10

// parts is how many modules of its own the import-heavy function has.
const parts = 100

// All are the workloads in the order in which they are shown.
func All() []Workload {
	data := strings.Repeat("0123456789abcdef", payloadSize/16)
	return []Workload{
		{Name: Noop, Summary: "answers at once", Want: "ok", file: "noop"},
		{Name: "cpu", Summary: "computes: 100,000 dependent multiplications", Want: "46831694", file: "cpu"},
		{Name: "alloc", Summary: "allocates 20,000 small objects and 8 MiB in blocks", Want: "20032", file: "alloc"},
		{Name: "files", Summary: "writes, lists, reads and removes 50 files of 16 KiB", Want: "1638400", file: "files"},
		{Name: "syscalls", Summary: "makes 4,000 small system calls", Want: "4000", file: "syscalls"},
		{Name: "logs", Summary: "prints 500 lines", Want: "500", file: "logs"},
		{Name: "payload", Summary: "takes 512 KiB and answers as much", Event: fmt.Appendf(nil, `{"data":%q}`, data), Want: data, file: "payload"},
		{Name: "imports", Summary: "loads much of the standard library and 100 modules of its own", Want: "4950", Loads: true, file: "imports"},
	}
}

// Names are those of All.
func Names() []string {
	var names []string
	for _, w := range All() {
		names = append(names, w.Name)
	}
	return names
}

// Find is the workload of a name.
func Find(name string) (Workload, bool) {
	for _, w := range All() {
		if w.Name == name {
			return w, true
		}
	}
	return Workload{}, false
}

// Files is the function's code in a language ("python", "javascript"), contents
// by path; nil for a language that it is not written in. The handler is the
// runtime's default one.
func (w Workload) Files(language string) map[string]string {
	folder, extension, main := "python", ".py", "main.py"
	switch language {
	case "python":
	case "javascript":
		folder, extension, main = "node", ".js", "index.js"
	default:
		return nil
	}
	files := map[string]string{main: source(folder + "/" + w.file + extension)}
	if w.Loads {
		part := source(folder + "/part" + extension)
		for i := range parts {
			files[fmt.Sprintf("parts/part%03d%s", i, extension)] = strings.ReplaceAll(part, "NUMBER", fmt.Sprint(i))
		}
	}
	return files
}

// source is an embedded file, which is there.
func source(name string) string {
	data, err := sources.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return string(data)
}
