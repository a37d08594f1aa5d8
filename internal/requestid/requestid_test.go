package requestid

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNew(t *testing.T) {
	t.Parallel()
	t.Run("ids are in the order of time and differ", func(t *testing.T) {
		t.Parallel()
		now := time.Now()
		var ids []string
		for i := range 100 {
			ids = append(ids, at(now.Add(time.Duration(i)*time.Millisecond)))
		}
		if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 100 || len(ids[0]) != 26 {
			t.Errorf("ids %v", ids)
		}
		if a, b := at(now), at(now); a == b || a[:10] != b[:10] {
			t.Errorf("two of one millisecond: %s and %s", a, b)
		}
	})
	t.Run("each is one that a caller may choose", func(t *testing.T) {
		t.Parallel()
		if id := New(); !Valid(id) {
			t.Error(id)
		}
	})
}

func TestValid(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"01arz3ndektsv4rrffq69g5fav": true, "0f8fad5b-d9cb-469f-a165-70867728950e": true, "a.b_c-d1": true, strings.Repeat("x", 64): true,
		"": false, "short12": false, strings.Repeat("x", 65): false, "-leading-dash": false, ".leading.dot": false,
		"has space in it": false, "quote\"quote": false, "line\nbreak1": false, "ümlaut-here": false,
	} {
		if Valid(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}
