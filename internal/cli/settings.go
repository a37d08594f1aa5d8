package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/client/wire"
)

// setting is one of wire.Settings.
type setting struct {
	// key is its path in the document of the control API.
	key, what string
	// number says that it is one in that document, and not text.
	number bool
	value  func(*wire.Settings) any
}

func allSettings() []setting {
	return []setting{
		{key: "retention.invocations", what: "how long records of single calls are kept", value: func(s *wire.Settings) any { return s.Retention.Invocations }},
		{key: "retention.invocation_count", what: "how many of them at most", number: true, value: func(s *wire.Settings) any { return s.Retention.InvocationCount }},
		{key: "retention.logs", what: "how long lines of logs are kept", value: func(s *wire.Settings) any { return s.Retention.Logs }},
		{key: "retention.log_function", what: "how much of one function's log", value: func(s *wire.Settings) any { return s.Retention.LogFunction }},
		{key: "retention.log_total", what: "how much of all logs", value: func(s *wire.Settings) any { return s.Retention.LogTotal }},
		{key: "retention.minutes", what: "how long metrics are kept by the minute", value: func(s *wire.Settings) any { return s.Retention.Minutes }},
		{key: "retention.hours", what: "by the hour", value: func(s *wire.Settings) any { return s.Retention.Hours }},
		{key: "retention.days", what: "by the day", value: func(s *wire.Settings) any { return s.Retention.Days }},
		{key: "retention.audit", what: "how long the audit log is kept", value: func(s *wire.Settings) any { return s.Retention.Audit }},
		{key: "prices.vcpu_hour", what: "price of a processor for an hour", number: true, value: func(s *wire.Settings) any { return s.Prices.VCPUHour }},
		{key: "prices.gib_hour", what: "price of a GiB of memory for an hour", number: true, value: func(s *wire.Settings) any { return s.Prices.GiBHour }},
		{key: "prices.currency", what: "of the prices", value: func(s *wire.Settings) any { return s.Prices.Currency }},
		{key: "prices.source", what: "whose prices these are", value: func(s *wire.Settings) any { return s.Prices.Source }},
		{key: "prices.as_of", what: "of when", value: func(s *wire.Settings) any { return s.Prices.AsOf }},
	}
}

func (a *app) settingsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "settings",
		Short: "Show or change what is kept for how long, and prices",
		Long: `Shows the settings of the daemon, which can be changed while it runs: how long and
how much of calls, logs, metrics and the audit log is kept, and the prices that
costs are reckoned with. cove settings set changes them.`,
		Example: "  cove settings\n  cove settings -o json\n  cove settings set retention.logs=30d",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.client()
			if err != nil {
				return err
			}
			s, err := api.Settings(cmd.Context())
			if err != nil {
				return err
			}
			return a.printSettings(&s, nil)
		},
	}
	c.AddCommand(a.settingsSetCommand())
	return a.printable(a.remote(c))
}

func (a *app) settingsSetCommand() *cobra.Command {
	return a.printable(a.remote(&cobra.Command{
		Use:   "set KEY=VALUE...",
		Short: "Change settings",
		Long: `Changes settings, all that are given or none. They are in force at once, and stay
over a restart. KEY=default sets what it was in the beginning. Times are written
like 90m, 24h or 30d, sizes like 64MiB. cove settings lists the keys.

What is beyond a smaller bound is deleted within a minute, of the audit log within
an hour.`,
		Example: `  cove settings set retention.logs=30d retention.log_total=10GiB
  cove settings set prices.vcpu_hour=0.05 prices.currency=EUR
  cove settings set retention.logs=default`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var keys []string
			for _, s := range allSettings() {
				keys = append(keys, s.key+"=\t"+s.what)
			}
			return keys, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			patch, changed, err := settingsPatch(args)
			if err != nil {
				return err
			}
			api, err := a.client()
			if err != nil {
				return err
			}
			s, err := api.MergeSettings(cmd.Context(), patch)
			if err != nil {
				return err
			}
			return a.printSettings(&s, changed)
		},
	}))
}

// settingsPatch is the merge patch that sets what args say, each KEY=VALUE, and
// the keys that it changes.
func settingsPatch(args []string) (_ json.RawMessage, changed []string, err error) {
	all, patch := allSettings(), map[string]map[string]any{}
	for _, arg := range args {
		key, value, given := strings.Cut(arg, "=")
		at := slices.IndexFunc(all, func(s setting) bool { return s.key == key })
		switch {
		case !given:
			return nil, nil, usagef("%s: write KEY=VALUE, such as retention.logs=24h", arg)
		case at < 0:
			return nil, nil, usagef("there is no setting %q: cove settings lists them", key)
		case slices.Contains(changed, key):
			return nil, nil, usagef("%s is given twice", key)
		}
		changed = append(changed, key)
		group, name, _ := strings.Cut(key, ".")
		if patch[group] == nil {
			patch[group] = map[string]any{}
		}
		if patch[group][name], err = settingValue(all[at], value); err != nil {
			return nil, nil, err
		}
	}
	data, err := json.Marshal(patch)
	return data, changed, err
}

// settingValue is what was typed as the control API takes it; nil for the default.
func settingValue(s setting, typed string) (any, error) {
	if typed == "default" {
		return nil, nil
	}
	if s.number {
		var n json.Number
		if json.Unmarshal([]byte(typed), &n) != nil || n == "" {
			return nil, usagef("%s takes a number, not %q", s.key, typed)
		}
		return n, nil
	}
	if days, ok := strings.CutSuffix(typed, "d"); ok && strings.HasPrefix(s.key, "retention.") {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return fmt.Sprintf("%dh", 24*n), nil
		}
	}
	return typed, nil
}

// printSettings prints those with these keys, or all.
func (a *app) printSettings(s *wire.Settings, keys []string) error {
	if a.json() {
		return a.printJSON(s)
	}
	var rows [][]string
	for _, setting := range allSettings() {
		if keys != nil && !slices.Contains(keys, setting.key) {
			continue
		}
		rows = append(rows, []string{setting.key, setting.what, orDash(clean(fmt.Sprint(setting.value(s))))})
	}
	a.table([]string{"KEY", "WHAT IT SAYS", "VALUE"}, rows)
	return nil
}
