package api

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/store"
)

// Settings keeps what can be changed while the daemon runs; *settings.Service
// does.
type Settings interface {
	// Settings are those in force, from memory.
	Settings() store.Settings
	// Change applies a JSON merge patch and returns what is in force then.
	// CodeInvalid names each field that is wrong.
	Change(ctx context.Context, patch []byte) (store.Settings, error)
}

func (a *API) registerSettings() {
	example := wire.Settings{Retention: wire.Retention{InvocationCount: 1_000_000}, Prices: wire.Prices{VCPUHour: 0.04, GiBHour: 0.004, Currency: "USD"}}
	register(a, huma.Operation{
		OperationID: "getSettings", Method: http.MethodGet, Path: Prefix + "/settings", Tags: []string{"system"},
		Summary: "Read the settings", Description: "What is kept and for how long, and what costs are reckoned with.",
	}, example, a.getSettings)
	a.plain(huma.Operation{
		OperationID: "patchSettings", Method: http.MethodPatch, Path: Prefix + "/settings", Tags: []string{"system"},
		Summary:     "Change settings",
		Description: "A JSON merge patch (RFC 7396): fields that are absent stay, null sets the default. It is in force, and on disk, with the answer.",
		RequestBody: &huma.RequestBody{Required: true, Content: jsonContent[wire.SettingsPatch](a, map[string]any{"retention": map[string]any{"logs": "24h", "audit": nil}})},
		Responses:   map[string]*huma.Response{"200": response[wire.Settings](a, "Changed", example)},
	}, a.patchSettings, cove.CodeInvalid, cove.CodeTooLarge, cove.CodeRequestTimeout)
}

func wireSettings(s store.Settings) wire.Settings {
	return wire.Settings{Retention: wire.Retention(s.Retention), Prices: wire.Prices(s.Prices)}
}

type settingsOutput struct{ Body wire.Settings }

func (a *API) getSettings(context.Context, *struct{}) (*settingsOutput, error) {
	return &settingsOutput{Body: wireSettings(a.Settings.Settings())}, nil
}

func (a *API) patchSettings(w http.ResponseWriter, r *http.Request) error {
	body, err := a.readJSON(w, r, maxJSON)
	if err != nil {
		return err
	}
	noteTarget(r.Context(), "settings", changedFields(body))
	s, err := a.Settings.Change(r.Context(), body)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, "application/json", wireSettings(s))
	return nil
}

// changedFields names the fields of a merge patch, for the audit log: names and no
// values, which may be secrets.
func changedFields(patch []byte) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(patch, &fields) != nil {
		return ""
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		below := changedFields(fields[name])
		if below == "" {
			names = append(names, name)
			continue
		}
		for b := range strings.SplitSeq(below, ", ") {
			names = append(names, name+"."+b)
		}
	}
	return strings.Join(names, ", ")
}
