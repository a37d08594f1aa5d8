package host

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A lab is a host and its world, both in network namespaces of their own: the
// host has one uplink to the world, which answers at worldAddress, metadata
// and its own end of the uplink.
type lab struct {
	world *os.File
	owner string
}

const (
	hostAddress  = "192.0.2.10"
	hostOther    = "203.0.113.5"
	gateway      = "192.0.2.1"
	worldAddress = "198.51.100.7"
	metadata     = "169.254.169.254"
)

// setup makes a lab and moves the test's goroutine onto its host. The thread
// ends with the test, and the lab with it.
func setup(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests make network namespaces and must run as root: sudo make test")
	}
	runtime.LockOSThread()
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	dir := t.TempDir()
	l := &lab{owner: "lab" + shortHash(t.Name(), 6)}
	l.world = namespace(t, filepath.Join(dir, "world"))
	must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0))
	must(t, setUp("lo", hostOther+"/32"))
	wire(t, "up0", hostAddress+"/24", l.world, "eth0", gateway+"/24")
	must(t, inNamespace(l.world, func() error { return setUp("lo", worldAddress+"/32", metadata+"/32") }))
	must(t, netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(gateway)}))
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func namespace(t *testing.T, path string) *os.File {
	t.Helper()
	ns, err := newNamespace(path)
	must(t, err)
	t.Cleanup(func() {
		_ = ns.Close()
		if err := unmountAll(path); err != nil {
			t.Error(err)
		}
	})
	return ns
}

// wire joins this namespace and another one by a pair of links.
func wire(t *testing.T, name, addr string, ns *os.File, peer, peerAddr string) {
	t.Helper()
	veth := netlink.NewVeth(netlink.LinkAttrs{Name: name})
	veth.PeerName, veth.PeerNamespace = peer, netlink.NsFd(ns.Fd())
	must(t, netlink.LinkAdd(veth))
	must(t, setUp(name, addr))
	must(t, inNamespace(ns, func() error { return setUp(peer, peerAddr) }))
}

