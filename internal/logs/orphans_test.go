package logs

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// forgetful is a Keeper that has nothing, and knows what it was to forget.
type forgetful struct {
	Keeper
	forgotten []string
}

func (f *forgetful) LastLine(context.Context) (int64, error)                     { return 0, nil }
func (f *forgetful) SaveLines(context.Context, []Line) error                     { return nil }
func (f *forgetful) TrimLines(context.Context, Limits, time.Time) (int64, error) { return 0, nil }

func (f *forgetful) LineFunctions(context.Context) (map[string]time.Time, error) {
	return map[string]time.Time{}, nil
}

func (f *forgetful) ForgetLines(_ context.Context, function string) error {
	f.forgotten = append(f.forgotten, function)
	return nil
}

// TestWhatComesLateOfADeletedFunctionIsForgotten lets sandboxes print that were
// still ending when their function was deleted.
func TestWhatComesLateOfADeletedFunctionIsForgotten(t *testing.T) {
	t.Parallel()
	keeper := &forgetful{}
	b := NewBook()
	if err := b.Keep(t.Context(), Keeping{
		Keeper: keeper, Limits: func() Limits { return Limits{} }, Exists: func(function string) bool { return function == "lives" },
	}); err != nil {
		t.Fatal(err)
	}
	late, lives := b.Stream("deleted", 1, "i-1"), b.Stream("lives", 1, "i-2")
	fmt.Fprintln(lives, "here")
	fmt.Fprintln(late, "before")
	b.Forget("deleted")
	fmt.Fprintln(late, "late")
	trim := func(now time.Time) {
		t.Helper()
		if err := b.trim(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	// One that is being deployed prints before it exists.
	trim(time.Now())
	if len(b.Tail("deleted", "", 10)) != 1 {
		t.Error("what was printed just now is forgotten")
	}
	trim(time.Now().Add(orphaned + time.Second))
	if len(b.functions) != 1 || b.functions["lives"] == nil || b.total != b.functions["lives"].size {
		t.Errorf("it remembers %d functions and %d bytes", len(b.functions), b.total)
	}
	if !slices.Equal(keeper.forgotten, []string{"deleted", "deleted"}) {
		t.Errorf("to be forgotten were %v", keeper.forgotten)
	}
}
