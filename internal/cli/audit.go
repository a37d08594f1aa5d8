package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/covefn/cove/client"
	"github.com/covefn/cove/client/wire"
)

// auditPage is how many entries one question asks for at most, as many as the API
// answers.
const auditPage = 500

func (a *app) auditCommand() *cobra.Command {
	var q client.AuditQuery
	var lines int
	c := &cobra.Command{
		Use:   "audit",
		Short: "Show who changed what",
		Long: `Shows the audit log, the newest entry first: every change of a function, a user, a
token or the settings, refused ones among them, and every attempt to sign in. It
has names of what was changed and no values. Only an admin may read it.`,
		Example: `  cove audit
  cove audit --actor ada --target hello
  cove audit --action login -n 20
  cove audit -n 10000 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if lines < 1 {
				return usagef("-n takes 1 or more")
			}
			api, err := a.client()
			if err != nil {
				return err
			}
			entries, err := listAudit(cmd, api, q, lines)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(entries)
			}
			a.printAudit(entries)
			return nil
		},
	}
	f := c.Flags()
	f.IntVarP(&lines, "lines", "n", 50, "at most this `number` of entries")
	f.StringVar(&q.Actor, "actor", "", "only by who has this `text` in their name: ada, ci, \"user ada\"")
	f.StringVar(&q.Action, "action", "", "only this `action`: login, deleteFunction, patchSettings, ...")
	f.StringVar(&q.Target, "target", "", "only what was done to something with this `text` in its name")
	return a.printable(a.remote(c))
}

// listAudit reads as many pages as it takes to have what was asked for.
func listAudit(cmd *cobra.Command, api *client.Client, q client.AuditQuery, lines int) ([]wire.AuditEntry, error) {
	entries := []wire.AuditEntry{}
	for len(entries) < lines {
		q.Limit = min(lines-len(entries), auditPage)
		page, err := api.Audit(cmd.Context(), q)
		if err != nil {
			return nil, err
		}
		entries = append(entries, page.Items...)
		if q.Before = page.Next; page.Next == "" {
			break
		}
	}
	return entries, nil
}

func (a *app) printAudit(entries []wire.AuditEntry) {
	if len(entries) == 0 {
		a.note("There are no such entries among those that are kept")
		return
	}
	rows := make([][]string, 0, len(entries))
	for _, e := range entries {
		rows = append(rows, []string{
			timestamp(e.Time), clean(e.Actor), e.Action, clean(orDash(e.Target)), fmt.Sprint(e.Status), orDash(e.Address), clean(e.Detail),
		})
	}
	a.table([]string{"TIME", "WHO", "ACTION", "TARGET", "STATUS", "ADDRESS", "DETAIL"}, rows)
}
