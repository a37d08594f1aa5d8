package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// subnetBits is the size of one sandbox's network: a /30 holds the host's end,
// the sandbox's end and nothing else.
const subnetBits = 30

// defaultRanges are where sandboxes get their addresses from when nothing is
// configured, in order of preference. The first is part of the space that is
// meant for carriers (RFC 6598) and so is rarely a company's own network.
var defaultRanges = []netip.Prefix{
	netip.MustParsePrefix("100.112.0.0/16"),
	netip.MustParsePrefix("10.213.0.0/16"),
	netip.MustParsePrefix("172.29.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/16"),
}

// chooseRange is the range to take addresses from: the configured one, or the
// first default one that overlaps none of the host's routes, for an address
// that the host already sends elsewhere would be lost to it.
func chooseRange(configured netip.Prefix, routes []netip.Prefix) (netip.Prefix, error) {
	if configured.IsValid() {
		if !configured.Addr().Is4() || configured.Bits() > subnetBits {
			return netip.Prefix{}, fmt.Errorf("the range %s for sandboxes is not an IPv4 network of at least a /%d", configured, subnetBits)
		}
		if clash, ok := overlapping(configured, routes); ok {
			return netip.Prefix{}, fmt.Errorf("the range %s for sandboxes overlaps the host's route to %s: configure another", configured, clash)
		}
		return configured.Masked(), nil
	}
	for _, r := range defaultRanges {
		if _, ok := overlapping(r, routes); !ok {
			return r, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("every range that Cove takes addresses for sandboxes from (%v) overlaps a route of the host: configure one that is free", defaultRanges)
}

// overlapping is the first of nets that shares an address with p, the default
// route aside.
func overlapping(p netip.Prefix, nets []netip.Prefix) (netip.Prefix, bool) {
	for _, n := range nets {
		if n.Bits() > 0 && n.Overlaps(p) {
			return n, true
		}
	}
	return netip.Prefix{}, false
}

// freeSubnet is a network of r that overlaps none of used. The search begins
// at the start-th and wraps around, so that callers who begin anywhere do not
// hand an address on while answers to its last holder may still be under way.
func freeSubnet(r netip.Prefix, used []netip.Prefix, start uint32) (netip.Prefix, error) {
	count := uint32(1) << (subnetBits - r.Bits())
	base := binary.BigEndian.Uint32(r.Masked().Addr().AsSlice())
	for i := range count {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], base+((start+i)%count)<<(32-subnetBits))
		p := netip.PrefixFrom(netip.AddrFrom4(a), subnetBits)
		if _, ok := overlapping(p, used); !ok {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("the range %s for sandboxes is used up: all of its %d networks are taken", r, count)
}

// ends are the two addresses of a sandbox's network.
func ends(subnet netip.Prefix) (host, inside netip.Addr) {
	host = subnet.Masked().Addr().Next()
	return host, host.Next()
}