func setUp(name string, addrs ...string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, text := range addrs {
		a, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(l, a); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(l)
}

// serve answers "hello" on TCP in the namespace that the test is in.
func serve(t *testing.T, addr string) int {
	t.Helper()
	l, err := net.Listen("tcp4", net.JoinHostPort(addr, "0"))
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello")
			_ = c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func serveIn(t *testing.T, ns *os.File, addr string) (port int) {
	t.Helper()
	must(t, inNamespace(ns, func() error { port = serve(t, addr); return nil }))
	return port
}

// call connects from the namespace that the thread is in and reads the answer.
func call(addr string, port int, from net.IP) error {
	d := net.Dialer{Timeout: time.Second}
	if from != nil {
		d.LocalAddr = &net.TCPAddr{IP: from}
	}
	c, err := d.Dial("tcp4", net.JoinHostPort(addr, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	b, err := io.ReadAll(c)
	if err == nil && string(b) != "hello" {
		return fmt.Errorf("the answer was %q", b)
	}
	return err
}

func (l *lab) network(t *testing.T, owner, id string) (*Network, *os.File) {
	t.Helper()
	n, err := NewNetwork(t.Context(), l.options(t, owner, id))
	must(t, err)
	ns, err := os.Open(n.NamespacePath())
	must(t, err)
	t.Cleanup(func() {
		_ = ns.Close()
		if err := n.Remove(); err != nil {
			t.Error(err)
		}
	})
	return n, ns
}

func (l *lab) options(t *testing.T, owner, id string) NetworkOptions {
	t.Helper()
	return NetworkOptions{Owner: owner, ID: id, Dir: t.TempDir()}
}

func reachable(t *testing.T, ns *os.File, addr string, port int) {
	t.Helper()
	// A busy machine may lose the first packet, or be late.
	var err error
	for range 5 {
		if err = inNamespace(ns, func() error { return call(addr, port, nil) }); err == nil {
			return
		}
	}
	t.Errorf("%s:%d is not reachable: %v", addr, port, err)
}

func unreachable(t *testing.T, ns *os.File, addr string, port int) {
	t.Helper()
	if err := inNamespace(ns, func() error { return call(addr, port, nil) }); err == nil {
		t.Errorf("%s:%d is reachable", addr, port)
	}
}

func addressIn(t *testing.T, ns *os.File) (ip net.IP) {
	t.Helper()
	must(t, inNamespace(ns, func() error {
		l, err := netlink.LinkByName(insideLink)
		if err != nil {
			return err
		}
		list, err := netlink.AddrList(l, netlink.FAMILY_V4)
		if err != nil || len(list) != 1 {
			return fmt.Errorf("the addresses inside are %v, %w", list, err)
		}
		ip = list[0].IP
		return nil
	}))
	return ip
}

func iptables(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, append([]string{"-w", "5"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s (if it is missing: apt-get install iptables)", program, args, err, out)
	}
	return string(out)
}

func TestNetworkReachesTheWorldAndNothingOnTheHost(t *testing.T) {
	t.Parallel()
	l := setup(t)
	_, inside := l.network(t, l.owner, "one")
	everywhere := serve(t, "0.0.0.0")
	must(t, call(hostAddress, everywhere, nil))

	t.Log("the world is reachable, without a route back to the sandbox")
	reachable(t, inside, worldAddress, serveIn(t, l.world, worldAddress))
	reachable(t, inside, gateway, serveIn(t, l.world, gateway))

	t.Log("no address of the host is reachable")
	for _, addr := range []string{hostAddress, hostOther, "127.0.0.1"} {
		unreachable(t, inside, addr, everywhere)
	}
	subnet := addressIn(t, inside).To4()
	unreachable(t, inside, net.IPv4(subnet[0], subnet[1], subnet[2], subnet[3]-1).String(), everywhere)

	t.Log("the metadata service is reachable from the host, not from the sandbox, which is told at once")
	port := serveIn(t, l.world, metadata)
	must(t, call(metadata, port, nil))
	err := inNamespace(inside, func() error { return call(metadata, port, nil) })
	if err == nil || !strings.Contains(err.Error(), unix.EHOSTUNREACH.Error()) {
		t.Errorf("calling the metadata service gave %v, want %v", err, unix.EHOSTUNREACH)
	}
}

func TestNetworkWallsSandboxesFromEachOther(t *testing.T) {
	t.Parallel()
	l := setup(t)
	_, one := l.network(t, l.owner, "one")
	_, two := l.network(t, l.owner, "two")
	_, other := l.network(t, l.owner+"x", "one")
	for _, neighbour := range []*os.File{two, other} {
		addr := addressIn(t, neighbour).String()
		unreachable(t, one, addr, serveIn(t, neighbour, "0.0.0.0"))
	}
}

func TestNetworkLetsNobodyIn(t *testing.T) {
	t.Parallel()
	l := setup(t)
	_, inside := l.network(t, l.owner, "one")
	port := serveIn(t, inside, "0.0.0.0")
	must(t, inNamespace(l.world, func() error {
		return netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(hostAddress)})
	}))
	unreachable(t, l.world, addressIn(t, inside).String(), port)
}

func TestNetworkRefusesForgedSources(t *testing.T) {
	t.Parallel()
	l := setup(t)
	_, inside := l.network(t, l.owner, "one")
	port := serveIn(t, l.world, worldAddress)
	forged := "192.0.2.77"
	must(t, inNamespace(inside, func() error { return setUp(insideLink, forged+"/32") }))
	if err := inNamespace(inside, func() error { return call(worldAddress, port, net.ParseIP(forged)) }); err == nil {
		t.Error("a packet with another's source address came through")
	}
}

func TestNetworkKeepsOutOfContainerNetworks(t *testing.T) {
	t.Parallel()
	l := setup(t)
	must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
	must(t, setUp("br0", "172.31.0.1/24"))
	container := namespace(t, filepath.Join(t.TempDir(), "container"))
	wire(t, "port0", "172.31.9.1/32", container, "eth0", "172.31.0.2/24")
	port0, err := netlink.LinkByName("port0")
	must(t, err)
	br0, err := netlink.LinkByName("br0")
	must(t, err)
	must(t, netlink.LinkSetMaster(port0, br0))
	must(t, inNamespace(container, func() error { return netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP("172.31.0.1")}) }))
	must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
	port := serveIn(t, container, "0.0.0.0")
	must(t, call("172.31.0.2", port, nil))
	iptables(t, "iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", "8081", "-j", "DNAT", "--to-destination", fmt.Sprintf("172.31.0.2:%d", port))
	must(t, inNamespace(l.world, func() error { return call(hostAddress, 8081, nil) }))

	_, inside := l.network(t, l.owner, "one")
	unreachable(t, inside, "172.31.0.2", port)
	unreachable(t, inside, hostAddress, 8081)
	reachable(t, inside, worldAddress, serveIn(t, l.world, worldAddress))
}

func TestNetworkPassesFirewallsThatForwardNothing(t *testing.T) {
	t.Parallel()
	firewalls := map[string]struct{ program, chain string }{
		"Docker's, in nf_tables":     {"iptables-nft", dockerUser},
		"a policy, in nf_tables":     {"iptables-nft", forwardChain},
		"Docker's, in legacy tables": {"iptables-legacy", dockerUser},
		"a policy, in legacy tables": {"iptables-legacy", forwardChain},
	}
	for name, f := range firewalls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := setup(t)
			iptables(t, f.program, "-P", "FORWARD", "DROP")
			if f.chain != forwardChain {
				iptables(t, f.program, "-N", f.chain)
				iptables(t, f.program, "-A", f.chain, "-j", "RETURN")
				iptables(t, f.program, "-I", "FORWARD", "-j", f.chain)
			}
			before := iptables(t, f.program, "-S")
			n, inside := l.network(t, l.owner, "one")
			reachable(t, inside, worldAddress, serveIn(t, l.world, worldAddress))
			open := iptables(t, f.program, "-S")
			if !strings.Contains(open, "-A "+f.chain+" -i "+linkPrefix(l.owner)+"+ ") {
				t.Errorf("iptables does not list the rule that opens %s:\n%s", f.chain, open)
			}
			l.network(t, l.owner, "two")
			if diff := cmp.Diff(open, iptables(t, f.program, "-S")); diff != "" {
				t.Errorf("a second sandbox changed the rules:\n%s", diff)
			}
			must(t, n.Remove())
			must(t, RecoverNetworks(t.Context(), l.owner))
			if diff := cmp.Diff(before, iptables(t, f.program, "-S")); diff != "" {
				t.Errorf("rules were left behind:\n%s", diff)
			}
		})
	}
}

