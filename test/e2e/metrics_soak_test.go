//go:build soak

package e2e

import "testing"

// The same over 100,000 calls, with some 5,900 errors, 1,000 exits and 470
// timeouts.
func TestFiguresAgreeExactlyOver100000Calls(t *testing.T) {
	h := start(t, options{Plain: true})
	names := deployMoody(t, h)
	c := &tally{counts: map[string]map[string]int64{}}
	callMoody(t, h, names, 100_000, c)
	agree(t, h, c)
}
