package api_test

import (
	"strings"
	"testing"

	"github.com/covefn/cove"
	"github.com/covefn/cove/client/wire"
)

func TestChangesThatWarmFirst(t *testing.T) {
	t.Parallel()
	c := setup(t)
	warm := func(a answer, status int) *wire.Warmed {
		t.Helper()
		var f wire.Function
		c.ok(a, status, &f)
		return f.Warmed
	}
	files := func(name string) string {
		return `{"name":"` + name + `","runtime":"python","files":{"main.py":"x"}}`
	}

	t.Run("every change that makes or activates a version can", func(t *testing.T) {
		if w := warm(c.json("POST", functions+"?warm=true", files("hello")), 201); w == nil || w.Ready != 1 || w.Version != 1 || w.Took == 0 {
			t.Errorf("%+v", w)
		}
		for i, a := range []answer{
			c.json("PUT", functions+"/hello?warm=true", files("hello")),
			c.json("PUT", functions+"/hello/code?warm=1", `{"files":{"main.py":"y"}}`),
			c.do("PUT", functions+"/hello/code?warm=true", "application/zip", "zip"),
			c.json("PATCH", functions+"/hello?warm=true", `{"cpu":2}`),
		} {
			if w := warm(a, 200); w == nil || w.Ready != 1 || w.Version != i+2 {
				t.Errorf("%d: %+v", i, w)
			}
		}
		if w := warm(c.json("POST", functions+"/hello/rollback?warm=true", `{"version":2}`), 200); w == nil || w.Version != 2 {
			t.Errorf("%+v", w)
		}
	})
	t.Run("none does unless it is asked to", func(t *testing.T) {
		for _, a := range []answer{
			c.json("PUT", functions+"/hello", files("hello")), c.json("PATCH", functions+"/hello?warm=false", `{"cpu":1}`), c.json("POST", functions+"/hello/rollback", ""),
		} {
			if w := warm(a, 200); w != nil {
				t.Errorf("%+v", w)
			}
		}
	})
	t.Run("what cannot be loaded is told in the function's words, and changes nothing", func(t *testing.T) {
		p := c.want(c.json("POST", functions+"?warm=true", files("broken")), cove.CodeInitError)
		if p.Error == nil || len(p.Error.Stack) == 0 || !strings.HasPrefix(p.Detail, "not deployed") {
			t.Errorf("%+v", p)
		}
		c.want(c.json("GET", functions+"/broken", ""), cove.CodeNotFound)
	})
	t.Run("why nothing was warmed up is told", func(t *testing.T) {
		if w := warm(c.json("POST", functions+"?warm=true", files("imageless")), 201); w == nil || w.Ready != 0 || !strings.Contains(w.Note, "image") {
			t.Errorf("%+v", w)
		}
	})
	t.Run("what a change costs is told, warmed up or not", func(t *testing.T) {
		for _, query := range []string{"", "?warm=true"} {
			var f wire.Function
			c.ok(c.json("POST", functions+query, strings.Replace(files("spoken"+strings.Trim(query, "?=")), "{", `{"env":{"LANG":"C"},`, 1)), 201, &f)
			if !strings.HasPrefix(f.Note, "LANG is read") {
				t.Errorf("%+v", f)
			}
		}
	})
	t.Run("anything but true and false is refused", func(t *testing.T) {
		for _, a := range []answer{
			c.json("POST", functions+"?warm=maybe", files("x")), c.json("PUT", functions+"/hello/code?warm=maybe", "{}"),
			c.json("PATCH", functions+"/hello?warm=maybe", "{}"), c.json("POST", functions+"/hello/rollback?warm=maybe", ""),
		} {
			if p := c.want(a, cove.CodeInvalid); p.Errors[0].Field != "warm" {
				t.Errorf("%+v", p)
			}
		}
	})
}
