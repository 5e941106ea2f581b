package nonblock

import (
	"encoding/binary"
	"net/netip"
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

// Accept takes a connection to a listening socket in, in non-blocking mode, and says
// where it comes from. Errors are unix.Errno: EAGAIN when nobody waits.
func Accept(listener int) (fd int, from netip.AddrPort, err error) {
	var at unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener),
		uintptr(unsafe.Pointer(&at)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return 0, netip.AddrPort{}, errno
	}
	return int(n), addrPort(&at), nil
}

// addrPort reads what the kernel has written; the zero AddrPort when that is not TCP's.
func addrPort(at *unix.RawSockaddrAny) netip.AddrPort {
	switch at.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(at))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), port(a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(at))
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), port(a.Port))
	}
	return netip.AddrPort{}
}

// port is one that is in the network's order.
func port(n uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], n)
	return binary.BigEndian.Uint16(b[:])
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
