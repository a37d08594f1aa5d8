package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
)

// A packet must be accepted by every firewall table of the host: Cove's own
// saying yes does not help against another's no. Docker sets the policy of
// iptables' FORWARD chain to DROP, and so do ufw and many administrators. The
// gate is a pair of rules in that chain, or in DOCKER-USER, where Docker keeps
// room for such rules, that lets the packets of Cove's sandboxes pass. What
// they may reach is decided by Cove's own table, which is asked as well.

const (
	dockerUser   = "DOCKER-USER"
	forwardChain = "FORWARD"
	// iptablesTime bounds one call of the iptables program.
	iptablesTime = 5 * time.Second
)

// openGate makes the gate's rules be there, where they are needed.
func openGate(ctx context.Context, c *nftables.Conn, owner string) error {
	chain, err := gateChain(c)
	if err != nil {
		return err
	}
	if chain != nil {
		rules, err := c.GetRules(chain.Table, chain)
		if err != nil {
			return fmt.Errorf("read the firewall chain %s: %w", chain.Name, err)
		}
		mine := slices.DeleteFunc(rules, func(r *nftables.Rule) bool { return comment(r) != gateComment(owner) })
		if len(mine) == len(gateMatches(owner)) {
			return nil
		}
		for _, r := range mine {
			if err := c.DelRule(r); err != nil {
				return fmt.Errorf("replace a rule of the firewall chain %s: %w", chain.Name, err)
			}
		}
		for _, m := range gateMatches(owner) {
			// The form is the one that iptables writes, so that it can list it.
			c.InsertRule(&nftables.Rule{
				Table: chain.Table, Chain: chain,
				Exprs:    rule(m, []expr.Any{&expr.Counter{}}, accepted()),
				UserData: userdata.AppendString(nil, userdata.TypeComment, gateComment(owner)),
			})
		}
		if err := c.Flush(); err != nil {
			return fmt.Errorf("let sandboxes pass the firewall chain %s: %w", chain.Name, err)
		}
	}
	return openLegacyGate(ctx, owner)
}

// closeGate removes the owner's rules wherever openGate may have put them.
func closeGate(ctx context.Context, c *nftables.Conn, owner string) error {
	all, err := c.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return fmt.Errorf("read the host's firewall (nf_tables): %w", err)
	}
	for _, chain := range all {
		if chain.Table.Name != "filter" || (chain.Name != dockerUser && chain.Name != forwardChain) {
			continue
		}
		rules, err := c.GetRules(chain.Table, chain)
		if err != nil {
			return fmt.Errorf("read the firewall chain %s: %w", chain.Name, err)
		}
		for _, r := range rules {
			if comment(r) != gateComment(owner) {
				continue
			}
			if err := c.DelRule(r); err != nil {
				return fmt.Errorf("remove a rule of the firewall chain %s: %w", chain.Name, err)
			}
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("remove the firewall rules that let sandboxes pass: %w", err)
	}
	return closeLegacyGate(ctx, owner)
}

func gateComment(owner string) string { return "cove " + owner }

// gateMatches are the packets that may pass: those of the owner's sandboxes.
func gateMatches(owner string) [][]expr.Any {
	return [][]expr.Any{from(linkPrefix(owner)), to(linkPrefix(owner))}
}

// gateChain is the chain that the gate belongs in, nil if none is needed.
func gateChain(c *nftables.Conn) (*nftables.Chain, error) {
	all, err := c.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return nil, fmt.Errorf("read the host's firewall (nf_tables): %w", err)
	}
	var found *nftables.Chain
	for _, chain := range all {
		switch {
		case chain.Table.Name != "filter":
		case chain.Name == dockerUser:
			return chain, nil
		case chain.Name == forwardChain && chain.Policy != nil && *chain.Policy == nftables.ChainPolicyDrop:
			found = chain
		}
	}
	return found, nil
}

// foreignDrops names the tables of other firewalls that refuse to forward by
// default and that Cove cannot open.
func foreignDrops(c *nftables.Conn) ([]string, error) {
	all, err := c.ListChains()
	if err != nil {
		return nil, fmt.Errorf("read the host's firewall (nf_tables): %w", err)
	}
	var names []string
	for _, chain := range all {
		forwards := chain.Hooknum != nil && *chain.Hooknum == *nftables.ChainHookForward
		ours := chain.Table.Family == nftables.TableFamilyIPv4 && chain.Table.Name == "filter" && chain.Name == forwardChain
		seesIPv4 := chain.Table.Family == nftables.TableFamilyIPv4 || chain.Table.Family == nftables.TableFamilyINet
		if forwards && seesIPv4 && !ours && chain.Policy != nil && *chain.Policy == nftables.ChainPolicyDrop {
			names = append(names, chain.Table.Name+" "+chain.Name)
		}
	}
	return names, nil
}

// legacyRules are the gate's rules in the words of iptables.
func legacyRules(owner string) [][]string {
	var rules [][]string
	for _, direction := range []string{"-i", "-o"} {
		rules = append(rules, []string{direction, linkPrefix(owner) + "+", "-m", "comment", "--comment", gateComment(owner), "-j", "ACCEPT"})
	}
	return rules
}

// openLegacyGate does the same where the host's rules are in the tables of the
// older iptables, which only that program can change.
func openLegacyGate(ctx context.Context, owner string) error {
	if !hasLegacyFilter() {
		return nil
	}
	listing, err := legacy(ctx, "-S")
	if err != nil {
		return err
	}
	chain := legacyGateChain(listing)
	if chain == "" {
		return nil
	}
	for _, r := range legacyRules(owner) {
		if _, err := legacy(ctx, append([]string{"-C", chain}, r...)...); err == nil {
			continue
		}
		if _, err := legacy(ctx, append([]string{"-I", chain}, r...)...); err != nil {
			return err
		}
	}
	return nil
}

func closeLegacyGate(ctx context.Context, owner string) error {
	if !hasLegacyFilter() {
		return nil
	}
	listing, err := legacy(ctx, "-S")
	if err != nil {
		return err
	}
	for _, chain := range []string{dockerUser, forwardChain} {
		for _, r := range legacyRules(owner) {
			if !strings.Contains(listing, "-A "+chain+" "+r[0]+" "+r[1]+" ") {
				continue
			}
			if _, err := legacy(ctx, append([]string{"-D", chain}, r...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// legacyGateChain is gateChain for the output of iptables -S.
func legacyGateChain(listing string) string {
	found := ""
	for line := range strings.Lines(listing) {
		switch strings.TrimSpace(line) {
		case "-N " + dockerUser:
			return dockerUser
		case "-P " + forwardChain + " DROP":
			found = forwardChain
		}
	}
	return found
}

// hasLegacyFilter says whether this network namespace has a filter table of
// the older kind. Asking the program would make one.
func hasLegacyFilter() bool {
	names, err := os.ReadFile("/proc/thread-self/net/ip_tables_names")
	return err == nil && slices.Contains(strings.Fields(string(names)), "filter")
}

func legacy(ctx context.Context, args ...string) (string, error) {
	program := "iptables-legacy"
	if _, err := exec.LookPath(program); errors.Is(err, exec.ErrNotFound) {
		program = "iptables"
	}
	ctx, cancel := context.WithTimeout(ctx, iptablesTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, append([]string{"-w", "2"}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
