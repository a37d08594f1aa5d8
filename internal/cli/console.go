package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) consoleCommand() *cobra.Command {
	return a.printable(a.remote(&cobra.Command{
		Use:   "console",
		Short: "Print a link that signs in on the console",
		Long: `Prints a link to the console. Who opens it first is signed in as the token that
this command used; it works once, within 10 minutes. The session ends with that
token. It needs role admin.`,
		Example: "  cove console",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			link, err := api.LoginLink(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(link)
			}
			a.note("this signs you in once, until %s:", link.Expires.Local().Format(time.TimeOnly))
			_, err = fmt.Fprintln(a.out, link.URL)
			return err
		},
	}))
}