func TestNetworkHasNoIPv6(t *testing.T) {
	t.Parallel()
	l := setup(t)
	_, inside := l.network(t, l.owner, "one")
	count := func() error {
		list, err := netlink.AddrList(nil, netlink.FAMILY_V6)
		for _, a := range list {
			if strings.HasPrefix(a.Label, anyLink) || a.Scope == unix.RT_SCOPE_LINK && a.LinkIndex > 3 {
				return fmt.Errorf("there is an address: %v", a)
			}
		}
		return err
	}
	must(t, inNamespace(inside, func() error {
		if list, err := netlink.AddrList(nil, netlink.FAMILY_V6); err != nil || len(list) > 0 {
			return fmt.Errorf("inside there are %v, %w", list, err)
		}
		return nil
	}))
	must(t, count())
}

func TestNetworkSwitchesForwardingOnOnlyWhereItIsNeeded(t *testing.T) {
	t.Parallel()
	l := setup(t)
	must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "other0"}}))
	l.network(t, l.owner, "one")
	for name, want := range map[string]string{"up0": "1", "other0": "0", "all": "0"} {
		got, err := readText("/proc/sys/net/ipv4/conf/" + name + "/forwarding")
		must(t, err)
		if strings.TrimSpace(got) != want {
			t.Errorf("forwarding of %s is %s, want %s", name, got, want)
		}
	}
}

// remains are what networks can leave behind on this host.
func remains(t *testing.T) []string {
	t.Helper()
	var found []string
	links, err := listLinks()
	must(t, err)
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, anyLink) {
			found = append(found, "link "+l.Attrs().Name)
		}
	}
	c, err := nftables.New()
	must(t, err)
	tables, err := c.ListTables()
	must(t, err)
	for _, table := range tables {
		found = append(found, "table "+table.Name)
	}
	return found
}

func TestNetworkLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	l := setup(t)
	ctx := t.Context()
	o := l.options(t, l.owner, "one")
	n, err := NewNetwork(ctx, o)
	must(t, err)
	second, _ := l.network(t, l.owner, "two")
	must(t, CloseNetworks(ctx, l.owner))
	if len(remains(t)) != 3 {
		t.Fatalf("there are %v, want two links and a table", remains(t))
	}
	for range 2 {
		must(t, n.Remove())
		must(t, second.Remove())
		must(t, CloseNetworks(ctx, l.owner))
	}
	if left := remains(t); len(left) > 0 {
		t.Errorf("there are still %v", left)
	}
	entries, err := os.ReadDir(o.Dir)
	must(t, err)
	if len(entries) > 0 {
		t.Errorf("the directory still holds %v", entries)
	}
}

func TestNetworkThatCannotBeMadeLeavesNothing(t *testing.T) {
	t.Parallel()
	l := setup(t)
	o := l.options(t, l.owner, "one")
	o.Range = netip.MustParsePrefix("192.0.2.0/24")
	if n, err := NewNetwork(t.Context(), o); err == nil {
		t.Fatalf("%v was made in a range that the host uses", n)
	}
	must(t, CloseNetworks(t.Context(), l.owner))
	if left := remains(t); len(left) > 0 {
		t.Errorf("there are still %v", left)
	}
}

