package scale

import (
	"testing"
	"time"

	"github.com/covefn/cove"
)

func TestWorth(t *testing.T) {
	t.Parallel()
	const start, memory = time.Second, 100 * cove.MiB
	base := Worth(time.Minute, start, memory)
	for name, more := range map[string]float64{
		"one that was used just now":                                Worth(0, start, memory),
		"one that idles half as long":                               Worth(30*time.Second, start, memory),
		"one that takes twice as long to start":                     Worth(time.Minute, 2*start, memory),
		"one that gives back half":                                  Worth(time.Minute, start, memory/2),
		"one that gives back nothing":                               Worth(time.Minute, start, 0),
		"one that starts in half the time and gives back a quarter": Worth(time.Minute, start/2, memory/4),
	} {
		if more <= base {
			t.Errorf("%s is worth %g, and the other %g", name, more, base)
		}
	}
	if a, b := Worth(time.Minute, 0, memory), Worth(time.Minute, 300*time.Millisecond, memory); a != b {
		t.Errorf("one whose start was never measured is worth %g, and one that takes 300ms %g", a, b)
	}
}
