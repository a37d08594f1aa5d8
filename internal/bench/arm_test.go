package bench

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// steady is an arm that takes d and notes its name in order.
func steady(name string, d time.Duration, order *[]string) Arm {
	return Arm{Name: name, Sample: func(context.Context) (Sample, error) {
		*order = append(*order, name)
		time.Sleep(d)
		return Sample{Took: d}, nil
	}}
}

func TestInterleave(t *testing.T) {
	t.Parallel()
	t.Run("every round has every arm once, in an order that changes", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var order []string
			arms := []Arm{steady("a", 1, &order), steady("b", 2, &order), steady("c", 3, &order)}
			series, err := Interleave(t.Context(), arms, Rounds{N: 50, Warmup: 1, Seed: 4})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for round := range slices.Chunk(order, 3) {
				seen[strings.Join(round, "")] = true
				slices.Sort(round)
				if !slices.Equal(round, []string{"a", "b", "c"}) {
					t.Errorf("a round of %v", round)
				}
			}
			if len(seen) != 6 {
				t.Errorf("the orders were %v", seen)
			}
			for i, s := range series {
				if len(s.Samples) != 50 || s.Took()[0] != time.Duration(i+1) || s.Failed != 0 {
					t.Errorf("%+v", s)
				}
			}
		})
	})
	t.Run("the time ends it after a whole round", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var order []string
			var parts []float64
			series, err := Interleave(t.Context(), []Arm{steady("a", time.Second, &order), steady("b", 2*time.Second, &order)},
				Rounds{N: 1000, Budget: 10 * time.Second, Progress: func(p float64) { parts = append(parts, p) }})
			if err != nil || len(series[0].Samples) != 4 || len(series[1].Samples) != 4 {
				t.Errorf("%v, %+v", err, series)
			}
			if !slices.IsSorted(parts) || parts[len(parts)-1] != 1 {
				t.Errorf("progress %v", parts)
			}
		})
	})
	t.Run("a failure is counted and told, and the arm goes on", func(t *testing.T) {
		t.Parallel()
		calls := 0
		flaky := Arm{Name: "flaky", Sample: func(context.Context) (Sample, error) {
			if calls++; calls%3 == 0 {
				return Sample{}, errors.New("wrong answer")
			}
			return Sample{Took: 1}, nil
		}}
		series, err := Interleave(t.Context(), []Arm{flaky}, Rounds{N: 9})
		if s := series[0]; err != nil || len(s.Samples) != 6 || s.Failed != 3 || s.Error != "wrong answer" || s.GaveUp {
			t.Errorf("%v, %+v", err, s)
		}
	})
	t.Run("an arm that only fails is given up, the others go on", func(t *testing.T) {
		t.Parallel()
		var order []string
		broken := Arm{Name: "broken", Sample: func(context.Context) (Sample, error) { return Sample{}, errors.New("no") }}
		series, err := Interleave(t.Context(), []Arm{broken, steady("a", 1, &order)}, Rounds{N: 20})
		if err != nil || !series[0].GaveUp || series[0].Failed != failuresInARow || len(series[1].Samples) != 20 {
			t.Errorf("%v, %+v", err, series)
		}
		if c := series[0].Counted(); c.Failed != failuresInARow || c.Error != "no (left out after 5 failures in a row)" {
			t.Errorf("the report tells %+v", c)
		}
	})
	t.Run("the end of the context ends it, with what there is", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5500*time.Millisecond)
			defer cancel()
			var order []string
			series, err := Interleave(ctx, []Arm{steady("a", time.Second, &order)}, Rounds{N: 100})
			if !errors.Is(err, context.DeadlineExceeded) || len(series[0].Samples) != 5 {
				t.Errorf("%v, %+v", err, series)
			}
		})
	})
	t.Run("without a number and a time there is no comparison", func(t *testing.T) {
		t.Parallel()
		if _, err := Interleave(t.Context(), nil, Rounds{}); err == nil {
			t.Error("no error")
		}
	})
}
