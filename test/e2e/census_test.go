package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/covefn/cove/internal/driver/drivertest"
)

// census is everything on the host that belongs to one data directory.
type census struct {
	Processes   []string
	Containers  []string
	Cgroups     []string
	Mounts      []string
	Directories []string
	Links       []string
	Firewall    []string
}

// all is the census as one list.
func (c census) all() []string {
	var list []string
	for kind, items := range map[string][]string{
		"process": c.Processes, "container": c.Containers, "control group": c.Cgroups,
		"mount": c.Mounts, "directory": c.Directories, "network link": c.Links, "firewall": c.Firewall,
	} {
		for _, item := range items {
			list = append(list, kind+" "+item)
		}
	}
	return list
}

// leftovers is what the daemon, which has ended, left on the host. It gives
// the kernel a moment: a process that was reaped may be listed a little longer.
func (h *harness) leftovers(t testing.TB) []string {
	t.Helper()
	var left []string
	for range 20 {
		if left = h.census(t).all(); len(left) == 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return left
}

// census takes it, the daemon's own process left out.
func (h *harness) census(t testing.TB) census {
	t.Helper()
	c := census{
		Processes: h.processes(t), Cgroups: h.cgroups(t), Mounts: h.mounts(t),
		Containers: h.containers(t), Links: h.links(t),
	}
	// The rules are for all sandboxes, and the daemon's own as long as it runs.
	if n := drivertest.FirewallRules(t, h.owner()); n > 0 && !h.running() {
		c.Firewall = append(c.Firewall, fmt.Sprintf("%d chains and rules", n))
	}
	for _, name := range []string{"run", "oci"} {
		err := filepath.WalkDir(filepath.Join(h.Data, name), func(path string, _ fs.DirEntry, err error) error {
			if err == nil && sandboxName.MatchString(filepath.Base(path)) {
				c.Directories = append(c.Directories, path)
				return fs.SkipDir
			}
			return nil // What goes meanwhile is not left over.
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return c
}

// sandboxName matches the names that a sandbox's directories and files have.
var sandboxName = regexp.MustCompile(`-[0-9a-f]{12}(\W|$)`)

// processes are those that name the data directory in their command line, or
// that are in one of the owner's control groups.
func (h *harness) processes(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	group := "/cove/" + h.owner() + "/"
	var found []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || h.running() && pid == h.pid() {
			continue
		}
		// A process that ended meanwhile has neither file.
		cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		cgroup, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cgroup"))
		if strings.Contains(string(cmdline), h.Data) || strings.Contains(string(cgroup), group) {
			found = append(found, fmt.Sprintf("%d %.200s", pid, strings.ReplaceAll(string(cmdline), "\x00", " ")))
		}
	}
	return found
}

func (h *harness) cgroups(t testing.TB) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/cove/%s", "/sys/fs/cgroup/*/cove/%s"} {
		dirs, err := filepath.Glob(fmt.Sprintf(pattern, h.owner()) + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range dirs {
			if info, err := os.Stat(d); err == nil && info.IsDir() {
				found = append(found, d)
			}
		}
	}
	return found
}

func (h *harness) mounts(t testing.TB) []string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(data)) {
		// runsc keeps an empty network namespace for all its sandboxes, which is
		// the daemon's own as long as it runs.
		if shared := strings.Contains(line, "/null-netns "); strings.Contains(line, h.Data) && !(shared && h.running()) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// containers are those that mount something of the data directory, or are
// labelled with the owner.
func (h *harness) containers(t testing.TB) []string {
	t.Helper()
	var list []struct {
		ID     string            `json:"Id"`
		State  string            `json:"State"`
		Labels map[string]string `json:"Labels"`
		Mounts []struct {
			Source string `json:"Source"`
		} `json:"Mounts"`
	}
	if err := dockerCall(context.WithoutCancel(t.Context()), "/containers/json?all=1", &list); err != nil {
		t.Fatalf("list containers: %v", err)
	}
	var found []string
	for _, c := range list {
		own := false
		for _, v := range c.Labels {
			own = own || v == h.owner()
		}
		for _, m := range c.Mounts {
			own = own || strings.HasPrefix(m.Source, h.Data)
		}
		if own {
			found = append(found, c.ID+" "+c.State)
		}
	}
	return found
}

func (h *harness) links(t testing.TB) (found []string) {
	t.Helper()
	list := func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			if strings.HasPrefix(l.Attrs().Alias, "cove:"+h.owner()+":") {
				found = append(found, l.Attrs().Name)
			}
		}
		return err
	}
	var err error
	if h.options.Lab != nil {
		err = h.options.Lab.host.do(list)
	} else {
		err = list()
	}
	if err != nil {
		t.Fatalf("list network links: %v", err)
	}
	return found
}

// descriptors are the daemon's open files, by what they are.
func (h *harness) descriptors(t testing.TB) map[string]int {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(h.pid()), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		if kind, _, ok := strings.Cut(target, ":["); ok {
			target = kind
		}
		found[target]++
	}
	return found
}

// dockerCall asks the Docker daemon and decodes its answer into out, unless
// that is nil.
func dockerCall(ctx context.Context, path string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	socket := "/var/run/docker.sock"
	if u, err := url.Parse(os.Getenv("DOCKER_HOST")); err == nil && u.Scheme == "unix" {
		socket = u.Path
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker"+path, nil)
	if err != nil {
		return err
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("Docker answered %s", res.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}
