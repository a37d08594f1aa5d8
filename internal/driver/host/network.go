package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// NetworkConfig is what the person who runs Cove may say about the networks of
// sandboxes. The zero value is fine.
type NetworkConfig struct {
	// Range is where sandboxes get their addresses from, four for each. Zero
	// lets Cove take one that no route of the host overlaps.
	Range netip.Prefix
	// Resolvers are the DNS servers of sandboxes instead of the host's.
	Resolvers []netip.Addr
}

// NetworkOptions says what network NewNetwork makes.
type NetworkOptions struct {
	NetworkConfig
	// Owner and ID are those of the sandbox.
	Owner, ID string
	// Dir is a directory for the namespace and for resolv.conf; it must exist,
	// be the sandbox's own, and not be shared with it (not a Box).
	Dir string
	// Late leaves the namespace out: another program makes it, and Attach
	// connects it.
	Late bool
}

// Network is the way out of one sandbox: a network namespace, connected to the
// host by a link of its own, from which the world can be reached, but neither
// the host nor anything that is on the host only.
//
// There is no IPv6 inside: it has no address and is switched off.
//
// What is forbidden is enforced by the host's nf_tables, in a table of Cove's
// own per owner. NewNetwork makes and mends it. A firewall reload that throws
// away other programs' tables takes it away until the next NewNetwork.
type Network struct {
	options NetworkOptions
	notes   []string

	mu       sync.Mutex
	attached bool
}

// NewNetwork makes a sandbox's network, all of it or, after an error, nothing.
// It takes a few milliseconds. Remove must be called in the end.
func NewNetwork(ctx context.Context, o NetworkOptions) (*Network, error) {
	n := &Network{options: o}
	if err := n.make(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make the network of sandbox %s: %w", o.ID, err), n.Remove())
	}
	return n, nil
}

func (n *Network) make(ctx context.Context) error {
	local, err := localAddresses()
	if err != nil {
		return err
	}
	r, note, err := sandboxResolver(n.options.Resolvers, local, readText)
	if err != nil {
		return err
	}
	if note != "" {
		n.notes = append(n.notes, note)
	}
	if err := os.WriteFile(n.ResolvConf(), []byte(r.String()), 0o644); err != nil {
		return fmt.Errorf("write the sandbox's resolv.conf: %w", err)
	}
	if n.options.Late {
		// Nothing but the rules: so what is wrong with them is known before a
		// sandbox was started.
		return n.locked(ctx, func() error { return n.ensureRules(ctx, r.servers) })
	}
	ns, err := newNamespace(n.NamespacePath())
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	return n.connect(ctx, ns, r.servers)
}

// NamespacePath is the file by which the namespace can be entered; "" if Late.
func (n *Network) NamespacePath() string {
	if n.options.Late {
		return ""
	}
	return filepath.Join(n.options.Dir, "netns")
}

// ResolvConf is the file to mount at /etc/resolv.conf, read-only.
func (n *Network) ResolvConf() string { return filepath.Join(n.options.Dir, "resolv.conf") }

// Notes are remarks for the person who runs Cove, each one sentence.
func (n *Network) Notes() []string { return slices.Clone(n.notes) }

// Attach connects a namespace that another program made, given as an open file
// of it (/proc/PID/ns/net). It may be called once. The link disappears with
// the namespace; Remove is needed all the same.
func (n *Network) Attach(ctx context.Context, ns *os.File) error {
	own, err := isOwnNamespace(ns)
	if err != nil {
		return err
	}
	if own {
		return fmt.Errorf("connect sandbox %s: the namespace is the host's own", n.options.ID)
	}
	text, err := readText(n.ResolvConf())
	if err != nil {
		return fmt.Errorf("connect sandbox %s: %w", n.options.ID, err)
	}
	if err := n.connect(ctx, ns, parseResolvConf(text).servers); err != nil {
		return fmt.Errorf("connect sandbox %s: %w", n.options.ID, err)
	}
	return nil
}

// connect makes the rules and then the link, so that there is never a link
// that the rules do not hold for.
func (n *Network) connect(ctx context.Context, ns *os.File, resolvers []netip.Addr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.attached {
		return errors.New("its network is connected already")
	}
	return n.locked(ctx, func() error {
		if err := n.ensureRules(ctx, resolvers); err != nil {
			return err
		}
		h, err := lookAtHost()
		if err != nil {
			return err
		}
		n.attached = true
		return n.link(ns, h)
	})
}

// Remove takes the network away. It is idempotent, and leaves Dir itself and
// the rules, which CloseNetworks takes away.
func (n *Network) Remove() error { return RemoveNetwork(n.options.Owner, n.options.ID, n.options.Dir) }

