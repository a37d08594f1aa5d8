package host

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/covefn/cove"
)

func TestMeasure(t *testing.T) {
	t.Parallel()
	needRoot(t)

	t.Run("memory and processor time of a process are counted", func(t *testing.T) {
		t.Parallel()
		cmd := start(t, `x=$(head -c 20000000 /dev/zero | tr '\0' x); i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo; sleep 60`)
		f, err := Measure([]int{cmd.Process.Pid})
		if err != nil || f.Processes != 1 || f.PSS < 19*cove.MiB || f.RSS < f.PSS || f.CPU <= 0 || f.CPU > time.Minute {
			t.Errorf("%+v, %v", f, err)
		}
	})
	t.Run("one that has ended counts nothing", func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command("true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if f, err := Measure([]int{cmd.Process.Pid}); err != nil || f != (Footprint{}) {
			t.Errorf("%+v, %v", f, err)
		}
	})
	t.Run("processes that share their memory are counted once", func(t *testing.T) {
		t.Parallel()
		one, err := Measure([]int{os.Getpid()})
		two, err2 := Measure([]int{os.Getpid(), os.Getpid()})
		if err != nil || err2 != nil || two.Processes != 2 || two.RSS > one.RSS*3/2 {
			t.Errorf("once %+v, %v; twice %+v, %v", one, err, two, err2)
		}
	})
	t.Run("the parent and its name are found", func(t *testing.T) {
		t.Parallel()
		cmd := start(t, "echo; sleep 60")
		parent, name, err := ParentOf(cmd.Process.Pid)
		if err != nil || parent != os.Getpid() || name == "" {
			t.Errorf("%d %q %v", parent, name, err)
		}
	})
}

// start runs a shell script until the test ends, and returns when it has
// printed its first line.
func start(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	const rest = " S 7 1 1 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 100"
	for name, c := range map[string]struct {
		data string
		want processStat
		ok   bool
	}{
		"plain":                        {"12 (sh)" + rest, processStat{"sh", 7, time.Second}, true},
		"a name with blanks, brackets": {"12 (a) (b) c)" + rest, processStat{"a) (b) c", 7, time.Second}, true},
		"cut off":                      {"12 (sh) S 7 1", processStat{}, false},
		"no name":                      {"12 sh S 7", processStat{}, false},
		"empty":                        {"", processStat{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, ok := parseStat(c.data); ok != c.ok || ok && got != c.want {
				t.Errorf("got %+v, %v", got, ok)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("12 (sh) S 7 1 1 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 100")
	f.Add(")(")
	f.Fuzz(func(t *testing.T, data string) {
		if stat, ok := parseStat(data); ok && len(stat.name) > len(data) {
			t.Errorf("%+v", stat)
		}
		_, _ = parseRollup([]byte(data))
	})
}
