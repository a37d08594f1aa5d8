package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

func (a *app) runtimesCommand() *cobra.Command {
	return a.printable(a.remote(&cobra.Command{
		Use:     "runtimes",
		Short:   "List the languages that functions can use",
		Example: "  cove runtimes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			runtimes, err := api.Runtimes(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(runtimes)
			}
			var rows [][]string
			for _, r := range runtimes {
				state := "ready"
				if !r.Available {
					state = strings.TrimSpace(r.Reason + "; " + r.Fix)
				}
				rows = append(rows, []string{r.Name, orDash(r.Version), r.Handler, orDash(strings.Join(r.Aliases, ", ")), state})
			}
			a.table([]string{"NAME", "VERSION", "HANDLER", "ALSO", "IMAGE"}, rows)
			return nil
		},
	}))
}

func (a *app) isolationsCommand() *cobra.Command {
	return a.printable(a.remote(&cobra.Command{
		Use:     "isolations",
		Short:   "List what walls functions in, and whether it works here",
		Example: "  cove isolations\n  cove isolations -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			isolations, err := api.Isolations(cmd.Context())
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(isolations)
			}
			a.printIsolations(isolations)
			return nil
		},
	}))
}

func (a *app) printIsolations(isolations []wire.Isolation) {
	var rows [][]string
	for _, i := range isolations {
		name, state := i.Name, "available"
		if i.Default {
			name += " (default)"
		}
		if !i.Available {
			state = i.Reason
		}
		overhead := ""
		if i.Overhead > 0 {
			overhead = cove.ByteSize(i.Overhead).String()
		}
		rows = append(rows, []string{name, orDash(i.Version), orDash(strings.Join(i.Features, ", ")), orDash(overhead), state})
	}
	a.table([]string{"NAME", "VERSION", "FEATURES", "OVERHEAD", "STATE"}, rows)
}
