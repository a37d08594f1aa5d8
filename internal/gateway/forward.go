package gateway

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// forwarded is who called, and where to, beyond the proxies that are trusted.
type forwarded struct {
	trusted           bool
	source            string // the caller's address
	chain             string // X-Forwarded-For
	proto, host, port string
}

// forwarded believes X-Forwarded-* of a trusted proxy only; from anybody else
// they are thrown away, or a caller could choose the address it comes from.
func (g *Gateway) forwarded(r *http.Request) forwarded {
	peer := hostname(r.RemoteAddr)
	f := forwarded{source: peer, chain: peer, proto: "http", host: r.Host}
	if r.TLS != nil {
		f.proto = "https"
	}
	if g.trusted(peer) {
		f.trusted = true
		g.believe(&f, r.Header)
	}
	if f.port == "" {
		f.port = port(f.host)
	}
	if f.port == "" {
		f.port = map[string]string{"http": "80", "https": "443"}[f.proto]
	}
	return f
}

func (g *Gateway) believe(f *forwarded, h http.Header) {
	if lines := h["X-Forwarded-For"]; len(lines) > 0 {
		came := strings.Join(lines, ", ")
		f.chain = came + ", " + f.chain
		// From the right, the first address that is no proxy of ours is the last
		// one that somebody we trust has seen.
		hops := strings.Split(came, ",")
		for _, hop := range slices.Backward(hops) {
			address, ok := parseAddress(strings.TrimSpace(hop))
			if !ok {
				break
			}
			f.source = address.String()
			if !g.trustedAddress(address) {
				break
			}
		}
	}
	if p := strings.ToLower(h.Get("X-Forwarded-Proto")); p == "http" || p == "https" {
		f.proto = p
	}
	if host := h.Get("X-Forwarded-Host"); host != "" {
		f.host = host
	}
	if p := h.Get("X-Forwarded-Port"); p != "" {
		if _, err := strconv.ParseUint(p, 10, 16); err == nil {
			f.port = p
		}
	}
}

func (g *Gateway) trusted(peer string) bool {
	if len(g.opts.TrustedProxies) == 0 {
		return false
	}
	a, ok := parseAddress(peer)
	return ok && g.trustedAddress(a)
}

func (g *Gateway) trustedAddress(a netip.Addr) bool {
	return slices.ContainsFunc(g.opts.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// parseAddress reads an address as X-Forwarded-For may have it: with a port,
// in brackets, as IPv4 in IPv6.
func parseAddress(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		a, err = netip.ParseAddr(hostname(s))
	}
	return a.Unmap().WithZone(""), err == nil
}

// hostname is an address without its port and brackets.
func hostname(address string) string {
	if strings.HasPrefix(address, "[") {
		if i := strings.IndexByte(address, ']'); i > 0 {
			return address[1:i]
		}
	}
	if i := strings.LastIndexByte(address, ':'); i >= 0 && strings.IndexByte(address, ':') == i {
		return address[:i]
	}
	return address
}

// port is the port of a Host header, "" if it has none.
func port(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.IndexByte(host[i:], ']') >= 0 {
		return ""
	}
	if _, err := strconv.ParseUint(host[i+1:], 10, 16); err != nil {
		return ""
	}
	return host[i+1:]
}
