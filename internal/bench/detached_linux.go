package bench

import (
	"errors"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
)

// A detached is the outlet of a socket that Go's own poller does not know.
type detached struct {
	fd   int
	turn sync.Mutex // one write at a time

	use      sync.RWMutex // guards the following; held to read by whoever uses fd
	released bool         // fd is somebody else's now
}

// detach takes the descriptor away from a connection, see nonblock.Detach.
func detach(conn net.Conn) (*detached, bool) {
	fd, ok := nonblock.Detach(conn)
	return &detached{fd: fd}, ok
}

// write implements outlet. Who has to wait for the server does that in the kernel:
// the loop goes on.
func (d *detached) write(frame []byte) error {
	d.turn.Lock()
	defer d.turn.Unlock()
	d.use.RLock()
	defer d.use.RUnlock()
	if d.released {
		return net.ErrClosed
	}
	for len(frame) > 0 {
		n, err := nonblock.Write(d.fd, frame)
		frame = frame[n:]
		if errors.Is(err, unix.EAGAIN) {
			_, err = unix.Poll([]unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLOUT}}, -1)
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return nil
}

// close implements outlet.
func (d *detached) close(words []byte) {
	d.use.RLock()
	defer d.use.RUnlock()
	if d.released {
		return
	}
	if len(words) > 0 && d.turn.TryLock() {
		_, _ = nonblock.Write(d.fd, words) // who does not listen is not told
		d.turn.Unlock()
	}
	_ = unix.Shutdown(d.fd, unix.SHUT_RDWR) // it may have been shut by the server already
}

// release gives the descriptor back; the outlet must be closed. Idempotent.
func (d *detached) release() {
	d.use.Lock()
	defer d.use.Unlock()
	if !d.released {
		d.released = true
		_ = unix.Close(d.fd) // there is nobody to tell
	}
}
