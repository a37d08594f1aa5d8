package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

func (a *app) lsCommand() *cobra.Command {
	var q client.Query
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List functions",
		Example: `  cove ls
  cove ls --runtime node26
  cove ls --search invoice -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			q.Limit = 500
			items := []wire.Function{}
			for f, err := range api.AllFunctions(cmd.Context(), q) {
				if err != nil {
					return err
				}
				items = append(items, f)
			}
			if a.json() {
				return a.printJSON(items)
			}
			a.printFunctions(items)
			return nil
		},
	}
	c.Flags().StringVar(&q.Search, "search", "", "only those with this `text` in name, description or route")
	c.Flags().StringVar(&q.Runtime, "runtime", "", "only those of this `runtime`")
	c.Flags().StringVar(&q.Isolation, "isolation", "", "only those of this `isolation`")
	return a.printable(a.remote(c))
}

func (a *app) printFunctions(items []wire.Function) {
	if len(items) == 0 {
		a.note("There are no functions. Make one: cove init --runtime python hello && cove deploy hello")
		return
	}
	rows := make([][]string, 0, len(items))
	for _, f := range items {
		cfg := f.Version.Config
		instances := strconv.Itoa(f.Instances.Total())
		if f.Disabled {
			instances = "disabled"
		}
		rows = append(rows, []string{
			f.Name, strconv.Itoa(f.Version.Number), cfg.Runtime, cfg.Isolation, instances,
			ago(f.Updated, time.Now()), orDash(strings.TrimSpace(strings.Join(cfg.Methods, ",") + " " + cfg.Route)),
		})
	}
	a.table([]string{"NAME", "VERSION", "RUNTIME", "ISOLATION", "INSTANCES", "UPDATED", "ROUTE"}, rows)
}

func (a *app) getCommand() *cobra.Command {
	return a.printable(a.remote(&cobra.Command{
		Use:   "get NAME",
		Short: "Show a function",
		Example: `  cove get hello
  cove get hello -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			f, err := api.Function(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(f)
			}
			a.printFunction(f)
			return nil
		},
	}))
}

func (a *app) printFunction(f wire.Function) {
	v, cfg := f.Version, f.Version.Config
	code := "none yet"
	if v.Package.SHA256 != "" {
		code = fmt.Sprintf("%s, %d files, %s unpacked, sha256 %.12s", size(v.Package.Size), v.Package.Files, size(v.Package.Unpacked), v.Package.SHA256)
	}
	version := strconv.Itoa(v.Number)
	if v.Note != "" {
		version += " (" + v.Note + ")"
	}
	var env []string
	for name, value := range cfg.Env {
		env = append(env, name+"="+value.String())
	}
	slices.Sort(env)
	state := ""
	if f.Disabled {
		state = "disabled: cove enable " + f.Name + " has it answer requests"
	}
	cors := ""
	if cfg.CORS != nil {
		cors = strings.Join(cfg.CORS.Origins, ", ")
	}
	a.pairs([][2]string{
		{"Name", f.Name}, {"State", state}, {"Description", cfg.Description}, {"URL", f.URL}, {"Methods", strings.Join(cfg.Methods, ", ")},
		{"Auth", string(cfg.Auth)}, {"CORS", cors}, {"Version", version}, {"Updated", timestamp(f.Updated)}, {"Code", code},
		{"Runtime", cfg.Runtime}, {"Handler", cfg.Handler}, {"Isolation", cfg.Isolation}, {"Network", string(cfg.Network)},
		{"Timeouts", fmt.Sprintf("run %s, init %s, queue %s", cfg.Timeout, cfg.InitTimeout, cfg.QueueTimeout)},
		{"Memory", byteSize(cfg.Memory)}, {"CPU", strconv.FormatFloat(cfg.CPU, 'g', -1, 64)}, {"Tmp", byteSize(cfg.Tmp)}, {"Max body", byteSize(cfg.MaxBody)},
		{"Scaling", scaling(cfg.Scaling)},
		{"Instances", instances(f.Instances)}, {"Env", strings.Join(env, "\n")},
	})
}

// scaling is s in words.
func scaling(s cove.Scaling) string {
	text := fmt.Sprintf("%d to %d instances", s.Min, s.Max)
	if s.Reserved > 0 {
		text += fmt.Sprintf(" (%d reserved)", s.Reserved)
	}
	if s.Concurrency > 1 {
		text += fmt.Sprintf(" of %d requests each", s.Concurrency)
	}
	pause := "never paused"
	if s.Pause > 0 && s.Pause <= s.Idle {
		pause = "paused after " + s.Pause.String()
	}
	return text + fmt.Sprintf(", idle for %s (%s), %s, queue of %d", s.Idle, s.Policy, pause, s.Queue)
}
