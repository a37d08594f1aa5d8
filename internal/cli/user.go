package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/client/wire"
)

func (a *app) userCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Manage who may sign in on the console",
		Long: `Manages users, who sign in on the console with a name and a password. Their roles
are those of tokens: an admin may do everything, a developer everything with
functions, a viewer may only look.`,
		Example: "  cove user add ada --role developer\n  cove user ls\n  cove user set ada --disable\n  cove user rm ada",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.userAddCommand(), a.userListCommand(), a.userSetCommand(), a.userRemoveCommand())
	return c
}

func userRoles(c *cobra.Command) {
	_ = c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"admin", "developer", "viewer"}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) userAddCommand() *cobra.Command {
	var u wire.UserCreate
	var stdin bool
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a user",
		Long: `Adds somebody who signs in on the console. It asks for the password, of 10
characters at least, without showing it; --password-stdin reads it from the input.`,
		Example: "  cove user add ada --role developer\n  pass show cove/ada | cove user add ada --password-stdin",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			u.Name = args[0]
			if u.Password, err = a.readPassword(cmd.Context(), stdin); err != nil {
				return err
			}
			made, err := api.CreateUser(cmd.Context(), u)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(made)
			}
			a.note("added user %s (%s)", made.Name, made.Role)
			return nil
		},
	}
	c.Flags().StringVar(&u.Role, "role", "viewer", "`role`: admin, developer or viewer")
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from the input")
	userRoles(c)
	return a.printable(a.remote(c))
}

func (a *app) userListCommand() *cobra.Command {
	return a.printable(a.remote(&cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List users", Example: "  cove user ls", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			users, err := api.Users(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(users)
			}
			var rows [][]string
			for _, u := range users {
				last, state := "never", ""
				if !u.LastLogin.IsZero() {
					last = ago(u.LastLogin, time.Now())
				}
				if u.Disabled {
					state = "disabled"
				}
				rows = append(rows, []string{u.Name, u.Role, ago(u.Created, time.Now()), last, state})
			}
			a.table([]string{"NAME", "ROLE", "MADE", "SIGNED IN", "STATE"}, rows)
			return nil
		},
	}))
}

func (a *app) userSetCommand() *cobra.Command {
	var role string
	var password, stdin, enable, disable bool
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "Change a user's role or password, disable or enable one",
		Long: `Changes a user. A new password, and being disabled, end every session of the user
at once; another role holds from the next request on.`,
		Example: "  cove user set ada --role viewer\n  cove user set ada --password\n  cove user set ada --disable",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			var p wire.UserPatch
			if role != "" {
				p.Role = &role
			}
			if enable && disable {
				return usagef("a user cannot be enabled and disabled at once")
			}
			if enable || disable {
				p.Disabled = &disable
			}
			if password || stdin {
				text, err := a.readPassword(cmd.Context(), stdin)
				if err != nil {
					return err
				}
				p.Password = &text
			}
			if p == (wire.UserPatch{}) {
				return usagef("nothing is to be changed: give --role, --password, --disable or --enable")
			}
			u, err := api.PatchUser(cmd.Context(), args[0], p)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(u)
			}
			a.note("changed user %s (%s)", u.Name, strings.TrimSuffix(u.Role+", "+map[bool]string{true: "disabled"}[u.Disabled], ", "))
			return nil
		},
	}
	c.Flags().StringVar(&role, "role", "", "`role`: admin, developer or viewer")
	c.Flags().BoolVar(&password, "password", false, "ask for a new password")
	c.Flags().BoolVar(&stdin, "password-stdin", false, "read a new password from the input")
	c.Flags().BoolVar(&disable, "disable", false, "the user may not sign in any more")
	c.Flags().BoolVar(&enable, "enable", false, "the user may sign in again")
	userRoles(c)
	return a.printable(a.remote(c))
}

func (a *app) userRemoveCommand() *cobra.Command {
	return a.remote(&cobra.Command{
		Use: "rm NAME...", Aliases: []string{"delete"}, Short: "Delete users",
		Long:    "Deletes users. Their sessions end at once.",
		Example: "  cove user rm ada", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			for _, name := range args {
				if err := api.DeleteUser(cmd.Context(), name); err != nil {
					return err
				}
				a.note("deleted user %s", name)
			}
			return nil
		},
	})
}
