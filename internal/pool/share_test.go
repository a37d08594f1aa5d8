package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/pool/pooltest"
	rt "github.com/covefn/cove/internal/runtime"
)

func TestConcurrency(t *testing.T) {
	t.Parallel()
	three := func(c *cove.Config) { c.Scaling.Concurrency = 3 }

	run(t, "an instance serves several requests at once before another is started", func(t *testing.T) {
		d := &pooltest.Driver{StartDelay: 100 * time.Millisecond}
		p, _ := setup(t, d, cove.GiB)
		v := version(three)
		began := time.Now()
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if _, _, err := call(p, v, "sleep 500ms"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n, took := d.Created.Load(), time.Since(began); n != 2 || took != 600*time.Millisecond {
			t.Errorf("%d instances, %s", n, took)
		}
		if s := p.Stats().Groups[0]; s.Idle != 2 {
			t.Errorf("got %+v", s)
		}
	})

	run(t, "an instance is filled up to a soft target while others are idle, beyond it when none is, and one that is frozen comes last", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 0)
		v := version(func(c *cove.Config) { c.Scaling.Concurrency, c.Scaling.Pause = 10, cove.Duration(10*time.Second) })
		if _, err := p.Warm(t.Context(), v, 3); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		var leases []*Lease
		acquire := func(n int) (frozen int) {
			for range n {
				lease, err := p.Acquire(t.Context(), v)
				if err != nil {
					t.Fatal(err)
				}
				if lease.Class() == cove.StartThawed {
					frozen++
				}
				leases = append(leases, lease)
			}
			return frozen
		}
		acquire(11)
		for _, lease := range leases {
			lease.Release() // Two are idle and one is frozen.
		}
		for _, test := range []struct {
			more, frozen int
			busy         string
		}{{7, 0, "7"}, {7, 0, "7 7"}, {6, 0, "10 10"}, {1, 1, "1 10 10"}} {
			if frozen, got := acquire(test.more), served(p); frozen != test.frozen || got != test.busy {
				t.Errorf("with %d more, of which %d have thawed an instance, they serve %s; want %s", test.more, frozen, got, test.busy)
			}
		}
		for _, lease := range leases {
			lease.Release()
		}
	})

	run(t, "a call past its deadline takes nothing from the others of its instance, and the last of them ends it", func(t *testing.T) {
		d := &pooltest.Driver{}
		p, _ := setup(t, d, cove.GiB)
		v := version(three)
		if _, err := p.Warm(t.Context(), v, 1); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, other := range []string{"sleep 800ms", "sleep 900ms"} {
			wg.Go(func() {
				if _, _, err := call(p, v, other); err != nil {
					t.Errorf("the other: %v", err)
				}
			})
		}
		synctest.Wait()
		lease, err := p.Acquire(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, failed := lease.Invoke(time.Now().Add(300*time.Millisecond), &rt.Invoke{
			Kind: cove.KindDirect, RequestID: "r", Marker: lease.Begin("r").Marker(), Payload: []byte("sleep 1h"),
		})
		if !errors.Is(failed, os.ErrDeadlineExceeded) || time.Since(began) != 300*time.Millisecond {
			t.Errorf("after %s: %v", time.Since(began), failed)
		}
		lease.Abandon("timeout")
		if class, _, err := call(p, v, "x"); err != nil || class != cove.StartCold {
			t.Errorf("the next is given it again: %s, %v", class, err)
		}
		wg.Wait()
		synctest.Wait()
		if d.Destroyed.Load() != 1 {
			t.Error("it lives on")
		}
	})
}

// served is how many requests each busy instance serves, in ascending order.
func served(p *Pool) string {
	var busy []int
	for _, in := range p.Instances() {
		if in.InFlight > 0 {
			busy = append(busy, in.InFlight)
		}
	}
	slices.Sort(busy)
	return strings.Trim(fmt.Sprint(busy), "[]")
}

func TestFairShares(t *testing.T) {
	t.Parallel()

	run(t, "a function that floods gives memory back for one that has less", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, 400*cove.MiB, 0)
		flood := version(func(c *cove.Config) { c.Scaling.Queue = 1000 })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _, _ = call(p, flood, "sleep 100ms")
				}
			})
		}
		time.Sleep(5 * time.Second)
		began := time.Now()
		if _, _, err := call(p, other(nil), "x"); err != nil || time.Since(began) > 200*time.Millisecond {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		cancel()
		wg.Wait()
	})

	run(t, "two that want all of it get half each", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, 400*cove.MiB, 0)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, v := range []*cove.Version{version(nil), other(nil)} {
			v.Config.Scaling.Queue = 1000
			for range 10 {
				wg.Go(func() {
					for ctx.Err() == nil {
						_, _, _ = call(p, v, "sleep 100ms")
					}
				})
			}
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Second)
		for _, s := range p.Stats().Groups {
			if s.Busy != 2 {
				t.Errorf("got %+v", s)
			}
		}
		cancel()
		wg.Wait()
	})

	run(t, "memory that is reserved for a function is given to no other", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, 400*cove.MiB, 0)
		kept := other(func(c *cove.Config) { c.Scaling.Reserved = 2 })
		p.Switch(nil, kept)
		v := version(func(c *cove.Config) { c.QueueTimeout = cove.Duration(time.Second) })
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { _, _, _ = call(p, v, "sleep 800ms") })
		}
		time.Sleep(500 * time.Millisecond)
		if s := p.Stats(); s.Groups[0].Busy != 2 {
			t.Errorf("got %+v", s.Groups)
		}
		began := time.Now()
		if _, _, err := call(p, kept, "x"); err != nil || time.Since(began) != 0 {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		wg.Wait()
	})
}

