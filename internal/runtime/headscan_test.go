package runtime

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// heads are some that the scanner takes, and some that it must leave to others.
var heads = map[string]bool{
	`{"status":200}`: true,
	`{"status":404,"headers":{"content-type":["text/plain"]}}`:                           true,
	`{"status":200,"headers":{"a":["1","2"],"b":["x y"]},"cookies":["s=1; Path=/","t"]}`: true,
	`{"status":200,"cookies":["s=1"]}`:                                                   true,
	`{"status":200,"cookies":[]}`:                                                        false,
	`{"status":200,"headers":{}}`:                                                        false,
	`{"status": 200}`:                                                                    false,
	`{"status":2000}`:                                                                    false,
	`{"status":012}`:                                                                     false,
	`{"status":200} `:                                                                    false,
	`{"status":200,"headers":{"a":["\\u00e9"]}}`:                                         false,
	`{"status":200,"headers":{"a":["\u00e9"]}}`:                                          false,
	`{"status":200,"headers":{"a":["1"],"a":["2"]}}`:                                     false,
	`{"status":200,"headers":{"a":"1"}}`:                                                 false,
	`{"headers":{"a":["1"]}}`:                                                            false,
	`{"status":200,"headers":{"a":["1"]},"status":201}`:                                  false,
}

func TestScanHead(t *testing.T) {
	t.Parallel()
	for text, taken := range heads {
		if scanHead([]byte(text), &Head{}) != taken {
			t.Errorf("%s: taken is %v", text, !taken)
		}
	}
}

func FuzzScanHead(f *testing.F) {
	for text := range heads {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Head{}
		if !scanHead(b, &got) {
			return
		}
		want := Head{}
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatalf("%q is taken and no JSON: %v", b, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q: %s", b, diff)
		}
	})
}

func BenchmarkDecodeHead(b *testing.B) {
	text := []byte(`{"status":200,"headers":{"content-type":["text/plain"]}}`)
	for b.Loop() {
		if _, err := decodeHead(text); err != nil {
			b.Fatal(err)
		}
	}
}
