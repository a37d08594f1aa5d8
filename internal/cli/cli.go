// Package cli is the command line. Its commands speak to the daemon through the
// client package, as any other program could.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client"
	"github.com/covefn/cove/internal/config"
	"github.com/covefn/cove/internal/driver"
)

// Backend is what only the daemon's own code can do. The command line does not
// import it; main hands it in.
type Backend struct {
	// Version is Cove's own.
	Version string
	// Serve runs the daemon until ctx ends.
	Serve func(ctx context.Context, cfg config.Config) error
	// Doctor probes every isolation on this machine, without a daemon.
	Doctor func(ctx context.Context, cfg config.Config) ([]driver.Report, error)
}

// app is what every command shares.
type app struct {
	backend Backend
	in      io.Reader
	out     io.Writer
	err     io.Writer
	// api and token are the flags; output is "text" or "json".
	api    string
	token  string
	output string
}

// Main runs the command line args (without the program's name) and returns the
// exit code. Cancelling ctx ends what is under way.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, b Backend) int {
	a := &app{backend: b, in: stdin, out: stdout, err: stderr}
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var quiet exitError
	if errors.As(err, &quiet) {
		return int(quiet)
	}
	if ctx.Err() != nil && !errors.As(err, new(endError)) {
		fmt.Fprintln(stderr, "cove: interrupted")
		return exitInterrupted
	}
	// What went wrong may be told in the words of a function.
	a.err = harmless{a.err}
	return a.report(cmd, err)
}

// usageError is an error in how a command was called.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// endError is what went wrong in ending: that it was interrupted does not tell it.
type endError struct{ error }

func (e endError) Unwrap() error { return e.error }

// exitError ends the program with its code and says nothing more.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// report says what went wrong and, in a second line, what to do about it.
func (a *app) report(cmd *cobra.Command, err error) int {
	var usage usageError
	if errors.As(err, &usage) || !errors.As(err, new(*cove.Error)) && strings.HasPrefix(err.Error(), "unknown command") {
		fmt.Fprintln(a.err, "cove: "+err.Error())
		fmt.Fprintf(a.err, "hint: %s --help\n", cmd.CommandPath())
		return exitUsage
	}
	var e *cove.Error
	if !errors.As(err, &e) {
		fmt.Fprintln(a.err, "cove: "+err.Error())
		return exitGeneral
	}
	if len(e.Fields) > 1 {
		fmt.Fprintln(a.err, "cove: "+strings.ToLower(e.Code.Title()[:1])+e.Code.Title()[1:])
		for _, f := range e.Fields {
			fmt.Fprintf(a.err, "  %s: %s\n", f.Field, f.Message)
		}
	} else {
		fmt.Fprintln(a.err, "cove: "+e.Message)
	}
	a.printFunctionError(e)
	if hint := a.hint(e); hint != "" {
		fmt.Fprintln(a.err, "hint: "+hint)
	}
	return exitCode(e.Code)
}

// printFunctionError tells what the function itself said, where the message did
// not tell it already.
func (a *app) printFunctionError(e *cove.Error) {
	f := e.Function
	if f == nil {
		return
	}
	if said := f.Type + ": " + f.Message; !strings.HasSuffix(e.Message, said) {
		fmt.Fprintln(a.err, "  "+said)
	}
	for _, frame := range f.Stack {
		for line := range strings.SplitSeq(strings.TrimRight(frame, "\n"), "\n") {
			fmt.Fprintln(a.err, "    "+line)
		}
	}
}

func (a *app) hint(e *cove.Error) string {
	switch e.Code {
	case cove.CodeUnauthenticated:
		return "set COVE_TOKEN or --token; the first start of cove serve wrote a token to admin.token in its data directory"
	case cove.CodeUnavailable:
		if strings.Contains(e.Message, "cannot be reached") {
			return "start the daemon with cove serve, or say where it is with --api or COVE_API"
		}
		return "cove doctor says what is missing and how to mend it"
	case cove.CodeSandboxStartFailed:
		return "cove doctor says what is missing and how to mend it"
	case cove.CodeNotFound:
		return notFoundHint(e.Message)
	case cove.CodeDisabled:
		return "cove enable NAME has it answer again"
	case cove.CodeNoCode:
		return "cove deploy uploads the code of a folder"
	case cove.CodePreconditionFailed:
		return "somebody else changed the function meanwhile; look with cove get and try again"
	case cove.CodeQueueFull, cove.CodeOverloaded:
		return "try again, or raise scaling.max or scaling.queue"
	}
	return ""
}

