package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/strictjson"
)

// configFile describes a function beside its code.
const configFile = "cove.yaml"

// readConfig reads the cove.yaml in dir; ok is false when there is none. What is
// wrong is told with its line.
func readConfig(dir string) (cfg cove.Config, ok bool, err error) {
	path := filepath.Join(dir, configFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return cfg, false, nil
	}
	if err != nil {
		return cfg, false, err
	}
	cfg, err = parseConfig(path, data)
	return cfg, true, err
}

func parseConfig(path string, data []byte) (cfg cove.Config, err error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return cfg, usagef("%s: %s", path, strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil || file.Docs[0].Body.Type() == ast.CommentType || file.Docs[0].Body.Type() == ast.NullType {
		return cfg, usagef("%s is empty: it needs at least name and runtime", path)
	}
	if len(file.Docs) > 1 {
		return cfg, usagef("%s holds several documents; a function has one", path)
	}
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		return cfg, usagef("%s: %s", path, strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	wrong := strictjson.Decode(asJSON, &cfg)
	if len(wrong) == 0 {
		return cfg, nil
	}
	lines := map[string]int{}
	findLines(file.Docs[0].Body, "", lines)
	message := make([]string, 0, len(wrong))
	for _, w := range wrong {
		where := path
		if line := lines[w.Field]; line > 0 {
			where += ":" + strconv.Itoa(line)
		}
		if w.Field != "" {
			where += ": " + w.Field
		}
		message = append(message, where+": "+w.Message)
	}
	return cfg, usageError{errors.New(strings.Join(message, "\n      "))}
}

// findLines notes the line of every field by its path.
func findLines(n ast.Node, path string, lines map[string]int) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			findLines(v, path, lines)
		}
	case *ast.MappingValueNode:
		key := n.Key.GetToken()
		below := key.Value
		if path != "" {
			below = path + "." + below
		}
		lines[below] = key.Position.Line
		findLines(n.Value, below, lines)
	case *ast.SequenceNode:
		for i, v := range n.Values {
			below := fmt.Sprintf("%s[%d]", path, i)
			lines[below] = v.GetToken().Position.Line
			findLines(v, below, lines)
		}
	}
}
