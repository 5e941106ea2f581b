package bench

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
)

// perSource is for how many connections one address of this machine is used.
const perSource = 1000

var dialed atomic.Int64

// dialTCP connects, within the machine from many addresses one after the other: with
// thousands of connections from one to the same server, the kernel spends more on the
// search for a free port than everybody else on the connection. Nor does it keep such
// a connection alive, or watch ctx for one, which is over before anybody could cancel it,
// or after three more SYNs (15 s) to a server that does not accept.
func dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().Is4() || !at.Addr().IsLoopback() {
		d := net.Dialer{Timeout: dialTimeout}
		return d.DialContext(ctx, network, address)
	}
	n := dialed.Add(1) / perSource
	d := net.Dialer{
		KeepAlive: -1,
		LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+n/250%250), byte(1+n%250))},
		Control: func(_, _ string, raw syscall.RawConn) (failed error) {
			err := raw.Control(func(fd uintptr) { // the port is chosen when both ends are known
				failed = errors.Join(
					unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
					unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_SYNCNT, 3),
				)
			})
			return errors.Join(err, failed)
		},
	}
	return d.DialContext(context.WithoutCancel(ctx), network, address)
}

// A writer is the outlet of a connection, which it writes to without telling the
// scheduler and without garbage.
type writer struct {
	conn net.Conn
	raw  syscall.RawConn // nil: TLS

	mu     sync.Mutex // guards the following: one write at a time
	rest   []byte     // of the frame
	failed error
	take   func(fd uintptr) bool
}

func newWriter(conn net.Conn) (w *writer, err error) {
	w = &writer{conn: conn}
	w.take = w.some
	if c, ok := conn.(syscall.Conn); ok {
		w.raw, err = c.SyscallConn()
	}
	return w, err
}

// write implements outlet.
func (w *writer) write(frame []byte) error {
	if w.raw == nil {
		_, err := w.conn.Write(frame)
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest, w.failed = frame, nil
	err := w.raw.Write(w.take)
	return errors.Join(w.failed, err)
}

// some writes what the socket takes, and says whether that is all.
func (w *writer) some(fd uintptr) bool {
	for len(w.rest) > 0 {
		n, err := nonblock.Write(int(fd), w.rest)
		w.rest = w.rest[n:]
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false
		case err != nil && !errors.Is(err, unix.EINTR):
			w.failed = err
			return true
		}
	}
	return true
}

// close implements outlet.
func (w *writer) close(words []byte) {
	if len(words) > 0 {
		_ = w.write(words) // the server may be gone already: then there is nobody to say it to
	}
	w.conn.Close()
}
