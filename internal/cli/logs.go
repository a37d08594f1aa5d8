package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

func (a *app) logsCommand() *cobra.Command {
	var q client.LogQuery
	var follow bool
	var since, until string
	c := &cobra.Command{
		Use:   "logs [NAME]",
		Short: "Show what functions logged",
		Long: `Shows the latest lines of a function's log, or of all functions', the oldest
first: when, by which call (the end of its id), on which stream, and what. Lines
are kept when the sandbox is gone, as long as the settings say.`,
		Example: `  cove logs hello
  cove logs hello -f
  cove logs --level error --since 1h
  cove logs hello --grep "card refused" --stream stderr
  cove logs hello --request 01m83aszetnpa3z4f3ydwqdte5`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.oneFunctionName,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.Join(args, "")
			if !slices.Contains([]string{"", "debug", "info", "warn", "error"}, q.Level) {
				return usagef("--level %s: there are debug, info, warn and error", q.Level)
			}
			if !slices.Contains([]string{"", "stdout", "stderr", "platform"}, q.Stream) {
				return usagef("--stream %s: there are stdout, stderr and platform", q.Stream)
			}
			q.From, q.To = timeAgo(since), timeAgo(until)
			api, err := a.client()
			if err != nil {
				return err
			}
			if follow {
				return a.followLogs(cmd, api, name, q)
			}
			lines, err := api.Logs(cmd.Context(), name, q)
			if err != nil {
				return err
			}
			a.printAll(a.out, lines, a.json(), name == "")
			if q.RequestID != "" && !a.json() {
				a.summary(cmd, api, q.RequestID)
			}
			return nil
		},
	}
	f := c.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with new lines until interrupted")
	f.IntVarP(&q.Tail, "lines", "n", 100, "at most this `number` of lines of the past")
	f.StringVar(&q.RequestID, "request", "", "only those of the call with this `id`")
	f.StringVar(&q.Text, "grep", "", "only lines with this `text` in them, in capitals or not")
	f.StringVar(&q.Level, "level", "", "only lines of this `level` or a higher one: debug, info, warn, error")
	f.StringVar(&q.Stream, "stream", "", "only lines of this `stream`: stdout, stderr, or platform for Cove's own")
	f.StringVar(&since, "since", "", "how far back: a `time` such as 30m, 24h or 7d, or a moment (default: all that are kept)")
	f.StringVar(&until, "until", "", "up to this long ago, or this `moment`")
	c.MarkFlagsMutuallyExclusive("follow", "until")
	return a.printable(a.remote(c))
}

// summary says below the log of one call how the call was, where that is kept.
func (a *app) summary(cmd *cobra.Command, api *client.Client, id string) {
	v, err := api.Invocation(cmd.Context(), id)
	if err != nil {
		return // The log outlives the record, or the other way round.
	}
	start := ""
	if v.Start != "" {
		start = ", a " + string(v.Start) + " start"
	}
	a.note("%s version %d, %s%s: %s in %s, of which it ran %s; cove invocations --id %s has the rest",
		v.Function, v.Version, v.Isolation, start, v.Outcome, duration(v.Timings.Total), duration(v.Timings.Run), v.ID)
}

// followLogs prints lines until it is interrupted: that is no error.
func (a *app) followLogs(cmd *cobra.Command, api *client.Client, name string, q client.LogQuery) error {
	for line, err := range api.FollowLogs(cmd.Context(), name, q) {
		if err != nil {
			return err
		}
		a.printAll(a.out, []wire.LogLine{line}, a.json(), name == "")
	}
	return nil
}

// shortID is the end of a request id: those of one minute begin alike.
func shortID(id string) string {
	return orDash(id[max(0, len(id)-8):])
}

// printLines writes one line each; in JSON one object each.
func (a *app) printLines(w io.Writer, lines []wire.LogLine, asJSON bool) {
	a.printAll(w, lines, asJSON, false)
}

// printAll is printLines, with whose lines they are if names is set.
func (a *app) printAll(w io.Writer, lines []wire.LogLine, asJSON, names bool) {
	today := time.Now().Local().Format("2006-01-02")
	for _, l := range lines {
		if asJSON {
			data, err := json.Marshal(l)
			if err == nil {
				fmt.Fprintf(w, "%s\n", escapeControls(string(data)))
			}
			continue
		}
		at := l.Time.Local()
		head := at.Format("15:04:05.000")
		if day := at.Format("2006-01-02"); day != today {
			head = day + " " + head
		}
		if names {
			head += fmt.Sprintf(" %-12s", l.Function)
		}
		head += fmt.Sprintf(" %-8s %-4s", shortID(l.RequestID), streamName(l))
		text := clean(l.Text)
		if code := levelColour(l); code != "" {
			text = a.colour(w, code, text)
		}
		fmt.Fprintln(w, a.colour(w, grey, head)+" "+text)
	}
}

// streamName is where a line comes from, in four characters at most.
func streamName(l wire.LogLine) string {
	switch {
	case l.Platform:
		return "cove"
	case l.Stream == "stderr":
		return "err"
	}
	return "out"
}

// levelColour is how a line is painted, "" for not at all.
func levelColour(l wire.LogLine) string {
	switch {
	case l.Level == "error":
		return red
	case l.Level == "warn":
		return yellow
	case l.Level == "debug", l.Platform:
		return grey
	}
	return ""
}
