package trace

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/covefn/cove/internal/scale/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everyTenth are 100 of the functions, in the order of how often they are called.
func everyTenth(t *testing.T) []sim.Function {
	t.Helper()
	functions, err := Functions(1)
	if err != nil {
		t.Fatal(err)
	}
	all := func(f sim.Function) int { return calls(f, 0, len(f.Minutes)) }
	slices.SortStableFunc(functions, func(a, b sim.Function) int { return all(a) - all(b) })
	var some []sim.Function
	for i := 5; i < len(functions); i += 10 {
		some = append(some, functions[i])
	}
	return some
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	t.Run("are 1,000, with 11.6 million calls in a day", func(t *testing.T) {
		t.Parallel()
		functions, err := Functions(1)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, f := range functions {
			total += calls(f, 0, 1440)
		}
		if len(functions) != 1000 || total < 11_550_000 || total >= 11_650_000 {
			t.Errorf("%d functions, %d calls", len(functions), total)
		}
	})
	t.Run("run times and memory are distributed as the paper says", func(t *testing.T) {
		t.Parallel()
		functions, err := Functions(2)
		if err != nil {
			t.Fatal(err)
		}
		mean := 0.0
		var memory []float64
		for _, f := range functions {
			mean += math.Log(f.Run.Seconds()) / float64(len(functions))
			memory = append(memory, f.Memory)
		}
		// The bounds of the run times cut off some of the distribution's ends.
		if math.Abs(mean-runMean) > 0.3 {
			t.Errorf("the mean logarithm of the run times is %.2f", mean)
		}
		// The median of the distribution, from its inverse.
		slices.Sort(memory)
		if median := memory[len(memory)/2]; median < 120 || median > 160 {
			t.Errorf("the median of the memory is %.0f MB", median)
		}
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a,b,c,d\n", "a,b,c,d\n1,2,3,x\n", "a,b,c,d\n1,2,3,-1\n", "a,b,c,d\n1,2,3\n"} {
		if _, err := parse(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a,b,c,minute_1,minute_2\nf,a,o,0,7\n")
	f.Fuzz(func(t *testing.T, text string) {
		functions, err := parse(strings.NewReader(text))
		if err == nil && (len(functions) == 0 || len(functions[0].Minutes) == 0) {
			t.Error("no functions and no error")
		}
	})
}

func TestPlan(t *testing.T) {
	t.Parallel()
	r := Replay{Functions: 20, Span: 2 * time.Hour, Length: 2 * time.Minute, Clip: time.Second, Rate: 40, Seed: 1}
	n, planned := r.Plan(everyTenth(t))
	if n != 20 || len(planned) < 100 || float64(len(planned)) > 1.2*r.Rate*r.Length.Seconds() {
		t.Errorf("%d functions, %d calls", n, len(planned))
	}
	for i, c := range planned {
		if c.Function < 0 || c.Function >= n || c.At < 0 || c.At >= r.Length || c.Takes > r.Clip || c.Takes < time.Millisecond || i > 0 && c.At < planned[i-1].At {
			t.Fatalf("call %d: %+v", i, c)
		}
	}
}

// The bound is what these functions give with room to spare; the figures for all
// are in docs/performance.md.
func TestTheAdaptivePolicyMakesFewerColdStartsAtEqualIdleTime(t *testing.T) {
	t.Parallel()
	// A busy function tells little here and takes long.
	small := slices.DeleteFunc(everyTenth(t), func(f sim.Function) bool { return calls(f, 0, len(f.Minutes)) >= 3000 })
	c := Views(small, 1)[1].Compare(10 * time.Minute)
	if c.Adaptive.IdleHours > c.Fixed.IdleHours || c.Adaptive.Near75 > 0.75*c.Fixed.Near75 || c.Adaptive.Cold > c.Fixed.Cold {
		t.Errorf("got %+v beside %+v", c.Adaptive, c.Fixed)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	v := Views([]sim.Function{{Name: "f", Minutes: make([]uint32, 1440), Run: time.Second, Memory: 1}}, 1)[0]
	var out strings.Builder
	if err := v.Explain(t.Context(), &out, v.Compare(10*time.Minute), 10*time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"as in the paper", "at equal idle time", "everything is kept all day"} {
		if !strings.Contains(out.String(), what) {
			t.Errorf("%q is not in\n%s", what, out.String())
		}
	}
}
