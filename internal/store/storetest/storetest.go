// Package storetest is the conformance suite that every store passes.
package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

// Run checks every rule of store.Store. open makes an empty store that is
// closed when the test ends.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	cases := accessCases()
	maps.Copy(cases, surfaceCases())
	maps.Copy(cases, map[string]func(*testing.T, store.Store){
		"a created function is read back as it was given":           roundTrip,
		"a name can be taken once":                                  conflict,
		"what is not there is not found":                            notFound,
		"a new version is the active one and counts on":             addVersion,
		"a change of another revision is refused":                   precondition,
		"an old version can be activated and keeps its note":        activate,
		"pruning spares the newest and the active version":          prune,
		"a number is never used twice":                              numbers,
		"a number that was taken belongs to one version or none":    taken,
		"a deleted function takes its versions with it":             deleting,
		"packages are those that a version refers to":               packages,
		"all functions come in the order of their names":            order,
		"of concurrent changes of one revision exactly one is kept": race,
		"a cancelled context changes nothing":                       cancelled,
	})
	for name, check := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

// Version is a version of function with every field set, for tests.
func Version(function string) cove.Version {
	return cove.Version{
		ID: rand.Text(), Function: function, Created: time.Now().UTC().Truncate(time.Microsecond), Note: "code",
		Package: cove.Package{SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(rand.Text()))), Format: "zip", Size: 1, Unpacked: 2, Files: 3},
		Config: cove.Config{
			Name: function, Description: "äöü \"quoted\"", Runtime: "python3.13", Handler: "main.handler",
			Route: "/" + function + "/{x}", Methods: []string{"GET", "POST"}, Timeout: cove.Duration(1500 * time.Millisecond),
			InitTimeout: cove.Duration(time.Second), QueueTimeout: cove.Duration(time.Minute), Memory: 128 * cove.MiB, CPU: 0.5,
			Tmp: 3*cove.MiB + 1, MaxBody: cove.MiB, Isolation: "gvisor", Network: cove.NetworkEgress, Auth: cove.AuthToken,
			Env:     cove.Env{"PLAIN": {Value: "value"}, "SECRET": {Value: "hush\x01\"ü", Secret: true}, "EMPTY": {}},
			CORS:    &cove.CORS{Origins: []string{"*"}, MaxAge: cove.Duration(time.Hour)},
			Scaling: cove.Scaling{Min: 1, Max: 20, Idle: cove.Duration(5 * time.Minute), Queue: 100},
		},
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected error: %v", err)
		}
		return v
	}
}

func wantCode(t *testing.T, err error, code cove.Code, mentions ...string) {
	t.Helper()
	if cove.CodeOf(err) != code {
		t.Fatalf("got error %v, want code %s", err, code)
	}
	for _, m := range mentions {
		if !strings.Contains(err.Error(), m) {
			t.Errorf("the error %q does not mention %q", err, m)
		}
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b cove.EnvVar) bool { return a == b })); d != "" {
		t.Fatalf("want -, got +:\n%s", d)
	}
}

func roundTrip(t *testing.T, s store.Store) {
	v := Version("hello")
	f := must[cove.Function](t)(s.CreateFunction(t.Context(), v))
	v.Number = 1
	want := cove.Function{Name: "hello", Revision: 1, Version: v, Created: v.Created, Updated: v.Created}
	same(t, f, want)
	same(t, must[cove.Function](t)(s.Function(t.Context(), "hello")), want)
	same(t, must[[]cove.Function](t)(s.AllFunctions(t.Context())), []cove.Function{want})
	same(t, must[cove.Version](t)(s.Version(t.Context(), "hello", 1)), v)
	same(t, must[[]cove.Version](t)(s.Versions(t.Context(), "hello")), []cove.Version{v})

	bare := cove.Version{ID: rand.Text(), Function: "bare", Config: cove.Config{Name: "bare"}, Created: v.Created}
	must[cove.Function](t)(s.CreateFunction(t.Context(), bare))
	bare.Number = 1
	same(t, must[cove.Version](t)(s.Version(t.Context(), "bare", 1)), bare)
}

func conflict(t *testing.T, s store.Store) {
	must[cove.Function](t)(s.CreateFunction(t.Context(), Version("hello")))
	_, err := s.CreateFunction(t.Context(), Version("hello"))
	wantCode(t, err, cove.CodeConflict, "hello")
	if n := len(must[[]cove.Version](t)(s.Versions(t.Context(), "hello"))); n != 1 {
		t.Errorf("the refused function left %d versions, want 1", n)
	}
}

