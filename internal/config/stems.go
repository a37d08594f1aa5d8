package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/covefn/cove"
)

// AutoStems is as many stem cells of a kind as demand asks for and their memory
// allows: it is the value of the setting "auto", and more than there ever are.
const AutoStems Stems = 1000

// Stems is how many stem cells of a kind (a runtime in an isolation) are kept at
// most: AutoStems, or a number of 0 (none) to 999.
type Stems int

// MarshalText is "auto" or the number.
func (s Stems) MarshalText() ([]byte, error) {
	if s == AutoStems {
		return []byte("auto"), nil
	}
	return []byte(strconv.Itoa(int(s))), nil
}

// UnmarshalText reads "auto" or a number.
func (s *Stems) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*s = AutoStems
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 0 || n >= int(AutoStems) {
		return fmt.Errorf("%q is neither auto nor a number of 0 (none) to %d", text, AutoStems-1)
	}
	*s = Stems(n)
	return nil
}

// Share is a part of the memory that all sandboxes may reserve: a size, a
// percentage, or automatic. The zero value is nothing.
type Share struct {
	size    cove.ByteSize
	percent float64
	auto    bool
}

// Percent is the share of p percent.
func Percent(p float64) Share { return Share{percent: p} }

// AutoShare is the share of 10 percent, and as much more as Stretch says.
func AutoShare() Share { return Share{percent: 10, auto: true} }

// Stretch is up to how much of all there is the share may grow where it would be too
// little for one stem cell of each kind: an automatic one up to a quarter, as a tenth
// of a small host is not even one cell. What somebody has set does not grow.
func (s Share) Stretch(all cove.ByteSize) cove.ByteSize {
	if !s.auto {
		return 0
	}
	return all / 4
}

// Of is the share in bytes of all that there is, and never more than that.
func (s Share) Of(all cove.ByteSize) cove.ByteSize {
	if s.percent > 0 {
		return cove.ByteSize(math.Round(float64(all) * s.percent / 100))
	}
	return min(s.size, all)
}

// MarshalText is "auto", "10%" or "512MiB".
func (s Share) MarshalText() ([]byte, error) {
	if s.auto {
		return []byte("auto"), nil
	}
	if s.percent > 0 {
		return []byte(strconv.FormatFloat(s.percent, 'g', -1, 64) + "%"), nil
	}
	return s.size.MarshalText()
}

// UnmarshalText reads "auto", a percentage of 0 to 100, or a size.
func (s *Share) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*s = AutoShare()
		return nil
	}
	number, isPercent := strings.CutSuffix(string(text), "%")
	if !isPercent {
		var size cove.ByteSize
		if err := size.UnmarshalText(text); err != nil {
			return fmt.Errorf("%q is neither a percentage nor a size: write 10%% or 512MiB", text)
		}
		*s = Share{size: size}
		return nil
	}
	p, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !(p >= 0 && p <= 100) {
		return fmt.Errorf("%q is no percentage of 0%% to 100%%", text)
	}
	*s = Share{percent: p}
	return nil
}
