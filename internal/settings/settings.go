// Package settings keeps what can be changed while the daemon runs: how much of
// the past is kept, and what costs are reckoned with.
package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
	"github.com/covefn/cove/internal/strictjson"
)

// document is where the store keeps the settings.
const document = "settings"

// Service has the settings in memory. It is safe for concurrent use.
type Service struct {
	store    store.Documents
	defaults store.Settings
	changes  sync.Mutex
	current  atomic.Pointer[store.Settings]
}

// New reads what is kept. prices are those of a Cove where nobody has set others.
func New(ctx context.Context, s store.Documents, prices store.Prices) (*Service, error) {
	service := &Service{store: s, defaults: store.Settings{Retention: defaults(), Prices: prices}}
	data, err := s.Document(ctx, document)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	// What an older Cove has not written has its default.
	now := service.defaults
	if data != nil {
		if err := json.Unmarshal(data, &now); err != nil {
			return nil, fmt.Errorf("read the settings: %w", err)
		}
	}
	service.current.Store(&now)
	return service, nil
}

// defaults keep a week of single invocations and logs, and metrics for longer the
// coarser they are.
func defaults() store.Retention {
	const day = 24 * time.Hour
	return store.Retention{
		Invocations: cove.Duration(7 * day), InvocationCount: 1_000_000,
		Logs: cove.Duration(7 * day), LogFunction: 64 * cove.MiB, LogTotal: cove.GiB,
		Minutes: cove.Duration(3 * day), Hours: cove.Duration(90 * day), Days: cove.Duration(1095 * day),
		Audit: cove.Duration(365 * day),
	}
}

// Settings are those in force.
func (s *Service) Settings() store.Settings { return *s.current.Load() }

// Change applies a JSON merge patch (RFC 7396): what is absent stays, null sets
// the default. What it returns is on disk, and in force. CodeInvalid names each
// field that is wrong, and its limits.
func (s *Service) Change(ctx context.Context, patch []byte) (store.Settings, error) {
	s.changes.Lock()
	defer s.changes.Unlock()
	merged, err := s.merged(patch)
	if err != nil {
		return store.Settings{}, err
	}
	var next store.Settings
	if fields := strictjson.Decode(merged, &next); len(fields) > 0 {
		return store.Settings{}, cove.InvalidFields(fields)
	}
	if fields := check(next); len(fields) > 0 {
		return store.Settings{}, cove.InvalidFields(fields)
	}
	data, err := json.Marshal(next)
	if err != nil {
		return store.Settings{}, err
	}
	if err := s.store.SetDocument(ctx, document, data); err != nil {
		return store.Settings{}, err
	}
	s.current.Store(&next)
	return next, nil
}

// merged is the document of the settings in force with patch applied.
func (s *Service) merged(patch []byte) ([]byte, error) {
	var p map[string]any
	if err := json.Unmarshal(patch, &p); err != nil || p == nil {
		return nil, cove.Errorf(cove.CodeInvalid, "the body must be a JSON object of the settings to change")
	}
	now, err := asMap(s.Settings())
	if err != nil {
		return nil, err
	}
	def, err := asMap(s.defaults)
	if err != nil {
		return nil, err
	}
	return json.Marshal(merge(now, p, def))
}

func asMap(v store.Settings) (map[string]any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	return m, json.Unmarshal(data, &m)
}

// merge is RFC 7396, but that null sets what def has. What only the patch has is
// kept, for the decoder to name.
func merge(now, patch, def map[string]any) map[string]any {
	out := maps.Clone(now)
	for name, v := range patch {
		below, isObject := v.(map[string]any)
		nowBelow, wasObject := now[name].(map[string]any)
		defBelow, _ := def[name].(map[string]any)
		switch _, known := def[name]; {
		case v == nil && known:
			out[name] = def[name]
		case isObject && wasObject:
			out[name] = merge(nowBelow, below, defBelow)
		default:
			out[name] = v
		}
	}
	return out
}

// checker gathers what is wrong.
type checker struct{ wrong []cove.FieldError }

func (c *checker) add(field, format string, args ...any) {
	c.wrong = append(c.wrong, cove.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) duration(field string, v cove.Duration, least, most time.Duration) {
	if v.Std() < least || v.Std() > most {
		c.add(field, "must be between %.0fh and %.0fh", least.Hours(), most.Hours())
	}
}

func (c *checker) size(field string, v, least, most cove.ByteSize) {
	if v < least || v > most {
		c.add(field, "must be between %s and %s", least, most)
	}
}

func (c *checker) price(field string, v float64) {
	if !(v >= 0 && v <= 1_000_000) {
		c.add(field, "must be between 0 and 1,000,000")
	}
}

func (c *checker) text(field, v string, most int) {
	for _, r := range v {
		if !unicode.IsPrint(r) {
			c.add(field, "must have printable characters only")
			return
		}
	}
	if utf8.RuneCountInString(v) > most {
		c.add(field, "must have %d characters at most", most)
	}
}

var currency = regexp.MustCompile(`^[A-Z]{3}$`)

// check says what is wrong with s, field by field. The bounds are those that the
// API's document tells.
func check(s store.Settings) []cove.FieldError {
	var c checker
	r, p := s.Retention, s.Prices
	const hour, day = time.Hour, 24 * time.Hour
	c.duration("retention.invocations", r.Invocations, hour, 365*day)
	if r.InvocationCount < 1000 || r.InvocationCount > 100_000_000 {
		c.add("retention.invocation_count", "must be between 1,000 and 100,000,000")
	}
	c.duration("retention.logs", r.Logs, hour, 365*day)
	c.size("retention.log_function", r.LogFunction, cove.MiB, 100*cove.GiB)
	c.size("retention.log_total", r.LogTotal, 10*cove.MiB, 1024*cove.GiB)
	c.duration("retention.minutes", r.Minutes, 3*hour, 90*day)
	c.duration("retention.hours", r.Hours, 2*day, 730*day)
	c.duration("retention.days", r.Days, 30*day, 3650*day)
	c.duration("retention.audit", r.Audit, day, 3650*day)
	c.price("prices.vcpu_hour", p.VCPUHour)
	c.price("prices.gib_hour", p.GiBHour)
	if !currency.MatchString(p.Currency) {
		c.add("prices.currency", "must be three capital letters, such as USD")
	}
	c.text("prices.source", p.Source, 300)
	c.text("prices.as_of", p.AsOf, 30)
	return c.wrong
}
