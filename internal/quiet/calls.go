//go:build !race

package quiet

import (
	"syscall"
	"unsafe"
)

func read(fd uintptr, p []byte) (int, error) {
	return raw(syscall.SYS_READ, fd, p, 0)
}

func write(fd uintptr, p []byte) (int, error) {
	return raw(syscall.SYS_WRITE, fd, p, 0)
}

func readAt(fd uintptr, p []byte, offset int64) (int, error) {
	return raw(syscall.SYS_PREAD64, fd, p, uintptr(offset))
}

func raw(call, fd uintptr, p []byte, offset uintptr) (int, error) {
	n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), offset, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
