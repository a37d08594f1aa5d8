package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

type deployFlags struct {
	config configFlags
	warm   bool
	noWait bool
	wait   time.Duration
	dryRun bool
}

func (a *app) deployCommand() *cobra.Command {
	var f deployFlags
	c := &cobra.Command{
		Use:   "deploy [DIR]",
		Short: "Deploy the function of a folder",
		Long: `Packs the folder DIR (default: this one), sends it with the configuration in its
cove.yaml, and waits until an instance has loaded the function. Only then are
requests given to the new version: if it cannot be loaded, the error is shown and
the version before goes on. The URL of its route is printed on stdout. Flags win
over cove.yaml.

What .coveignore lists is left out, and what no function needs: .git,
__pycache__, .venv, .env and their like. node_modules goes along.`,
		Example: `  cove deploy hello
  cove deploy --isolation docker --memory 256MiB hello
  cove deploy --secret API_KEY hello              # from this environment
  cove deploy --scaling-min 1 --scaling-max 50 hello
  cove deploy --warm=false hello                  # switch at once, then load
  cove deploy --dry-run`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			cfg, err := a.deployConfig(cmd, dir, &f)
			if err != nil {
				return err
			}
			return a.deploy(cmd.Context(), dir, cfg, f)
		},
	}
	f.config.bind(c.Flags())
	c.Flags().BoolVar(&f.warm, "warm", true, "load the new version before requests are given to it")
	c.Flags().BoolVar(&f.noWait, "no-wait", false, "do not wait until the function is loaded; implies --warm=false")
	c.Flags().DurationVar(&f.wait, "wait", 2*time.Minute, "longest `time` to wait until the function is loaded")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "only say what would be deployed")
	for name, values := range map[string][]string{
		"runtime": {"python", "node"}, "isolation": {"gvisor", "docker", "runc"}, "network": {"none", "egress"}, "auth": {"public", "token"},
		"scaling-policy": {string(cove.PolicyAdaptive), string(cove.PolicyFixed)},
	} {
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	return a.printable(a.remote(c))
}

func (a *app) deployConfig(cmd *cobra.Command, dir string, f *deployFlags) (cove.Config, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return cove.Config{}, usagef("%s is no folder; cove deploy takes the folder of a function", dir)
	}
	cfg, found, err := readConfig(dir)
	if err != nil {
		return cfg, err
	}
	if err := f.config.apply(cmd.Flags(), &cfg); err != nil {
		return cfg, err
	}
	if !found && cfg.Runtime == "" {
		return cfg, usagef("there is no %s in %s; cove init --runtime python %s makes one, or give --name and --runtime", configFile, dir, dir)
	}
	if cfg.Name == "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return cfg, err
		}
		cfg.Name = filepath.Base(abs)
	}
	return cfg, nil
}

func (a *app) deploy(ctx context.Context, dir string, cfg cove.Config, f deployFlags) error {
	p, err := packFolder(dir)
	if err != nil {
		return err
	}
	defer p.Close()
	skipped := ""
	if len(p.Skipped) > 0 {
		skipped = ", without " + strings.Join(p.Skipped, ", ")
	}
	files := "files"
	if p.Files == 1 {
		files = "file"
	}
	a.note("packed   %s: %d %s, %s%s", dir, p.Files, files, size(p.Size), skipped)
	if f.dryRun {
		document, err := json.MarshalIndent(cfg, "", "  ")
		if err != nil {
			return err
		}
		a.note("would deploy %s", cfg.Name)
		_, err = fmt.Fprintf(a.out, "%s\n", document)
		return err
	}
	api, err := a.client()
	if err != nil {
		return err
	}
	made, err := a.upload(ctx, api, cfg, p, f)
	if err != nil {
		return err
	}
	a.noteCost(made)
	a.noteWarmed(made.Warmed)
	if !f.noWait && (made.Warmed == nil || made.Warmed.Ready == 0) {
		if err := a.waitReady(ctx, api, made, f.wait); err != nil {
			return err
		}
	}
	if a.json() {
		return a.printJSON(made)
	}
	if made.URL == "" {
		a.note("It has no route; call it with: cove invoke %s", made.Name)
		return nil
	}
	_, err = fmt.Fprintln(a.out, made.URL)
	return err
}

