package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/internal/config"
	"github.com/covefn/cove/internal/image"
)

// imageCommand is `cove image`. Its commands work on this host's directory of
// images and need no daemon; a daemon that runs takes up a new image with the
// next sandbox it makes.
func (a *app) imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build, pull and list the runtime images of this host",
		Long: `Build, pull and list the runtime images of this host.

A runtime image is the root file system that functions of one runtime run in.
Cove builds its own from Debian's packages, without a registry; any other image
that has the language in it does as well. These commands work on the directory
of images itself (--images, COVE_IMAGES, or images in the data directory) and
need no daemon.`,
		Example: `  cove image ls
  sudo cove image build python3.13 node26
  sudo cove image pull python3.13 python:3.13-slim`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := cmd.PersistentFlags()
	flags.String("data", "", "data `directory` of the daemon")
	flags.String("images", "", "`directory` of the images (default DATA/images)")
	flags.String("config", "", "configuration `file`")
	cmd.AddCommand(a.imageListCommand(), a.imageBuildCommand(), a.imagePullCommand(), a.imageImportCommand(),
		a.imageRemoveCommand())
	return cmd
}

// withImages opens the store that the flags name for the time of do.
func (a *app) withImages(cmd *cobra.Command, do func(*image.Store) error) (err error) {
	cfg, err := config.Load(cmd.Flags())
	if err != nil {
		return err
	}
	store, err := image.New(cfg.Images, slog.New(slog.NewTextHandler(a.err, nil)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return do(store)
}

func (a *app) imageListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the images of this host",
		Example: "  cove image ls\n  cove image ls -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withImages(cmd, func(store *image.Store) error {
				list, err := store.List()
				if err != nil {
					return err
				}
				return a.printImages(list)
			})
		},
	}
	return a.printable(cmd)
}

func (a *app) imageBuildCommand() *cobra.Command {
	var all, force bool
	cmd := &cobra.Command{
		Use:   "build NAME...",
		Short: "Build images from Debian's packages, without a registry",
		Long: `Build images from Debian's packages, without a registry.

It needs root, mmdebstrap and, for Node.js, npm. An image that was built of the
same recipe is left as it is; --force builds it again, with the packages that
Debian has by now.`,
		Example: `  sudo cove image build python3.13
  sudo cove image build --all
  sudo cove image build --force node26`,
		ValidArgsFunction: completeRecipes,
		RunE: func(cmd *cobra.Command, names []string) error {
			recipes, err := chosenRecipes(names, all)
			if err != nil {
				return err
			}
			return a.withImages(cmd, func(store *image.Store) error {
				var built []image.Image
				for _, r := range recipes {
					img, err := a.buildImage(cmd, store, r, force)
					if err != nil {
						return err
					}
					built = append(built, img)
				}
				return a.printImages(built)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "build every image that Cove has a recipe for")
	cmd.Flags().BoolVar(&force, "force", false, "build also what is up to date")
	return a.printable(cmd)
}

func (a *app) buildImage(cmd *cobra.Command, store *image.Store, r image.Recipe, force bool) (image.Image, error) {
	if have, err := store.Get(r.Name); err == nil && have.Recipe == r.Digest() && !force {
		a.note("%s is up to date", r.Name)
		return have, nil
	}
	progress := newStepPrinter(a.err, r.Name)
	defer progress.end()
	return store.Build(cmd.Context(), r, progress)
}

func chosenRecipes(names []string, all bool) ([]image.Recipe, error) {
	if all {
		return image.Recipes()
	}
	if len(names) == 0 {
		recipes, err := image.Recipes()
		if err != nil {
			return nil, err
		}
		known := ""
		for _, r := range recipes {
			known += fmt.Sprintf("\n  %-12s %s", r.Name, r.Description)
		}
		return nil, usagef("say which images to build, or --all. There are recipes for:%s", known)
	}
	chosen := make([]image.Recipe, 0, len(names))
	for _, name := range names {
		r, err := image.FindRecipe(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, r)
	}
	return chosen, nil
}

func completeRecipes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	recipes, err := image.Recipes()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, r := range recipes {
		names = append(names, r.Name+"\t"+r.Description)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) imagePullCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pull NAME REFERENCE",
		Short: "Take an image from a registry",
		Long: `Take an image from a registry and keep it under NAME, which is what a runtime
asks for. Credentials are those of "docker login". What a sandbox needs and the
image lacks, such as mount points, is added as one more layer.`,
		Example: "  sudo cove image pull python3.13 python:3.13-slim\n  sudo cove image pull node26 node:26-slim",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.obtainImage(cmd, args[0], func(store *image.Store, p image.Progress) (image.Image, error) {
				return store.Pull(cmd.Context(), args[0], args[1], p)
			})
		},
	}
	return a.printable(cmd)
}

func (a *app) imageImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import NAME FILE",
		Short: "Take an image from a file",
		Long: `Take an image from a file and keep it under NAME: what "docker save" writes, an
OCI layout as a directory or a tar, or the tar of a root file system.`,
		Example: `  docker save my/python -o python.tar
  sudo cove image import python3.13 python.tar`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.obtainImage(cmd, args[0], func(store *image.Store, p image.Progress) (image.Image, error) {
				return store.Import(cmd.Context(), args[0], args[1], p)
			})
		},
	}
	return a.printable(cmd)
}

func (a *app) obtainImage(cmd *cobra.Command, name string, get func(*image.Store, image.Progress) (image.Image, error)) error {
	return a.withImages(cmd, func(store *image.Store) error {
		progress := newStepPrinter(a.err, name)
		img, err := get(store, progress)
		progress.end()
		if err != nil {
			return err
		}
		return a.printImages([]image.Image{img})
	})
}

func (a *app) imageRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Aliases: []string{"remove"},
		Short:   "Remove images from this host",
		Example: "  sudo cove image rm node26",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.withImages(cmd, func(store *image.Store) error {
				for _, name := range names {
					if err := store.Remove(cmd.Context(), name); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func (a *app) printImages(list []image.Image) error {
	if a.json() {
		return a.printJSON(list)
	}
	rows := make([][]string, 0, len(list))
	for _, img := range list {
		rows = append(rows, []string{
			img.Name, img.Ref, size(int64(img.Unpacked)), img.Created.Local().Format(time.DateTime), img.Source,
		})
	}
	a.table([]string{"NAME", "REFERENCE", "UNPACKED", "CREATED", "SOURCE"}, rows)
	return nil
}

// stepPrinter prints an image's progress: a line per step, and in it a
// percentage every tenth.
type stepPrinter struct {
	w       io.Writer
	name    string
	started time.Time
	tenth   int64
	open    bool
}

func newStepPrinter(w io.Writer, name string) *stepPrinter {
	return &stepPrinter{w: w, name: name, started: time.Now()}
}

// Step begins a line.
func (p *stepPrinter) Step(text string) {
	p.end()
	fmt.Fprintf(p.w, "%s %5.1fs  %s", p.name, time.Since(p.started).Seconds(), text)
	p.open, p.tenth = true, 0
}

// Bytes goes on with the line.
func (p *stepPrinter) Bytes(done, total int64) {
	if !p.open || total <= 0 {
		return
	}
	if tenth := done * 10 / total; tenth > p.tenth {
		p.tenth = tenth
		fmt.Fprintf(p.w, " %d%%", tenth*10)
	}
}

// end ends the line.
func (p *stepPrinter) end() {
	if p.open {
		fmt.Fprintln(p.w)
	}
	p.open = false
}
