package host

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	// anyLink is how the names of all links of all Coves begin.
	anyLink = "cove"
	// insideLink is the name of the link's other end, inside the sandbox.
	insideLink = "eth0"
	// networkLock is held by a Cove that looks for a free address or changes
	// rules. It is the same for every installation on the host.
	networkLock = "/run/cove/network.lock"
	// networkLockTime bounds the wait for it, and carrierTime that for the
	// two ends of a link to see each other.
	networkLockTime = 10 * time.Second
	carrierTime     = 5 * time.Second
)

// hostNetwork is what the host's network looks like apart from Cove's own
// links.
type hostNetwork struct {
	// routes are the destinations of all routes, local the host's addresses,
	// uplinks the interfaces with a default route, by name and in order.
	routes  []netip.Prefix
	local   []netip.Addr
	uplinks []string
	// used are the networks of sandboxes; mtu the smallest of the uplinks'.
	used []netip.Prefix
	mtu  int
}

// linkPrefix is how the names of an owner's links begin. The names of links
// have 15 characters at most, hence the hashes.
func linkPrefix(owner string) string { return anyLink + shortHash(owner, 4) }

func linkName(owner, id string) string { return linkPrefix(owner) + shortHash(id, 7) }

// linkAlias tells in full whose link it is.
func linkAlias(owner, id string) string { return "cove:" + owner + ":" + id }

func shortHash(s string, length int) string {
	sum := sha256.Sum256([]byte(s))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:length]
}

func isOwn(l netlink.Link, owner string) bool {
	alias := l.Attrs().Alias
	// Between its making and its naming a link has no alias.
	return strings.HasPrefix(alias, linkAlias(owner, "")) ||
		alias == "" && l.Type() == "veth" && strings.HasPrefix(l.Attrs().Name, linkPrefix(owner))
}

// dump repeats what the kernel interrupted because something changed meanwhile.
func dump[T any](list func() (T, error)) (v T, err error) {
	for range 10 {
		if v, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) && !errors.Is(err, unix.EINTR) {
			return v, err
		}
	}
	return v, err
}

func listLinks() ([]netlink.Link, error) {
	links, err := dump(netlink.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list the host's network links: %w", err)
	}
	return links, nil
}

// localAddresses are all addresses of the host.
func localAddresses() ([]netip.Addr, error) {
	list, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	var all []netip.Addr
	for _, a := range list {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			all = append(all, ip.Unmap())
		}
	}
	return all, nil
}

func lookAtHost() (hostNetwork, error) {
	h := hostNetwork{mtu: 1500}
	links, err := listLinks()
	if err != nil {
		return h, err
	}
	byIndex := map[int]*netlink.LinkAttrs{}
	for _, l := range links {
		byIndex[l.Attrs().Index] = l.Attrs()
	}
	if h.local, err = localAddresses(); err != nil {
		return h, err
	}
	routes, err := dump(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return h, fmt.Errorf("list the host's routes: %w", err)
	}
	for _, r := range routes {
		var p netip.Prefix
		if r.Dst != nil {
			p = prefixOf(r.Dst)
		}
		link := byIndex[r.LinkIndex]
		switch {
		case link != nil && strings.HasPrefix(link.Name, anyLink):
			h.used = append(h.used, p)
		case p.IsValid() && p.Bits() > 0:
			h.routes = append(h.routes, p)
		case link != nil && !slices.Contains(h.uplinks, link.Name):
			h.uplinks = append(h.uplinks, link.Name)
			h.mtu = min(h.mtu, link.MTU)
		}
	}
	slices.Sort(h.uplinks)
	return h, nil
}

func prefixOf(n *net.IPNet) netip.Prefix {
	a, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}
	}
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits)
}

// link makes the pair of links, one end in ns, and sets both up.
func (n *Network) link(ns *os.File, h hostNetwork) error {
	r, err := chooseRange(n.options.Range, h.routes)
	if err != nil {
		return err
	}
	subnet, err := freeSubnet(r, h.used, rand.Uint32()) //nolint:gosec // not a secret: only spreads the choice
	if err != nil {
		return err
	}
	outside, inside := ends(subnet)
	veth := netlink.NewVeth(netlink.LinkAttrs{Name: linkName(n.options.Owner, n.options.ID), MTU: h.mtu})
	veth.PeerName, veth.PeerMTU, veth.PeerNamespace = insideLink, uint32(h.mtu), netlink.NsFd(ns.Fd())
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("make the link %s: %w", veth.Name, err)
	}
	if err := netlink.LinkSetAlias(veth, linkAlias(n.options.Owner, n.options.ID)); err != nil {
		return fmt.Errorf("mark the link %s: %w", veth.Name, err)
	}
	if err := writeSysctl("net/ipv6/conf/"+veth.Name+"/disable_ipv6", "1"); err != nil {
		return err
	}
	if err := forward(append([]string{veth.Name}, h.uplinks...)); err != nil {
		return err
	}
	if err := netlink.AddrAdd(veth, address(outside, subnet)); err != nil {
		return fmt.Errorf("give the link %s its address: %w", veth.Name, err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return fmt.Errorf("set the link %s up: %w", veth.Name, err)
	}
	if err := setUpInside(ns, address(inside, subnet), outside); err != nil {
		return err
	}
	return awaitCarrier(veth.Name)
}