func TestWeights(t *testing.T) {
	t.Parallel()

	run(t, "the busy instances of a function weigh together about what one weighs, and the whole again soon after", func(t *testing.T) {
		d := &pooltest.Driver{}
		p := setupRunning(t, d, 10*cove.GiB, 0)
		v := version(func(c *cove.Config) { c.Scaling.Max = 9; c.Timeout = cove.Duration(time.Minute) })
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { _, _, _ = call(p, v, "sleep 2500ms") })
			synctest.Wait()
		}
		if got := d.WeightParts(); !slices.Equal(got, []int{4, 4, 4, 4, 4, 4}) {
			t.Errorf("six are busy: %v", got)
		}
		wg.Wait()
		time.Sleep(2100 * time.Millisecond)
		if got := d.WeightParts(); !slices.Equal(got, []int{1, 1, 1, 1, 1, 1}) {
			t.Errorf("none is busy: %v", got)
		}
	})
}

func TestHopelessRequestsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()

	run(t, "when those who wait already need more than the queue timeout", func(t *testing.T) {
		p := setupRunning(t, &pooltest.Driver{}, cove.GiB, 0)
		v := version(func(c *cove.Config) {
			c.Scaling.Max, c.Scaling.Queue = 1, 100
			c.QueueTimeout = cove.Duration(3 * time.Second)
		})
		_, _, _ = call(p, v, "sleep 900ms")
		var wg sync.WaitGroup
		waited := make(chan time.Duration, 10)
		for range 6 {
			wg.Go(func() {
				began := time.Now()
				if _, _, err := call(p, v, "sleep 900ms"); code(err) == cove.CodeOverloaded {
					waited <- time.Since(began)
				} else if err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		close(waited)
		n := 0
		for d := range waited {
			n++
			if d != 0 {
				t.Errorf("refused after %s", d)
			}
		}
		if n != 2 {
			t.Errorf("%d of 6 were refused; one runs and three can wait", n)
		}
	})
}

func TestTurns(t *testing.T) {
	t.Parallel()

	run(t, "the function that has fewest comes first", func(t *testing.T) {
		turns := newTurns(2, 2)
		granted := make(chan string, 10)
		take := func(function string) {
			if err := turns.take(context.Background(), function, false); err != nil {
				t.Error(err)
			}
			granted <- function
		}
		for _, f := range []string{"a", "a", "a", "a", "b"} {
			go take(f)
			synctest.Wait()
		}
		<-granted
		<-granted
		turns.leave("a", false)
		if next := <-granted; next != "b" {
			t.Errorf("%s is next", next)
		}
		for _, f := range []string{"a", "b", "a", "a"} {
			turns.leave(f, false)
			synctest.Wait()
		}
		if !turns.quiet() || turns.free != 2 {
			t.Errorf("%d are free", turns.free)
		}
	})

	run(t, "functions that have an instance have fewer, and hold up no others", func(t *testing.T) {
		turns := newTurns(3, 1)
		var granted []string
		var mu sync.Mutex
		for _, name := range []string{"a", "b", "new", "newer"} {
			go func() {
				if err := turns.take(context.Background(), name, !strings.HasPrefix(name, "new")); err != nil {
					t.Error(err)
				}
				mu.Lock()
				granted = append(granted, name)
				mu.Unlock()
			}()
			synctest.Wait()
		}
		if got := strings.Join(granted, " "); got != "a new newer" {
			t.Errorf("%s have turns", got)
		}
		turns.leave("new", false)
		synctest.Wait()
		if len(granted) != 3 {
			t.Errorf("%s was granted beside a", granted[3])
		}
		turns.leave("a", true)
		synctest.Wait()
		if got := strings.Join(granted, " "); got != "a new newer b" {
			t.Errorf("%s had turns", got)
		}
		turns.leave("b", true)
		turns.leave("newer", false)
		if !turns.quiet() || turns.free != 3 || turns.more != 1 {
			t.Errorf("%d and %d are free", turns.free, turns.more)
		}
	})

	run(t, "who leaves takes none", func(t *testing.T) {
		turns := newTurns(1, 1)
		if err := turns.take(t.Context(), "a", false); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := turns.take(ctx, "b", false); err == nil {
			t.Error("there was none")
		}
		turns.leave("a", false)
		if !turns.quiet() {
			t.Error("not all were given back")
		}
	})
}
