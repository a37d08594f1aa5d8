package host

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// forbidden are destinations that no sandbox may reach wherever they are:
// link-local addresses, where clouds answer with the machine's credentials,
// and the addresses at which some clouds do that outside of the link-local
// range. The host's own addresses are not in the list: the kernel knows them.
var forbidden = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("192.0.0.192/32"),
}

// metaOIFKind is the kind of the interface that a packet leaves by ("bridge").
const metaOIFKind expr.MetaKey = 27

// ruleset is what the rules of one owner depend on.
type ruleset struct {
	owner string
	// uplinks are the interfaces with a default route, by name.
	uplinks []string
	// resolvers are DNS servers within the forbidden networks: some clouds have
	// theirs there, and then its port 53 must stay open.
	resolvers []netip.Addr
}

// chains are the rules, by the name of their chain.
type chains []struct {
	chain *nftables.Chain
	rules [][]expr.Any
}

// table is the owner's own table. Its rules are IPv4's and IPv6's at once.
func (r ruleset) table() *nftables.Table {
	return &nftables.Table{Name: "cove_" + r.owner, Family: nftables.TableFamilyINet}
}

// chains spells the rules out. In each base chain the policy is to accept:
// what is not a sandbox's is none of Cove's business.
func (r ruleset) chains() chains {
	t, own, accept := r.table(), linkPrefix(r.owner), nftables.ChainPolicyAccept
	base := func(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
		return &nftables.Chain{Name: name, Table: t, Type: kind, Hooknum: hook, Priority: priority, Policy: &accept}
	}
	sandbox := &nftables.Chain{Name: "sandbox", Table: t}
	forward := [][]expr.Any{
		// A sandbox may not reach another one, of whichever owner.
		rule(from(own), to(anyLink), reject()),
		// Inwards come answers only.
		rule(to(own), ctState(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accepted()),
		rule(to(own), dropped()),
	}
	for _, name := range r.uplinks {
		forward = append(forward, rule(from(own), to(name+"\x00"), accepted()))
	}
	// What else is a bridge is a network of containers or virtual machines on
	// this host, which Cove's own accept in front of Docker's rules would open.
	forward = append(forward, rule(from(own), meta(metaOIFKind, "bridge\x00"), reject()))
	return chains{
		{sandbox, r.outgoing()},
		// Before Docker's port forwarding, so that a port published on the
		// host's address is the host's here and not the container's behind it.
		{base("prerouting", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityMangle), [][]expr.Any{
			rule(from(own), jump(sandbox.Name)),
		}},
		{base("input", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter), [][]expr.Any{
			rule(from(own), dropped()),
		}},
		{base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter), forward},
		{base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource), [][]expr.Any{
			rule(from(own), []expr.Any{&expr.Masq{}}),
		}},
	}
}

// outgoing are the rules for what a sandbox sends, before anything else is
// done with it. They refuse rather than drop: a client library that looks for
// a metadata service then goes on at once and does not wait for a time-out.
func (r ruleset) outgoing() [][]expr.Any {
	rules := [][]expr.Any{
		rule(notIPv4(), dropped()),
		rule(forgedSource(), dropped()),
	}
	for _, a := range r.resolvers {
		for _, proto := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
			rules = append(rules, rule(destination(netip.PrefixFrom(a, 32)), port53(proto), []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}}))
		}
	}
	rules = append(rules, rule(notUnicast(), reject()))
	for _, p := range forbidden {
		rules = append(rules, rule(destination(p), reject()))
	}
	return rules
}

// fingerprint changes whenever the rules do. It is kept as a comment in the
// table, so that it can be seen whether the rules there are these.
func (r ruleset) fingerprint() string {
	h := sha256.New()
	for _, c := range r.chains() {
		fmt.Fprintln(h, c.chain.Name)
		for _, exprs := range c.rules {
			for _, e := range exprs {
				fmt.Fprintf(h, "%T%+v ", e, e)
			}
			fmt.Fprintln(h)
		}
	}
	return "cove " + hex.EncodeToString(h.Sum(nil))[:16]
}

// ensure makes the table hold these rules. All of it is one transaction: there
// is no moment at which half of the rules are in force.
func (r ruleset) ensure(c *nftables.Conn) error {
	if ok, err := r.inForce(c); err != nil || ok {
		return err
	}
	mark := userdata.AppendString(nil, userdata.TypeComment, r.fingerprint())
	c.AddTable(r.table())
	c.FlushTable(r.table())
	all := r.chains()
	for _, chain := range all {
		c.AddChain(chain.chain)
	}
	for _, chain := range all {
		for _, exprs := range chain.rules {
			c.AddRule(&nftables.Rule{Table: r.table(), Chain: chain.chain, Exprs: exprs, UserData: mark})
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("set the firewall rules of sandboxes (nf_tables of Linux 5.12 or newer is needed): %w", err)
	}
	return nil
}

// inForce says whether the table is there and complete. Someone who reloads
// the host's firewall may have emptied it.
func (r ruleset) inForce(c *nftables.Conn) (bool, error) {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, fmt.Errorf("read the host's firewall (nf_tables): %w", err)
	}
	if !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == r.table().Name }) {
		return false, nil
	}
	want := r.fingerprint()
	for _, chain := range r.chains() {
		rules, err := c.GetRules(r.table(), chain.chain)
		if err != nil || len(rules) != len(chain.rules) {
			return false, nil
		}
		for _, rule := range rules {
			if comment(rule) != want {
				return false, nil
			}
		}
	}
	return true, nil
}

// remove takes the owner's table away; it is fine if there is none.
func (r ruleset) remove(c *nftables.Conn) error {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("read the host's firewall (nf_tables): %w", err)
	}
	for _, t := range tables {
		if t.Name == r.table().Name {
			c.DelTable(t)
			if err := c.Flush(); err != nil {
				return fmt.Errorf("remove the firewall rules of sandboxes: %w", err)
			}
		}
	}
	return nil
}

func comment(r *nftables.Rule) string {
	text, _ := userdata.GetString(r.UserData, userdata.TypeComment)
	return strings.TrimRight(text, "\x00")
}

func rule(parts ...[]expr.Any) []expr.Any { return slices.Concat(parts...) }

// meta compares what the kernel knows of a packet with the first bytes of a
// text; ending it with a zero byte compares the whole.
func meta(key expr.MetaKey, text string) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: key, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte(text)},
	}
}

func from(prefix string) []expr.Any { return meta(expr.MetaKeyIIFNAME, prefix) }
func to(prefix string) []expr.Any   { return meta(expr.MetaKeyOIFNAME, prefix) }

func notIPv4() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{unix.NFPROTO_IPV4}},
	}
}

// forgedSource matches packets that the host would not answer by the interface
// they came from.
func forgedSource() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, FlagSADDR: true, FlagIIF: true, ResultOIF: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: make([]byte, 4)},
	}
}

// notUnicast matches what goes to an address of the host, a broadcast or a
// multicast address.
func notUnicast() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: native32(unix.RTN_UNICAST)},
	}
}

// destination matches IPv4 packets to p.
func destination(p netip.Prefix) []expr.Any {
	mask := make([]byte, 4)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}

func port53(proto byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0, 53}},
	}
}

func ctState(bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: native32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}
}

func accepted() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }
func dropped() []expr.Any  { return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}} }

func reject() []expr.Any {
	return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}}
}