// awaitCarrier waits until the kernel has noticed, a little later, that the
// other end is up too. What is sent before is lost, and TCP tries again only
// after a second.
func awaitCarrier(name string) error {
	for end := time.Now().Add(carrierTime); ; time.Sleep(time.Millisecond) {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("look at the link %s: %w", name, err)
		}
		if l.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the link %s did not come up within %s", name, carrierTime)
		}
	}
}

func address(a netip.Addr, subnet netip.Prefix) *netlink.Addr {
	return &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(subnet.Bits(), 32)}}
}

func setUpInside(ns *os.File, own *netlink.Addr, gateway netip.Addr) error {
	err := inNamespace(ns, func() error {
		return errors.Join(
			writeSysctl("net/ipv6/conf/all/disable_ipv6", "1"),
			writeSysctl("net/ipv6/conf/default/disable_ipv6", "1"))
	})
	if err != nil {
		return err
	}
	inside, err := netlink.NewHandleAt(netns.NsHandle(ns.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open the sandbox's network: %w", err)
	}
	defer inside.Close()
	for _, name := range []string{"lo", insideLink} {
		l, err := inside.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s inside: %w", name, err)
		}
		if name == insideLink {
			if err := inside.AddrAdd(l, own); err != nil {
				return fmt.Errorf("give %s inside its address: %w", name, err)
			}
		}
		if err := inside.LinkSetUp(l); err != nil {
			return fmt.Errorf("set %s inside up: %w", name, err)
		}
	}
	if err := inside.RouteAdd(&netlink.Route{Gw: gateway.AsSlice()}); err != nil {
		return fmt.Errorf("set the sandbox's default route: %w", err)
	}
	return nil
}

// removeLink removes a link, and with it its other end; one that is gone is fine.
func removeLink(name string) error {
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(l)
	}
	var missing netlink.LinkNotFoundError
	if err == nil || errors.As(err, &missing) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("remove the link %s: %w", name, err)
}

// newNamespace makes a network namespace that lives as long as the file at
// path, which is made for it, is a mount.
func newNamespace(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the file of a network namespace: %w", err)
	}
	_ = f.Close()
	err = inNewNamespace(func() error {
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("keep a network namespace at %s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	ns, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open a network namespace: %w", err)
	}
	return ns, nil
}

// inNewNamespace runs f in a new network namespace, which is gone afterwards
// unless f kept it.
func inNewNamespace(f func() error) error {
	return elsewhere(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		return nil
	}, f)
}

func inNamespace(ns *os.File, f func() error) error {
	return elsewhere(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return nil
	}, f)
}

// elsewhere runs f on a thread that enter took into another network namespace,
// and brings the thread back. A thread that cannot be brought back is never
// used again: it stays locked, and ends with its goroutine.
func elsewhere(enter, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open the host's network namespace: %w", err)
	}
	defer func() { _ = home.Close() }()
	if err := enter(); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("return to the host's network namespace: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}

func isOwnNamespace(ns *os.File) (bool, error) {
	own, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		return false, err
	}
	other, err := ns.Stat()
	if err != nil {
		return false, err
	}
	return os.SameFile(own, other), nil
}

// tryRules sets the rules of an owner in a namespace that then is gone.
func tryRules() error {
	return inNewNamespace(func() error {
		c, err := nftables.New()
		if err != nil {
			return fmt.Errorf("open nf_tables: %w", err)
		}
		return ruleset{owner: "probe", uplinks: []string{"lo"}}.ensure(c)
	})
}

// forwardsEverywhere says whether the host forwards IPv4 on all interfaces.
func forwardsEverywhere() bool {
	text, err := readText("/proc/sys/net/ipv4/ip_forward")
	return err == nil && strings.TrimSpace(text) == "1"
}

// forward makes the host forward what comes in by these interfaces, and leaves
// all others as they are.
func forward(interfaces []string) error {
	for _, name := range interfaces {
		key := "net/ipv4/conf/" + name + "/forwarding"
		if text, err := readText("/proc/sys/" + key); err == nil && strings.TrimSpace(text) == "1" {
			continue
		}
		if err := writeSysctl(key, "1"); err != nil {
			return err
		}
	}
	return nil
}

// writeSysctl sets a kernel setting. One that the kernel does not have at all
// (IPv6 left out of it) needs no setting.
func writeSysctl(key, value string) error {
	err := os.WriteFile("/proc/sys/"+key, []byte(value), 0)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("set %s to %s: %w", key, value, err)
	}
	return nil
}

func withNetworkLock(ctx context.Context, f func() error) error {
	if err := os.MkdirAll(filepath.Dir(networkLock), 0o755); err != nil {
		return fmt.Errorf("make the network lock: %w", err)
	}
	lock, err := os.OpenFile(networkLock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the network lock: %w", err)
	}
	defer func() { _ = lock.Close() }()
	ctx, cancel := context.WithTimeout(ctx, networkLockTime)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f()
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("take the network lock: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the network lock %s, which another Cove holds: %w", networkLock, ctx.Err())
		case <-time.After(wait):
		}
	}
}

func native32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }
