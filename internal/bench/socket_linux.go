package bench

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
)

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
