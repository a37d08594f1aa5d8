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
		group, _ := os.ReadFile("/proc/self/autogroup")
		fmt.Printf("%v %s", err, group)
		os.Exit(0)
	}
	own, err := os.ReadFile("/proc/self/autogroup")
	if err != nil {
		t.Skipf("this kernel has no autogroup: %v", err)
	}
	_, nice, _ := strings.Cut(strings.TrimSpace(string(own)), " ")
	for name, c := range map[string]struct {
		attributes syscall.SysProcAttr
		want       string
	}{
		"the first process of a session is favoured": {syscall.SysProcAttr{Setsid: true}, "nice -10"},
		"one that would speak for others too is not": {syscall.SysProcAttr{}, nice},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFavour$")
			cmd.Env = append(os.Environ(), favourHelper+"=1")
			cmd.SysProcAttr = &c.attributes
			out, err := cmd.CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || !strings.HasPrefix(got, "<nil> ") || !strings.HasSuffix(got, c.want) {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}
