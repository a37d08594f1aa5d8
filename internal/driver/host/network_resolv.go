package host

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Where a host says which DNS servers it uses: the file of every program, and
// the one in which systemd-resolved keeps the real servers behind its stub.
const (
	resolvConf     = "/etc/resolv.conf"
	resolvUpstream = "/run/systemd/resolve/resolv.conf"
)

// resolver is what a resolv.conf says.
type resolver struct {
	servers []netip.Addr
	// rest are the lines that can be taken over as they are: search, options.
	rest []string
}

// parseResolvConf reads the form of resolv.conf(5). What it does not know it
// leaves out: the file is another program's, and a sandbox needs the servers.
func parseResolvConf(text string) resolver {
	var r resolver
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(fields[1]); err == nil {
				r.servers = append(r.servers, a.Unmap())
			}
		case "search", "domain", "options":
			r.rest = append(r.rest, strings.Join(fields, " "))
		}
	}
	return r
}

// usable are the servers that a sandbox can reach: not those on the host
// itself, which it must not talk to, and not those of IPv6, which it has none of.
func (r resolver) usable(local []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(slices.Clone(r.servers), func(a netip.Addr) bool {
		return !a.Is4() || a.IsLoopback() || a.IsUnspecified() || slices.Contains(local, a)
	})
}

// String is the file in the form of resolv.conf(5).
func (r resolver) String() string {
	var b strings.Builder
	for _, line := range r.rest {
		fmt.Fprintln(&b, line)
	}
	for _, a := range r.servers {
		fmt.Fprintln(&b, "nameserver", a)
	}
	return b.String()
}

// sandboxResolver is what sandboxes are given: the configured servers, or the
// host's as far as a sandbox can reach them. The note says what the person who
// runs Cove should know about it, "" for nothing.
func sandboxResolver(configured, local []netip.Addr, read func(path string) (string, error)) (r resolver, note string, err error) {
	text, err := read(resolvConf)
	if err != nil && !os.IsNotExist(err) {
		return resolver{}, "", fmt.Errorf("read the host's DNS servers: %w", err)
	}
	r = parseResolvConf(text)
	if len(configured) > 0 {
		r.servers = configured
		return r, "", nil
	}
	host := r.servers
	if r.servers = r.usable(local); len(r.servers) > 0 {
		return r, "", nil
	}
	if text, err := read(resolvUpstream); err == nil {
		if r.servers = parseResolvConf(text).usable(local); len(r.servers) > 0 {
			return r, fmt.Sprintf("The host's DNS server %v is the host itself, which sandboxes cannot reach; they ask the servers behind it, %v.", host, r.servers), nil
		}
	}
	return r, fmt.Sprintf("The host's DNS servers %v are none that a sandbox can reach, so functions with network egress cannot look up names: configure a DNS server for sandboxes.", host), nil
}

// readText reads a small file.
func readText(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(b), err
}