// notFoundHint says which command lists what there is.
func notFoundHint(message string) string {
	switch {
	case strings.Contains(message, "no function"):
		return "cove ls lists the functions"
	case strings.Contains(message, "no version"):
		return "cove versions NAME lists those of a function"
	case strings.Contains(message, "no record"):
		return "cove invocations lists the calls that are kept"
	case strings.Contains(message, "no token"):
		return "cove token ls lists the tokens with their ids"
	case strings.Contains(message, "no user"):
		return "cove user ls lists the users"
	}
	return ""
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "cove",
		Short: "Run functions in sandboxes",
		Long: `Cove runs your functions behind HTTP, each in a sandbox of the isolation you
choose, and keeps sandboxes warm for the requests that follow.`,
		Example: `  cove serve                            start the daemon
  cove init --runtime python hello      make a function's folder
  cove deploy hello                     deploy it
  cove invoke hello -d '{"name":"you"}' call it`,
		SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCommand())
	root.AddGroup(&cobra.Group{ID: "function", Title: "Functions:"}, &cobra.Group{ID: "server", Title: "The daemon:"})
	for _, c := range []*cobra.Command{
		a.initCommand(), a.deployCommand(), a.lsCommand(), a.getCommand(), a.invokeCommand(), a.logsCommand(), a.invocationsCommand(), a.statsCommand(),
		a.warmCommand(), a.recycleCommand(), a.explainCommand(), a.versionsCommand(), a.rollbackCommand(), a.disableCommand(), a.enableCommand(), a.rmCommand(), a.benchCommand(),
	} {
		c.GroupID = "function"
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{
		a.serveCommand(), a.systemCommand(), a.topCommand(), a.instancesCommand(), a.doctorCommand(), a.runtimesCommand(), a.isolationsCommand(), a.imageCommand(), a.consoleCommand(), a.userCommand(), a.tokenCommand(),
		a.auditCommand(), a.settingsCommand(), a.completionCommand(), a.versionCommand(),
	} {
		c.GroupID = "server"
		root.AddCommand(c)
	}
	root.AddCommand(exitCodesTopic())
	a.finish(root)
	return root
}

// finish gives every command what they all have.
func (a *app) finish(root *cobra.Command) {
	for _, c := range root.Commands() {
		a.finish(c)
	}
	root.Flags().SortFlags = false
	if args := root.Args; args != nil {
		root.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return argumentsError(cmd, given, err)
			}
			return nil
		}
	}
}

// argumentsError says how a command is called that was called with too few or too
// many arguments.
func argumentsError(cmd *cobra.Command, given []string, err error) error {
	switch {
	case strings.HasPrefix(err.Error(), "unknown command"):
		return usageError{err}
	case len(given) == 0:
		return usagef("something is missing; write %s", strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	}
	return usagef("%q is one argument too many or too few; write %s", given[len(given)-1], strings.TrimSuffix(cmd.UseLine(), " [flags]"))
}

// remote adds to c the flags of a command that speaks to the daemon.
func (a *app) remote(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&a.api, "api", "", "`URL` of the control API (default: COVE_API, or the daemon of this user)")
	c.Flags().StringVar(&a.token, "token", "", "access `token` (default: COVE_TOKEN, or that of this user's daemon)")
	return c
}

// printable adds to c the flag that chooses the form of its output.
func (a *app) printable(c *cobra.Command) *cobra.Command {
	c.Flags().VarP((*outputFlag)(&a.output), "output", "o", "`form` of the output: text or json")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

type outputFlag string

// String is the form, or text.
func (o *outputFlag) String() string {
	if *o == "" {
		return "text"
	}
	return string(*o)
}

// Set takes text or json.
func (o *outputFlag) Set(s string) error {
	if s != "text" && s != "json" {
		return fmt.Errorf("there are text and json")
	}
	*o = outputFlag(s)
	return nil
}

// Type is for help.
func (o *outputFlag) Type() string { return "form" }

// functionNames completes the names of functions.
func (a *app) functionNames(cmd *cobra.Command, args []string, part string) ([]string, cobra.ShellCompDirective) {
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	page, err := c.Functions(ctx, client.Query{Search: part, Limit: 100})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, f := range page.Items {
		if strings.HasPrefix(f.Name, part) {
			names = append(names, f.Name+"\t"+f.Version.Config.Description)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// oneFunctionName is functionNames for commands that take one.
func (a *app) oneFunctionName(cmd *cobra.Command, args []string, part string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.functionNames(cmd, args, part)
}

func env(name string) string { return strings.TrimSpace(os.Getenv(name)) }
