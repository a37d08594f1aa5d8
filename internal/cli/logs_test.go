package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/covefn/cove/client/wire"
)

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

func TestPrintedLinesSayWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 30, 15, 0, time.Local)
	var out bytes.Buffer
	(&app{}).printAll(&out, []wire.LogLine{
		{Time: at, Function: "hello", RequestID: "01m82pzg8hkkt3e1rkhqbmh5xd", Stream: "stdout", Text: "a line"},
		{Time: at, Function: "hello", RequestID: "short", Stream: "stderr", Level: "error", Text: "a \x1b[31mbad\nline"},
		{Time: at, Function: "other", Platform: true, Level: "error", Text: "Init timed out"},
	}, false, true)
	want := "2026-03-01 12:30:15.000 hello        hqbmh5xd out  a line\n" +
		"2026-03-01 12:30:15.000 hello        short    err  a \uFFFD[31mbad\uFFFDline\n" +
		"2026-03-01 12:30:15.000 other        -        cove Init timed out\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
