// Package quiet is the input and output on the path of a request with as few
// wake-ups as there can be. A process that is woken, or wakes another one, costs a
// call 5 to 25 µs where a processor must be called out of its sleep, several times
// what the bytes themselves cost; docs/performance.md has the figures. There are two
// kinds that Go's own way has and this one has not:
//
//   - Read, Write and ReadAt do not announce themselves to Go's scheduler. Its
//     monitor thread goes to sleep while the daemon has nothing to do, and the first
//     system call that announces itself wakes it, on each call of a function that
//     comes by itself.
//   - A Conn is not woken when its peer has read what was written to it. Go's poller
//     watches each socket for room to write too, and a unix socket tells of it for
//     each piece that is read.
package quiet

import "syscall"

// largest is how much Read and Write move at a time, in bytes: the processor cannot
// be given to another goroutine meanwhile, and this much is copied in 10 µs or so.
const largest = 64 << 10

// Read reads once from the descriptor, which must not block: what has nothing to read
// is syscall.EAGAIN. It reads 64 KiB at most, and 0 bytes at the end.
func Read(fd uintptr, p []byte) (int, error) {
	return retry(p, func(p []byte) (int, error) { return read(fd, p) })
}

// Write writes once to the descriptor, which must not block: what has no room is
// syscall.EAGAIN. It writes 64 KiB at most.
func Write(fd uintptr, p []byte) (int, error) {
	return retry(p, func(p []byte) (int, error) { return write(fd, p) })
}

// ReadAt reads once from offset, 64 KiB at most. It is for the files of the kernel
// that are there at once, such as those of control groups.
func ReadAt(fd uintptr, p []byte, offset int64) (int, error) {
	return retry(p, func(p []byte) (int, error) { return readAt(fd, p, offset) })
}

// retry makes the call until no signal interrupts it.
func retry(p []byte, call func(p []byte) (int, error)) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	p = p[:min(len(p), largest)]
	for {
		if n, err := call(p); err != syscall.EINTR {
			return n, err
		}
	}
}