func notFound(t *testing.T, s store.Store) {
	_, err := s.Function(t.Context(), "nobody")
	wantCode(t, err, cove.CodeNotFound, "nobody")
	_, err = s.Versions(t.Context(), "nobody")
	wantCode(t, err, cove.CodeNotFound, "nobody")
	_, err = s.AddVersion(t.Context(), Version("nobody"), 0)
	wantCode(t, err, cove.CodeNotFound, "nobody")
	_, err = s.Activate(t.Context(), "nobody", 1, 0)
	wantCode(t, err, cove.CodeNotFound, "nobody")
	wantCode(t, s.DeleteFunction(t.Context(), "nobody", 0), cove.CodeNotFound, "nobody")
	wantCode(t, s.PruneVersions(t.Context(), "nobody", 1), cove.CodeNotFound, "nobody")
	wantCode(t, s.DeleteToken(t.Context(), "nothing"), cove.CodeNotFound, "nothing")
	must[cove.Function](t)(s.CreateFunction(t.Context(), Version("hello")))
	_, err = s.Version(t.Context(), "hello", 2)
	wantCode(t, err, cove.CodeNotFound, "hello", "2")
	_, err = s.Activate(t.Context(), "hello", 2, 0)
	wantCode(t, err, cove.CodeNotFound, "hello", "2")
}

func addVersion(t *testing.T, s store.Store) {
	first := must[cove.Function](t)(s.CreateFunction(t.Context(), Version("hello")))
	v := Version("hello")
	f := must[cove.Function](t)(s.AddVersion(t.Context(), v, 1))
	v.Number = 2
	want := cove.Function{Name: "hello", Revision: 2, Version: v, Created: first.Created, Updated: v.Created}
	same(t, f, want)
	same(t, must[cove.Function](t)(s.Function(t.Context(), "hello")), want)
	same(t, must[[]cove.Version](t)(s.Versions(t.Context(), "hello")), []cove.Version{v, first.Version})
}

func precondition(t *testing.T, s store.Store) {
	must[cove.Function](t)(s.CreateFunction(t.Context(), Version("hello")))
	must[cove.Function](t)(s.AddVersion(t.Context(), Version("hello"), 0))
	_, err := s.AddVersion(t.Context(), Version("hello"), 1)
	wantCode(t, err, cove.CodePreconditionFailed, "revision 2")
	_, err = s.Activate(t.Context(), "hello", 1, 1)
	wantCode(t, err, cove.CodePreconditionFailed, "revision 2")
	wantCode(t, s.DeleteFunction(t.Context(), "hello", 1), cove.CodePreconditionFailed, "revision 2")
	if f := must[cove.Function](t)(s.Function(t.Context(), "hello")); f.Revision != 2 || f.Version.Number != 2 {
		t.Errorf("refused changes left revision %d, version %d", f.Revision, f.Version.Number)
	}
}

func activate(t *testing.T, s store.Store) {
	must[cove.Function](t)(s.CreateFunction(t.Context(), Version("hello")))
	must[cove.Function](t)(s.AddVersion(t.Context(), Version("hello"), 0))
	f := must[cove.Function](t)(s.Activate(t.Context(), "hello", 1, 2))
	if f.Version.Number != 1 || f.Revision != 3 || f.Version.Note != "code" {
		t.Errorf("got version %d, revision %d, note %q", f.Version.Number, f.Revision, f.Version.Note)
	}
	same(t, must[cove.Function](t)(s.Function(t.Context(), "hello")), f)
}

func prune(t *testing.T, s store.Store) {
	must[cove.Function](t)(s.CreateFunction(t.Context(), Version("hello")))
	for range 5 {
		must[cove.Function](t)(s.AddVersion(t.Context(), Version("hello"), 0))
	}
	must[cove.Function](t)(s.Activate(t.Context(), "hello", 2, 0))
	if err := s.PruneVersions(t.Context(), "hello", 2); err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, v := range must[[]cove.Version](t)(s.Versions(t.Context(), "hello")) {
		numbers = append(numbers, v.Number)
	}
	same(t, numbers, []int{6, 5, 2})
}

