package cli

import (
	"github.com/spf13/cobra"

	"github.com/covefn/cove"
)

// The exit codes, for scripts. They never change their meaning.
const (
	exitOK          = 0
	exitGeneral     = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitDenied      = 4
	exitFunction    = 5
	exitTimeout     = 6
	exitUnavailable = 7
	exitConflict    = 8
	exitInterrupted = 130
)

func exitCode(code cove.Code) int {
	switch code {
	case cove.CodeInvalid, cove.CodeUnsupportedMedia, cove.CodeTooLarge, cove.CodeMethodNotAllowed:
		return exitUsage
	case cove.CodeNotFound, cove.CodeNoCode:
		return exitNotFound
	case cove.CodeUnauthenticated, cove.CodeDenied:
		return exitDenied
	case cove.CodeTimeout, cove.CodeInitTimeout, cove.CodeRequestTimeout:
		return exitTimeout
	case cove.CodeQueueFull, cove.CodeOverloaded, cove.CodeSandboxStartFailed, cove.CodeUnavailable, cove.CodeShuttingDown, cove.CodeDisabled:
		return exitUnavailable
	case cove.CodeConflict, cove.CodePreconditionFailed:
		return exitConflict
	}
	if code.Fault() == cove.FaultFunction {
		return exitFunction
	}
	return exitGeneral
}

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "The exit codes of every command",
		Long: `Every command ends with one of these exit codes:

  0    it worked
  1    something else went wrong
  2    the command, its flags or the configuration are not valid
  3    there is no such function, version or token, or the function has no code
  4    the token is missing, wrong, or does not allow this
  5    the function failed: it raised an error, could not be loaded, exited, ran
       out of memory, or answered what cannot be sent
  6    the function ran past its timeout
  7    Cove cannot be reached, or has no capacity for this now, or the function is
       disabled
  8    the name or the route is taken, or somebody else changed the function
       meanwhile
  130  interrupted`,
		Example: `  cove invoke hello || echo "failed with $?"`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Help about a command, or about exit-codes",
		Example: "  cove help deploy\n  cove help exit-codes",
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range cmd.Root().Commands() {
				names = append(names, c.Name()+"\t"+c.Short)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q", args[len(args)-1])
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
	}
}
