package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

func (a *app) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "token",
		Short:   "Manage access tokens",
		Example: "  cove token create ci --function hello\n  cove token ls\n  cove token rm 4f2a9c01de",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.tokenCreateCommand(), a.tokenListCommand(), a.tokenRemoveCommand())
	return c
}

func (a *app) tokenCreateCommand() *cobra.Command {
	var t wire.TokenCreate
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an access token and print it",
		Long: `Makes an access token and prints it on stdout, the only time it is told. NAME says
what it is for. A token of role invoke may only call functions or load them, all or those that
are named; a viewer may look at everything and change nothing; a developer may do
everything with functions; an admin may do everything.`,
		Example: `  cove token create ci --function hello --ttl 720h
  COVE_TOKEN=$(cove token create deploy-bot --role developer)`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			t.Name, t.TTL = args[0], cove.Duration(ttl)
			made, err := api.CreateToken(cmd.Context(), t)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(made)
			}
			a.note("made token %s (%s); it is printed only now", made.ID, made.Role)
			_, err = fmt.Fprintln(a.out, made.Secret)
			return err
		},
	}
	c.Flags().StringVar(&t.Role, "role", "invoke", "`role`: invoke, viewer, developer or admin")
	c.Flags().StringSliceVar(&t.Functions, "function", nil, "limit role invoke to this `function`; may be repeated")
	c.Flags().DurationVar(&ttl, "ttl", 0, "valid for this `time` (default for ever)")
	_ = c.RegisterFlagCompletionFunc("function", a.functionNames)
	_ = c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"invoke", "viewer", "developer", "admin"}, cobra.ShellCompDirectiveNoFileComp))
	return a.printable(a.remote(c))
}

func (a *app) tokenListCommand() *cobra.Command {
	return a.printable(a.remote(&cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List access tokens", Example: "  cove token ls", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			tokens, err := api.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(tokens)
			}
			var rows [][]string
			for _, t := range tokens {
				expires := "never"
				if !t.Expires.IsZero() {
					expires = timestamp(t.Expires)
				}
				used := "never"
				if !t.LastUsed.IsZero() {
					used = ago(t.LastUsed, time.Now())
				}
				functions := strings.Join(t.Functions, ", ")
				if functions == "" {
					functions = "all"
				}
				rows = append(rows, []string{t.ID, t.Name, t.Role, functions, ago(t.Created, time.Now()), used, expires})
			}
			a.table([]string{"ID", "NAME", "ROLE", "FUNCTIONS", "MADE", "USED", "EXPIRES"}, rows)
			return nil
		},
	}))
}

func (a *app) tokenRemoveCommand() *cobra.Command {
	return a.remote(&cobra.Command{
		Use: "rm ID...", Aliases: []string{"delete"}, Short: "Delete access tokens",
		Long:    "Deletes tokens by their id (cove token ls shows it). They are refused at once.",
		Example: "  cove token rm 4f2a9c01de", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			for _, id := range args {
				if err := api.DeleteToken(cmd.Context(), id); err != nil {
					return err
				}
				a.note("deleted token %s", id)
			}
			return nil
		},
	})
}
