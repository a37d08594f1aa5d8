package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

type fileObject struct {
	Base64 []byte `json:"base64"`
}

func validText(b []byte) bool { return utf8.Valid(b) }

func (f *File) unmarshal(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var s string
		err := json.Unmarshal(data, &s)
		*f = File(s)
		return err
	}
	var o struct {
		Base64 *[]byte `json:"base64"`
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil || o.Base64 == nil {
		return errors.New(`a file is its text as a string, or {"base64": "..."} for what is no text`)
	}
	*f = *o.Base64
	return nil
}
