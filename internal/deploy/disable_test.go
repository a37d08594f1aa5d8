package deploy

import (
	"testing"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/route"
)

func TestDisabling(t *testing.T) {
	t.Parallel()
	t.Run("a disabled function is one on the next request, through a change and a restart", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		var told []bool
		f.Subscribe(func(old, now *cove.Version) { told = append(told, old.Disabled, now.Disabled) })
		fn, err := f.SetDisabled(t.Context(), "hello", true, 1)
		if err != nil || !fn.Disabled || fn.Revision != 2 || fn.Version.Number != 1 {
			t.Fatalf("got %+v, %v", fn, err)
		}
		check := func() {
			t.Helper()
			if v := f.Active("hello"); v == nil || !v.Disabled {
				t.Errorf("the active version is %+v", v)
			}
			if v, _ := f.Routes.Match("GET", "/hello", &route.Params{}); v == nil || !v.Disabled {
				t.Errorf("the route leads to %+v", v)
			}
		}
		check()
		if _, err := f.Update(t.Context(), "hello", Change{Code: files("other")}); err != nil {
			t.Fatal(err)
		}
		check()
		f.restart(t, f.db)
		check()
		if fn, err = f.SetDisabled(t.Context(), "hello", false, 0); err != nil || fn.Disabled || f.Active("hello").Disabled {
			t.Errorf("got %+v, %v", fn, err)
		}
		if want := []bool{false, true, true, true}; len(told) != 4 || told[0] != want[0] || told[1] != want[1] || told[2] != want[2] || told[3] != want[3] {
			t.Errorf("told %v", told)
		}
	})
	t.Run("what is so already changes nothing", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		f.Subscribe(func(_, _ *cove.Version) { t.Error("a change was told") })
		if fn, err := f.SetDisabled(t.Context(), "hello", false, 0); err != nil || fn.Revision != 1 {
			t.Errorf("got %+v, %v", fn, err)
		}
	})
	t.Run("another revision and another name are refused", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.create(t, config("hello"))
		if _, err := f.SetDisabled(t.Context(), "hello", true, 7); cove.CodeOf(err) != cove.CodePreconditionFailed {
			t.Errorf("got %v", err)
		}
		if _, err := f.SetDisabled(t.Context(), "nobody", true, 0); cove.CodeOf(err) != cove.CodeNotFound {
			t.Errorf("got %v", err)
		}
	})
}

func TestFilesOfAVersion(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.create(t, config("hello"))
	if _, err := f.Update(t.Context(), "hello", Change{Code: files("second")}); err != nil {
		t.Fatal(err)
	}
	for number, want := range map[int]string{1: "hello", 2: "second"} {
		if got, err := f.Files(t.Context(), "hello", number); err != nil || string(got.Contents["main.py"]) != want {
			t.Errorf("version %d: %v, %v", number, got, err)
		}
	}
	if _, err := f.Files(t.Context(), "hello", 3); cove.CodeOf(err) != cove.CodeNotFound {
		t.Errorf("got %v", err)
	}
	if _, err := f.Create(t.Context(), config("empty"), Code{}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Files(t.Context(), "empty", 1); cove.CodeOf(err) != cove.CodeNoCode {
		t.Errorf("got %v", err)
	}
}

func TestEditingFiles(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.create(t, config("hello"))
	edit := func(ifRevision int64, edits map[string][]byte) (Deployed, error) {
		return f.Update(t.Context(), "hello", Change{Edits: edits, IfRevision: ifRevision})
	}
	d, err := edit(1, map[string][]byte{"lib.py": []byte("new")})
	if err != nil || d.Version.Number != 2 || d.Version.Note != "code" || d.Version.Package.Files != 2 {
		t.Fatalf("got %+v, %v", d, err)
	}
	if got, err := f.Files(t.Context(), "hello", 2); err != nil || string(got.Contents["main.py"]) != "hello" || string(got.Contents["lib.py"]) != "new" {
		t.Errorf("got %v, %v", got, err)
	}
	if d, err = edit(0, map[string][]byte{"lib.py": []byte("new")}); err != nil || d.Version.Number != 2 {
		t.Errorf("without a change: %+v, %v", d, err)
	}
	if _, err := edit(1, map[string][]byte{"lib.py": nil}); cove.CodeOf(err) != cove.CodePreconditionFailed {
		t.Errorf("at another revision: %v", err)
	}
	if _, err := edit(0, map[string][]byte{"main.py": nil}); cove.CodeOf(err) != cove.CodeInvalid {
		t.Errorf("without its handler: %v", err)
	}
	if _, err := f.Create(t.Context(), config("empty"), Code{}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Update(t.Context(), "empty", Change{Edits: map[string][]byte{"main.py": {}}}); cove.CodeOf(err) != cove.CodeNoCode {
		t.Errorf("without code: %v", err)
	}
}
