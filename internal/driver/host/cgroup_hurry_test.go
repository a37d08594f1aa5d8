package host

import (
	"os"
	"testing"
	"time"
)

// It is not parallel to others: what they do would be measured with it.
func TestHurry(t *testing.T) {
	needRoot(t)
	set, err := FindCgroups()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("it leaves this process where it was, and ends", func(t *testing.T) {
		before, err := os.ReadFile("/proc/self/cgroup")
		if err != nil {
			t.Fatal(err)
		}
		first, second := set.Hurry(), set.Hurry()
		first()
		time.Sleep(2 * hurryEvery)
		third := set.Hurry()
		second()
		third()
		after, err := os.ReadFile("/proc/self/cgroup")
		if err != nil || string(after) != string(before) {
			t.Errorf("the groups were\n%s and are\n%s %v", before, after, err)
		}
		// That the goroutine ends is what TestMain looks for.
	})
	t.Run("in version 2 there is nothing to do", func(t *testing.T) {
		CgroupsV2(t.TempDir()).Hurry()()
	})
}