// upload creates or replaces the function; code that the server has already is
// not sent again.
func (a *app) upload(ctx context.Context, api *client.Client, cfg cove.Config, p *pack, f deployFlags) (wire.Function, error) {
	before, err := api.Function(ctx, cfg.Name)
	if err != nil && !errors.Is(err, &cove.Error{Code: cove.CodeNotFound}) && cove.CodeOf(err) != cove.CodeNotFound {
		return before, err
	}
	progress := &progressReader{reader: p.file, total: p.Size, began: time.Now(), app: a}
	defer progress.done()
	if f.warm && !f.noWait {
		api = api.WarmFirst()
		bounded, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		ctx = bounded
		// The time counts from when the server has the code.
		progress.ended = sync.OnceFunc(func() {
			timer := time.AfterFunc(f.wait, func() { cancel(fmt.Errorf("nothing was deployed: the function was not loaded within %s", f.wait)) })
			context.AfterFunc(ctx, func() { timer.Stop() })
		})
	}
	code := &client.Archive{Reader: progress, Format: "tar.gz"}
	if err != nil {
		made, err := api.Create(ctx, cfg, code)
		if err == nil {
			a.note("created  %s version %d", made.Name, made.Version.Number)
		}
		return made, err
	}
	if before.Version.Package.SHA256 == p.SHA256 {
		code = nil
		progress.end()
	}
	made, err := api.Replace(ctx, cfg.Name, cfg, code, before.Revision)
	if err != nil {
		return made, err
	}
	changes := changedFields(before.Version.Config, made.Version.Config)
	if before.Version.Package.SHA256 != made.Version.Package.SHA256 {
		changes = append([]string{"code"}, changes...)
	}
	switch {
	case before.Version.Number == made.Version.Number:
		a.note("same     %s version %d: nothing changed", made.Name, made.Version.Number)
	case len(changes) == 0 && hasSecret(made.Version.Config.Env):
		// The values of secrets are told to nobody, so no difference can be seen.
		a.note("updated  %s to version %d: a secret in env", made.Name, made.Version.Number)
	case len(changes) == 0:
		a.note("updated  %s to version %d", made.Name, made.Version.Number)
	default:
		a.note("updated  %s to version %d: %s", made.Name, made.Version.Number, strings.Join(changes, ", "))
	}
	return made, nil
}

func hasSecret(env cove.Env) bool {
	for _, v := range env {
		if v.Secret {
			return true
		}
	}
	return false
}

// noteCost tells what the change costs, where its author may not know.
func (a *app) noteCost(f wire.Function) {
	if f.Note != "" {
		a.note("note     %s", clean(f.Note))
	}
}

// noteWarmed tells what warming up did, where it was to.
func (a *app) noteWarmed(w *wire.Warmed) {
	switch {
	case w == nil:
	case w.Ready > 0:
		a.note("ready    in %s: %s", duration(w.Took), count(w.Ready, "instance"))
	default:
		a.note("note     it was not loaded before requests are given to it: %s", clean(w.Note))
	}
}

func (a *app) waitReady(ctx context.Context, api *client.Client, f wire.Function, wait time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("the function was deployed but not loaded within %s", wait))
	defer cancel()
	ready, err := api.Ready(ctx, f.Name)
	if err != nil {
		undo := ""
		if f.Version.Number > 1 {
			undo = " (cove rollback " + f.Name + " goes back to the version before)"
		}
		a.note("deployed, but it does not work%s:", undo)
		return err
	}
	a.note("ready    in %s", duration(ready.Took))
	return nil
}

// changedFields tells the fields that differ, with both values; of variables
// only the names.
func changedFields(before, after cove.Config) []string {
	was, is := flatten(before), flatten(after)
	var out []string
	for name, value := range is {
		if was[name] != value {
			out = append(out, change(name, was[name], value))
		}
	}
	for name, value := range was {
		if _, ok := is[name]; !ok {
			out = append(out, change(name, value, ""))
		}
	}
	slices.Sort(out)
	return out
}

func change(name, was, is string) string {
	if name == "env" {
		return "env"
	}
	return fmt.Sprintf("%s %s -> %s", name, orDash(was), orDash(is))
}

// flatten is a configuration as texts by field.
func flatten(cfg cove.Config) map[string]string {
	out := map[string]string{}
	data, err := json.Marshal(cfg)
	if err != nil {
		return out
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return out
	}
	for name, raw := range fields {
		if name == "scaling" {
			var below map[string]json.RawMessage
			if json.Unmarshal(raw, &below) == nil {
				for n, r := range below {
					out["scaling."+n] = string(bytes.Trim(r, `"`))
				}
				continue
			}
		}
		out[name] = string(bytes.Trim(raw, `"`))
	}
	return out
}

// progressReader tells on a terminal how far an upload is, once it takes longer
// than a second.
type progressReader struct {
	reader io.Reader
	total  int64
	app    *app
	began  time.Time
	told   time.Time
	read   int64
	// ended, where it is set, is called when everything was read.
	ended func()
}

// Read reads on.
func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.reader.Read(b)
	p.read += int64(n)
	if errors.Is(err, io.EOF) {
		p.end()
	}
	now := time.Now()
	if now.Sub(p.began) > time.Second && now.Sub(p.told) > 200*time.Millisecond && isTerminal(p.app.err) {
		p.told = now
		fmt.Fprintf(p.app.err, "\ruploading %s of %s ", size(p.read), size(p.total))
	}
	return n, err
}

func (p *progressReader) end() {
	if p.ended != nil {
		p.ended()
	}
}

func (p *progressReader) done() {
	if !p.told.IsZero() {
		fmt.Fprint(p.app.err, "\r\x1b[K")
	}
}
