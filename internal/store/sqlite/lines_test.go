package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/covefn/cove/internal/logs"
)

// lineLog is a log in a file, and what the next line's id is.
type lineLog struct {
	*Records
	t    testing.TB
	next int64
	now  time.Time
}

func openLines(t testing.TB) *lineLog {
	t.Helper()
	r, err := OpenRecords(t.Context(), filepath.Join(t.TempDir(), "records.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return &lineLog{Records: r, t: t, next: 1, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

// save keeps one line, a second after the one before.
func (l *lineLog) save(line logs.Line) int64 {
	l.t.Helper()
	line.ID, line.Time = l.next, l.now.Add(time.Duration(l.next)*time.Second)
	l.next++
	if err := l.SaveLines(l.t.Context(), []logs.Line{line}); err != nil {
		l.t.Fatal(err)
	}
	return line.ID
}

func (l *lineLog) find(q logs.Query) logs.Page {
	l.t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	page, err := l.FindLines(l.t.Context(), q)
	if err != nil {
		l.t.Fatal(err)
	}
	return page
}

func (l *lineLog) texts(q logs.Query) string {
	l.t.Helper()
	var all []string
	for _, line := range l.find(q).Lines {
		all = append(all, line.Text)
	}
	return strings.Join(all, "|")
}

func TestLines(t *testing.T) {
	t.Parallel()

	t.Run("a line comes back as it was", func(t *testing.T) {
		t.Parallel()
		l := openLines(t)
		var want []logs.Line
		for i, line := range []logs.Line{
			{Version: 3, Instance: "i-1", RequestID: "r-1", Stream: logs.StreamStdout, Text: "ünï 😀 \x00 '%"},
			{Version: 4, Instance: "i-2", Stream: logs.StreamStderr, Level: logs.LevelError, Text: ""},
			{Platform: true, Level: logs.LevelWarn, Text: "from Cove"},
		} {
			line.ID, line.Function, line.Time = int64(i+1), "hello", time.Unix(1_700_000_000, int64(i)).UTC()
			want = append(want, line)
		}
		if err := l.SaveLines(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, l.find(logs.Query{}).Lines); diff != "" {
			t.Error(diff)
		}
		if last, err := l.LastLine(t.Context()); last != 3 || err != nil {
			t.Errorf("the last is %d, %v", last, err)
		}
	})

	t.Run("every part of a query chooses, as it does in memory", func(t *testing.T) {
		t.Parallel()
		l := openLines(t)
		l.save(logs.Line{Function: "a", RequestID: "r1", Stream: logs.StreamStdout, Text: "Paid 100%"})
		l.save(logs.Line{Function: "a", RequestID: "r1", Stream: logs.StreamStderr, Level: logs.LevelError, Text: "CARD refused_"})
		l.save(logs.Line{Function: "b", RequestID: "r2", Stream: logs.StreamStdout, Level: logs.LevelInfo, Text: "STRASSE Übung"})
		l.save(logs.Line{Function: "a", Platform: true, Level: logs.LevelWarn, Text: "note"})
		l.save(logs.Line{Function: "b", Stream: logs.StreamStdout, Level: logs.LevelDebug, Text: `{"level":"debug"}`})
		at := func(n int) time.Time { return l.now.Add(time.Duration(n) * time.Second) }
		for want, q := range map[string]logs.Query{
			"Paid 100%|CARD refused_|STRASSE Übung|note|" + `{"level":"debug"}`: {},
			"Paid 100%|CARD refused_|note":                                      {Function: "a"},
			"STRASSE Übung":                                                     {RequestID: "r2"},
			"CARD refused_":                                                     {Text: "card"},
			"Paid 100%":                                                         {Text: "0%"},
			"":                                                                  {Text: "d_r"},
			"CARD refused_|note":                                                {Level: logs.LevelWarn},
			"CARD refused_|STRASSE Übung|note":                                  {Level: logs.LevelInfo},
			"note":                                                              {Stream: logs.StreamPlatform},
			"Paid 100%|STRASSE Übung|" + `{"level":"debug"}`: {Stream: logs.StreamStdout},
			"STRASSE Übung|note":                             {From: at(3), To: at(5)},
			"CARD refused_|STRASSE Übung":                    {After: 1, Before: 4},
			"Paid 100%|CARD refused_":                        {Function: "a", Before: 4, Limit: 7},
			"note|" + `{"level":"debug"}`:                    {Limit: 2},
		} {
			if got := l.texts(q); got != want {
				t.Errorf("%+v: %q, not %q", q, got, want)
			}
		}
		if got := l.texts(logs.Query{Text: "übung"}); got != "STRASSE Übung" {
			t.Errorf("letters beyond ASCII: %q", got)
		}
		if got := l.texts(logs.Query{Function: "c"}); got != "" {
			t.Errorf("of a function without lines: %q", got)
		}
	})

	t.Run("letters beyond ASCII are found in either case, and no others", func(t *testing.T) {
		t.Parallel()
		l := openLines(t)
		for _, text := range []string{"ÜBUNG", "übung", "abung", "日本語", "日木語", "100% ÄB_\\"} {
			l.save(logs.Line{Function: "a", Text: text})
		}
		for part, want := range map[string]string{"Übung": "ÜBUNG|übung", "日本": "日本語", "0% äb_\\": "100% ÄB_\\", "ñ": ""} {
			if got := l.texts(logs.Query{Text: part}); got != want {
				t.Errorf("%s: %q, not %q", part, got, want)
			}
		}
	})

	t.Run("pages follow each other without a gap", func(t *testing.T) {
		t.Parallel()
		l := openLines(t)
		for i := range 25 {
			l.save(logs.Line{Function: []string{"a", "b"}[i%2], Text: fmt.Sprint(i)})
		}
		var all []string
		q := logs.Query{Function: "b", Limit: 5}
		for {
			page := l.find(q)
			var texts []string
			for _, line := range page.Lines {
				texts = append(texts, line.Text)
			}
			all = append(texts, all...)
			if page.Next == 0 {
				break
			}
			q.Before = page.Next
		}
		if got := strings.Join(all, " "); got != "1 3 5 7 9 11 13 15 17 19 21 23" {
			t.Errorf("got %s", got)
		}
	})

	t.Run("a search that would look at too much ends early, and says where it goes on", func(t *testing.T) {
		t.Parallel()
		l := openLines(t)
		lines := make([]logs.Line, lineWindow+10)
		for i := range lines {
			lines[i] = logs.Line{ID: int64(i + 1), Function: "a", Time: l.now.Add(time.Duration(i)), Text: "x"}
		}
		lines[3].Text = "the needle"
		if err := l.SaveLines(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
		page := l.find(logs.Query{Function: "a", Text: "needle", Limit: 10})
		if len(page.Lines) != 0 || page.Next == 0 {
			t.Fatalf("%d lines, next %d", len(page.Lines), page.Next)
		}
		page = l.find(logs.Query{Function: "a", Text: "needle", Limit: 10, Before: page.Next})
		if len(page.Lines) != 1 || page.Next != 0 {
			t.Errorf("%d lines, next %d", len(page.Lines), page.Next)
		}
	})

	t.Run("what was forgotten is not found, takes no room, and its name begins anew", func(t *testing.T) {
		t.Parallel()
		l := openLines(t)
		l.save(logs.Line{Function: "a", Text: "old"})
		l.save(logs.Line{Function: "b", Text: "other"})
		if err := l.ForgetLines(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		l.save(logs.Line{Function: "a", Text: "new"})
		if all, a := l.texts(logs.Query{}), l.texts(logs.Query{Function: "a"}); all != "other|new" || a != "new" {
			t.Errorf("got %q and %q", all, a)
		}
		if n, err := l.TrimLines(t.Context(), logs.Limits{}, l.now); n != 1 || err != nil {
			t.Errorf("%d lines were removed, %v", n, err)
		}
		if functions, err := l.LineFunctions(t.Context()); len(functions) != 2 || err != nil {
			t.Errorf("functions %v, %v", functions, err)
		}
		if left := l.rows(); left != 2 {
			t.Errorf("%d lines are left", left)
		}
	})
}

func (l *lineLog) rows() (n int) {
	l.t.Helper()
	if err := l.read.QueryRowContext(context.Background(), `SELECT count(*) FROM lines`).Scan(&n); err != nil {
		l.t.Fatal(err)
	}
	return n
}

func TestLineLimits(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) *lineLog {
		l := openLines(t)
		for i := range 20 {
			// 1,128 bytes each with what they count beside their text.
			l.save(logs.Line{Function: []string{"a", "b"}[i/15], Text: fmt.Sprintf("%-1000d", i)})
		}
		return l
	}
	for name, c := range map[string]struct {
		limits logs.Limits
		a, b   int
	}{
		"none keep everything":                               {logs.Limits{}, 15, 5},
		"of one function take its oldest only":               {logs.Limits{Function: 10 * 1128}, 10, 5},
		"of all take the oldest of any":                      {logs.Limits{Total: 8 * 1128}, 3, 5},
		"of age take what is older":                          {logs.Limits{Age: 10 * time.Second}, 5, 5},
		"of everything can take a function's lines together": {logs.Limits{Total: 1}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := setup(t)
			removed, err := l.TrimLines(t.Context(), c.limits, l.now.Add(21*time.Second))
			if err != nil || int(removed) != 20-c.a-c.b {
				t.Errorf("%d removed, %v", removed, err)
			}
			a, b := l.find(logs.Query{Function: "a"}).Lines, l.find(logs.Query{Function: "b"}).Lines
			if len(a) != c.a || len(b) != c.b {
				t.Errorf("%d and %d are left", len(a), len(b))
			}
			// What is counted is what is there: the next trim has nothing to do.
			if again, err := l.TrimLines(t.Context(), c.limits, l.now.Add(21*time.Second)); again != 0 || err != nil {
				t.Errorf("%d removed again, %v", again, err)
			}
		})
	}
}

// BenchmarkSaveLines is what a line costs the one who writes them all.
func BenchmarkSaveLines(b *testing.B) {
	l := openLines(b)
	for b.Loop() {
		lines := make([]logs.Line, 1000)
		for i := range lines {
			lines[i] = logs.Line{ID: l.next, Function: "hello", Time: l.now, Instance: "hello-3-x7k2", RequestID: fmt.Sprintf("01m839egp6n6yb%012d", l.next/3), Stream: logs.StreamStdout, Text: strings.Repeat("x", 80)}
			l.next++
		}
		if err := l.SaveLines(context.Background(), lines); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(l.next-1), "us/line")
}

// BenchmarkFindLines is what one page costs, of 500,000 lines of ten functions.
func BenchmarkFindLines(b *testing.B) {
	l := openLines(b)
	for l.next < 500_000 {
		lines := make([]logs.Line, 5000)
		for i := range lines {
			lines[i] = logs.Line{
				ID: l.next, Function: fmt.Sprint("function-", l.next%10), Time: l.now.Add(time.Duration(l.next) * time.Millisecond), Instance: "hello-3-x7k2",
				RequestID: fmt.Sprintf("01m839egp6n6yb%012d", l.next/3), Stream: logs.StreamStdout, Text: fmt.Sprintf("a line of the usual length, which has the number %d and some text behind it", l.next),
			}
			l.next++
		}
		if err := l.SaveLines(context.Background(), lines); err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]logs.Query{
		"tail":                    {},
		"tail of a function":      {Function: "function-3"},
		"request":                 {RequestID: fmt.Sprintf("01m839egp6n6yb%012d", 1000)},
		"an hour, long ago":       {Function: "function-3", To: l.now.Add(100 * time.Second)},
		"text that is everywhere": {Text: "USUAL"},
		"text that is nowhere":    {Text: "needle"},
		"text beyond ASCII":       {Text: "übung"},
		"level that is nowhere":   {Function: "function-3", Level: logs.LevelError},
	} {
		q.Limit = 100
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				l.find(q)
			}
		})
	}
}
