//go:build race

package quiet

import "syscall"

// The race detector learns from package syscall that what was done before a write
// was done before it is read at the other end.

func read(fd uintptr, p []byte) (int, error) { return least0(syscall.Read(int(fd), p)) }

func write(fd uintptr, p []byte) (int, error) { return least0(syscall.Write(int(fd), p)) }

func readAt(fd uintptr, p []byte, offset int64) (int, error) {
	return least0(syscall.Pread(int(fd), p, offset))
}

func least0(n int, err error) (int, error) { return max(n, 0), err }
