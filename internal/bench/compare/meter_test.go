package compare

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	t.Parallel()
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	t.Run("what foreign processes have used, also those that began or ended meanwhile", func(t *testing.T) {
		t.Parallel()
		before := map[int]process{
			1:  {ms(10), 0},
			10: {ms(100), 1}, // Goes on.
			11: {ms(50), 10}, // Ends: with the 30 it uses more, it is in 10's time.
			12: {ms(700), 1}, // Ends as init's child, and is in nobody's.
			20: {ms(5), 1},   // Goes on, and has not waited for what 22 had.
			21: {ms(1), 20},  // Ends before its child does.
			22: {ms(900), 21},
		}
		after := map[int]process{
			1:  {ms(10), 0},
			10: {ms(100 + 20 + 50 + 30), 1},
			13: {ms(5), 10}, // Has begun.
			20: {ms(5 + 7), 1},
			30: {ms(5000), 1}, // Cannot have had more than there was.
		}
		if got := grown(before, after, ms(400)); got != ms(20+30+5+7+400) {
			t.Errorf("%s", got)
		}
	})
	t.Run("what descends from the daemon is not foreign", func(t *testing.T) {
		t.Parallel()
		all := map[int]process{2: {0, 0}, 3: {0, 2}, 100: {0, 1}, 101: {0, 100}, 102: {0, 101}, 200: {0, 1}, 201: {0, 200}}
		ours := map[int]bool{100: true, 2: true}
		for pid, want := range map[int]bool{3: true, 100: true, 102: true, 200: false, 201: false, 999: false} {
			if descends(pid, all, ours) != want {
				t.Errorf("%d: not %v", pid, want)
			}
		}
	})
	t.Run("a busy child of this program is foreign, one of the daemon is not", func(t *testing.T) {
		t.Parallel()
		busy := exec.Command("/bin/sh", "-c", "while :; do :; done")
		if err := busy.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = busy.Process.Kill()
			_ = busy.Wait()
		}()
		m := &meter{daemon: os.Getpid(), mark: "/none"}
		found, err := m.strangers()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := found[busy.Process.Pid]; ok {
			t.Error("a child of the daemon is foreign")
		}
		m.daemon = -1
		if found, err = m.strangers(); err != nil {
			t.Fatal(err)
		}
		if _, ok := found[busy.Process.Pid]; !ok {
			t.Error("a child of somebody else is not foreign")
		}
		if _, ok := found[os.Getpid()]; !ok {
			t.Error("this program is not foreign")
		}
	})
}
