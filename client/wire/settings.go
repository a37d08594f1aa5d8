package wire

import "github.com/covefn/cove"

// Settings are what can be changed while the daemon runs.
type Settings struct {
	Retention Retention `json:"retention" doc:"How long and how much is kept"`
	Prices    Prices    `json:"prices" doc:"What costs are reckoned with"`
}

// Retention bounds what is kept of the past. What is beyond either bound of a
// pair goes, the oldest first.
type Retention struct {
	// Invocations and InvocationCount bound the records of single invocations.
	Invocations     cove.Duration `json:"invocations,omitzero" doc:"How long records of single invocations are kept: 1h to 8760h" example:"168h"`
	InvocationCount int           `json:"invocation_count,omitempty" doc:"How many of them at most: 1,000 to 100,000,000" example:"1000000"`
	// Logs bounds lines of logs by age; LogFunction those of one function and
	// LogTotal all of them by size.
	Logs        cove.Duration `json:"logs,omitzero" doc:"How long log lines are kept: 1h to 8760h" example:"168h"`
	LogFunction cove.ByteSize `json:"log_function,omitzero" doc:"How much of one function's log: 1MiB to 100GiB" example:"\"64MiB\""`
	LogTotal    cove.ByteSize `json:"log_total,omitzero" doc:"How much of all logs: 10MiB to 1TiB" example:"\"1GiB\""`
	// Minutes, Hours and Days are how long metrics are kept at that resolution.
	Minutes cove.Duration `json:"minutes,omitzero" doc:"How long metrics are kept by the minute: 3h to 2160h" example:"72h"`
	Hours   cove.Duration `json:"hours,omitzero" doc:"By the hour: 48h to 17520h" example:"2160h"`
	Days    cove.Duration `json:"days,omitzero" doc:"By the day: 720h to 87600h" example:"26280h"`
	// Audit bounds the audit log by age.
	Audit cove.Duration `json:"audit,omitzero" doc:"How long the audit log is kept: 24h to 87600h" example:"8760h"`
}

// Prices are those of a processor's and of a GiB of memory's hour.
type Prices struct {
	VCPUHour float64 `json:"vcpu_hour" doc:"For one processor, an hour" minimum:"0" example:"0.04048"`
	GiBHour  float64 `json:"gib_hour" doc:"For one GiB of memory, an hour" minimum:"0" example:"0.004445"`
	Currency string  `json:"currency" doc:"Three letters" example:"USD"`
	// Source says whose prices these are.
	Source string `json:"source,omitempty" doc:"Whose prices these are" maxLength:"300"`
	AsOf   string `json:"as_of,omitempty" doc:"Of when" maxLength:"30"`
}

// SettingsPatch is the body of a change of the settings: what is absent stays, and
// null, which JSON knows and Go's values here do not, sets the default.
type SettingsPatch struct {
	Retention Retention   `json:"retention,omitzero"`
	Prices    PricesPatch `json:"prices,omitzero"`
}

// PricesPatch is a change of Prices.
type PricesPatch struct {
	VCPUHour *float64 `json:"vcpu_hour,omitempty" doc:"For one processor, an hour: 0 to 1,000,000" minimum:"0"`
	GiBHour  *float64 `json:"gib_hour,omitempty" doc:"For one GiB of memory, an hour: 0 to 1,000,000" minimum:"0"`
	Currency *string  `json:"currency,omitempty" doc:"Three letters"`
	Source   *string  `json:"source,omitempty" doc:"Whose prices these are" maxLength:"300"`
	AsOf     *string  `json:"as_of,omitempty" doc:"Of when" maxLength:"30"`
}
