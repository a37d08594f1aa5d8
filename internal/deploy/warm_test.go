package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/covefn/cove"
)

// stage is an Options.Prepare that notes what it is asked.
type stage struct {
	// meets is called for each version; what it returns is the outcome.
	meets func(ctx context.Context, v *cove.Version) *cove.Error
	// story is what happened: "3 is prepared", "3 is let go".
	story []string
	held  int
}

func (s *stage) prepare(ctx context.Context, v *cove.Version) (int, func(), *cove.Error) {
	if s.meets != nil {
		if err := s.meets(ctx, v); err != nil {
			s.story = append(s.story, fmt.Sprint(v.Number, " fails"))
			return 0, nil, err
		}
	}
	s.held++
	s.story = append(s.story, fmt.Sprint(v.Number, " is prepared"))
	return 2, func() {
		s.held--
		s.story = append(s.story, fmt.Sprint(v.Number, " is let go"))
	}, nil
}

// staged is a fixture that prepares versions on a stage.
func staged(t *testing.T) (*fixture, *stage) {
	f, s := setup(t), &stage{}
	f.Prepare = s.prepare
	f.Subscribe(func(_, now *cove.Version) {
		if now != nil {
			s.story = append(s.story, fmt.Sprint(now.Number, " is active"))
		}
	})
	t.Cleanup(func() {
		if s.held != 0 {
			t.Errorf("%d versions were not let go", s.held)
		}
	})
	return f, s
}

func broken(context.Context, *cove.Version) *cove.Error {
	return &cove.Error{Code: cove.CodeInitError, Message: "loading main.handler failed", Function: &cove.FunctionError{Type: "ImportError", Message: "no", Stack: []string{"line 1"}}}
}

func (s *stage) want(t *testing.T, story ...string) {
	t.Helper()
	if !slices.Equal(s.story, story) {
		t.Errorf("what happened is %q, want %q", s.story, story)
	}
}

func warmly(name string) Change {
	return Change{Config: new(config(name)), Code: files(name), Warm: true}
}

