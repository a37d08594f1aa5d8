package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The addresses of a lab, all from ranges for documentation.
const (
	labHost     = "192.0.2.10"
	labRouter   = "192.0.2.1"
	labWorld    = "198.51.100.7"
	labMetadata = "169.254.169.254"
)

// A lab is a host for a daemon and a world around it, both in network
// namespaces of their own: the host has one uplink, and behind it there are
// labWorld, where tests put servers, and a metadata service as clouds have one.
// Nothing in it can reach a real network.
type lab struct {
	host  *namespace
	world *namespace
}

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{host: newNamespace(t), world: newNamespace(t)}
	err := l.host.do(func() error {
		veth := netlink.NewVeth(netlink.LinkAttrs{Name: "up0"})
		veth.PeerName, veth.PeerNamespace = "eth0", netlink.NsFd(l.world.file.Fd())
		return errors.Join(
			netlink.LinkAdd(veth), addresses("lo"), addresses("up0", labHost+"/24"),
		)
	})
	if err != nil {
		t.Fatalf("make a network for the test: %v", err)
	}
	err = l.world.do(func() error {
		return errors.Join(addresses("eth0", labRouter+"/24"), addresses("lo", labWorld+"/32", labMetadata+"/32"))
	})
	if err == nil {
		err = l.host.do(func() error { return netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(labRouter)}) })
	}
	if err != nil {
		t.Fatalf("make a network for the test: %v", err)
	}
	return l
}

// addresses gives a link addresses and switches it on.
func addresses(name string, list ...string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	for _, text := range list {
		a, err := netlink.ParseAddr(text)
		if err == nil {
			err = netlink.AddrAdd(l, a)
		}
		if err != nil {
			return fmt.Errorf("address %s: %w", text, err)
		}
	}
	return netlink.LinkSetUp(l)
}

// serve answers requests at address in a namespace of the lab and returns the
// server's base URL.
func (l *lab) serve(t testing.TB, where *namespace, address string, handler http.Handler) string {
	t.Helper()
	var listener net.Listener
	err := where.do(func() (err error) {
		listener, err = net.Listen("tcp4", net.JoinHostPort(address, "0"))
		return err
	})
	if err != nil {
		t.Fatalf("serve in the test's network: %v", err)
	}
	s := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	s.Start()
	t.Cleanup(s.Close)
	return "http://" + net.JoinHostPort(address, strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
}

// A namespace is a network namespace that goes when the test ends.
type namespace struct{ file *os.File }

func newNamespace(t testing.TB) *namespace {
	t.Helper()
	var file *os.File
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		var err error
		file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return &namespace{file: file}
}

// do runs f on a thread that is in the namespace. What f opens or starts is
// there, too.
func (n *namespace) do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

// onThread runs f, which may change the network namespace of its thread, and
// puts the thread back to where it was.
func onThread(f func() error) error {
	runtime.LockOSThread()
	before, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer func() { _ = before.Close() }()
	err = f()
	if back := unix.Setns(int(before.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked and ends with its goroutine.
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}
