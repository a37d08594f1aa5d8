// Package templates holds functions to begin with, for `cove init` and for the
// control API.
package templates

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"text/template"

	"github.com/goccy/go-yaml"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/strictjson"
)

//go:embed files
var embedded embed.FS

// The files of a folder that are not part of the function's code.
const (
	configFile = "cove.yaml"
	eventFile  = "event.json"
	readmeFile = "README.md"
)

// Kind is one template, without its files.
type Kind struct {
	// Name is what it is chosen by.
	Name string
	// Title and Description are for people.
	Title, Description string
	// Language is that of its runtime, "python" or "node": the name of the newest
	// runtime of it.
	Language string
}

// Kinds are all templates. The first of each language is what `cove init` takes
// for it.
func Kinds() []Kind {
	return []Kind{
		{"python", "Python", "Answers HTTP requests with a greeting.", "python"},
		{"node", "Node.js", "Answers HTTP requests with a greeting.", "node"},
		{"typescript", "Node.js, TypeScript", "Converts temperatures; TypeScript that runs without a build.", "node"},
		{"json-api", "JSON API", "A small REST API in Node.js: list, add and delete items.", "node"},
		{"stream", "Stream", "Sends server-sent events from Python, one by one.", "python"},
		{"report", "Job", "Work without a route, in Python: a timer or a program calls it with JSON.", "python"},
	}
}

// Names are those of all templates.
func Names() []string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// Find is the template of that name.
func Find(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// Values are what a template leaves open.
type Values struct {
	// Name is the function's, Runtime its runtime, and Dir the folder that it is
	// written to, for the README.
	Name, Runtime, Dir string
}

// Folder is the folder of a new function: contents by name, cove.yaml, README.md
// and a test event among them.
func (k Kind) Folder(v Values) (map[string][]byte, error) {
	dir, err := fs.Sub(embedded, path.Join("files", k.Name))
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(dir, "*")
	if err != nil {
		return nil, err
	}
	folder := map[string][]byte{}
	for _, name := range names {
		// "{{" is too common in code.
		t, err := template.New(name).Delims("<<", ">>").ParseFS(dir, name)
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", k.Name, err)
		}
		var text bytes.Buffer
		if err := t.Execute(&text, v); err != nil {
			return nil, fmt.Errorf("template %s: %w", k.Name, err)
		}
		folder[name] = text.Bytes()
	}
	return folder, nil
}

// All are the templates as the control API tells them. The function's name is the
// template's, and its route begins with "/" and the name.
func All() ([]wire.Template, error) {
	var all []wire.Template
	for _, k := range Kinds() {
		t, err := k.document()
		if err != nil {
			return nil, &cove.Error{Code: cove.CodeInternal, Message: "the template " + k.Name + " cannot be read", Err: err}
		}
		all = append(all, t)
	}
	return all, nil
}

func (k Kind) document() (wire.Template, error) {
	t := wire.Template{Name: k.Name, Title: k.Title, Description: k.Description, Runtime: k.Language, Files: wire.Files{}}
	folder, err := k.Folder(Values{Name: k.Name, Runtime: k.Language, Dir: k.Name})
	if err != nil {
		return t, err
	}
	config, err := yaml.YAMLToJSON(folder[configFile])
	if err != nil {
		return t, err
	}
	if wrong := strictjson.Decode(config, &t.Config); len(wrong) > 0 {
		return t, cove.InvalidFields(wrong)
	}
	t.Event = json.RawMessage(bytes.TrimSpace(folder[eventFile]))
	for _, name := range slices.Sorted(maps.Keys(folder)) {
		if name != configFile && name != eventFile && name != readmeFile {
			t.Files[name] = folder[name]
		}
	}
	return t, nil
}