func TestWarming(t *testing.T) {
	t.Parallel()

	t.Run("a version is loaded before it is active, and held until it is", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		d, err := f.Service.Create(t.Context(), warmly("hello"))
		if err != nil || d.Warmed == nil || d.Warmed.Ready != 2 || d.Warmed.Note != "" {
			t.Fatalf("got %+v, %v", d, err)
		}
		d, err = f.Update(t.Context(), "hello", Change{Code: files("2"), Warm: true})
		if err != nil || d.Version.Number != 2 || d.Warmed == nil || f.Active("hello").ID != d.Version.ID {
			t.Fatalf("got %+v, %v", d, err)
		}
		s.want(t, "1 is prepared", "1 is active", "1 is let go", "2 is prepared", "2 is active", "2 is let go")
	})

	t.Run("one that cannot be loaded is not deployed, and its number is not used again", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		first := f.create(t, config("hello"))
		s.meets = broken
		_, err := f.Update(t.Context(), "hello", Change{Code: files("2"), Warm: true})
		wantCode(t, err, cove.CodeInitError, "not deployed, version 1 goes on: loading main.handler failed")
		if e := cove.AsError(err); e.Function == nil || len(e.Function.Stack) != 1 {
			t.Errorf("the function's own words are missing: %+v", e)
		}
		if got, _ := f.Get(t.Context(), "hello"); got.Version.ID != first.Version.ID || got.Revision != 1 || f.routed("/hello").ID != first.Version.ID {
			t.Errorf("it is changed: %+v", got)
		}
		if n, err := NewSweeper(f.Service, 0).RunOnce(t.Context()); n != 1 || err != nil {
			t.Errorf("the sweep removed %d packages, %v, want the refused one", n, err)
		}
		s.meets = nil
		f.restart(t, f.db)
		if fn := f.update(t, "hello", Change{Code: files("3")}); fn.Version.Number != 3 || fn.Revision != 2 {
			t.Errorf("got %+v", fn)
		}
	})

	t.Run("a function whose first code cannot be loaded is not made", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		s.meets = broken
		_, err := f.Service.Create(t.Context(), warmly("hello"))
		wantCode(t, err, cove.CodeInitError, "not deployed: loading")
		if f.Active("hello") != nil || f.routed("/hello") != nil {
			t.Error("it is there")
		}
		f.create(t, config("hello"))
	})

	t.Run("what the host lacks at the moment does not hold a version up, but is told", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		f.create(t, config("hello"))
		for i, code := range []cove.Code{cove.CodeUnavailable, cove.CodeOverloaded} {
			s.meets = func(context.Context, *cove.Version) *cove.Error { return cove.Errorf(code, "there is no image") }
			d, err := f.Update(t.Context(), "hello", Change{Code: files(fmt.Sprint(i)), Warm: true})
			if err != nil || d.Warmed == nil || d.Warmed.Note != "there is no image" || d.Warmed.Ready != 0 || f.Active("hello").ID != d.Version.ID {
				t.Errorf("%s: %+v, %v", code, d, err)
			}
		}
		for _, code := range []cove.Code{cove.CodeShuttingDown, cove.CodeSandboxStartFailed, cove.CodeInitTimeout, cove.CodeInternal} {
			s.meets = func(context.Context, *cove.Version) *cove.Error { return cove.Errorf(code, "no") }
			_, err := f.Update(t.Context(), "hello", Change{Code: files("x"), Warm: true})
			wantCode(t, err, code, "version 3 goes on")
		}
	})

	t.Run("where there is nothing to load nothing is", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		if _, err := f.Service.Create(t.Context(), Change{Config: new(config("bare")), Warm: true}); err != nil {
			t.Fatal(err)
		}
		f.create(t, config("hello"))
		for _, name := range []string{"hello", "bare"} {
			d, err := f.Update(t.Context(), name, Change{Config: new(config(name)), Warm: true})
			if err != nil || d.Warmed != nil || d.Version.Number != 1 {
				t.Errorf("%+v, %v", d, err)
			}
		}
		d, err := f.Service.Rollback(t.Context(), "hello", Target{Number: 1, Warm: true})
		if err != nil || d.Warmed != nil {
			t.Errorf("%+v, %v", d, err)
		}
		s.want(t, "1 is active", "1 is active")
	})

	t.Run("going back warms too", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		f.create(t, config("hello"))
		f.update(t, "hello", Change{Code: files("2")})
		s.meets = broken
		_, err := f.Service.Rollback(t.Context(), "hello", Target{Number: 1, Warm: true})
		wantCode(t, err, cove.CodeInitError, "version 2 goes on")
		_, err = f.Service.Rollback(t.Context(), "hello", Target{Number: 1, Warm: true, IfRevision: 9})
		wantCode(t, err, cove.CodePreconditionFailed)
		_, err = f.Service.Rollback(t.Context(), "hello", Target{Number: 7, Warm: true})
		wantCode(t, err, cove.CodeNotFound)
		s.meets = nil
		if d, err := f.Service.Rollback(t.Context(), "hello", Target{Number: 1, Warm: true}); err != nil || d.Version.Number != 1 || d.Warmed == nil {
			t.Errorf("%+v, %v", d, err)
		}
		s.want(t, "1 is active", "2 is active", "1 fails", "1 is prepared", "1 is active", "1 is let go")
	})
}