func numbers(t *testing.T, s store.Store) {
	must[cove.Function](t)(s.CreateFunction(t.Context(), Version("hello")))
	must[cove.Function](t)(s.AddVersion(t.Context(), Version("hello"), 0))
	must[cove.Function](t)(s.Activate(t.Context(), "hello", 1, 0))
	if err := s.PruneVersions(t.Context(), "hello", 0); err != nil {
		t.Fatal(err)
	}
	f := must[cove.Function](t)(s.AddVersion(t.Context(), Version("hello"), 0))
	if f.Version.Number != 3 {
		t.Errorf("after version 2 was pruned the next is %d, want 3", f.Version.Number)
	}
}

func deleting(t *testing.T, s store.Store) {
	must[cove.Function](t)(s.CreateFunction(t.Context(), Version("hello")))
	must[cove.Function](t)(s.AddVersion(t.Context(), Version("hello"), 0))
	if err := s.DeleteFunction(t.Context(), "hello", 2); err != nil {
		t.Fatal(err)
	}
	_, err := s.Version(t.Context(), "hello", 1)
	wantCode(t, err, cove.CodeNotFound)
	same(t, must[map[string]bool](t)(s.Packages(t.Context())), map[string]bool{})
	f := must[cove.Function](t)(s.CreateFunction(t.Context(), Version("hello")))
	if f.Version.Number != 1 || f.Revision != 1 {
		t.Errorf("made again it has version %d, revision %d", f.Version.Number, f.Revision)
	}
}

func packages(t *testing.T, s store.Store) {
	a, b, c := Version("a"), Version("a"), Version("b")
	c.Package = a.Package
	must[cove.Function](t)(s.CreateFunction(t.Context(), a))
	must[cove.Function](t)(s.AddVersion(t.Context(), b, 0))
	must[cove.Function](t)(s.CreateFunction(t.Context(), c))
	must[cove.Function](t)(s.CreateFunction(t.Context(), cove.Version{ID: rand.Text(), Function: "bare"}))
	same(t, must[map[string]bool](t)(s.Packages(t.Context())),
		map[string]bool{a.Package.SHA256: true, b.Package.SHA256: true})
}

func order(t *testing.T, s store.Store) {
	for _, name := range []string{"b", "a-b", "c", "a"} {
		must[cove.Function](t)(s.CreateFunction(t.Context(), Version(name)))
	}
	var names []string
	for _, f := range must[[]cove.Function](t)(s.AllFunctions(t.Context())) {
		names = append(names, f.Name)
	}
	same(t, names, []string{"a", "a-b", "b", "c"})
}

func race(t *testing.T, s store.Store) {
	must[cove.Function](t)(s.CreateFunction(t.Context(), Version("hello")))
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.AddVersion(t.Context(), Version("hello"), 1) })
	}
	wg.Wait()
	kept := 0
	for _, err := range errs {
		if err == nil {
			kept++
			continue
		}
		wantCode(t, err, cove.CodePreconditionFailed)
	}
	if kept != 1 {
		t.Errorf("%d changes of one revision were kept, want 1", kept)
	}
}

func cancelled(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.CreateFunction(ctx, Version("hello")); err == nil {
		t.Error("a cancelled context created a function")
	}
	same(t, must[[]cove.Function](t)(s.AllFunctions(t.Context())), []cove.Function{})
}

func taken(t *testing.T, s store.Store) {
	must[cove.Function](t)(s.CreateFunction(t.Context(), Version("hello")))
	number := func(want int) int {
		t.Helper()
		got := must[int](t)(s.NextNumber(t.Context(), "hello"))
		if got != want {
			t.Fatalf("the next number is %d, want %d", got, want)
		}
		return got
	}
	add := func(number, want int) {
		t.Helper()
		v := Version("hello")
		v.Number = number
		f := must[cove.Function](t)(s.AddVersion(t.Context(), v, 0))
		if f.Version.Number != want {
			t.Fatalf("the version has number %d, want %d", f.Version.Number, want)
		}
		same(t, must[cove.Version](t)(s.Version(t.Context(), "hello", want)), f.Version)
	}
	number(2) // It is given up.
	first, second := number(3), number(4)
	add(second, 4)
	add(first, 3)
	add(0, 5)
	number(6)
	if f := must[cove.Function](t)(s.Function(t.Context(), "hello")); f.Version.Number != 5 || f.Revision != 4 {
		t.Errorf("taking a number changed the function: %+v", f)
	}
	_, err := s.NextNumber(t.Context(), "nobody")
	wantCode(t, err, cove.CodeNotFound, "nobody")
}
