package cli

import (
	"bytes"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/internal/strictjson"
)

//go:embed templates
var templates embed.FS

func (a *app) initCommand() *cobra.Command {
	var runtime, name string
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Make the folder of a new function",
		Long: `Makes the folder DIR with a function that works: cove.yaml, the handler, a test
event and a README. It never writes over a file.

Runtimes: python, node. A version may be named: python3.13, node26.`,
		Example: `  cove init --runtime python hello
  cove init --runtime node --name greeter functions/greeter`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return a.initFolder(args[0], name, runtime)
		},
	}
	c.Flags().StringVar(&runtime, "runtime", "python", "`runtime`: python or node")
	c.Flags().StringVar(&name, "name", "", "`name` of the function (default: that of the folder)")
	_ = c.RegisterFlagCompletionFunc("runtime", cobra.FixedCompletions([]string{"python", "node"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

var goodName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (a *app) initFolder(dir, name, runtime string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	name = first(name, filepath.Base(abs))
	if !goodName.MatchString(name) {
		return usagef("%q cannot be the name of a function: use a-z, 0-9 and '-', beginning with a letter; --name gives another than the folder's", name)
	}
	languages := []string{"python", "node"}
	language := strings.TrimRight(runtime, "0123456789.")
	source, err := fs.Sub(templates, "templates/"+language)
	if err != nil {
		return err
	}
	files, err := fs.Glob(source, "*")
	if err != nil || len(files) == 0 || language == "" {
		hint := "there are " + strings.Join(languages, ", ")
		if near := strictjson.Nearest(language, languages); near != "" {
			hint = "did you mean " + near + "?"
		}
		return usagef("there is no template for runtime %q; %s", runtime, hint)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range files {
		if _, err := root.Lstat(f); !errors.Is(err, fs.ErrNotExist) {
			return usagef("%s is there already; nothing was written", filepath.Join(dir, f))
		}
	}
	for _, f := range files {
		if err := writeTemplate(root, source, f, map[string]string{"Name": name, "Runtime": runtime, "Dir": dir}); err != nil {
			return err
		}
		a.note("wrote %s", filepath.Join(dir, f))
	}
	a.note("\nDeploy it:  cove deploy %s\nCall it:    cove invoke %s -d @%s", dir, name, filepath.Join(dir, "event.json"))
	return nil
}

func writeTemplate(root *os.Root, source fs.FS, name string, data map[string]string) error {
	t, err := template.New(name).Delims("<<", ">>").ParseFS(source, name)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, data); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text.Bytes())
	return errors.Join(err, f.Close())
}
