package metrics

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/store"
)

var testNow = time.Date(2026, 11, 22, 14, 37, 25, 0, time.UTC)

func TestPlan(t *testing.T) {
	t.Parallel()
	keep := [...]time.Duration{72 * time.Hour, 90 * 24 * time.Hour, 0}
	must := func(t *testing.T, from, to time.Time, step time.Duration) plan {
		t.Helper()
		p, err := newPlan(from, to, step, 1, keep, testNow)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}

	t.Run("every minute of any range is read once, in spans that lie within the range or in the future", func(t *testing.T) {
		t.Parallel()
		random := rand.New(rand.NewPCG(1, 2))
		now := ceilMinutes(testNow)
		for range 2000 {
			back := time.Duration(1 + random.Int64N(int64(40*24*time.Hour)))
			length := min(back, time.Duration(1+random.Int64N(int64(back))))
			from := testNow.Add(-back)
			var step time.Duration
			if random.IntN(2) == 0 {
				step = time.Duration(1+random.IntN(3000)) * time.Minute
			}
			p, err := newPlan(from, from.Add(length), step, 1, keep, testNow)
			if err != nil {
				continue // Too many points.
			}
			if p.from*60 > from.Unix() || p.to*60 < from.Add(length).Unix() {
				t.Fatalf("%s + %s: answered %d to %d", from, length, p.from, p.to)
			}
			at := p.from
			for _, part := range p.parts {
				if part.from != at || part.from%span(part.resolution) != 0 || part.to%span(part.resolution) != 0 {
					t.Fatalf("%s + %s, step %s: %v", from, length, step, p.parts)
				}
				at = part.to
			}
			if at != p.to && (at < p.to || at < now || p.to < now) {
				t.Fatalf("%s + %s: read up to %d, want %d; now %d", from, length, at, p.to, now)
			}
			if p.step > 0 && (p.from%p.step != 0 || p.to%p.step != 0 || p.points() > maxPoints || p.step < int64(step/time.Minute)) {
				t.Fatalf("step %s: %+v", step, p)
			}
		}
	})

	t.Run("30 days are read as days with hours at the edges", func(t *testing.T) {
		t.Parallel()
		spans := int64(0)
		for _, part := range must(t, testNow.AddDate(0, 0, -30), testNow, 0).parts {
			spans += (part.to - part.from) / span(part.resolution)
		}
		if spans > 60 {
			t.Errorf("%d spans are read", spans)
		}
	})

	t.Run("a step is read at the coarsest resolution that divides it", func(t *testing.T) {
		t.Parallel()
		for step, want := range map[time.Duration]store.Resolution{
			5 * time.Minute: store.Minute, 90 * time.Minute: store.Minute, 2 * time.Hour: store.Hour, 36 * time.Hour: store.Hour, 48 * time.Hour: store.Day,
		} {
			p := must(t, testNow.Add(-48*time.Hour), testNow, step)
			if p.parts[0].resolution != want || p.step != int64(step/time.Minute) {
				t.Errorf("step %s: %+v", step, p)
			}
		}
	})

	t.Run("where minutes are not kept any more the step is hours", func(t *testing.T) {
		t.Parallel()
		p := must(t, testNow.Add(-100*time.Hour), testNow, 7*time.Minute)
		if p.step != 60 || p.parts[0].resolution != store.Hour {
			t.Errorf("got %+v", p)
		}
		p = must(t, testNow.Add(-100*24*time.Hour), testNow.Add(-99*24*time.Hour), 0)
		if p.from%span(store.Day) != 0 || p.parts[0].resolution != store.Day {
			t.Errorf("got %+v", p)
		}
	})

	t.Run("what reads many functions at once takes longer steps", func(t *testing.T) {
		t.Parallel()
		p, err := newPlan(testNow.AddDate(0, 0, -30), testNow, 12*time.Hour, 200, keep, testNow)
		if err != nil || p.step != span(store.Day) {
			t.Errorf("got %+v, %v", p, err)
		}
		p, err = newPlan(testNow.AddDate(0, 0, -30), testNow, 0, 400, keep, testNow)
		if err != nil || p.from%span(store.Day) != 0 || len(p.parts) != 1 {
			t.Errorf("got %+v, %v", p, err)
		}
	})

	t.Run("too many points, and a range that is none, are told", func(t *testing.T) {
		t.Parallel()
		for _, from := range []time.Duration{-48 * time.Hour, 0} {
			if _, err := newPlan(testNow.Add(from), testNow, time.Minute, 1, keep, testNow); cove.CodeOf(err) != cove.CodeInvalid {
				t.Errorf("from %s: got %v", from, err)
			}
		}
	})
}
