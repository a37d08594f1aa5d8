package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) rmCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:     "rm NAME...",
		Aliases: []string{"delete"},
		Short:   "Delete functions",
		Long: `Deletes functions with all their versions and code. Requests under way are
finished. On a terminal it asks first.`,
		Example: `  cove rm hello
  cove rm -y hello goodbye`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.functionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes && isTerminal(a.in) && !a.confirm(args) {
				return errors.New("nothing was deleted")
			}
			api, err := a.client()
			if err != nil {
				return err
			}
			var errs []error
			for _, name := range args {
				if err := api.Delete(cmd.Context(), name, 0); err != nil {
					errs = append(errs, err)
					continue
				}
				a.note("deleted %s", name)
			}
			if len(errs) > 1 {
				for _, err := range errs[1:] {
					a.report(cmd, err)
				}
			}
			if len(errs) > 0 {
				return errs[0]
			}
			return nil
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return a.remote(c)
}

func (a *app) confirm(names []string) bool {
	fmt.Fprintf(a.err, "Delete %s with all versions? [y/N] ", strings.Join(names, ", "))
	line, _ := bufio.NewReader(a.in).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}