// RemoveNetwork is Network.Remove for a network that an earlier daemon made.
func RemoveNetwork(owner, id, dir string) error {
	ns := filepath.Join(dir, "netns")
	errs := []error{removeLink(linkName(owner, id)), unmountAll(ns)}
	for _, file := range []string{ns, filepath.Join(dir, "resolv.conf")} {
		if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove the network of sandbox %s: %w", id, err)
	}
	return nil
}

// RecoverNetworks takes away every link that an earlier daemon left under
// owner, and the owner's rules. The files are RemoveNetwork's.
func RecoverNetworks(ctx context.Context, owner string) error {
	links, err := ownLinks(owner)
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range links {
		errs = append(errs, removeLink(l.Attrs().Name))
	}
	return errors.Join(append(errs, CloseNetworks(ctx, owner))...)
}

// CloseNetworks takes the owner's rules away if none of its sandboxes has a
// network any more. It is idempotent.
func CloseNetworks(ctx context.Context, owner string) error {
	return withNetworkLock(ctx, func() error {
		links, err := ownLinks(owner)
		if err != nil || len(links) > 0 {
			return err
		}
		c, err := nftables.New()
		if err != nil {
			return fmt.Errorf("open the host's firewall (nf_tables): %w", err)
		}
		return errors.Join(closeGate(ctx, c, owner), ruleset{owner: owner}.remove(c))
	})
}

// NetworkOwners are those whose sandboxes had networks, so that a driver that closes
// takes their rules away. It is safe for concurrent use.
type NetworkOwners struct {
	mu    sync.Mutex
	names map[string]bool
}

// Add notes an owner.
func (o *NetworkOwners) Add(owner string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.names == nil {
		o.names = map[string]bool{}
	}
	o.names[owner] = true
}

// Close is CloseNetworks of each.
func (o *NetworkOwners) Close(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var errs []error
	for owner := range o.names {
		errs = append(errs, CloseNetworks(ctx, owner))
	}
	return errors.Join(errs...)
}

// ProbeNetwork tries out whether sandboxes can have egress on this host, in a
// namespace that is gone afterwards. The notes are for `cove doctor`.
func ProbeNetwork(ctx context.Context, cfg NetworkConfig) (notes []string, err error) {
	h, err := lookAtHost()
	if err != nil {
		return nil, err
	}
	if _, err := chooseRange(cfg.Range, h.routes); err != nil {
		return nil, err
	}
	_, note, err := sandboxResolver(cfg.Resolvers, h.local, readText)
	if err != nil {
		return nil, err
	}
	if note != "" {
		notes = append(notes, note)
	}
	if err := tryRules(); err != nil {
		return nil, err
	}
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open the host's firewall (nf_tables): %w", err)
	}
	drops, err := foreignDrops(c)
	if err != nil {
		return nil, err
	}
	if len(drops) > 0 {
		notes = append(notes, fmt.Sprintf("The host's firewall forwards nothing by default (%v), so functions with network egress reach nothing until it lets the interfaces %s* pass.", drops, anyLink))
	}
	if !forwardsEverywhere() {
		notes = append(notes, fmt.Sprintf("The host does not forward IPv4 packets (net.ipv4.ip_forward is 0); for functions with network egress Cove switches it on for their interfaces and for %v only.", h.uplinks))
	}
	if len(h.uplinks) == 0 {
		notes = append(notes, "The host has no default route, so functions with network egress reach only the networks that the host has a route to.")
	}
	return append(notes, "Functions with network egress have IPv4 only."), nil
}

// locked runs f while no other Cove on this host changes the network.
func (n *Network) locked(ctx context.Context, f func() error) error { return withNetworkLock(ctx, f) }

func (n *Network) ensureRules(ctx context.Context, resolvers []netip.Addr) error {
	h, err := lookAtHost()
	if err != nil {
		return err
	}
	r := ruleset{owner: n.options.Owner, uplinks: h.uplinks}
	for _, a := range resolvers {
		if slices.ContainsFunc(forbidden, func(p netip.Prefix) bool { return p.Contains(a) }) {
			r.resolvers = append(r.resolvers, a)
		}
	}
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open the host's firewall (nf_tables): %w", err)
	}
	if err := r.ensure(c); err != nil {
		return err
	}
	return openGate(ctx, c, n.options.Owner)
}

// ownLinks are the links of the owner's sandboxes.
func ownLinks(owner string) ([]netlink.Link, error) {
	all, err := listLinks()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(l netlink.Link) bool { return !isOwn(l, owner) }), nil
}
