package host

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Process watches for the end of a process that need not be a child. It holds
// one descriptor and one goroutine until Close. It is safe for concurrent use.
type Process struct {
	pidfd *os.File
	done  chan struct{}
	idle  sync.WaitGroup
}

// WatchProcess begins to watch the process pid. The caller must know that pid
// is still the process it means, as it does of a process that it or a runtime
// it has asked started and has not reaped. A pid that no longer exists is
// os.ErrProcessDone.
func WatchProcess(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("watch process %d: %w", pid, os.ErrProcessDone)
	}
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	// NewFile of a non-blocking descriptor uses the runtime's poller: waiting
	// takes no thread, and Close wakes it.
	p := &Process{pidfd: os.NewFile(uintptr(fd), fmt.Sprintf("pidfd:%d", pid)), done: make(chan struct{})}
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, p.pidfd.Close())
	}
	p.idle.Go(func() {
		if raw.Read(ended) == nil {
			close(p.done)
		}
	})
	return p, nil
}

// ended says whether the process of a pidfd has ended; a pidfd is readable
// from then on, also while the process is a zombie.
func ended(fd uintptr) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// Done is closed when the process has ended. It is never closed by Close.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends sig to the process, never to another that has its number now.
// It returns os.ErrProcessDone when the process has ended.
func (p *Process) Signal(sig unix.Signal) error {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	if err := raw.Control(func(fd uintptr) { sendErr = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		return err
	}
	if errors.Is(sendErr, unix.ESRCH) {
		return os.ErrProcessDone
	}
	return sendErr
}

// Close ends the watch and gives back what it holds. It may be called again.
func (p *Process) Close() error {
	err := p.pidfd.Close()
	p.idle.Wait()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
