package runtime

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAppendString(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "plain", "\x1e cove 00ff", "\x00\x01\n\t\x1f", `"`, `\`, "é", "\x7f", "\xff", "a\x02\"b"} {
		b := appendString([]byte("x"), s)
		var got string
		if err := json.Unmarshal(b[1:], &got); err != nil || b[0] != 'x' || got != strings.ToValidUTF8(s, "\uFFFD") {
			t.Errorf("%q is written as %s: %v", s, b, err)
		}
	}
}
