package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

type invokeFlags struct {
	data    string
	logs    bool
	raw     bool
	timeout time.Duration
}

func (a *app) invokeCommand() *cobra.Command {
	var f invokeFlags
	c := &cobra.Command{
		Use:   "invoke NAME",
		Short: "Call a function with an event",
		Long: `Calls the handler with the event and prints its answer, and nothing else, on
stdout. The event is any JSON: from -d, from a file with -d @FILE, or from stdin if
that is a pipe or a file. Without one it is null.`,
		Example: `  cove invoke hello -d '{"name": "world"}'
  cove invoke hello -d @event.json --logs
  echo '{"name": "world"}' | cove invoke hello | jq .greeting
  cove invoke report --timeout 5s -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			event, err := a.event(f.data, cmd.Flags().Changed("data"))
			if err != nil {
				return err
			}
			api, err := a.client()
			if err != nil {
				return err
			}
			result, err := api.InvokeTimeout(cmd.Context(), args[0], event, f.timeout)
			if err != nil {
				return err
			}
			return a.printResult(result, f)
		},
	}
	c.Flags().StringVarP(&f.data, "data", "d", "", "`event` in JSON, @FILE for a file's, - for stdin's")
	c.Flags().BoolVarP(&f.logs, "logs", "l", false, "print what the function logged, and timings, on stderr")
	c.Flags().BoolVarP(&f.raw, "raw", "r", false, "print an answer that is text without quotes")
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "bound the whole call by this `time`, starting included")
	return a.printable(a.remote(c))
}

// event reads the event to send and checks it here, where the message can say
// where it came from.
func (a *app) event(data string, given bool) ([]byte, error) {
	var event []byte
	var err error
	from := "the event"
	switch {
	case data == "-" || data == "@-" || !given && a.hasStdin():
		from = "the event on stdin"
		event, err = io.ReadAll(a.in)
	case strings.HasPrefix(data, "@"):
		from = data[1:]
		event, err = os.ReadFile(data[1:])
	default:
		event = []byte(data)
	}
	if err != nil {
		return nil, usageError{err}
	}
	if len(strings.TrimSpace(string(event))) > 0 && !json.Valid(event) {
		return nil, usagef("%s is not JSON; text goes in quotes: -d '\"text\"'", from)
	}
	return event, nil
}

// hasStdin reports whether something is redirected to us. A terminal and
// /dev/null are nothing.
func (a *app) hasStdin() bool {
	f, ok := a.in.(*os.File)
	if !ok {
		return a.in != nil
	}
	info, err := f.Stat()
	return err == nil && (info.Mode().IsRegular() || info.Mode()&os.ModeNamedPipe != 0)
}

func (a *app) printResult(r wire.Result, f invokeFlags) error {
	if f.logs {
		a.printLines(a.err, r.Logs, false)
		i := r.Invocation
		a.note("%s", a.colour(a.err, grey, fmt.Sprintf("%s: %s, %s start, %s run of %s in all, %s CPU, %s peak",
			r.RequestID, r.Outcome, orDash(string(i.Start)), duration(i.Timings.Run), duration(i.Timings.Total), duration(i.CPU), size(int64(i.PeakMemory)))))
	}
	if a.json() {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	if p := r.Error; p != nil {
		e := &cove.Error{Code: p.Code, Message: p.Detail, Function: p.Error}
		if a.json() {
			return exitError(exitCode(e.Code))
		}
		return e
	}
	if a.json() {
		return nil
	}
	var text string
	if f.raw && json.Unmarshal(r.Answer, &text) == nil {
		out := a.out
		if isTerminal(out) {
			out = harmless{out}
		}
		_, err := io.WriteString(out, text)
		return err
	}
	_, err := fmt.Fprintf(a.out, "%s\n", escapeControls(string(r.Answer)))
	return err
}
