package host

import (
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSandboxResolver(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files      map[string]string
		configured []netip.Addr
		want       string
		note       bool
	}{
		"servers and search domains of the host are taken over": {
			files: map[string]string{resolvConf: "# a comment\nsearch example.com\nnameserver 192.0.2.53\nnameserver 192.0.2.54 # two\noptions ndots:2\n"},
			want:  "search example.com\noptions ndots:2\nnameserver 192.0.2.53\nnameserver 192.0.2.54\n",
		},
		"the servers behind a stub on loopback are used": {
			files: map[string]string{resolvConf: "nameserver 127.0.0.53\n", resolvUpstream: "nameserver 192.0.2.53\n"},
			want:  "nameserver 192.0.2.53\n", note: true,
		},
		"a server that is the host itself and one of IPv6 are left out": {
			files: map[string]string{resolvConf: "nameserver 192.0.2.10\nnameserver 2001:db8::53\nnameserver 192.0.2.53\n"},
			want:  "nameserver 192.0.2.53\n",
		},
		"a stub with nothing behind it is told of": {
			files: map[string]string{resolvConf: "nameserver 127.0.0.1\n"}, note: true,
		},
		"configured servers replace the host's": {
			files:      map[string]string{resolvConf: "nameserver 127.0.0.1\n"},
			configured: []netip.Addr{netip.MustParseAddr("192.0.2.99")},
			want:       "nameserver 192.0.2.99\n",
		},
		"a host without the file is told of": {note: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := func(path string) (string, error) {
				if text, ok := tt.files[path]; ok {
					return text, nil
				}
				return "", fs.ErrNotExist
			}
			got, note, err := sandboxResolver(tt.configured, []netip.Addr{netip.MustParseAddr("192.0.2.10")}, read)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.String()); diff != "" {
				t.Errorf("the file differs:\n%s", diff)
			}
			if (note != "") != tt.note {
				t.Errorf("the note is %q", note)
			}
		})
	}
}

func FuzzParseResolvConf(f *testing.F) {
	f.Add("nameserver 127.0.0.53\nsearch a b\n")
	f.Add("nameserver fe80::1%eth0\noptions\tndots:5\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := parseResolvConf(text)
		again := parseResolvConf(r.String())
		if diff := cmp.Diff(r.String(), again.String()); diff != "" {
			t.Errorf("what was written is read differently:\n%s", diff)
		}
		if strings.Count(r.String(), "\n") != len(r.servers)+len(r.rest) {
			t.Errorf("%q holds a line too many", r.String())
		}
	})
}

func TestChooseRange(t *testing.T) {
	t.Parallel()
	prefixes := func(list ...string) (all []netip.Prefix) {
		for _, p := range list {
			all = append(all, netip.MustParsePrefix(p))
		}
		return all
	}
	tests := map[string]struct {
		configured netip.Prefix
		routes     []netip.Prefix
		want       string
		problem    string
	}{
		"the first default one that is free":       {routes: prefixes("0.0.0.0/0", "100.64.0.0/10"), want: "10.213.0.0/16"},
		"the default route is no clash":            {routes: prefixes("0.0.0.0/0"), want: "100.112.0.0/16"},
		"a configured one that is free":            {configured: netip.MustParsePrefix("10.1.2.3/24"), want: "10.1.2.0/24"},
		"a configured one that is in use":          {configured: netip.MustParsePrefix("10.1.0.0/24"), routes: prefixes("10.0.0.0/8"), problem: "10.0.0.0/8"},
		"a configured one that is IPv6":            {configured: netip.MustParsePrefix("fd00::/64"), problem: "not an IPv4 network"},
		"a configured one that is too small":       {configured: netip.MustParsePrefix("10.1.0.0/31"), problem: "at least a /30"},
		"no default one is free: the mend is told": {routes: prefixes("100.64.0.0/10", "10.0.0.0/8", "172.16.0.0/12", "198.18.0.0/15"), problem: "configure one"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := chooseRange(tt.configured, tt.routes)
			if tt.problem == "" && (err != nil || got.String() != tt.want) {
				t.Errorf("it is %v, %v; want %s", got, err, tt.want)
			}
			if tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
				t.Errorf("the error is %v, want one about %q", err, tt.problem)
			}
		})
	}
}
