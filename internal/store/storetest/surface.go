package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// surfaceCases are the rules of disabled functions and of saved events.
func surfaceCases() map[string]func(*testing.T, store.Store) {
	return map[string]func(*testing.T, store.Store){
		"a function stays disabled until it is enabled": disabling,
		"an event is kept until it is replaced":         events,
		"a function has no more events than allowed":    tooManyEvents,
		"a deleted function takes its events with it":   eventsGo,
	}
}

func disabling(t *testing.T, s store.Store) {
	f, err := s.CreateFunction(t.Context(), Version("a"))
	if err != nil || f.Disabled {
		t.Fatalf("got %+v, %v", f, err)
	}
	if f, err = s.SetDisabled(t.Context(), "a", true, 1); err != nil || !f.Disabled || f.Revision != 2 || f.Version.Number != 1 {
		t.Fatalf("got %+v, %v", f, err)
	}
	if _, err := s.SetDisabled(t.Context(), "a", false, 1); cove.CodeOf(err) != cove.CodePreconditionFailed {
		t.Errorf("of another revision: %v", err)
	}
	if _, err := s.SetDisabled(t.Context(), "b", false, 0); cove.CodeOf(err) != cove.CodeNotFound {
		t.Errorf("of no function: %v", err)
	}
	if f, err = s.AddVersion(t.Context(), Version("a"), 0); err != nil || !f.Disabled {
		t.Errorf("with a new version: %+v, %v", f, err)
	}
	if f, err = s.Activate(t.Context(), "a", 1, 0); err != nil || !f.Disabled {
		t.Errorf("rolled back: %+v, %v", f, err)
	}
	if read, err := s.Function(t.Context(), "a"); err != nil || !cmp.Equal(read, f) {
		t.Errorf("read back: %+v, %v", read, err)
	}
	if all, err := s.AllFunctions(t.Context()); err != nil || len(all) != 1 || !all[0].Disabled {
		t.Errorf("in the list: %+v, %v", all, err)
	}
	if f, err = s.SetDisabled(t.Context(), "a", false, 0); err != nil || f.Disabled || f.Revision != 5 {
		t.Errorf("enabled: %+v, %v", f, err)
	}
}

func event(name, body string) store.Event {
	return store.Event{Name: name, Body: []byte(body), Updated: time.Now().UTC().Truncate(time.Microsecond)}
}

func events(t *testing.T, s store.Store) {
	if _, err := s.CreateFunction(t.Context(), Version("a")); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Events(t.Context(), "a"); err != nil || len(all) != 0 {
		t.Errorf("at first: %v, %v", all, err)
	}
	first, second, third := event("b b", `{"x": "ä"}`), event("ä", "null"), event("b b", "[1]")
	for _, e := range []store.Event{second, first, third} {
		if err := s.PutEvent(t.Context(), "a", e, 2); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Events(t.Context(), "a")
	if diff := cmp.Diff([]store.Event{third, second}, all); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	if err := s.DeleteEvent(t.Context(), "a", "ä"); err != nil {
		t.Error(err)
	}
	if err := s.DeleteEvent(t.Context(), "a", "ä"); cove.CodeOf(err) != cove.CodeNotFound {
		t.Errorf("deleted twice: %v", err)
	}
	if err := s.PutEvent(t.Context(), "nobody", first, 2); cove.CodeOf(err) != cove.CodeNotFound {
		t.Errorf("of no function: %v", err)
	}
}

func tooManyEvents(t *testing.T, s store.Store) {
	if _, err := s.CreateFunction(t.Context(), Version("a")); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if err := s.PutEvent(t.Context(), "a", event(fmt.Sprint("e", n), "1"), 3); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutEvent(t.Context(), "a", event("one more", "1"), 3); cove.CodeOf(err) != cove.CodeConflict {
		t.Errorf("got %v", err)
	}
	if err := s.PutEvent(t.Context(), "a", event("e1", "2"), 3); err != nil {
		t.Errorf("one that is there: %v", err)
	}
}

func eventsGo(t *testing.T, s store.Store) {
	for range 2 {
		if _, err := s.CreateFunction(t.Context(), Version("a")); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Events(t.Context(), "a"); err != nil || len(all) != 0 {
			t.Errorf("a new function has events: %v, %v", all, err)
		}
		if err := s.PutEvent(t.Context(), "a", event("e", "1"), 3); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteFunction(t.Context(), "a", 0); err != nil {
			t.Fatal(err)
		}
	}
}
