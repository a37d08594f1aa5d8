package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

func (a *app) disableCommand() *cobra.Command {
	return a.switchCommand(&cobra.Command{
		Use:   "disable NAME...",
		Short: "Have functions answer no requests",
		Long: `Every request that begins from now on is answered with 503 and the code
function_disabled, on the route and by cove invoke. Requests under way are
finished, and idle instances are ended. The function stays as it is and can be
changed; cove enable has it answer again.`,
		Example: `  cove disable hello
  cove disable hello goodbye`,
	}, "disabled", (*client.Client).Disable)
}

func (a *app) enableCommand() *cobra.Command {
	return a.switchCommand(&cobra.Command{
		Use:     "enable NAME...",
		Short:   "Have functions answer requests again",
		Long:    `Undoes cove disable. Enabling what is enabled changes nothing.`,
		Example: `  cove enable hello`,
	}, "enabled", (*client.Client).Enable)
}

// switchCommand completes the command c, which calls change for each function.
func (a *app) switchCommand(c *cobra.Command, done string, change func(*client.Client, context.Context, string, int64) (wire.Function, error)) *cobra.Command {
	c.Args, c.ValidArgsFunction = cobra.MinimumNArgs(1), a.functionNames
	c.RunE = func(cmd *cobra.Command, args []string) error {
		api, err := a.client()
		if err != nil {
			return err
		}
		changed := []wire.Function{}
		for _, name := range args {
			f, err := change(api, cmd.Context(), name, 0)
			if err != nil {
				return err
			}
			if changed = append(changed, f); !a.json() {
				a.note("%s %s", done, name)
			}
		}
		if a.json() {
			return a.printJSON(changed)
		}
		return nil
	}
	return a.printable(a.remote(c))
}
