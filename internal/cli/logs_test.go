package cli

import "testing"

func TestShortIDTellsRequestsOfOneMomentApart(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"01m82pzg8hkkt3e1rkhqbmh5xd": "hqbmh5xd", "01m82pzg8hkkt3e1rkhqbmh5xe": "hqbmh5xe", "short": "short", "": "-",
	} {
		if got := shortID(id); got != want {
			t.Errorf("%q: %q, not %q", id, got, want)
		}
	}
}
