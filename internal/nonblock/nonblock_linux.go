package nonblock

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read reads what is there into b, and returns how many bytes that were; 0 at the
// end. Errors are unix.Errno: EAGAIN when nothing is there now. The count is never
// negative.
func Read(fd int, b []byte) (int, error) { return call(unix.SYS_READ, fd, b) }

// Write writes what the kernel takes of b now, and returns how many bytes that
// were. Errors are unix.Errno: EAGAIN when it takes nothing. The count is never
// negative.
func Write(fd int, b []byte) (int, error) { return call(unix.SYS_WRITE, fd, b) }

// unsafe is needed because package unix offers only calls that tell the scheduler.
func call(number uintptr, fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Events fetches what an epoll queue has to tell into events, without waiting, and
// returns how many that were.
func Events(epoll int, events []unix.EpollEvent) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
