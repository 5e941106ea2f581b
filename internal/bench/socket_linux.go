package bench

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
)

// A writer writes to a connection, without telling the scheduler and without
// garbage. Safe for concurrent use.
type writer struct {
	conn net.Conn
	raw  syscall.RawConn // nil: TLS

	mu     sync.Mutex // guards the following: one write at a time
	rest   []byte     // of the frame
	failed error
	take   func(fd uintptr) bool
}

func (w *writer) open(conn net.Conn) (err error) {
	w.conn, w.take = conn, w.some
	if c, ok := conn.(syscall.Conn); ok {
		w.raw, err = c.SyscallConn()
	}
	return err
}

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

// drain calls each for every text or binary frame until the socket ends, and
// returns why it did. A read that filled less than it could has emptied the
// socket: package net would ask once more before it waits, one system call of two.
func (s *socket) drain(each func(payload []byte)) error {
	if s.out.raw == nil { // TLS
		return s.readAll(each)
	}
	// What the handshake or joining read already.
	early, err := s.in.Peek(s.in.Buffered())
	if err != nil {
		return err
	}
	in := stream{buf: append(make([]byte, 0, readBuffer), early...)}
	take := func(op ws.OpCode, payload []byte) error { return s.heed(op, payload, each) }
	s.in = nil // thousands of buffers that nobody needs any more
	ended := in.cut(len(early), take)
	if ended != nil {
		return ended
	}
	in.buf = in.buf[:cap(in.buf)]
	// The waiting is done between two calls: an event that comes between a read and
	// the wait ends the wait at once.
	err = s.out.raw.Read(func(fd uintptr) bool {
		for {
			space := in.space()
			n, err := nonblock.Read(int(fd), space)
			switch {
			case errors.Is(err, unix.EAGAIN):
				return false
			case errors.Is(err, unix.EINTR):
				continue
			case err != nil:
				ended = err
				return true
			case n == 0:
				ended = io.EOF
				return true
			}
			if ended = in.cut(n, take); ended != nil {
				return true
			}
			if n < len(space) {
				return false
			}
		}
	})
	return errors.Join(ended, err)
}
