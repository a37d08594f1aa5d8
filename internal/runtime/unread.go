package runtime

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// leftUnread says whether some of what was written to the unix socket c was
// never read, or is not read yet, by a peer that has ended its side. It is asked
// where a read found a plain end.
//
// A process that closes its socket, or dies, does both at once for Linux, and the
// reset says it. gVisor's sentry takes two steps: it shuts the host's socket down,
// which its other end sees as a plain end, and closes it a moment later, which
// makes the reset. Between the two the unread bytes are still in the peer's queue,
// and are counted as this end's; after the second, the error of the socket is set
// before they are thrown away. So the count must be asked first.
func leftUnread(c net.Conn) bool {
	s, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	unread := false
	err = raw.Control(func(fd uintptr) {
		if n, err := unix.IoctlGetInt(int(fd), unix.TIOCOUTQ); err == nil && n > 0 {
			unread = true
			return
		}
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		unread = err == nil && syscall.Errno(code) == syscall.ECONNRESET
	})
	return err == nil && unread
}