func TestRecoverNetworksRemovesOneOwnersOnly(t *testing.T) {
	t.Parallel()
	l := setup(t)
	o := l.options(t, l.owner, "dead")
	_, err := NewNetwork(t.Context(), o)
	must(t, err)
	_, inside := l.network(t, l.owner+"x", "alive")
	must(t, RecoverNetworks(t.Context(), l.owner))
	must(t, RemoveNetwork(l.owner, "dead", o.Dir))
	if left := remains(t); len(left) != 2 {
		t.Errorf("there are %v, want the link and the table of the other owner", left)
	}
	reachable(t, inside, worldAddress, serveIn(t, l.world, worldAddress))
}

func TestNetworkRulesAreMendedWhenTheyWereFlushed(t *testing.T) {
	t.Parallel()
	l := setup(t)
	_, inside := l.network(t, l.owner, "one")
	c, err := nftables.New()
	must(t, err)
	c.FlushRuleset()
	must(t, c.Flush())
	port := serve(t, "0.0.0.0")
	reachable(t, inside, hostAddress, port)
	l.network(t, l.owner, "two")
	unreachable(t, inside, hostAddress, port)
}

func TestNetworkAttachesToANamespaceOfAnother(t *testing.T) {
	t.Parallel()
	l := setup(t)
	o := l.options(t, l.owner, "late")
	o.Late = true
	n, err := NewNetwork(t.Context(), o)
	must(t, err)
	inside := namespace(t, filepath.Join(t.TempDir(), "ns"))
	must(t, n.Attach(t.Context(), inside))
	reachable(t, inside, worldAddress, serveIn(t, l.world, worldAddress))
	unreachable(t, inside, hostAddress, serve(t, "0.0.0.0"))
	if err := n.Attach(t.Context(), inside); err == nil {
		t.Error("it could be attached twice")
	}
	must(t, n.Remove())

	own, err := os.Open("/proc/thread-self/ns/net")
	must(t, err)
	defer func() { _ = own.Close() }()
	if err := n.Attach(t.Context(), own); err == nil {
		t.Error("it could be attached to the host itself")
	}
}

func TestNetworksMadeAtOnceHaveDifferentAddresses(t *testing.T) {
	t.Parallel()
	l := setup(t)
	host, err := os.Open("/proc/thread-self/ns/net")
	must(t, err)
	defer func() { _ = host.Close() }()
	const count = 16
	networks, errs := make([]*Network, count), make([]error, count)
	var wg sync.WaitGroup
	for i := range count {
		o := l.options(t, l.owner, fmt.Sprint("n", i))
		o.Range = netip.MustParsePrefix("10.99.0.0/26")
		wg.Go(func() {
			errs[i] = inNamespace(host, func() (err error) {
				networks[i], err = NewNetwork(context.Background(), o)
				return err
			})
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for i, n := range networks {
		must(t, errs[i])
		ns, err := os.Open(n.NamespacePath())
		must(t, err)
		seen[addressIn(t, ns).String()] = true
		_ = ns.Close()
	}
	if len(seen) != count {
		t.Errorf("%d networks have %d addresses", count, len(seen))
	}
	o := l.options(t, l.owner, "toomany")
	o.Range = netip.MustParsePrefix("10.99.0.0/26")
	if _, err := NewNetwork(t.Context(), o); err == nil || !strings.Contains(err.Error(), "used up") {
		t.Errorf("one more than the range holds gave %v", err)
	}
	for _, n := range networks {
		must(t, n.Remove())
	}
}

func TestProbeNetworkLeavesNothing(t *testing.T) {
	t.Parallel()
	setup(t)
	notes, err := ProbeNetwork(t.Context(), NetworkConfig{})
	must(t, err)
	if !strings.Contains(strings.Join(notes, " "), "ip_forward is 0") {
		t.Errorf("the notes %q do not tell of forwarding", notes)
	}
	if left := remains(t); len(left) > 0 {
		t.Errorf("there are %v", left)
	}
}

func BenchmarkNetwork(b *testing.B) {
	dir, owner := b.TempDir(), "bench"
	for b.Loop() {
		n, err := NewNetwork(b.Context(), NetworkOptions{Owner: owner, ID: "one", Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if err := n.Remove(); err != nil {
			b.Fatal(err)
		}
	}
	if err := CloseNetworks(b.Context(), owner); err != nil {
		b.Fatal(err)
	}
}
