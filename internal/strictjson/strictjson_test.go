package strictjson_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
	"github.com/covefn/cove/internal/strictjson"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		doc  string
		want []cove.FieldError
	}{
		"a right document has no errors": {`{"name":"a","runtime":"python","memory":"1GiB","timeout":"10s","cpu":0.5,"env":{"A":1,"B":{"value":"x","secret":true}},"scaling":{"max":3}}`, nil},
		"unknown fields are named with what was meant": {`{"nmae":"a","scaling":{"mx":3}}`, []cove.FieldError{
			{Field: "nmae", Message: "there is no field of this name; did you mean name?"},
			{Field: "scaling.mx", Message: "there is no field of this name; did you mean max?"}}},
		"wrong forms are told at their path": {`{"name":3,"scaling":{"max":"many"},"methods":["GET",4],"timeout":10}`, []cove.FieldError{
			{Field: "methods[1]", Message: "must be text in quotes, not a number"},
			{Field: "name", Message: "must be text in quotes, not a number"},
			{Field: "scaling.max", Message: "must be a whole number, not text"},
			{Field: "timeout", Message: "must be text such as 10s or 128MiB, not a number"}}},
		"a bad size says how to write one": {`{"memory":"lots"}`, []cove.FieldError{
			{Field: "memory", Message: `"lots" is no size: write a number with a unit, such as 128MiB or 1GiB`}}},
		"a broken document says the line":  {"{\n\"name\": }", []cove.FieldError{{Message: "not valid JSON in line 2: invalid character '}' looking for beginning of value"}}},
		"something behind the end is told": {`{} {}`, []cove.FieldError{{Message: "there is something behind the end of the JSON value"}}},
		"nothing is told":                  {``, []cove.FieldError{{Message: "a JSON object is needed, and there is nothing"}}},
		"null is no object":                {`null`, []cove.FieldError{{Message: "must be an object, not null"}}},
		"a file must be text or base64":    {`{"files":{"a.py":{"b64":"x"}}}`, []cove.FieldError{{Field: "files.a.py", Message: `a file is its text as a string, or {"base64": "..."} for what is no text`}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var v wire.Create
			if diff := cmp.Diff(tt.want, strictjson.Decode([]byte(tt.doc), &v)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name":"a","scaling":{"max":1},"env":{"A":null},"cors":{"origins":["*"]},"files":{"x":"y"}}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var v wire.Create
		strictjson.Decode(data, &v)
	})
}
