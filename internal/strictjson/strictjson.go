// Package strictjson decodes a JSON object and tells everything that is wrong
// with it at once, by the path of the field: an unknown field with the name that
// was probably meant, a value of the wrong form with the form that is right.
package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/covefn/cove"
)

// maxErrors bounds what one document is told.
const maxErrors = 50

// Decode reads one JSON value into v, a pointer to a struct, and returns what is
// wrong with it; v is only whole if that is nothing. A document that is no JSON
// at all is told under the field "". Duplicate names are not told; the last wins.
func Decode(data []byte, v any) []cove.FieldError {
	var raw json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&raw); err != nil {
		return []cove.FieldError{{Message: syntax(data, err)}}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return []cove.FieldError{{Message: "there is something behind the end of the JSON value"}}
	}
	d := decoder{}
	d.value("", raw, reflect.ValueOf(v).Elem())
	return d.errs
}

func syntax(data []byte, err error) string {
	var s *json.SyntaxError
	if errors.As(err, &s) {
		at := min(int(s.Offset), len(data))
		line := 1 + bytes.Count(data[:at], []byte("\n"))
		return fmt.Sprintf("not valid JSON in line %d: %s", line, strings.TrimPrefix(err.Error(), "json: "))
	}
	if errors.Is(err, io.EOF) {
		return "a JSON object is needed, and there is nothing"
	}
	return "not valid JSON: it ends too early"
}

type decoder struct{ errs []cove.FieldError }

func (d *decoder) add(path, format string, args ...any) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, cove.FieldError{Field: path, Message: fmt.Sprintf(format, args...)})
	}
}

// value decodes raw into to, which must be settable.
func (d *decoder) value(path string, raw json.RawMessage, to reflect.Value) {
	null := string(raw) == "null"
	switch {
	case decodesItself(to):
		if null {
			return
		}
		if err := json.Unmarshal(raw, to.Addr().Interface()); err != nil {
			d.add(path, "%s", plain(err))
		}
	case to.Kind() == reflect.Pointer:
		if null {
			to.SetZero()
			return
		}
		to.Set(reflect.New(to.Type().Elem()))
		d.value(path, raw, to.Elem())
	case null && path != "":
		to.SetZero()
	case to.Kind() == reflect.Struct:
		d.object(path, raw, to)
	case to.Kind() == reflect.Map:
		d.mapping(path, raw, to)
	case to.Kind() == reflect.Slice && to.Type().Elem().Kind() != reflect.Uint8:
		d.list(path, raw, to)
	default:
		if err := json.Unmarshal(raw, to.Addr().Interface()); err != nil {
			d.add(path, "must be %s, not %s", form(to.Type()), shown(raw))
		}
	}
}

// decodesItself reports whether the type has its own way to be read.
func decodesItself(v reflect.Value) bool {
	p := v.Addr().Interface()
	if _, ok := p.(json.Unmarshaler); ok {
		// An embedded field's method is promoted; a struct with others beside it
		// must not be read by that.
		return true
	}
	_, ok := p.(encoding.TextUnmarshaler)
	return ok
}

func (d *decoder) object(path string, raw json.RawMessage, to reflect.Value) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		d.add(path, "must be an object, not %s", shown(raw))
		return
	}
	fields := Fields(to.Type())
	for _, name := range sortedKeys(members) {
		index, ok := fields[name]
		if !ok {
			d.add(join(path, name), "%s", Unknown(name, sortedKeys(fields)))
			continue
		}
		d.value(join(path, name), members[name], to.FieldByIndex(index))
	}
}

func (d *decoder) mapping(path string, raw json.RawMessage, to reflect.Value) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		d.add(path, "must be an object, not %s", shown(raw))
		return
	}
	to.Set(reflect.MakeMapWithSize(to.Type(), len(members)))
	for _, name := range sortedKeys(members) {
		v := reflect.New(to.Type().Elem()).Elem()
		d.value(join(path, name), members[name], v)
		to.SetMapIndex(reflect.ValueOf(name).Convert(to.Type().Key()), v)
	}
}

func (d *decoder) list(path string, raw json.RawMessage, to reflect.Value) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		d.add(path, "must be a list, not %s", shown(raw))
		return
	}
	to.Set(reflect.MakeSlice(to.Type(), len(items), len(items)))
	for i, item := range items {
		d.value(path+"["+strconv.Itoa(i)+"]", item, to.Index(i))
	}
}

// Fields are the JSON names of a struct's fields, embedded ones included, with
// the index for reflect.Value.FieldByIndex.
func Fields(t reflect.Type) map[string][]int {
	fields := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" || !f.IsExported() || tag == "-" {
			continue
		}
		if tag == "" {
			tag = f.Name
		}
		fields[tag] = f.Index
	}
	return fields
}

// Unknown says that name is none of known, and which was probably meant.
func Unknown(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("there is no field of this name; did you mean %s?", near)
	}
	return "there is no field of this name; there are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// Nearest is the one of known that is most like name, "" if none is.
func Nearest(name string, known []string) string {
	best, least := "", 3
	name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	if len(name) < 4 {
		least = 2
	}
	for _, k := range known {
		if n := distance(name, strings.ToLower(k)); n < least {
			best, least = k, n
		}
	}
	return best
}

// distance counts the characters to add, drop or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func form(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text in quotes"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}

// shown is raw in words that never repeat a value: it may be a secret.
func shown(raw json.RawMessage) string {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "null"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "a list"
	case raw[0] == '"':
		return "text"
	case raw[0] == 't' || raw[0] == 'f':
		return "true or false"
	default:
		return "a number"
	}
}

// plain is err without the words of the json package.
func plain(err error) string {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		return "must be text such as 10s or 128MiB, not a " + t.Value
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