func TestChangesWhileAVersionIsMadeReady(t *testing.T) {
	t.Parallel()

	t.Run("it is made ready anew on what there is then", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		f.create(t, config("hello"))
		once := true
		s.meets = func(_ context.Context, v *cove.Version) *cove.Error {
			if once {
				once = false
				changed := config("hello")
				changed.Description = "changed meanwhile"
				f.update(t, "hello", Change{Config: &changed})
			}
			return nil
		}
		d, err := f.Update(t.Context(), "hello", Change{Code: files("2"), Warm: true})
		if err != nil || d.Version.Config.Description != "changed meanwhile" || d.Version.Number != 4 {
			t.Errorf("got %+v, %v", d, err)
		}
		s.want(t, "1 is active", "3 is active", "2 is prepared", "2 is let go", "4 is prepared", "4 is active", "4 is let go")
	})

	t.Run("it is not made ready for ever", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		f.create(t, config("hello"))
		n := 0
		s.meets = func(context.Context, *cove.Version) *cove.Error {
			n++
			f.update(t, "hello", Change{Code: files(fmt.Sprint("other", n))})
			return nil
		}
		_, err := f.Update(t.Context(), "hello", Change{Code: files("mine"), Warm: true})
		wantCode(t, err, cove.CodePreconditionFailed, "try again")
		if n != warmAttempts {
			t.Errorf("%d attempts", n)
		}
	})

	t.Run("who has said which revision is meant is told at once", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		f.create(t, config("hello"))
		s.meets = func(context.Context, *cove.Version) *cove.Error {
			f.update(t, "hello", Change{Code: files("other")})
			return nil
		}
		_, err := f.Update(t.Context(), "hello", Change{Code: files("mine"), IfRevision: 1, Warm: true})
		wantCode(t, err, cove.CodePreconditionFailed, "revision 2")
	})

	t.Run("a function that was deleted, or made by somebody else, is not made again", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		f.create(t, config("hello"))
		s.meets = func(_ context.Context, v *cove.Version) *cove.Error {
			if err := f.Delete(t.Context(), "hello", 0); err != nil {
				t.Error(err)
			}
			return nil
		}
		_, err := f.Update(t.Context(), "hello", Change{Code: files("2"), Warm: true})
		wantCode(t, err, cove.CodeNotFound)
		s.meets = func(context.Context, *cove.Version) *cove.Error {
			f.create(t, config("hello"))
			return nil
		}
		_, err = f.Service.Create(t.Context(), warmly("hello"))
		wantCode(t, err, cove.CodeConflict, "already")
	})

	t.Run("one that hangs holds up nothing, and its caller's leaving ends it", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		f.create(t, config("hello"))
		f.update(t, "hello", Change{Code: files("2")})
		loading, release := make(chan struct{}), make(chan error)
		s.meets = func(ctx context.Context, _ *cove.Version) *cove.Error {
			close(loading)
			<-ctx.Done()
			return cove.Errorf(cove.CodeTimeout, "0 of 1 instances were ready when the time was over")
		}
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			_, err := f.Update(ctx, "hello", Change{Code: files("3"), Warm: true})
			release <- err
		}()
		<-loading
		if fn, err := f.Rollback(t.Context(), "hello", 1, 0); err != nil || fn.Version.Number != 1 {
			t.Errorf("%+v, %v", fn, err)
		}
		f.create(t, config("other"))
		leave()
		if err := <-release; err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
			t.Errorf("got %v", err)
		}
		if f.Active("hello").Number != 1 {
			t.Errorf("version %d is active", f.Active("hello").Number)
		}
	})

	t.Run("a route that another function has taken is not taken back", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		s.meets = func(_ context.Context, v *cove.Version) *cove.Error {
			thief := config("thief")
			thief.Route = "/hello"
			f.create(t, thief)
			return nil
		}
		_, err := f.Service.Create(t.Context(), warmly("hello"))
		wantCode(t, err, cove.CodeConflict, "thief")
	})

	t.Run("what a killed daemon was making ready is not there", func(t *testing.T) {
		t.Parallel()
		f, s := staged(t)
		first := f.create(t, config("hello"))
		s.meets = func(context.Context, *cove.Version) *cove.Error {
			f.restart(t, f.db) // Another daemon reads what is on disk at this moment.
			return cove.Errorf(cove.CodeInternal, "killed")
		}
		service := f.Service
		_, err := service.Update(t.Context(), "hello", Change{Code: files("2"), Warm: true})
		wantCode(t, err, cove.CodeInternal)
		versions, err := f.Versions(t.Context(), "hello")
		if err != nil || len(versions) != 1 || f.Active("hello").ID != first.Version.ID {
			t.Errorf("got %+v, %v", versions, err)
		}
	})
}

func TestANoteOnWhatAVariableCosts(t *testing.T) {
	t.Parallel()
	f := setup(t)
	env := func(names ...string) *cove.Config {
		cfg := config("hello")
		cfg.Env = cove.Env{"GREETING": {Value: "a"}}
		for _, name := range names {
			cfg.Env[name] = cove.EnvVar{Value: "0"}
		}
		return &cfg
	}
	d, err := f.Service.Create(t.Context(), Change{Config: env("PYTHONHASHSEED"), Code: files("1")})
	if want := "PYTHONHASHSEED is read when the language starts: the function starts without a stem cell, which takes longer"; err != nil || d.Note != want {
		t.Fatalf("%q, %v", d.Note, err)
	}
	for _, c := range []struct {
		change Change
		note   string
	}{
		{Change{Code: files("2")}, ""}, // It was told before.
		{Change{Config: env("PYTHONHASHSEED", "LANG")}, "LANG, PYTHONHASHSEED are read when"},
		{Change{Config: env("NODE_OPTIONS", "TZ")}, ""}, // Python reads neither when it starts.
		{Change{Config: env("LANG"), Code: files("3"), Warm: true}, "LANG is read when"},
	} {
		d, err := f.Update(t.Context(), "hello", c.change)
		if err != nil || !strings.HasPrefix(d.Note, c.note) || (c.note == "") != (d.Note == "") {
			t.Errorf("%q instead of %q, %v", d.Note, c.note, err)
		}
	}
	for number, note := range map[int]string{4: "", 1: "PYTHONHASHSEED is"} {
		if d, err := f.Service.Rollback(t.Context(), "hello", Target{Number: number}); err != nil || !strings.HasPrefix(d.Note, note) || (note == "") != (d.Note == "") {
			t.Errorf("back to %d: %q, %v", number, d.Note, err)
		}
	}
}
