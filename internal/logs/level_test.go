package logs

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestLevelOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"level":"info","msg":"x"}`: LevelInfo, `{"msg":"a, \"level\":\"error\"","severity":"WARNING"}`: LevelWarn,
		`{"time":1,"a":{"level":"debug"},"b":[1,{"level":"debug"}],"lvl" : "ERR"}`: LevelError,
		`{"level":30,"pid":1}`: LevelInfo, `{"level": 50 }`: LevelError, `{"level":10}`: LevelDebug, `{"level":60}`: LevelError, `{"level":40}`: LevelWarn,
		`{"levelname":"CRITICAL"}`: LevelError, `{"log.level":"trace"}`: LevelDebug, `  {"Level":"Fatal"}`: LevelError,
		`{"level":"loud"}`: "", `{"level":{"name":"info"}}`: "", `{"level":true}`: "", `{"level":3}`: "", `{"msg":"info"}`: "", `{"level":"info`: "", `{`: "", ``: "",
		`{"level":"loud","severity":"error"}`:  LevelError,
		"[ERROR]\t2026-03-01T12:00:00Z\tr\tno": LevelError, "[ERROR] ValueError: no": LevelError, "[WARNING] x": LevelWarn, "[INFO]": LevelInfo, "[1, 2]": "", "[": "", "level=error": "", "error": "",
	} {
		if got := LevelOf(text); got != want {
			t.Errorf("%s: %q, not %q", text, got, want)
		}
	}
}

// What is JSON has the level of its first member that is one, as encoding/json sees
// it, and what is none does no harm.
func FuzzLevelOf(f *testing.F) {
	f.Add(`{"level":"info","a":{"b":"}"}}`)
	f.Add(`{"a":"\"","severity":40,"c":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		got := LevelOf(text)
		dec := json.NewDecoder(strings.NewReader(text))
		if !json.Valid([]byte(text)) || !strings.HasPrefix(strings.TrimLeft(text, " \t"), "{") || strings.ContainsAny(text, "\\") {
			return
		}
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
		want := ""
		for dec.More() && want == "" {
			key, err := dec.Token()
			if err != nil {
				t.Fatal(err)
			}
			var value json.RawMessage
			if err := dec.Decode(&value); err != nil {
				t.Fatal(err)
			}
			if isLevelKey(key.(string)) {
				want = levelOfValue(string(value))
			}
		}
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	})
}

func BenchmarkLevelOf(b *testing.B) {
	line := `{"time":"2026-03-01T12:00:00Z","msg":"a message of the usual length, with some text","user":{"id":12,"name":"x"},"level":"info"}`
	for b.Loop() {
		LevelOf(line)
	}
}
