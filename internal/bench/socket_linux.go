package bench

import (
	"errors"
	"io"
	"syscall"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/chorale-rt/chorale/internal/nonblock"
)

// write sends a frame that was made by a clientFrame.
func (s *socket) write(frame []byte) error {
	raw, ok := s.conn.(syscall.Conn)
	if !ok { // TLS
		_, err := s.conn.Write(frame)
		return err
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = control.Write(func(fd uintptr) bool {
		for len(frame) > 0 {
			n, err := nonblock.Write(int(fd), frame)
			frame = frame[n:]
			switch {
			case errors.Is(err, unix.EAGAIN):
				return false
			case err != nil && !errors.Is(err, unix.EINTR):
				failed = err
				return true
			}
		}
		return true
	})
	return errors.Join(failed, err)
}

// drain calls each for every text or binary frame until the socket ends, and
// returns why it did. A read that filled less than it could has emptied the
// socket: package net would ask once more before it waits, one system call of two.
func (s *socket) drain(each func(payload []byte)) error {
	raw, ok := s.conn.(syscall.Conn)
	if !ok { // TLS
		return s.readAll(each)
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return err
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
	err = control.Read(func(fd uintptr) bool {
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
