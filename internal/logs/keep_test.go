package logs_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/covefn/cove/internal/logs"
	"github.com/covefn/cove/internal/store/sqlite"
)

// kept is a book whose lines are kept in a file.
type kept struct {
	*logs.Book
	t       *testing.T
	path    string
	records *sqlite.Records
	limits  logs.Limits
	gone    sync.Map // functions that do not exist
}

func setupKept(t *testing.T) *kept {
	t.Helper()
	k := &kept{t: t, path: filepath.Join(t.TempDir(), "records.db")}
	k.open()
	t.Cleanup(func() { k.close() })
	return k
}

func (k *kept) open() {
	k.t.Helper()
	var err error
	if k.records, err = sqlite.OpenRecords(context.Background(), k.path); err != nil {
		k.t.Fatal(err)
	}
	k.Book = logs.NewBook()
	if err := k.Keep(context.Background(), k.keeping(k.records)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kept) keeping(keeper logs.Keeper) logs.Keeping {
	return logs.Keeping{Keeper: keeper, Limits: func() logs.Limits { return k.limits }, Exists: func(function string) bool {
		_, gone := k.gone.Load(function)
		return !gone
	}}
}

func (k *kept) close() {
	if err := k.records.Close(); err != nil {
		k.t.Error(err)
	}
}

func (k *kept) found(q logs.Query) string {
	k.t.Helper()
	q.Limit = 1000
	page, err := k.Find(context.Background(), q)
	if err != nil {
		k.t.Fatal(err)
	}
	var all []string
	for _, l := range page.Lines {
		all = append(all, l.Text)
	}
	return strings.Join(all, "|")
}

func TestKeep(t *testing.T) {
	t.Parallel()

	t.Run("what was written a moment ago is found, with its level", func(t *testing.T) {
		t.Parallel()
		k := setupKept(t)
		s := k.Stream("hello", 1, "i")
		fmt.Fprintln(s, `{"level":"warn","msg":"careful"}`)
		fmt.Fprintln(s, "[ERROR] no")
		s.Say("Init timed out")
		if got := k.found(logs.Query{Level: logs.LevelWarn}); got != `{"level":"warn","msg":"careful"}|[ERROR] no|Init timed out` {
			t.Errorf("got %s", got)
		}
		if n, dropped := k.Recorded(); n != 3 || dropped != 0 {
			t.Errorf("%d kept, %d dropped", n, dropped)
		}
	})

	t.Run("lines outlive the book, and their ids go on", func(t *testing.T) {
		t.Parallel()
		k := setupKept(t)
		fmt.Fprintln(k.Stream("hello", 1, "i"), "before")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		stop()
		<-done
		k.close()
		k.open()
		fmt.Fprintln(k.Stream("hello", 1, "j"), "after")
		page, err := k.Find(t.Context(), logs.Query{Limit: 10})
		if err != nil || len(page.Lines) != 2 || page.Lines[0].Text != "before" || page.Lines[1].ID <= page.Lines[0].ID {
			t.Errorf("got %+v, %v", page, err)
		}
	})

	t.Run("a deleted function's lines go, and one of its name begins anew", func(t *testing.T) {
		t.Parallel()
		k := setupKept(t)
		s := k.Stream("hello", 1, "i")
		fmt.Fprintln(s, "kept")
		if got := k.found(logs.Query{}); got != "kept" {
			t.Fatalf("got %s", got)
		}
		fmt.Fprintln(s, "waiting")
		k.Forget("hello")
		if got := k.found(logs.Query{}); got != "" {
			t.Errorf("got %s", got)
		}
		fmt.Fprintln(s, "new")
		if got := k.found(logs.Query{Function: "hello"}); got != "new" {
			t.Errorf("got %s", got)
		}
	})

	t.Run("a flood of one function leaves room for the others, takes bounded memory, and says what was dropped", func(t *testing.T) {
		t.Parallel()
		k := setupKept(t)
		flood := k.Stream("flood", 1, "i")
		line := []byte(strings.Repeat("x", 99) + "\n")
		for range 40 { // So many invocations of 10,000 lines.
			g := flood.Begin("r")
			for range 10_000 {
				_, _ = flood.Write(line)
			}
			fmt.Fprintln(flood, g.Marker())
		}
		fmt.Fprintln(k.Stream("quiet", 1, "i"), "heard")
		if got := k.found(logs.Query{Function: "quiet"}); got != "heard" {
			t.Errorf("got %q", got)
		}
		n, dropped := k.Recorded()
		if n > 10_100 || dropped < 300_000 {
			t.Errorf("%d kept, %d dropped", n, dropped)
		}
		if got := k.found(logs.Query{Function: "flood", Stream: logs.StreamPlatform, Text: "were not kept"}); got != fmt.Sprintf("%d lines before this one were not kept: they came faster than they could be written", dropped) {
			t.Errorf("%d were dropped, and the log says %q", dropped, got)
		}
	})

	t.Run("what was dropped right before the end is told, too", func(t *testing.T) {
		t.Parallel()
		k := setupKept(t)
		flood := k.Stream("flood", 1, "i")
		flood.Begin("r")
		for range 20_000 {
			fmt.Fprintln(flood, "more")
		}
		ended, end := context.WithCancel(t.Context())
		end()
		k.Run(ended)
		k.close()
		k.open()
		if got := k.found(logs.Query{Function: "flood", Stream: logs.StreamPlatform}); !strings.Contains(got, "were not kept") {
			t.Errorf("the log ends with %q", got)
		}
	})

	t.Run("what cannot be written waits, and is written when that is possible again", func(t *testing.T) {
		t.Parallel()
		k := setupKept(t)
		broken := &flaky{Records: k.records, fails: true}
		book := logs.NewBook()
		if err := book.Keep(t.Context(), k.keeping(broken)); err != nil {
			t.Fatal(err)
		}
		k.Book = book
		s := book.Stream("hello", 1, "i")
		fmt.Fprintln(s, "one")
		if _, err := book.Find(t.Context(), logs.Query{Limit: 1}); err == nil {
			t.Error("no error")
		}
		fmt.Fprintln(s, "two")
		broken.fails = false
		if got := k.found(logs.Query{}); got != "one|two" {
			t.Errorf("got %s", got)
		}
	})

	t.Run("the limits are kept while it runs", func(t *testing.T) {
		t.Parallel()
		k := setupKept(t)
		k.limits = logs.Limits{Function: 10 << 10}
		s := k.Stream("hello", 1, "i")
		for i := range 1000 {
			fmt.Fprintln(s, i)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			got := strings.Split(k.found(logs.Query{}), "|")
			if len(got) < 100 && got[len(got)-1] == "999" {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d lines are left", len(got))
			}
		}
		stop()
		<-done
	})
}

// flaky fails to write as long as it is told to.
type flaky struct {
	*sqlite.Records
	fails bool
}

func (f *flaky) SaveLines(ctx context.Context, lines []logs.Line) error {
	if f.fails {
		return errors.New("no space left on device")
	}
	return f.Records.SaveLines(ctx, lines)
}

func TestFollow(t *testing.T) {
	t.Parallel()

	t.Run("a slow reader misses lines and learns how many; who logs does not wait", func(t *testing.T) {
		t.Parallel()
		book := logs.NewBook()
		f, err := book.Follow(t.Context(), logs.Query{Function: "hello"})
		if err != nil {
			t.Fatal(err)
		}
		s := book.Stream("hello", 1, "i")
		for i := range 5000 {
			fmt.Fprintln(s, i)
		}
		if missed := f.Missed(); missed != 5000-1024 || f.Missed() != 0 {
			t.Errorf("%d were missed", missed)
		}
		if l := <-f.Lines(); l.Text != "0" {
			t.Errorf("the first is %q", l.Text)
		}
	})

	t.Run("it is told what its query chooses, of all functions too", func(t *testing.T) {
		t.Parallel()
		book := logs.NewBook()
		f, err := book.Follow(t.Context(), logs.Query{Level: logs.LevelError, Text: "PAY", From: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(book.Stream("a", 1, "i"), "[ERROR] pay: refused")
		fmt.Fprintln(book.Stream("b", 1, "i"), "[INFO] pay: fine")
		fmt.Fprintln(book.Stream("b", 1, "i"), "[ERROR] pay: lost")
		var got []string
		for range 3 {
			if l := <-f.Lines(); f.Wanted(&l) {
				got = append(got, l.Function+" "+l.Level)
			}
		}
		if strings.Join(got, ",") != "a error,b error" {
			t.Errorf("got %v", got)
		}
	})

	t.Run("there are only so many followers", func(t *testing.T) {
		t.Parallel()
		book := logs.NewBook()
		ctx, cancel := context.WithCancel(t.Context())
		var last *logs.Follower
		for range 64 {
			f, err := book.Follow(ctx, logs.Query{})
			if err != nil {
				t.Fatal(err)
			}
			last = f
		}
		if _, err := book.Follow(t.Context(), logs.Query{}); err == nil {
			t.Error("one more could follow")
		}
		cancel()
		for range last.Lines() {
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if _, err := book.Follow(t.Context(), logs.Query{}); err == nil {
				return
			}
			if time.Now().After(end) {
				t.Fatal("nobody can follow after they have left")
			}
		}
	})
}
