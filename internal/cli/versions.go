package cli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) versionsCommand() *cobra.Command {
	return a.printable(a.remote(&cobra.Command{
		Use:               "versions NAME",
		Short:             "List the versions of a function",
		Example:           "  cove versions hello",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			list, err := api.Versions(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(list)
			}
			rows := make([][]string, 0, len(list.Items))
			for _, v := range list.Items {
				active := ""
				if v.Number == list.Active {
					active = "*"
				}
				code := "-"
				if v.Package.SHA256 != "" {
					code = v.Package.SHA256[:12]
				}
				rows = append(rows, []string{active, strconv.Itoa(v.Number), ago(v.Created, time.Now()), v.Config.Runtime, v.Config.Isolation, code, orDash(v.Note)})
			}
			a.table([]string{"ACTIVE", "VERSION", "MADE", "RUNTIME", "ISOLATION", "CODE", "NOTE"}, rows)
			return nil
		},
	}))
}

func (a *app) rollbackCommand() *cobra.Command {
	var warm bool
	c := &cobra.Command{
		Use:   "rollback NAME [VERSION]",
		Short: "Make an earlier version the active one",
		Long: `Makes a version the active one again, configuration and code together. Without
VERSION it is the one before the active one. Requests that begin afterwards are
served by it; those under way are finished by the version they began with.

With --warm the version is loaded first, and if it cannot be loaded nothing is
changed. Without, requests are given to it at once: who goes back wants to be
away from what is active.`,
		Example: `  cove rollback hello
  cove rollback hello 3
  cove rollback --warm hello`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			number := 0
			if len(args) == 2 {
				var err error
				if number, err = strconv.Atoi(args[1]); err != nil || number < 1 {
					return usagef("%q is no number of a version; cove versions %s lists them", args[1], args[0])
				}
			}
			api, err := a.client()
			if err != nil {
				return err
			}
			if warm {
				api = api.WarmFirst()
			}
			f, err := api.Rollback(cmd.Context(), args[0], number, 0)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(f)
			}
			a.noteCost(f)
			a.noteWarmed(f.Warmed)
			a.note("%s now runs version %d", f.Name, f.Version.Number)
			return nil
		},
	}
	c.Flags().BoolVar(&warm, "warm", false, "load the version before requests are given to it")
	return a.printable(a.remote(c))
}
