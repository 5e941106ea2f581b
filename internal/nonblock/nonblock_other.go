//go:build unix && !linux

package nonblock

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

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

// Accept takes a connection to a listening socket in, in non-blocking mode, and says
// where it comes from. Errors are unix.Errno: EAGAIN when nobody waits.
func Accept(listener int) (fd int, from netip.AddrPort, err error) {
	fd, at, err := unix.Accept(listener)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd) // the first error is the one that counts
		return 0, netip.AddrPort{}, err
	}
	switch at := at.(type) {
	case *unix.SockaddrInet4:
		from = netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port))
	case *unix.SockaddrInet6:
		from = netip.AddrPortFrom(netip.AddrFrom16(at.Addr).Unmap(), uint16(at.Port))
	}
	return fd, from, nil
}
