package host

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// favoured is the nice value that Favour gives: about nine times the usual share of
// a processor that too many want.
const favoured = "-10"

// Favour has the kernel prefer this process to others of the host where processors
// are short. Every request passes the daemon, which does little for each, while
// starting a sandbox takes several programs a tenth of a second: without it, a
// start made hundreds of requests wait.
//
// It is for the sessions that the kernel shares processors out to when nobody has
// put them into control groups (autogroup, see sched(7)), and does nothing where
// there are none, or where the process is not the first of its session and so
// would speak for others too. What has a session of its own, as the runtimes of
// sandboxes have, is not favoured with it.
func Favour() error {
	if sid, err := unix.Getsid(0); err != nil || sid != os.Getpid() {
		return err
	}
	f, err := os.OpenFile("/proc/self/autogroup", os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(favoured)
	return errors.Join(err, f.Close())
}
