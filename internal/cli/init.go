package cli

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/internal/strictjson"
	"github.com/covefn/cove/internal/templates"
)

func (a *app) initCommand() *cobra.Command {
	var runtime, name, kind string
	var about strings.Builder
	for _, k := range templates.Kinds() {
		about.WriteString("\n  " + k.Name + strings.Repeat(" ", 12-len(k.Name)) + k.Description)
	}
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Make the folder of a new function",
		Long: `Makes the folder DIR with a function that works: cove.yaml, the handler, a test
event and a README. It never writes over a file.

Runtimes: python, node. A version may be named: python3.13, node26. Templates:
` + about.String(),
		Example: `  cove init --runtime python hello
  cove init --runtime node --name greeter functions/greeter
  cove init --template json-api items`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(_ *cobra.Command, args []string) error {
			k, runtime, err := chooseTemplate(kind, runtime)
			if err != nil {
				return err
			}
			return a.initFolder(args[0], name, k, runtime)
		},
	}
	c.Flags().StringVar(&runtime, "runtime", "", "`runtime`: python or node (default: that of the template, or python)")
	c.Flags().StringVar(&kind, "template", "", "`template` to begin with (default: that of the runtime)")
	c.Flags().StringVar(&name, "name", "", "`name` of the function (default: that of the folder)")
	_ = c.RegisterFlagCompletionFunc("runtime", cobra.FixedCompletions([]string{"python", "node"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("template", cobra.FixedCompletions(templates.Names(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// chooseTemplate is the template of that name, or else the one of the runtime's
// language; and the runtime, or else that of the template.
func chooseTemplate(name, runtime string) (templates.Kind, string, error) {
	language := strings.TrimRight(runtime, "0123456789.")
	if name == "" {
		languages := []string{"python", "node"}
		if runtime == "" {
			language, runtime = languages[0], languages[0]
		}
		if !slices.Contains(languages, language) {
			return templates.Kind{}, "", usagef("there is no template for runtime %q; %s", runtime, nearest(language, languages))
		}
		name = language
	}
	k, ok := templates.Find(name)
	switch {
	case !ok:
		return k, "", usagef("there is no template %q; %s", name, nearest(name, templates.Names()))
	case runtime == "":
		runtime = k.Language
	case language != k.Language:
		return k, "", usagef("the template %s is for the runtime %s, not for %s", k.Name, k.Language, runtime)
	}
	return k, runtime, nil
}

// nearest says which of names was probably meant, or what there is.
func nearest(name string, names []string) string {
	if near := strictjson.Nearest(name, names); near != "" {
		return "did you mean " + near + "?"
	}
	return "there are " + strings.Join(names, ", ")
}

var goodName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (a *app) initFolder(dir, name string, k templates.Kind, runtime string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	name = first(name, filepath.Base(abs))
	if !goodName.MatchString(name) {
		return usagef("%q cannot be the name of a function: use a-z, 0-9 and '-', beginning with a letter; --name gives another than the folder's", name)
	}
	folder, err := k.Folder(templates.Values{Name: name, Runtime: runtime, Dir: dir})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	files := slices.Sorted(maps.Keys(folder))
	for _, f := range files {
		if _, err := root.Lstat(f); !errors.Is(err, fs.ErrNotExist) {
			return usagef("%s is there already; nothing was written", filepath.Join(dir, f))
		}
	}
	for _, f := range files {
		if err := writeNew(root, f, folder[f]); err != nil {
			return err
		}
		a.note("wrote %s", filepath.Join(dir, f))
	}
	a.note("\nDeploy it:  cove deploy %s\nCall it:    cove invoke %s -d @%s", dir, name, filepath.Join(dir, "event.json"))
	return nil
}

// writeNew writes a file that is not there yet.
func writeNew(root *os.Root, name string, text []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
