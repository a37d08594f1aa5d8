package cove_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/covefn/cove"
)

func TestByteSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]cove.ByteSize{
		"0": 0, "17": 17, "17B": 17, "1KiB": 1 << 10, "1K": 1 << 10, "128MiB": 128 << 20, "128 mib": 128 << 20,
		"1.5GiB": 3 << 29, "1GB": 1e9, "2T": 2 << 40,
	} {
		var got cove.ByteSize
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q is %d, %v; not %d", text, got, err, want)
		}
		var again cove.ByteSize
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%q is written %s and read as %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1XiB", "lots", "NaN", "Inf", "9999999999TiB"} {
		var got cove.ByteSize
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "128MiB") {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	var number cove.ByteSize
	if err := json.Unmarshal([]byte("1024"), &number); err != nil || number != cove.KiB {
		t.Errorf("a JSON number is %d, %v", number, err)
	}
	for b, want := range map[cove.ByteSize]string{0: "0B", 1: "1MiB", cove.MiB: "1MiB", cove.MiB + 1: "2MiB"} {
		if got := b.InMiB().String(); got != want {
			t.Errorf("%d in MiB is %s, not %s", b, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 100 * time.Millisecond: "100ms", 10 * time.Second: "10s", 90 * time.Second: "1m30s", 5 * time.Minute: "5m", 2 * time.Hour: "2h",
		time.Hour + time.Second: "1h0m1s",
	} {
		if got := cove.Duration(d).String(); got != want {
			t.Errorf("%d is written %s, not %s", d, got, want)
		}
		var again cove.Duration
		if err := again.UnmarshalText([]byte(want)); err != nil || again.Std() != d {
			t.Errorf("%s is read as %s, %v", want, again, err)
		}
	}
	var d cove.Duration
	if err := d.UnmarshalText([]byte("10")); err == nil || !strings.Contains(err.Error(), "unit") {
		t.Errorf("a number without a unit: %v", err)
	}
}

func TestEnvVar(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]cove.EnvVar{
		`"x"`: {Value: "x"}, `5`: {Value: "5"}, `true`: {Value: "true"},
		`{"value":"x"}`: {Value: "x"}, `{"value":"x","secret":true}`: {Value: "x", Secret: true}, `{"secret":true}`: {Secret: true},
	} {
		var got cove.EnvVar
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: %#v, %v", text, got, err)
		}
	}
	for _, text := range []string{`[1]`, `null`} {
		if err := new(cove.EnvVar).UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s is a variable", text)
		}
	}
	secret := cove.EnvVar{Value: "hunter2", Secret: true}
	data, err := json.Marshal(secret)
	if all := fmt.Sprintf("%s %v %+v %#v %s", secret, secret, secret, secret, data); err != nil || strings.Contains(all, "hunter2") {
		t.Errorf("a secret shows in %s (%v)", all, err)
	}
}
