package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/internal/config"
)

func (a *app) serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Runs the daemon in the foreground: the gateway, where functions' routes are
served, and the control API. It ends on SIGTERM or Ctrl-C, when what is under way
is done.

Every flag is also a setting of the same name in cove.toml (start_timeout = "30s")
and in the environment (COVE_START_TIMEOUT=30s). A flag wins over the environment,
that over the file.`,
		Example: `  cove serve
  cove serve --data /srv/cove --gateway :80
  cove serve --isolation docker --log-format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(cmd.Flags())
			if err != nil {
				return usageError{err}
			}
			err = a.backend.Serve(cmd.Context(), cfg)
			if err != nil && !errors.Is(err, context.Canceled) {
				return endError{err}
			}
			return err
		},
	}
	config.BindFlags(c.Flags())
	return c
}
