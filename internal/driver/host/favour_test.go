package host

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const favourHelper = "COVE_TEST_FAVOUR"

func TestFavour(t *testing.T) {
	t.Parallel()
	if os.Getenv(favourHelper) != "" {
		err := Favour()
		fmt.Printf("%v, %s", err, autogroupNice())
		os.Exit(0)
	}
	favoured := "nice " + favoured
	if _, err := os.Stat("/proc/self/autogroup"); err != nil {
		favoured = "" // This kernel has none, and that is no error.
	}
	for name, c := range map[string]struct {
		attributes syscall.SysProcAttr
		want       string
	}{
		"the first process of a session is favoured": {syscall.SysProcAttr{Setsid: true}, favoured},
		"one that would speak for others too is not": {syscall.SysProcAttr{}, autogroupNice()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFavour$")
			cmd.Env = append(os.Environ(), favourHelper+"=1")
			cmd.SysProcAttr = &c.attributes
			out, err := cmd.CombinedOutput()
			if got, want := string(out), "<nil>, "+c.want; err != nil || got != want {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		})
	}
}

// autogroupNice is the nice value of this process's autogroup, "" where the first
// process of the machine, or of a container, left its own without one.
func autogroupNice() string {
	group, _ := os.ReadFile("/proc/self/autogroup")
	_, nice, _ := strings.Cut(strings.TrimSpace(string(group)), " ")
	return nice
}
