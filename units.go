package cove

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that is written as people write it: "10s", "1m30s".
type Duration time.Duration

// String is the shortest form: "1m30s", "5m", "100ms".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration: write a number with a unit, such as 500ms, 10s or 5m", text)
	}
	*d = Duration(v)
	return nil
}

// Std is d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// ByteSize is a number of bytes that is written as people write it: "128MiB".
type ByteSize int64

// Binary units.
const (
	KiB ByteSize = 1 << 10
	MiB ByteSize = 1 << 20
	GiB ByteSize = 1 << 30
)

var byteUnits = []struct {
	suffix string
	size   float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40},
	{"B", 1},
}

// String is the largest binary unit that divides it: "128MiB", "1000B".
func (b ByteSize) String() string {
	for _, u := range []struct {
		suffix string
		size   ByteSize
	}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}} {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// InMiB is b in whole MiB, rounded up: what was measured, for people.
func (b ByteSize) InMiB() ByteSize { return (b + MiB - 1) / MiB * MiB }

// MarshalText is String.
func (b ByteSize) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a number with a unit: KiB, MiB, GiB (K, M, G for short)
// of 1024, KB, MB, GB of 1000, or B; a bare number is bytes.
func (b *ByteSize) UnmarshalText(text []byte) error {
	v, err := parseByteSize(string(text))
	if err != nil {
		return err
	}
	*b = v
	return nil
}

// UnmarshalJSON reads the text form, or a JSON number of bytes.
func (b *ByteSize) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		s = string(data)
	}
	return b.UnmarshalText([]byte(s))
}

func parseByteSize(s string) (ByteSize, error) {
	number, unit := strings.TrimSpace(s), 1.0
	for _, u := range byteUnits {
		if len(number) > len(u.suffix) && strings.EqualFold(number[len(number)-len(u.suffix):], u.suffix) {
			number, unit = strings.TrimSpace(number[:len(number)-len(u.suffix)]), u.size
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v < 0 || math.IsNaN(v) || v*unit >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is no size: write a number with a unit, such as 128MiB or 1GiB", s)
	}
	return ByteSize(math.Round(v * unit)), nil
}

type envVarObject struct {
	Value  *string `json:"value,omitempty"`
	Secret bool    `json:"secret,omitempty"`
}

// MarshalJSON writes a plain variable as a string and a secret one without its
// value: what marshals an EnvVar is always somebody who reads it.
func (v EnvVar) MarshalJSON() ([]byte, error) {
	if v.Secret {
		return json.Marshal(envVarObject{Secret: true})
	}
	return json.Marshal(v.Value)
}

// UnmarshalJSON reads a string, a number or a boolean as its text, or an
// object of value and secret.
func (v *EnvVar) UnmarshalJSON(data []byte) error {
	*v = EnvVar{}
	switch {
	case len(data) > 0 && data[0] == '{':
		var o envVarObject
		if err := json.Unmarshal(data, &o); err != nil {
			return err
		}
		if o.Value != nil {
			v.Value = *o.Value
		}
		v.Secret = o.Secret
		return nil
	case len(data) > 0 && data[0] == '"':
		return json.Unmarshal(data, &v.Value)
	case len(data) > 0 && (data[0] == '[' || string(data) == "null"):
		return errors.New("an environment variable is a string, or an object of value and secret")
	default:
		v.Value = string(data)
		return nil
	}
}

// String hides a secret's value from anything that prints.
func (v EnvVar) String() string {
	if v.Secret {
		return "(secret)"
	}
	return v.Value
}

// GoString is String, for %#v.
func (v EnvVar) GoString() string { return strconv.Quote(v.String()) }
