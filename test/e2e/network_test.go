package e2e

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/covefn/cove"
)

// dialer tries each address of its event and says what it got.
var dialer = files{"main.py": `
import socket

def attempt(address):
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=2) as s:
            s.settimeout(2)
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return "open " + s.recv(4096).decode("latin1").splitlines()[0]
    except OSError as error:
        return "closed " + type(error).__name__

def gateway():
    try:
        for line in open("/proc/net/route").read().splitlines()[1:]:
            fields = line.split()
            if fields[1] == "00000000":
                return socket.inet_ntoa(bytes.fromhex(fields[2])[::-1])
    except OSError:
        pass
    return ""

def handler(event, context):
    if event == "gateway":
        return gateway()
    return {address: attempt(address) for address in event}
`}

// A function with network egress reaches the world, but nothing of the host it
// runs on and no metadata service; one without reaches nothing.
func TestEgress(t *testing.T) {
	l := newLab(t)
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	address := func(base string) string {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		return u.Host
	}
	world := address(l.serve(t, l.world, labWorld, answer))
	metadata := address(l.serve(t, l.world, labMetadata, answer))
	everywhere := address(l.serve(t, l.host, "0.0.0.0", answer))
	_, port, err := net.SplitHostPort(everywhere)
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, options{Lab: l, Args: []string{"--gateway", "0.0.0.0:0"}})
	_, gatewayPort, err := net.SplitHostPort(address(h.Gateway))
	if err != nil {
		t.Fatal(err)
	}
	closed := []string{
		metadata, "127.0.0.1:" + port, labHost + ":" + port, address(h.API), "127.0.0.1:" + gatewayPort, labHost + ":" + gatewayPort,
	}
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			cfg := function("dialer-"+isolation, "python", isolation)
			cfg.Network, cfg.Timeout = cove.NetworkEgress, cove.Duration(60e9)
			h.deploy(t, cfg, dialer)
			var router string
			if r := h.invoke(t, cfg.Name, `"gateway"`); json.Unmarshal(r.Answer, &router) != nil || router == "" {
				t.Fatalf("the function knows no router: %s %+v", r.Answer, r.Error)
			}
			targets := append([]string{router + ":" + port, router + ":" + gatewayPort}, closed...)
			h.expectClosed(t, cfg.Name, targets)
			if got := h.dialAll(t, cfg.Name, []string{world})[world]; got != "open HTTP/1.0 200 OK" {
				t.Errorf("the world is %q", got)
			}

			cfg.Network = cove.NetworkNone
			h.deploy(t, cfg, dialer)
			h.expectClosed(t, cfg.Name, append(closed, world))
		})
	}
}

func (h *harness) expectClosed(t *testing.T, name string, targets []string) {
	t.Helper()
	for target, got := range h.dialAll(t, name, targets) {
		if got[:6] != "closed" {
			t.Errorf("%s reaches %s: %s", name, target, got)
		}
	}
}

func (h *harness) dialAll(t *testing.T, name string, targets []string) map[string]string {
	t.Helper()
	event, err := json.Marshal(targets)
	if err != nil {
		t.Fatal(err)
	}
	r := h.invoke(t, name, string(event))
	got := map[string]string{}
	if err := json.Unmarshal(r.Answer, &got); err != nil || len(got) == 0 {
		t.Fatalf("%s answered %s %s %+v", name, r.Outcome, r.Answer, r.Error)
	}
	t.Logf("%s: %v", name, got)
	return got
}
