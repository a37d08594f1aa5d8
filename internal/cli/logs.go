package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

func (a *app) logsCommand() *cobra.Command {
	var q client.LogQuery
	var follow bool
	c := &cobra.Command{
		Use:   "logs NAME",
		Short: "Show what a function logged",
		Example: `  cove logs hello
  cove logs hello -f
  cove logs hello -n 20 --request-id 0b6e2f9c-0c3c-4f0f-9f5e-3c1a1b6a2d11`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			if !follow {
				lines, err := api.Logs(cmd.Context(), args[0], q)
				if err != nil {
					return err
				}
				a.printLines(a.out, lines, a.json())
				return nil
			}
			for line, err := range api.FollowLogs(cmd.Context(), args[0], q) {
				if err != nil {
					return err
				}
				a.printLines(a.out, []wire.LogLine{line}, a.json())
			}
			// Following ends by being interrupted: that is no error.
			return nil
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new lines until interrupted")
	c.Flags().IntVarP(&q.Tail, "lines", "n", 100, "at most this `number` of lines of the past")
	c.Flags().StringVar(&q.RequestID, "request-id", "", "only those of the invocation with this `id`")
	return a.printable(a.remote(c))
}

// shortID is the end of a request id: those of one minute begin alike.
func shortID(id string) string {
	return orDash(id[max(0, len(id)-8):])
}

// printLines writes one line each; in JSON one object each.
func (a *app) printLines(w io.Writer, lines []wire.LogLine, asJSON bool) {
	for _, l := range lines {
		if asJSON {
			data, err := json.Marshal(l)
			if err == nil {
				fmt.Fprintf(w, "%s\n", escapeControls(string(data)))
			}
			continue
		}
		head := l.Time.Local().Format("15:04:05.000") + " " + fmt.Sprintf("%-8s", shortID(l.RequestID))
		text := clean(l.Text)
		if l.Platform {
			text = a.colour(w, grey, "cove: "+text)
		}
		fmt.Fprintln(w, a.colour(w, grey, head)+" "+text)
	}
}
