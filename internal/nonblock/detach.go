//go:build unix

package nonblock

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Detach takes the descriptor away from a conn, which is closed by it: the
// connection goes on under the descriptor, in non-blocking mode, and Go's poller is
// not told of it. It is false, and the conn as it was, when that has none of its own
// (TLS). The caller closes the descriptor.
func Detach(conn net.Conn) (fd int, ok bool) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, false
	}
	var failed error
	err = raw.Control(func(old uintptr) { fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil || failed != nil {
		return 0, false
	}
	_ = conn.Close() // the connection goes on under the other descriptor
	return fd, true
}

// DetachListener takes the descriptor away from a listener, which is closed by it:
// listening goes on under the file's. What is accepted has TCP_NODELAY on. The caller
// closes the file, for which Go's poller waits.
func DetachListener(l *net.TCPListener) (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, failed := 0, error(nil)
	err = raw.Control(func(old uintptr) {
		// Connections have this of the socket that they are accepted from.
		if failed = unix.SetsockoptInt(int(old), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); failed == nil {
			fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	_ = l.Close() // listening goes on under the other descriptor
	return os.NewFile(uintptr(fd), "listener"), nil
}
