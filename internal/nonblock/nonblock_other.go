//go:build unix && !linux

package nonblock

import "golang.org/x/sys/unix"

// Read reads what is there into b, and returns how many bytes that were; 0 at the
// end. Errors are unix.Errno: EAGAIN when nothing is there now. The count is never
// negative.
func Read(fd int, b []byte) (int, error) {
	n, err := unix.Read(fd, b)
	return max(n, 0), err
}

// Write writes what the kernel takes of b now, and returns how many bytes that
// were. Errors are unix.Errno: EAGAIN when it takes nothing. The count is never
// negative.
func Write(fd int, b []byte) (int, error) {
	n, err := unix.Write(fd, b)
	return max(n, 0), err
}
